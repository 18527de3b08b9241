"""The whole scene at low resolution: what bridges clouds wider than a tile's halo.

Cells of 32 pixels hold sums over the scene, read once in strips; four coarser levels (32 to 256 pixels) are made from them
and kept as local means. A tile takes its own part of them, at 32 pixels, by the scene's pixel coordinates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from geocr.core.types import BoolArray, FloatArray, TileInput, Window
from geocr.scenefit.pyramid import double, fill_level, halve, pad_to_multiple, soften, take_cells
from geocr.scenefit.scaling import Scaling, complete_pixels
from geocr.scenefit.source import FitSource

CELL_LEVEL = 5
"""Level of the finest coarse cells."""
CELL_PX = 2**CELL_LEVEL
"""Side of a coarse cell. Must divide the alignment of tiles."""
LEVELS = 4
"""Coarse levels: cells of 32, 64, 128 and 256 pixels."""
PIECE_PX = (256, 4096)
"""Rows and columns read at once where a source says nothing else; multiples of a cell. Two pieces down a column share one row of blocks of 512."""
_MARGIN = 3
"""Coarsest cells taken around a tile, so that enlargements are exact up to the tile's border."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellSums:
    """Averages over cells of the weighted pixels in them; a cell's pixels outside the scene weigh nothing."""

    optical: FloatArray
    """`(components + sar bands, rows, columns)`: clear pixels' components, then the SAR of clear pixels that have it."""
    weight: FloatArray
    """`(2, rows, columns)`: share of clear pixels, and of clear pixels with SAR, 0 to 1."""
    sar: FloatArray
    """`(sar bands, rows, columns)`: SAR of all pixels that have it."""
    sar_weight: FloatArray
    """`(rows, columns)`: their share."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseScene:
    """Local means of the scene at 32 pixels and coarser."""

    context: tuple[FloatArray, ...]
    """A level each, finest first: `(components + sar bands + 1, rows, columns)`; means over clear pixels, then their weight."""
    sar: FloatArray
    """`(sar bands, rows, columns)`: mean of all SAR at 32 pixels."""

    @classmethod
    def from_sums(cls, sums: CellSums) -> Self:
        """Fill every cell, from the coarsest level down."""
        components = sums.optical.shape[0] - sums.sar.shape[0]
        values, weights = sums.optical, sums.weight
        sar, sar_weight = sums.sar, sums.sar_weight[None]
        stack: list[tuple[FloatArray, FloatArray, FloatArray, FloatArray]] = []
        for _ in range(LEVELS):
            stack.append((values, weights, sar, sar_weight))
            values, weights, sar, sar_weight = (halve(pad_to_multiple(array, 2)) for array in (values, weights, sar, sar_weight))
        means = _overall(sums.optical, sums.weight, components)[:, None, None]
        sar_means = _overall(sums.sar, sums.sar_weight[None], 0)[:, None, None]
        levels: list[FloatArray] = []
        for values, weights, sar, sar_weight in reversed(stack):
            rows, cols = weights.shape[-2:]
            means = fill_context(soften(values), soften(weights), means[:, :rows, :cols], components)
            sar_means = fill_level(soften(sar), soften(sar_weight)[0], sar_means[:, :rows, :cols])
            levels.append(np.concatenate([means, soften(weights[:1])]).astype(np.float32))
            finest_sar = sar_means
            means, sar_means = double(means), double(sar_means)
        return cls(context=tuple(reversed(levels)), sar=finest_sar)

    def crop(self, window: Window) -> tuple[list[FloatArray], FloatArray]:
        """All levels at 32 pixels over a window, with one cell more on each side.

        Args:
            window: Its first row and column are multiples of the cell.

        Returns:
            The context levels and the SAR, `(bands, ceil(height / 32) + 2, ceil(width / 32) + 2)` each.
        """
        row, col = window.row // CELL_PX - 1, window.col // CELL_PX - 1
        rows, cols = -(-window.height // CELL_PX) + 2, -(-window.width // CELL_PX) + 2
        levels = []
        for step, level in enumerate(self.context):
            first_row, first_col = (row >> step) - _MARGIN, (col >> step) - _MARGIN
            last_row, last_col = ((row + rows) >> step) + _MARGIN, ((col + cols) >> step) + _MARGIN
            cells = take_cells(level, first_row, first_col, last_row - first_row, last_col - first_col)
            for _ in range(step):
                cells = double(cells)
            top, left = row - (first_row << step), col - (first_col << step)
            levels.append(np.ascontiguousarray(cells[:, top : top + rows, left : left + cols]))
        return levels, take_cells(self.sar, row, col, rows, cols)


def fill_context(values: FloatArray, weights: FloatArray, coarser: FloatArray, components: int) -> FloatArray:
    """Local means of components and of the SAR beside them, each by its own weight; see `fill_level`."""
    optical = fill_level(values[:components], weights[0], coarser[:components])
    return np.concatenate([optical, fill_level(values[components:], weights[1], coarser[components:])])


def _overall(values: FloatArray, weights: FloatArray, components: int) -> FloatArray:
    """Mean over the scene of each band, `(bands,)`; the first `components` by the first weight, the others by the last."""
    totals = weights.sum(axis=(1, 2), dtype=np.float64)
    by_band = np.where(np.arange(values.shape[0]) < components, totals[0], totals[-1])
    means: FloatArray = (values.sum(axis=(1, 2), dtype=np.float64) / np.maximum(by_band, 1e-9)).astype(np.float32)
    return means


def sum_cells(tile: TileInput, clear: BoolArray, scaling: Scaling) -> CellSums:
    """Average a tile over coarse cells; its window begins at a cell's corner.

    Args:
        tile: Pixels.
        clear: `(h, w)`, True where a pixel may be used.
        scaling: Units.
    """
    masked, weights, sar, has_sar = weighted_pixels(tile, clear, scaling)
    live = masked.shape[0] - sar.shape[0]
    for _ in range(CELL_LEVEL):
        masked, weights, sar, has_sar = (halve(pad_to_multiple(array, 2)) for array in (masked, weights, sar, has_sar))
    optical = np.concatenate([scaling.components(masked[:live], weights[0]), masked[live:]])
    return CellSums(optical=optical, weight=weights, sar=sar, sar_weight=has_sar[0])


def weighted_pixels(tile: TileInput, clear: BoolArray, scaling: Scaling) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Pixels times weights, at full resolution.

    Returns:
        Reflectance of clear pixels in the live bands and SAR of clear pixels; the two weights of these; SAR of all
        pixels; its weight. All `(bands, h, w)` float32, zero where the weight is.
    """
    sar = scaling.sar(tile.sar)
    has_sar = complete_pixels(sar) if sar.shape[0] else np.zeros(clear.shape, bool)
    sar = np.where(has_sar, sar, np.float32(0))
    weights = np.stack([clear, clear & has_sar]).astype(np.float32)
    optical = np.where(clear, tile.optical[list(scaling.live)], np.float32(0))
    masked = np.concatenate([optical, np.where(clear, sar, np.float32(0))])
    return masked, weights, sar, has_sar[None].astype(np.float32)


