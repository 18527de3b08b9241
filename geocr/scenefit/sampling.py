"""Lessons for the fit: clear pixels hidden under synthetic clouds, with what is known about them and what they truly are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from geocr.core.errors import TooFewClearPixelsError
from geocr.core.types import BoolArray, FloatArray, NumberArray, TileInput, Window
from geocr.scenefit.coarse import CELL_PX, CellSums, CoarseScene, replace_cells, sum_cells
from geocr.scenefit.features import BLOCK_PX, HALO_PX, block_features, build_context
from geocr.scenefit.holes import draw_hole
from geocr.scenefit.scaling import Scaling, complete_pixels, measure_scaling
from geocr.scenefit.source import FitSource

MIN_CLEAR_PX = 2000
"""Fewer clear pixels than that cannot be split into lessons and a test of them."""
LESSON_PX = 96_000
"""Pixels the fit learns from. Of one scene, more of them repeat what neighbours said."""
_MAX_WINDOWS = 10
_CORE_PX = 512
_HOLES = 10
"""Holes over all windows, at least three in each."""
_BLOCKS_PER_HOLE = 24
_SQUARE_PX = 128
"""Side of the squares that are left out together: as wide as clouds, so that a square's inside is as foreign to the fit as a cloud's."""
_STATISTICS_WINDOWS = 6
"""Along each axis; windows of 128 pixels from which units are measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """Hidden clear pixels."""

    features: FloatArray
    """`(n, features)`."""
    nearest: FloatArray
    """`(n, components)`: the finest context."""
    truth: FloatArray
    """`(n, live bands)` reflectance."""
    gap: FloatArray
    """`(n,)`, see `BlockFeatures.gap`."""
    has_sar: BoolArray
    """`(n,)`."""
    place: NumberArray
    """`(n, 2)` row and column in the scene, int64."""

    def __len__(self) -> int:
        return len(self.gap)


def sample_scaling(source: FitSource) -> Scaling:
    """Measure units on windows spread over the scene.

    Raises:
        TooFewClearPixelsError: When they hold no clear pixel at all.
    """
    optical, sar = [], []
    for window in _spread_windows(source.shape):
        tile = source.read(window)
        seen = np.isfinite(tile.optical) & ~tile.cloud_mask
        optical.append(np.where(seen, tile.optical, np.float32(np.nan)).reshape(tile.optical.shape[0], -1))
        has_sar = complete_pixels(tile.sar) if tile.sar.shape[0] else np.zeros(window.shape, bool)
        sar.append(tile.sar[:, has_sar])
    pixels = np.concatenate(optical, axis=1)
    live = tuple(int(band) for band in np.flatnonzero(np.isfinite(pixels).any(axis=1)))
    pixels = pixels[list(live)]
    pixels = pixels[:, complete_pixels(pixels[:, :, None])[:, 0]] if live else pixels
    if not live or pixels.shape[1] < 2:
        raise too_few(0)
    return measure_scaling(pixels, np.concatenate(sar, axis=1), live)


def too_few(found: int) -> TooFewClearPixelsError:
    """The error for a scene without enough to learn from."""
    return TooFewClearPixelsError(
        f"a fit on the scene itself needs at least {MIN_CLEAR_PX} clear pixels (observed in all bands, outside the cloud mask), "
        f"found {found}; use a less cloudy date or a checkpoint; where the scene is not that cloudy, check the mask "
        f"(--cloud-mask, --save-mask) and the scale of reflectance (--s2-scale)"
    )


def _spread_windows(shape: tuple[int, int], *, size: int = 128) -> Iterator[Window]:
    """All of a small scene; of a large one, windows in even steps."""
    starts = [
        range(0, length, size) if length <= size * _STATISTICS_WINDOWS else np.linspace(0, length - size, _STATISTICS_WINDOWS).astype(int)
        for length in shape
    ]
    for row in starts[0]:
        for col in starts[1]:
            yield Window(row=int(row), col=int(col), height=min(size, shape[0] - int(row)), width=min(size, shape[1] - int(col)))


