"""What the fit knows about a pixel: the clear scene around it at eight scales, and Sentinel-1 at six.

A tile's pyramids are made once; features are then assembled in blocks of 64 x 64 pixels anchored at the scene's first
pixel. Every array that enters a block's arithmetic has the same shape and layout in whatever tile it lies, so
the result is the same to the last bit.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from geocr.core.types import BoolArray, FloatArray, TileInput
from geocr.scenefit.coarse import CELL_LEVEL, CELL_PX, LEVELS, CoarseScene, fill_context, weighted_pixels
from geocr.scenefit.pyramid import double, fill_level, halve, interpolation_matrix, pad_to_multiple, soften, take_cells
from geocr.scenefit.scaling import Scaling

BLOCK_PX = 64
"""Side of a block; tiles begin at multiples of it."""
HALO_PX = 64
"""How far a feature sees inside its tile: three cells of 16 pixels, and the pixels of a cell."""
_NEIGHBOUR_LEVELS = (1, 2, 3)
"""Scales at which the SAR of the eight neighbours, two cells away, is given: shape and texture of fields."""
_LEAST_COVER = np.float32(0.05)
"""Keeps quotients finite where Sentinel-1 is missing; nothing reads them there."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TileContext:
    """Pyramids of one tile."""

    context: list[FloatArray]
    """Levels 1 to 4: `(components + sar bands + 1, rows, columns)` local means over clear pixels, then their weight."""
    coarse: list[FloatArray]
    """Levels 5 to 8 at 32 pixels, with one cell more on each side; the same bands."""
    sar: list[FloatArray]
    """Levels 0 to 4: `(sar bands, rows, columns)` local means of SAR."""
    coarse_sar: FloatArray
    """Level 5 with one cell more on each side."""
    texture: list[FloatArray]
    """Levels 1 to 4: `(bands, rows, columns)` local standard deviation of SAR, then local mean size of its finer detail."""
    sar_cover: FloatArray
    """Level 2: `(1, rows, columns)` share of pixels with SAR."""
    components: int
    """Optical components."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockFeatures:
    """One block of pixels, in row order."""

    values: Tensor
    """`(features, pixels)` float32: context first, then SAR."""
    nearest: Tensor
    """`(components, pixels)` float32: the finest context, from which the fit starts."""
    gap: Tensor
    """`(pixels,)` float32, about twice the distance to clear pixels, in pixels."""
    has_sar: BoolArray
    """`(pixels,)`, True where Sentinel-1 covers the neighbourhood."""


def context_count(components: int) -> int:
    """How many features come first that need no SAR."""
    levels = CELL_LEVEL - 1 + LEVELS
    return levels * components


def build_context(tile: TileInput, clear: BoolArray, scaling: Scaling, coarse: CoarseScene) -> TileContext:
    """Pyramids of a tile.

    Args:
        tile: Its window begins at a multiple of `BLOCK_PX`.
        clear: `(h, w)`, True where a pixel may be used as context.
        scaling: Units.
        coarse: The scene at low resolution.
    """
    components = scaling.to_components.shape[0]
    masked, weights, sar, has_sar = weighted_pixels(tile, clear, scaling)
    live, top = masked.shape[0] - sar.shape[0], CELL_LEVEL - 1
    masked, weights, sar, has_sar = (pad_to_multiple(array, 2**top) for array in (masked, weights, sar, has_sar))
    coarse_levels, coarse_sar = coarse.crop(tile.window)
    masked, half_weights = halve(masked), halve(weights)
    values = np.concatenate([scaling.components(masked[:live], half_weights[0]), masked[live:]])
    context = _context_levels(values, half_weights, double(coarse_levels[0][:-1])[:, 2:-2, 2:-2], components)
    sar_levels, texture, cover = _sar_levels(sar, has_sar, double(coarse_sar)[:, 2:-2, 2:-2])
    return TileContext(
        context=context,
        coarse=coarse_levels,
        sar=sar_levels,
        coarse_sar=coarse_sar,
        texture=texture,
        sar_cover=cover,
        components=components,
    )


def _context_levels(values: FloatArray, weights: FloatArray, coarser: FloatArray, components: int) -> list[FloatArray]:
    stack = []
    for _ in range(CELL_LEVEL - 1):
        stack.append((soften(values), soften(weights)))
        values, weights = halve(pad_to_multiple(values, 2)), halve(pad_to_multiple(weights, 2))
    levels: list[FloatArray] = []
    for soft, soft_weights in reversed(stack):
        rows, cols = soft.shape[-2:]
        means = fill_context(soft, soft_weights, coarser[:, :rows, :cols], components)
        levels.append(np.concatenate([means, soft_weights[:1]]))
        coarser = double(means)
    return levels[::-1]


def _sar_levels(sar: FloatArray, has_sar: FloatArray, coarser: FloatArray) -> tuple[list[FloatArray], list[FloatArray], FloatArray]:
    """Local means (levels 0 to 4) and textures (levels 1 to 4) of SAR, and its cover at level 2."""
    bands = sar.shape[0]
    stack = []
    values, weight = np.concatenate([sar, sar * sar]), has_sar
    for _ in range(CELL_LEVEL):
        stack.append((soften(values), soften(weight)))
        values, weight = halve(pad_to_multiple(values, 2)), halve(pad_to_multiple(weight, 2))
    levels: list[FloatArray] = []
    for soft, soft_weight in reversed(stack):
        rows, cols = soft.shape[-2:]
        levels.append(fill_level(soft[:bands], soft_weight[0], coarser[:, :rows, :cols]))
        coarser = double(levels[-1])
    moments = [(soft / np.maximum(soft_weight, _LEAST_COVER)).astype(np.float32, copy=False) for soft, soft_weight in stack]
    return levels[::-1], _textures(moments, bands), stack[2][1]


def _textures(moments: list[FloatArray], bands: int) -> list[FloatArray]:
    """How rough SAR is, in two ways that tell fields, orchards and towns apart.

    Args:
        moments: Levels 0 to 4: `(2 * bands, rows, columns)` local means of SAR and of its square.
        bands: SAR bands.

    Returns:
        Levels 1 to 4: local standard deviation; then, from two levels finer on, the mean size of what each finer level shows and
        the next does not (the first order of a scattering transform, Bruna and Mallat, IEEE TPAMI 35, 2013).
    """
    variances = [np.maximum(moment[bands:] - moment[:bands] * moment[:bands], np.float32(0)) for moment in moments[1:]]
    parts: list[list[FloatArray]] = [[np.sqrt(variance, dtype=np.float32)] for variance in variances]
    for level in range(len(moments) - 2):
        rows, cols = moments[level].shape[-2:]
        detail = np.abs(moments[level][:bands] - double(moments[level + 1][:bands])[:, :rows, :cols])
        detail = halve(pad_to_multiple(detail, 2))
        for target in range(level + 2, len(moments)):
            detail = halve(pad_to_multiple(detail, 2))
            parts[target - 1].append(soften(detail))
    return [np.concatenate(part) for part in parts]


@cache
def _matrix(level: int) -> Tensor:
    return torch.from_numpy(interpolation_matrix(level, BLOCK_PX))


def _enlarge(cells: FloatArray, level: int) -> Tensor:
    """`(bands, n, n)` cells of a block with one more on each side, to `(bands, pixels)`."""
    matrix = _matrix(level)
    return (matrix @ torch.from_numpy(np.ascontiguousarray(cells)) @ matrix.T).flatten(1)


def _block_cells(level: FloatArray, row: int, col: int, cell: int, margin: int = 1) -> FloatArray:
    count = BLOCK_PX // cell + 2 * margin
    return take_cells(level, row // cell - margin, col // cell - margin, count, count)


def block_features(context: TileContext, row: int, col: int) -> BlockFeatures:
    """Features of the block whose first pixel is `(row, col)` of the tile; both are multiples of `BLOCK_PX`."""
    levels = [_enlarge(_block_cells(cells, row, col, 2 << i), i + 1) for i, cells in enumerate(context.context)]
    first_row, first_col = row // CELL_PX, col // CELL_PX
    count = BLOCK_PX // CELL_PX + 2
    levels += [_enlarge(take_cells(cells, first_row, first_col, count, count), CELL_LEVEL) for cells in context.coarse]
    coarse_sar = _enlarge(take_cells(context.coarse_sar, first_row, first_col, count, count), CELL_LEVEL)
    components = context.components
    optical = [level[:components] for level in levels]
    weights = torch.stack([level[-1] for level in levels])
    parts = [near - far for near, far in pairwise(optical)]
    parts.append(optical[2])
    parts += _sar_features(context, row, col, coarse_sar, [level[components:-1] for level in levels])
    reach = 2.0 ** torch.arange(1, len(levels) + 1, dtype=torch.float32)[:, None]
    gap = (torch.clamp(1 - 4 * weights, min=0) * reach).sum(dim=0)
    cover = _enlarge(_block_cells(context.sar_cover, row, col, 4), 2)[0]
    return BlockFeatures(values=torch.cat(parts), nearest=optical[0], gap=gap, has_sar=(cover > 0.5).numpy())


def _sar_features(context: TileContext, row: int, col: int, coarse_sar: Tensor, beside: list[Tensor]) -> list[Tensor]:
    """Backscatter at six scales, its texture, its neighbours, and its contrast to the SAR of the clear surroundings."""
    if coarse_sar.shape[0] == 0:
        return []
    raw = take_cells(context.sar[0], row, col, BLOCK_PX, BLOCK_PX)
    scales = [torch.from_numpy(raw).flatten(1)]
    scales += [_enlarge(_block_cells(cells, row, col, 2 << i), i + 1) for i, cells in enumerate(context.sar[1:])]
    scales.append(coarse_sar)
    parts = [*scales, *(_enlarge(_block_cells(cells, row, col, 2 << i), i + 1) for i, cells in enumerate(context.texture))]
    for level in _NEIGHBOUR_LEVELS:
        cells = _block_cells(context.sar[level], row, col, 2**level, margin=3)
        size = BLOCK_PX // 2**level + 2
        shifts = [(down, right) for down in (0, 2, 4) for right in (0, 2, 4) if (down, right) != (2, 2)]
        parts += [_enlarge(cells[:, d : d + size, r : r + size], level) - scales[level + 1] for d, r in shifts]
    parts += [scales[2] - surroundings for surroundings in beside]
    return parts
