"""What a fit reads: any scene that can hand out windows."""

from typing import Protocol

from geocr.core.types import TileInput, Window


class FitSource(Protocol):
    """A scene and its cloud mask, read window by window."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scene."""
        ...

    def read(self, window: Window) -> TileInput:
        """One window, which lies inside the scene. Every call gives the same numbers of bands."""
        ...
