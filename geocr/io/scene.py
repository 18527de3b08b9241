"""A scene: cloudy Sentinel-2 and, usually, Sentinel-1, on the Sentinel-2 grid, read window by window."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from geocr.core.bands import is_l1c
from geocr.core.errors import RasterReadError
from geocr.core.types import BoolArray, FloatArray, NumberArray, Window
from geocr.io.damage import OnError, read_what_decodes
from geocr.io.facts import OpticalFacts, SarFacts
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader
from geocr.io.sar import SarReader
from geocr.io.sar_mosaic import SarMosaic
from geocr.radiometry.optical import OpticalScale


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Sentinel-2 and Sentinel-1 on one grid. Opened by `open_scene`; cheap to pickle (paths, no pixels)."""

    optical: RasterReader
    """The Sentinel-2 file."""
    indexes: tuple[int, ...]
    """1-based numbers of the file's bands, in the file's order."""
    bands: tuple[str, ...]
    """Canonical names of these bands."""
    scale: OpticalScale
    """How reflectance is stored."""
    grid: SceneGrid
    """The grid of every window."""
    sar: SarReader | SarMosaic | None
    """Sentinel-1 on that grid, or None."""
    sar_bands: tuple[str, ...]
    """Polarisations in the order read, `()` without Sentinel-1."""
    notes: tuple[str, ...] = field(default=())
    """What was decided while opening, a sentence each, to be said aloud."""
    on_error: OnError = "stop"
    """What becomes of blocks that do not decode, whoever reads them."""
    optical_facts: OpticalFacts = field(default=OpticalFacts())
    """What the Sentinel-2 product says of itself."""
    sar_facts: SarFacts = field(default=SarFacts())
    """What the Sentinel-1 product says of itself."""
    output_bands: tuple[str, ...] | None = None
    """Those of `bands` that a run writes, in that order; None writes all."""

    @property
    def written(self) -> tuple[str, ...]:
        """Bands that a run writes."""
        return self.bands if self.output_bands is None else self.output_bands

    def only(self, bands: tuple[str, ...]) -> "Scene":
        """The same scene read in these bands alone, in the file's order."""
        kept = tuple(band for band in self.bands if band in bands)
        indexes = tuple(self.indexes[self.bands.index(band)] for band in kept)
        return replace(self, bands=kept, indexes=indexes, output_bands=None)

    @property
    def level(self) -> str:
        """By the product's own word; else `L1C` when the cirrus band is there, else `L2A` (or an RGB or other subset of either)."""
        return self.optical_facts.level or ("L1C" if is_l1c(self.bands) else "L2A")

    def read_pixels(self, window: Window) -> tuple[NumberArray, FloatArray, tuple[str, ...]]:
        """Digital numbers as by `read_dn`, backscatter as by `read_sar`, and a sentence for each block that reads as nodata.

        Raises:
            RasterReadError: When a block does not decode, unless `on_error` is `nodata`.
        """
        dn, lost_dn = self._optical(window, self.indexes)
        sar, lost_sar = self._sar(window)
        return dn, sar, (*lost_dn, *lost_sar)

    def read_dn(self, window: Window, indexes: Sequence[int] | None = None) -> NumberArray:
        """Digital numbers, `(band, y, x)` in the file's dtype; all bands, or those of 1-based numbers."""
        return self._optical(window, self.indexes if indexes is None else indexes)[0]

    def _optical(self, window: Window, indexes: Sequence[int]) -> tuple[NumberArray, tuple[str, ...]]:
        try:
            return self.optical.read(window, indexes), ()
        except RasterReadError:
            if self.on_error == "stop":
                raise
        nodata = np.nan if self.scale.nodata is None and self.scale.dtype.startswith("float") else self.scale.nodata or 0
        empty = np.full((len(indexes), *window.shape), nodata, self.scale.dtype)
        return read_what_decodes(lambda part: self.optical.read(part, indexes), window, block=self._block, empty=empty)

    def _sar(self, window: Window) -> tuple[FloatArray, tuple[str, ...]]:
        if self.sar is None:
            return np.empty((0, *window.shape), np.float32), ()
        try:
            return self.sar.read_backscatter(window), ()
        except RasterReadError:
            if self.on_error == "stop":
                raise
        empty = np.full((len(self.sar_bands), *window.shape), np.nan, np.float32)
        return read_what_decodes(self.sar.read_backscatter, window, block=self._block, empty=empty)

    @property
    def _block(self) -> tuple[int, int]:
        rows, cols = self.optical.handle.block_shapes[0]
        return int(rows), int(cols)

    def read_reflectance(self, window: Window, bands: tuple[str, ...] | None = None) -> FloatArray:
        """Reflectance, `(band, y, x)` float32, NaN is nodata; all bands, or the named ones in that order."""
        if bands is None:
            return self.scale.to_reflectance(self.read_dn(window))
        indexes = [self.indexes[self.bands.index(band)] for band in bands]
        return self.scale.to_reflectance(self.read_dn(window, indexes))

    def read_sar(self, window: Window) -> FloatArray:
        """Backscatter, `(band, y, x)` float32 dB, NaN outside Sentinel-1; zero bands without Sentinel-1."""
        return self._sar(window)[0]


def block_mean(array: FloatArray, factor: int) -> tuple[FloatArray, BoolArray]:
    """Mean of the finite values in each square of `factor` pixels; squares at the far edges may be partial.

    Args:
        array: `(band, y, x)` float32; NaN is left out.
        factor: Side of a square in pixels.

    Returns:
        `(band, ceil(y/factor), ceil(x/factor))` float32 means, NaN where a square has no finite value, and
        a bool array of the same shape, True where it has any.
    """
    if factor == 1:
        return array, np.isfinite(array)
    rows, cols = array.shape[1:]
    row_starts, col_starts = np.arange(0, rows, factor), np.arange(0, cols, factor)
    shape = (array.shape[0], row_starts.size, col_starts.size)
    mean, seen = np.empty(shape, np.float32), np.empty(shape, bool)
    for band, values in enumerate(array):
        finite = np.isfinite(values)
        total = _square_sums(np.where(finite, values, np.float32(0)), row_starts, col_starts)
        count = _square_sums(finite.astype(np.float32), row_starts, col_starts)
        seen[band] = count > 0
        mean[band] = np.where(seen[band], total / np.maximum(count, 1), np.nan)
    return mean, seen


def _square_sums(values: FloatArray, row_starts: NumberArray, col_starts: NumberArray) -> FloatArray:
    sums: FloatArray = np.add.reduceat(np.add.reduceat(values, row_starts, axis=0), col_starts, axis=1)
    return sums
