"""Sums over squares of a scene, from which lines are fitted where they are: what one pass over the pixels leaves behind."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geocr.core.types import BoolArray, Window
from geocr.temporal.line import NO_CHANGE, Line

CELL_PX = 128
"""Side of a square."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellMoments:
    """Sums over the unchanged pixels of each square, float64, and over all common clear ones of a date.

    With `u` the other date's reflectance less its centre, and `r` the residual of the date's line.
    """

    count: NDArray[np.float64]
    """`(rows, columns)`."""
    sums: NDArray[np.float64]
    """`(5, bands, rows, columns)`: of u, u², r, u r and r²."""
    outlying: NDArray[np.float64]
    """`(bands, rows, columns)`: of r² over changed pixels."""
    common: NDArray[np.float64]
    """`(rows, columns)`: pixels that are clear on both dates, changed ones included."""

    @property
    def common_px(self) -> int:
        """Pixels that are clear on both dates."""
        return int(self.common.sum())

    @classmethod
    def empty(cls, shape: tuple[int, int], bands: int) -> Self:
        """Zeros for a scene of `shape` (rows, columns)."""
        cells = -(-shape[0] // CELL_PX), -(-shape[1] // CELL_PX)
        return cls(count=np.zeros(cells), sums=np.zeros((5, bands, *cells)), outlying=np.zeros((bands, *cells)), common=np.zeros(cells))

    def add(self, window: Window, other: NDArray[Any], scene: NDArray[Any], common: BoolArray, line: Line) -> None:
        """Count the pixels of one more window, whose first pixel is the corner of a square.

        Args:
            window: Where; each pixel of the scene is given once.
            other: `(bands, h, w)` reflectance of the other date.
            scene: The same of the scene.
            common: `(h, w)`, True where both are clear.
            line: Of the date.
        """
        cells = _cells(window)
        ordinary = common & _ordinary(other, scene, common, line)
        self.count[cells] += _square_sums(ordinary.astype(np.float64))
        self.common[cells] += _square_sums(common.astype(np.float64))
        for band, (x, y) in enumerate(zip(other, scene, strict=True)):  # one at a time: in float64 all of them would be much
            r = np.where(common, y - (line.gain[band] * x + line.offset[band]), 0.0)
            self.outlying[(band, *cells)] += _square_sums(np.where(ordinary, 0.0, r * r))
            r[~ordinary] = 0.0
            u = np.where(ordinary, x - line.centre[band], 0.0)
            for place, product in enumerate((u, u * u, r, u * r, r * r)):
                self.sums[(place, band, *cells)] += _square_sums(product)


def _ordinary(other: NDArray[Any], scene: NDArray[Any], common: BoolArray, line: Line) -> BoolArray:
    """`Line.unchanged` band by band; anything where a pixel is not common."""
    squares = np.zeros(common.shape)
    for band, (x, y) in enumerate(zip(other, scene, strict=True)):
        scaled = np.where(common, y - (line.gain[band] * x + line.offset[band]), 0.0) / line.spread[band]
        squares += scaled * scaled
    ordinary: BoolArray = squares <= len(other) * NO_CHANGE**2
    return ordinary


def _cells(window: Window) -> tuple[slice, slice]:
    return (
        slice(window.row // CELL_PX, -(-window.row_stop // CELL_PX)),
        slice(window.col // CELL_PX, -(-window.col_stop // CELL_PX)),
    )


def _square_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over squares of `(h, w)`; those at the far edges may be partial."""
    rows = np.stack(
        [values[first : first + CELL_PX].sum(axis=0) for first in range(0, values.shape[0], CELL_PX)]
    )  # reduceat along rows takes several times as long
    squares: NDArray[np.float64] = np.add.reduceat(rows, np.arange(0, values.shape[1], CELL_PX), axis=1)
    return squares