def choose_windows(sums: CellSums, shape: tuple[int, int], rng: np.random.Generator) -> list[Window]:
    """Windows to learn in, most of them where clear and cloudy pixels meet.

    Args:
        sums: The scene in cells of 32 pixels.
        shape: Rows and columns of the scene.
        rng: Source of chance.

    Returns:
        At most ten windows of up to 512 x 512 pixels, at multiples of `BLOCK_PX`, in reading order.
    """
    windows = [
        Window(row=r, col=c, height=_span(r, shape[0]), width=_span(c, shape[1])) for r in _starts(shape[0]) for c in _starts(shape[1])
    ]
    scores = []
    for window in windows:
        row, col = window.row // CELL_PX, window.col // CELL_PX
        share = sums.weight[0, row : row + _CORE_PX // CELL_PX, col : col + _CORE_PX // CELL_PX].mean(dtype=np.float64)
        scores.append(float(share * (1.05 - share)))
    chance = np.array(scores)
    able = int(np.count_nonzero(chance > 0))
    if able > _MAX_WINDOWS:
        chosen = rng.choice(len(windows), size=_MAX_WINDOWS, replace=False, p=chance / chance.sum())
    else:
        chosen = np.flatnonzero(chance > 0)
    return [windows[i] for i in sorted(int(i) for i in chosen)]


def _starts(length: int) -> list[int]:
    last = max(0, length - _CORE_PX) // BLOCK_PX * BLOCK_PX
    return sorted({*range(0, last + 1, _CORE_PX), last})


def _span(start: int, length: int) -> int:
    """Up to the core's size, or to the scene's end when less than a block would remain."""
    return length - start if length - start < _CORE_PX + BLOCK_PX else _CORE_PX


def draw_lessons(source: FitSource, windows: list[Window], sums: CellSums, scaling: Scaling, rng: np.random.Generator) -> Lessons:
    """Hide clear pixels in each window, several times over, and note what is known of them.

    Args:
        source: The scene.
        windows: Where to learn.
        sums: The scene in cells of 32 pixels.
        scaling: Units.
        rng: Source of chance.

    Returns:
        About `LESSON_PX` hidden pixels, none of them cloudy.
    """
    shapes = [source.read(window).cloud_mask for window in windows]
    holes = max(3, -(-_HOLES // max(len(windows), 1)))
    count = LESSON_PX // max(len(windows) * holes, 1)
    parts: list[Lessons] = []
    for window in windows:
        tile = source.read(window.grown(HALO_PX, source.shape))
        clear = scaling.clear(tile)
        for _ in range(holes):
            hole = draw_hole(shapes, clear, rng)
            left = clear & ~hole
            seen = replace_cells(sums, sum_cells(tile, left, scaling), tile.window)
            hidden = _inside(clear & hole, tile.window, window)
            parts += _lessons_in(_HiddenTile(tile=tile, left=left, hidden=hidden, coarse=CoarseScene.from_sums(seen)), scaling, count, rng)
    return _join(parts)


def _inside(mask: BoolArray, outer: Window, inner: Window) -> BoolArray:
    kept = np.zeros_like(mask)
    rows, cols = inner.slices_in(outer)
    kept[rows, cols] = mask[rows, cols]
    return kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _HiddenTile:
    """A tile with a hole laid over it."""

    tile: TileInput
    left: BoolArray
    """`(h, w)`, True where a pixel is still clear."""
    hidden: BoolArray
    """`(h, w)`, True where a clear pixel was hidden and may be asked for."""
    coarse: CoarseScene
    """The scene at low resolution, as it looks with the hole."""


def _lessons_in(hole: _HiddenTile, scaling: Scaling, count: int, rng: np.random.Generator) -> list[Lessons]:
    """About `count` of the hidden pixels, from blocks drawn by chance in proportion to what they hide."""
    tile, hidden = hole.tile, hole.hidden
    rows, cols = np.nonzero(hidden)
    if rows.size == 0:
        return []
    blocks, held = np.unique(np.stack([rows // BLOCK_PX, cols // BLOCK_PX]), axis=1, return_counts=True)
    size = min(_BLOCKS_PER_HOLE, blocks.shape[1])
    drawn = rng.choice(blocks.shape[1], size=size, replace=False, p=held / held.sum())
    share = min(1.0, count / held[drawn].sum())
    context = build_context(tile, hole.left, scaling, hole.coarse)
    lessons = []
    for block in sorted(int(i) for i in drawn):
        row, col = (int(edge) * BLOCK_PX for edge in blocks[:, block])
        in_block = hidden[row : row + BLOCK_PX, col : col + BLOCK_PX]
        down, right = np.nonzero(in_block & (rng.random(in_block.shape) < share))
        picked = down * BLOCK_PX + right
        features = block_features(context, row, col)
        lessons.append(
            Lessons(
                features=features.values[:, picked].T.contiguous().numpy(),
                nearest=features.nearest[:, picked].T.contiguous().numpy(),
                truth=np.ascontiguousarray(tile.optical[list(scaling.live)][:, row + down, col + right].T),
                gap=features.gap[picked].numpy(),
                has_sar=features.has_sar[picked],
                place=np.stack([tile.window.row + row + down, tile.window.col + col + right], axis=1),
            )
        )
    return lessons


def _join(parts: list[Lessons]) -> Lessons:
    if not parts:
        raise too_few(0)
    return Lessons(
        features=np.concatenate([part.features for part in parts]),
        nearest=np.concatenate([part.nearest for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        gap=np.concatenate([part.gap for part in parts]),
        has_sar=np.concatenate([part.has_sar for part in parts]),
        place=np.concatenate([part.place for part in parts]),
    )


def select(lessons: Lessons, chosen: BoolArray) -> Lessons:
    """The lessons marked True."""
    return replace(
        lessons,
        features=lessons.features[chosen],
        nearest=lessons.nearest[chosen],
        truth=lessons.truth[chosen],
        gap=lessons.gap[chosen],
        has_sar=lessons.has_sar[chosen],
        place=lessons.place[chosen],
    )


def split_places(place: NumberArray, parts: int, rng: np.random.Generator) -> NumberArray:
    """Assign pixels to parts by the square of the scene they lie in, so that neighbours stay together.

    Args:
        place: `(n, 2)` rows and columns.
        parts: Number of parts.
        rng: Source of chance.

    Returns:
        `(n,)` int64, 0 to `parts - 1`. Squares have sides of 128 pixels; smaller where the pixels span too few to divide.
    """
    side = _SQUARE_PX
    while True:
        squares, index, held = np.unique(place // side, axis=0, return_inverse=True, return_counts=True)
        if len(squares) > parts or side <= 4:
            break
        side //= 2
    order = rng.permutation(len(squares))
    part_of = np.empty(len(squares), np.int64)
    filled = np.zeros(parts)
    for square in order:
        smallest = int(np.argmin(filled))
        part_of[square] = smallest
        filled[smallest] += held[square]
    assigned: NumberArray = part_of[np.asarray(index).reshape(-1)]
    return assigned
