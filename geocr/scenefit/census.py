"""What a scene holds, counted while it is read once."""

import numpy as np

from geocr.core.errors import TooFewClearPixelsError
from geocr.core.types import BoolArray, TileInput


class Census:
    """Counts over pieces that together are the scene, each given once.

    Args:
        bands: Optical bands of the scene.
    """

    def __init__(self, bands: int) -> None:
        self._to_fill: BoolArray = np.zeros(bands, bool)
        self.with_sar = 0
        """Cloudy pixels that Sentinel-1 covers."""
        self.without_sar = 0
        """Cloudy pixels that it does not."""

    def count(self, tile: TileInput) -> None:
        """Add a piece."""
        cloudy = tile.cloud_mask & tile.valid
        has_sar: BoolArray = np.logical_and.reduce(np.isfinite(tile.sar), axis=0) if len(tile.sar) else np.zeros(cloudy.shape, bool)
        self.with_sar += int(np.count_nonzero(cloudy & has_sar))
        self.without_sar += int(np.count_nonzero(cloudy & ~has_sar))
        self._to_fill |= np.isfinite(tile.optical[:, cloudy]).any(axis=1)

    def require_lessons(self, live: tuple[int, ...]) -> None:
        """Refuse a scene with a band that must be filled and has nothing to learn from.

        Args:
            live: Bands that have clear pixels.

        Raises:
            TooFewClearPixelsError: With the bands' numbers, counted from 1.
        """
        lost = [int(band) + 1 for band in np.flatnonzero(self._to_fill) if int(band) not in live]
        if lost:
            raise TooFewClearPixelsError(
                f"each band to be filled needs clear pixels to learn from; band {', '.join(map(str, lost))} of the file holds values under "
                f"cloud but none was found outside; write a copy without it, or check the cloud mask"
            )
