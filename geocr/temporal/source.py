"""What filling from other dates reads: any scene that hands out windows of all its dates."""

from typing import Protocol

import numpy as np

from geocr.core.types import BoolArray, TileInput, Window


class DatedSource(Protocol):
    """A scene, its cloud mask and its other dates, read window by window."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scene."""
        ...

    def read(self, window: Window) -> TileInput:
        """One window inside the scene, with the same dates in the same order at every call."""
        ...


def clear_pixels(tile: TileInput) -> BoolArray:
    """`(height, width)`; True where the scene itself was observed in every band and is clear."""
    seen: BoolArray = np.logical_and.reduce(np.isfinite(tile.optical), axis=0)
    return seen & ~tile.cloud_mask
