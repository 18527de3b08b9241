"""How a date's line bends over the scene: haze, illumination and season are not the same everywhere.

Of each square of 128 pixels a correction of offset and gain is estimated by ridge regression, whose prior is that of the square twice as
wide around it, up to 1,024 pixels, and there the date's own line. So a square with little common clear ground takes the opinion of its
surroundings. Between the centres of squares the corrections are interpolated bilinearly.
"""

import numpy as np
from numpy.typing import NDArray

from geocr.core.types import FloatArray, Window
from geocr.scenefit.pyramid import double, halve, pad_to_multiple, soften
from geocr.temporal.line import Line
from geocr.temporal.moments import CELL_PX, CellMoments

_LEVELS = 4
"""Squares of 128, 256, 512 and 1,024 pixels."""
_PRIOR_PX = 1000.0
"""Pixels that the wider square's opinion is worth. Neighbouring pixels err alike: a thousand tell less than it sounds."""


def fit_local(moments: CellMoments, line: Line) -> tuple[FloatArray, FloatArray]:
    """Corrections of the line: offset at the centre of its pixels, and gain; `(bands, rows, columns)` float32 of squares each."""
    stack = []
    count, sums = moments.count[None], moments.sums[:4]
    for _ in range(_LEVELS):
        stack.append((_softened(count)[0], np.stack([_softened(part) for part in sums])))
        count = _summed(count)
        sums = np.stack([_summed(part) for part in sums])
    bands = sums.shape[1]
    offset = np.zeros((bands, *count.shape[1:]), np.float32)
    gain = np.zeros_like(offset)
    for around, total in reversed(stack):
        rows, cols = around.shape
        offset, gain = (double(part)[:, :rows, :cols] for part in (offset, gain))
        offset, gain = _ridge(around, total, line.variance[:, None, None], offset, gain)
    return offset, gain


def _softened(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """With a share of the neighbours, `(1, 2, 1) / 2` along both axes: sums stay sums of about four squares."""
    return soften(cells).astype(np.float64) * 4  # type: ignore[arg-type]


def _summed(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    return halve(pad_to_multiple(cells, 2)).astype(np.float64) * 4


def _ridge(
    count: NDArray[np.float64], sums: NDArray[np.float64], variance: NDArray[np.float64], offset: FloatArray, gain: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Least squares of `r = offset + gain u` with `_PRIOR_PX` pixels' worth of the prior, solved by Cramer's rule."""
    of_u, of_uu, of_r, of_ur = sums
    a, b, c = count + _PRIOR_PX, of_u, of_uu + _PRIOR_PX * variance
    e, f = of_r + _PRIOR_PX * offset, of_ur + _PRIOR_PX * variance * gain
    determinant = a * c - b * b
    return ((c * e - b * f) / determinant).astype(np.float32), ((a * f - b * e) / determinant).astype(np.float32)


def fit_variance(moments: CellMoments, offset: FloatArray, gain: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean squares of what correction leaves over common clear ground, changed pixels whole: ground under cloud changes as well.

    Returns:
        Over the scene, `(bands,)` float32, and by squares, `(bands, rows, columns)` float32; a square with little common clear
        ground takes the scene's.
    """
    of_u, of_uu, of_r, of_ur, of_rr = moments.sums
    a, b = offset.astype(np.float64), gain.astype(np.float64)
    left = of_rr - 2 * a * of_r - 2 * b * of_ur + moments.count * a * a + 2 * a * b * of_u + b * b * of_uu
    squares = np.maximum(left, 0) + moments.outlying
    overall = squares.sum(axis=(1, 2)) / max(moments.common_px, 1)
    around = _softened(moments.common[None]) + _PRIOR_PX
    by_square = (_softened(squares) + _PRIOR_PX * overall[:, None, None]) / around
    return overall.astype(np.float32), by_square.astype(np.float32)


def interpolate_cells(cells: FloatArray, window: Window) -> FloatArray:
    """Bilinear between the centres of squares, constant beyond the outermost: `(bands, rows, columns)` to `(bands, h, w)` float32."""
    above, below, down = _between(window.row, window.height, cells.shape[1])
    left, right, across = _between(window.col, window.width, cells.shape[2])
    rows = cells[:, above] + (cells[:, below] - cells[:, above]) * down[:, None]
    out: FloatArray = rows[:, :, left] + (rows[:, :, right] - rows[:, :, left]) * across
    return out


def _between(first: int, length: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """The two squares around each pixel of an axis, and how far it is on the way."""
    position = np.clip((np.arange(first, first + length) + 0.5) / CELL_PX - 0.5, 0, cells - 1)
    lower = np.floor(position).astype(np.intp)
    return lower, np.minimum(lower + 1, cells - 1), (position - lower).astype(np.float32)
