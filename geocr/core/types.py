"""Array aliases and the two values that pass between the engine and a reconstructor.

Every 2-D pair in geocr is `(y, x)`; every array of pixels is `(band, y, x)` or `(y, x)`.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geocr.core.errors import ReconstructionError

FloatArray: TypeAlias = NDArray[np.float32]
BoolArray: TypeAlias = NDArray[np.bool_]
ByteArray: TypeAlias = NDArray[np.uint8]
NumberArray: TypeAlias = NDArray[Any]
"""Pixels in a file's own dtype (digital numbers)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A rectangle of scene pixels, in the scene's global pixel coordinates.

    Row 0, column 0 is the scene's upper-left pixel. A window may not be empty; it may reach outside
    the scene only where a function says so.
    """

    row: int
    """First row."""
    col: int
    """First column."""
    height: int
    """Rows, at least 1."""
    width: int
    """Columns, at least 1."""

    def __post_init__(self) -> None:
        """Refuse empty windows."""
        if self.height < 1 or self.width < 1:
            msg = f"a window must have at least one row and one column, got height={self.height}, width={self.width}"
            raise ValueError(msg)

    @property
    def row_stop(self) -> int:
        """First row behind the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """First column behind the window."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """`(height, width)`."""
        return self.height, self.width

    def slices_in(self, outer: "Window") -> tuple[slice, slice]:
        """Row and column slices of this window inside an array that covers `outer`."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)

    def grown(self, px: int, shape: tuple[int, int]) -> "Window":
        """The window plus `px` pixels on each side, clipped to a scene of `shape` (rows, columns)."""
        row, col = max(0, self.row - px), max(0, self.col - px)
        row_stop, col_stop = min(shape[0], self.row_stop + px), min(shape[1], self.col_stop + px)
        return Window(row=row, col=col, height=row_stop - row, width=col_stop - col)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DatedTile:
    """The window of a tile as another date saw it, on the same pixels."""

    days: int
    """Days of this date minus days of the scene: negative is before."""
    optical: FloatArray
    """`(bands, height, width)` float32 reflectance, bands as in the tile; NaN is nodata."""
    sar: FloatArray
    """`(bands, height, width)` float32 dB, bands as in the tile; the scene's own where the date brings none."""
    cloud_mask: BoolArray
    """`(height, width)`; True is cloud or shadow on this date."""

    @property
    def clear(self) -> BoolArray:
        """`(height, width)`; True where every band was observed and no cloud hides the ground."""
        seen: BoolArray = np.logical_and.reduce(np.isfinite(self.optical), axis=0)
        return seen & ~self.cloud_mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileInput:
    """What a reconstructor is given: one window of an aligned scene.

    All arrays cover `window`. Nothing is normalised; bands are in the scene's own order.
    """

    window: Window
    """Where the tile lies in the scene."""
    optical: FloatArray
    """`(bands, height, width)` float32 reflectance, about 0 to 1 (brighter over clouds); NaN is nodata.
    Cloudy pixels are present as they were observed."""
    sar: FloatArray
    """`(bands, height, width)` float32, VV then VH, in dB (or the picture value of display data); NaN where
    Sentinel-1 does not cover. Zero bands when the scene has no Sentinel-1."""
    cloud_mask: BoolArray
    """`(height, width)`; True is cloud or shadow: to be reconstructed."""
    valid: BoolArray
    """`(height, width)`; True where at least one optical band was observed."""
    others: tuple[DatedTile, ...] = ()
    """The same window on other dates, nearest in time first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reconstruction:
    """What a reconstructor gives back for a tile, on the tile's own pixels.

    The arrays become the engine's: it blends neighbouring tiles into them.
    """

    mean: FloatArray
    """`(bands, height, width)` float32 reflectance. Must be finite where the tile is cloudy and the band was
    observed; elsewhere it may be anything."""
    std: FloatArray | None = None
    """Same shape, float32, standard deviation of `mean` in reflectance, or None when the method has none."""
    sar_share: FloatArray | None = None
    """`(1, height, width)` float32, 1 where Sentinel-1 had a say in the value and 0 where not; None: wherever the tile has it."""
    source_days: FloatArray | None = None
    """`(1, height, width)` float32: for pixels that were observed on another date, its days minus the scene's; NaN elsewhere. None: nowhere."""

    def checked(self, tile: TileInput, needed: BoolArray) -> "Reconstruction":
        """Return itself after checking shapes, and that every needed pixel is finite.

        Args:
            tile: The input this answers.
            needed: `(height, width)`, True where a value will be written (in the bands that were observed there).

        Raises:
            ReconstructionError: On a wrong shape, or a NaN or infinity at a needed pixel.
        """
        for name, layer in (("sar_share", self.sar_share), ("source_days", self.source_days)):
            if layer is not None and layer.shape != (1, *tile.window.shape):
                raise ReconstructionError(f"`{name}` must cover its tile: expected {(1, *tile.window.shape)}, got {layer.shape}")
        for name, array in (("mean", self.mean), ("std", self.std)):
            if array is None:
                continue
            if array.shape != tile.optical.shape:
                msg = f"a reconstructor must return `{name}` of its tile's shape: expected {tile.optical.shape}, got {array.shape}"
                raise ReconstructionError(msg)
            finite = np.isfinite(array)
            if finite.all():
                continue
            bad = ~finite & needed & np.isfinite(tile.optical)
            if bad.any():
                rule = "a reconstructor must return finite values at every pixel to fill"
                msg = (
                    f"{rule}: {int(bad.sum())} values of `{name}` are NaN or infinite in the tile at "
                    f"row {tile.window.row}, column {tile.window.col}; check the model's weights and its input units"
                )
                raise ReconstructionError(msg)
        return self
