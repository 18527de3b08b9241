"""Image pyramids with holes, anchored at the scene's first pixel.

A cell of level `l` is a square of `2**l` pixels whose corner is a multiple of `2**l`. Values are carried as weighted
means (normalised convolution, Knutsson and Westin, CVPR 1993), so that hidden pixels weigh nothing. Only sums in a fixed
order are used, no running sums and no FFT: a cell comes out the same, to the last bit, in whatever window it is computed.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geocr.core.types import FloatArray

_BINOMIAL = np.array([0.25, 0.5, 0.25])
_FILL = np.float32(0.02)
"""Weight of the coarser level's value: counts only where a cell's own neighbourhood is almost all hidden."""

_Index: TypeAlias = NDArray[np.intp]


def halve(array: NDArray[Any]) -> FloatArray:
    """Mean of each 2 x 2 square: `(..., 2h, 2w)` to `(..., h, w)` float32."""
    rows = array[..., 0::2, :] + array[..., 1::2, :]
    cells: FloatArray = (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)
    return cells


def double(array: FloatArray) -> FloatArray:
    """Bilinear enlargement: `(..., h, w)` to `(..., 2h, 2w)`; the border is repeated outward."""
    return _double_last(_double_last(array.swapaxes(-1, -2)).swapaxes(-1, -2))


def _double_last(array: FloatArray) -> FloatArray:
    near = array * np.float32(0.75)
    far = array * np.float32(0.25)
    out = np.empty((*array.shape[:-1], 2 * array.shape[-1]), np.float32)
    out[..., 2::2] = near[..., 1:] + far[..., :-1]
    out[..., 0] = near[..., 0] + far[..., 0]
    out[..., 1:-1:2] = near[..., :-1] + far[..., 1:]
    out[..., -1] = near[..., -1] + far[..., -1]
    return out


def soften(array: FloatArray) -> FloatArray:
    """Binomial filter (1, 2, 1)/4 along both axes of `(bands, h, w)`; outside counts as zero weight."""
    across: FloatArray = ndimage.correlate1d(array, _BINOMIAL, axis=-1, mode="constant")
    both: FloatArray = ndimage.correlate1d(across, _BINOMIAL, axis=-2, mode="constant")
    return both


def fill_level(weighted: FloatArray, weight: FloatArray, coarser: FloatArray) -> FloatArray:
    """Local means of one level, taken from the coarser level where all is hidden.

    Args:
        weighted: `(bands, h, w)` softened values times weight.
        weight: `(h, w)` softened weight, 0 to 1.
        coarser: `(bands, h, w)` the coarser level's means, enlarged to this level.

    Returns:
        `(bands, h, w)` float32 means.
    """
    out: FloatArray = (weighted + _FILL * coarser) / (weight + _FILL)
    return out


def pad_to_multiple(array: NDArray[Any], multiple: int) -> NDArray[Any]:
    """Zeros behind the last row and column, so that both counts divide by `multiple`."""
    rows, cols = array.shape[-2:]
    below, right = -rows % multiple, -cols % multiple
    if not below and not right:
        return array
    return np.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, below), (0, right)])


def take_cells(level: FloatArray, row: int, col: int, rows: int, cols: int) -> FloatArray:
    """A copy of `rows` x `cols` cells from `(row, col)` on; cells outside repeat the border's."""
    row_index: _Index = np.clip(np.arange(row, row + rows), 0, level.shape[-2] - 1)
    col_index: _Index = np.clip(np.arange(col, col + cols), 0, level.shape[-1] - 1)
    return np.ascontiguousarray(level[..., row_index[:, None], col_index])


def interpolation_matrix(level: int, block_px: int) -> FloatArray:
    """Bilinear weights from cells to pixels along one axis.

    Args:
        level: Of the pyramid.
        block_px: Pixels of a block, a multiple of the cell.

    Returns:
        `(block_px, block_px / 2**level + 2)` float32: from the block's cells and one more on each side.
    """
    cell = 2**level
    position = (np.arange(block_px) + 0.5) / cell + 0.5
    first = np.floor(position).astype(int)
    matrix = np.zeros((block_px, block_px // cell + 2), np.float32)
    matrix[np.arange(block_px), first] = 1 - (position - first)
    matrix[np.arange(block_px), first + 1] += position - first
    return matrix