def piece_of(block_px: int) -> tuple[int, int]:
    """Rows and columns of a piece for files of which each block should be decoded once, as large in all as `PIECE_PX`.

    Args:
        block_px: Side of a block.
    """
    if block_px % CELL_PX:
        return PIECE_PX
    return block_px, max(1, PIECE_PX[0] * PIECE_PX[1] // (block_px * block_px)) * block_px


def sum_scene(
    source: FitSource, scaling: Scaling, *, piece_px: tuple[int, int] = PIECE_PX, on_piece: Callable[[TileInput], None] = lambda _: None
) -> CellSums:
    """Read the whole scene once, piece by piece down its columns, in memory that grows with neither its height nor its width."""
    (rows, cols), (high, wide) = source.shape, piece_px
    columns = []
    for col in range(0, cols, wide):
        pieces = []
        for row in range(0, rows, high):
            window = Window(row=row, col=col, height=min(high, rows - row), width=min(wide, cols - col))
            tile = source.read(window)
            on_piece(tile)
            pieces.append(sum_cells(tile, scaling.clear(tile), scaling))
        columns.append(_joined(pieces, axis=-2))
    return _joined(columns, axis=-1)


def _joined(parts: list[CellSums], *, axis: int) -> CellSums:
    return CellSums(
        optical=np.concatenate([part.optical for part in parts], axis=axis),
        weight=np.concatenate([part.weight for part in parts], axis=axis),
        sar=np.concatenate([part.sar for part in parts], axis=axis),
        sar_weight=np.concatenate([part.sar_weight for part in parts], axis=axis),
    )


def replace_cells(sums: CellSums, part: CellSums, window: Window) -> CellSums:
    """The sums with those of one window put in their place.

    Args:
        sums: Of the scene.
        part: Of the window's pixels.
        window: Begins at a cell's corner, and ends at one or with the scene.
    """
    row, col = window.row // CELL_PX, window.col // CELL_PX

    def replaced(whole: FloatArray, piece: FloatArray) -> FloatArray:
        out = whole.copy()
        out[..., row : row + piece.shape[-2], col : col + piece.shape[-1]] = piece
        return out

    return CellSums(
        optical=replaced(sums.optical, part.optical),
        weight=replaced(sums.weight, part.weight),
        sar=sums.sar,
        sar_weight=sums.sar_weight,
    )
