"""The one pixel lattice on which all reads of a scene dataset lie.

A query in map coordinates is moved to the nearest whole pixel, so that every patch is cut out of one grid: a file
that lies on the lattice is read as it is, and any other is warped to it, the same in every patch.
"""

from dataclasses import dataclass
from math import ceil, floor

from affine import Affine
from rasterio.crs import CRS

from geocr.core.errors import InputError
from geocr.core.types import Window
from geocr.io.grid import SceneGrid

_SLACK_PX = 1e-6
"""Rounding of map coordinates, in pixels: a border this close to a pixel's edge lies on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelLattice:
    """An unbounded, north-up grid of pixels."""

    crs: CRS
    """Coordinate reference system."""
    res: tuple[float, float]
    """Width and height of a pixel, `(x, y)` in units of the CRS, both positive."""
    origin: tuple[float, float]
    """Any corner of any pixel, `(x, y)`."""

    def __post_init__(self) -> None:
        """Refuse pixels without a size."""
        if not (self.res[0] > 0 and self.res[1] > 0):
            raise InputError(f"a pixel must have a positive width and height, got {self.res}; give `res` in units of the CRS")

    def snapped(self, x: slice, y: slice) -> SceneGrid:
        """The grid of a query: as many whole pixels as the query is wide and high, at the pixel nearest to its corner.

        Args:
            x: `xmin:xmax` in the CRS.
            y: `ymin:ymax` in the CRS.

        Raises:
            InputError: When the query is smaller than half a pixel.
        """
        width, height = round((x.stop - x.start) / self.res[0]), round((y.stop - y.start) / self.res[1])
        if width < 1 or height < 1:
            raise InputError(f"a query must hold at least one pixel of {self.res}, got x {x.start} to {x.stop}, y {y.start} to {y.stop}")
        col = round((x.start - self.origin[0]) / self.res[0])
        row = round((self.origin[1] - y.stop) / self.res[1])
        return self._grid(row, col, height, width)

    def covering(self, bounds: tuple[float, float, float, float]) -> SceneGrid:
        """The smallest grid of whole pixels that holds `(west, south, east, north)`."""
        west, south, east, north = bounds
        col, col_stop = floor(self._col(west) + _SLACK_PX), ceil(self._col(east) - _SLACK_PX)
        row, row_stop = floor(self._row(north) + _SLACK_PX), ceil(self._row(south) - _SLACK_PX)
        return self._grid(row, col, max(1, row_stop - row), max(1, col_stop - col))

    def holds(self, grid: SceneGrid) -> bool:
        """True when the pixels of a grid are pixels of the lattice (to a hundredth of a pixel)."""
        a, b, c, d, e, f = grid.transform[:6]
        if grid.crs != self.crs or b != 0 or d != 0 or e >= 0:
            return False
        off = (abs(value - round(value)) for value in (self._col(c), self._row(f)))
        same = abs(a / self.res[0] - 1) * grid.shape[1] < 0.01 and abs(-e / self.res[1] - 1) * grid.shape[0] < 0.01
        return same and all(value < 0.01 for value in off)

    def _col(self, x: float) -> float:
        return (x - self.origin[0]) / self.res[0]

    def _row(self, y: float) -> float:
        return (self.origin[1] - y) / self.res[1]

    def _grid(self, row: int, col: int, height: int, width: int) -> SceneGrid:
        left, top = self.origin[0] + col * self.res[0], self.origin[1] - row * self.res[1]
        return SceneGrid(crs=self.crs, transform=Affine(self.res[0], 0, left, 0, -self.res[1], top), shape=(height, width))


def common_window(inner: SceneGrid, outer: SceneGrid) -> tuple[Window, tuple[slice, slice]] | None:
    """Where two grids of one lattice overlap.

    Args:
        inner: The grid asked for.
        outer: The grid there is.

    Returns:
        The window of `outer` that both hold and its rows and columns in `inner`; None when they do not overlap.
    """
    a, _, left, _, e, top = outer.transform[:6]
    col = round((inner.transform.c - left) / a)
    row = round((inner.transform.f - top) / e)
    first_row, first_col = max(0, row), max(0, col)
    stop_row, stop_col = min(outer.shape[0], row + inner.shape[0]), min(outer.shape[1], col + inner.shape[1])
    if stop_row <= first_row or stop_col <= first_col:
        return None
    window = Window(row=first_row, col=first_col, height=stop_row - first_row, width=stop_col - first_col)
    return window, (slice(first_row - row, stop_row - row), slice(first_col - col, stop_col - col))
