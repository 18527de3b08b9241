"""Several Sentinel-1 images over one scene: the first that measured a pixel gives it, whole.

No averaging and no fading at seams: images of different orbits look from different sides and at different angles, and their mean is a
backscatter that nothing has. A pixel takes all its polarisations from one image: the first that has all of them there, else
the first that has any.
"""

from collections.abc import Sequence

import numpy as np

from geocr.core.types import FloatArray, Window
from geocr.io.sar import SarReader
from geocr.radiometry.sar import SarUnits


class SarMosaic:
    """Reads several images as one; safe to share between threads and to pickle, as its readers are.

    Args:
        readers: Of one grid and the same polarisations, the preferred first; at least one.
    """

    def __init__(self, readers: Sequence[SarReader]) -> None:
        self.readers = tuple(readers)

    @property
    def path(self) -> str:
        """Path of the preferred image."""
        return self.readers[0].path

    @property
    def units(self) -> SarUnits:
        """`display` when the images are pictures, else what the preferred one holds; all read as dB."""
        return self.readers[0].units

    def read_backscatter(self, window: Window) -> FloatArray:
        """Backscatter of a window: `(band, y, x)` float32 in dB, NaN where no image has any.

        An image is read only where those before it leave something open.
        """
        mosaic = self.readers[0].read_backscatter(window)
        whole = np.isfinite(mosaic).all(axis=0)
        some = np.isfinite(mosaic).any(axis=0)
        for reader in self.readers[1:]:
            if whole.all():
                break
            part = reader.read_backscatter(window)
            measured = np.isfinite(part)
            complete, any_of_it = measured.all(axis=0), measured.any(axis=0)
            taken = (complete & ~whole) | (any_of_it & ~some)
            np.copyto(mosaic, part, where=taken)
            whole |= complete
            some |= any_of_it
        return mosaic
