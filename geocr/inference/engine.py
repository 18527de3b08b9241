"""The tile engine: rows in, finished rows out, every tile reconstructed once, in flat memory.

One background thread reads strips of rows, a pool reconstructs tiles of the lattice a few at a time, and this module
puts them together in lattice order: tiles of a row fade into each other along the columns, rows of tiles fade into each
other down the scene. What is held is a few strips, a few tiles and the fading edge of the last row of tiles,
whatever the scene's height. The order of every sum is fixed, so the bytes do not depend on threads.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from geocr.core.errors import ReconstructionError
from geocr.core.types import BoolArray, FloatArray, Reconstruction, Window
from geocr.grid.blend import fade
from geocr.grid.lattice import AxisTile, Lattice
from geocr.inference.inputs import RowStream, RowStrip, SceneTiles, cut_window
from geocr.inference.plan import ScenePlan
from geocr.inference.products import FinishedRows
from geocr.inference.reconstructor import Reconstructor

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _TileRow:
    """One row of the lattice with the pixels it needs."""

    row: AxisTile
    strips: list[RowStrip]


_Layers: TypeAlias = list[FloatArray]
"""The mean and, when asked for, the standard deviation: `(band, y, x)` each."""
_Edge: TypeAlias = _Layers
"""The last, full-width rows of a row of tiles, over which the next row of tiles fades in."""


def stream_rows(
    tiles: SceneTiles,
    plan: ScenePlan,
    reconstructor: Reconstructor | None,
    *,
    row_start: int,
    row_stop: int,
    on_tile: Callable[[bool], None] = lambda _: None,
) -> Iterator[FinishedRows]:
    """Reconstruct the output rows `row_start` to `row_stop`, from top to bottom.

    Args:
        tiles: The scene and its mask.
        plan: The lattice and the products.
        reconstructor: Fills tiles; None where nothing is to be replaced, and rows are only copied.
        row_start: First output row.
        row_stop: First row behind the last.
        on_tile: Called after each tile, with whether it was computed (else skipped).

    Yields:
        Finished rows, in order, without gaps.

    Raises:
        RasterReadError: When an input block cannot be decoded.
        ReconstructionError: When the reconstructor gives a wrong shape or a value that is not finite.
    """
    rows = plan.lattice.rows_touching(row_start, row_stop)
    read_start, read_stop = rows[0].start, rows[-1].stop
    with (
        RowStream(tiles, read_start, read_stop) as stream,
        ThreadPoolExecutor(plan.threads, thread_name_prefix="geocr-tile", initializer=_use_one_core) as pool,
    ):
        tile_rows = (_TileRow(row=row, strips=stream.rows(row.start, row.stop)) for row in rows)
        results = _in_order(
            pool,
            lambda job: _reconstruct(job[0], job[1], plan, reconstructor),
            ((tile_row, col) for tile_row in tile_rows for col in plan.lattice.cols),
            ahead=2 * plan.threads,
        )
        merger: _RowMerger | None = None
        for (tile_row, col), result in results:
            if col is plan.lattice.cols[0]:
                above = None if merger is None else merger.edge
                merger = _RowMerger(plan, tile_row, above, row_start, row_stop)
            assert merger is not None  # noqa: S101 - for mypy: the first column made it
            merger.add(col, result)
            on_tile(result is not None)
            if col is plan.lattice.cols[-1] and merger.finished is not None:
                yield merger.finished


def _use_one_core() -> None:
    """Tiles run side by side, so each may use one core; torch keeps that number per thread."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[_Task], _Result], tasks: Iterable[_Task], *, ahead: int
) -> Iterator[tuple[_Task, _Result]]:
    """Results in the order of the tasks, with at most `ahead` tasks begun beyond the one awaited."""
    waiting: deque[tuple[_Task, Future[_Result]]] = deque()
    try:
        for task in tasks:
            waiting.append((task, pool.submit(function, task)))
            if len(waiting) > ahead:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def needed_pixels(strip: RowStrip, plan: ScenePlan) -> BoolArray:
    """Which pixels are to be replaced: `(y, x)` bool."""
    wanted = strip.inside & strip.valid
    return wanted if plan.mode == "full" else wanted & strip.cloud_mask


def _reconstruct(tile_row: _TileRow, col: AxisTile, plan: ScenePlan, reconstructor: Reconstructor | None) -> Reconstruction | None:
    """One tile's kept part, or None when it holds nothing to replace."""
    if reconstructor is None:
        return None
    window, kept = Lattice.window(tile_row.row, col), Lattice.kept(tile_row.row, col)
    if not _may_need(tile_row.strips, kept, plan):
        return None
    strip = cut_window(tile_row.strips, window)
    rows, cols = kept.slices_in(window)
    needed = np.zeros(window.shape, bool)
    needed[rows, cols] = needed_pixels(strip.part(kept), plan)
    if not needed.any():
        return None
    tile = strip.tile()
    result = reconstructor(tile).checked(tile, needed)
    if plan.with_std and result.std is None:
        raise ReconstructionError("a reconstructor that says it has a standard deviation must return one with each tile, got None")
    std = result.std[:, rows, cols] if result.std is not None and plan.with_std else None
    return Reconstruction(mean=result.mean[:, rows, cols], std=std)


def _may_need(strips: list[RowStrip], kept: Window, plan: ScenePlan) -> bool:
    """Whether masks mark any pixel of a window; spares copying tiles that are clear or outside the area."""
    for strip in strips:
        start, stop = max(kept.row, strip.window.row), min(kept.row_stop, strip.window.row_stop)
        if start >= stop:
            continue
        part = strip.part(Window(row=start, col=kept.col, height=stop - start, width=kept.width))
        if bool((part.inside if plan.mode == "full" else part.inside & part.cloud_mask).any()):
            return True
    return False


class _RowMerger:
    """Joins the tiles of one lattice row, left to right, fades the row above into them, and composes output rows.

    A tile is skipped only when it holds no pixel to replace, its fading edges included; so wherever a pixel is to be replaced,
    all tiles that have a weight there were computed, and whatever stands elsewhere is never written.

    Args:
        plan: The lattice and the products.
        tile_row: The row of tiles and the pixels it needs.
        above: Fading edge of the row of tiles above.
        row_start: First output row of the run.
        row_stop: First row behind its last.
    """

    def __init__(self, plan: ScenePlan, tile_row: _TileRow, above: _Edge | None, row_start: int, row_stop: int) -> None:
        self._plan = plan
        self._row = row = tile_row.row
        self._above = above
        self._right: _Layers | None = None
        self.edge: _Edge | None = None
        """Rows that the next row of tiles shares, once a tile of this row was computed."""
        first, stop = max(row.keep_start, row_start), min(row.own_stop, row_stop)
        rows = Window(row=first, col=0, height=max(stop - first, 1), width=plan.shape[1])
        self._observed = cut_window(tile_row.strips, rows) if first < stop else None
        self.finished = None if self._observed is None else FinishedRows.empty(self._observed, with_std=plan.with_std)
        """Output rows that this row of tiles completes; None when they lie outside the run."""

    def add(self, col: AxisTile, result: Reconstruction | None) -> None:
        """Take the next tile of the row."""
        block = None if result is None else self._joined(col, result)
        if block is None:
            self._right = None
        else:
            self._fade_with_above(block, col)
            self._keep_edge(block, col)
        if self._observed is None or self.finished is None:
            return
        strip = self._observed.columns(col.keep_start, col.own_stop)
        filled = None
        if block is not None:
            offset = strip.window.row - self._row.keep_start
            filled = [layer[:, offset : offset + strip.window.height] for layer in block]
        self.finished.put(strip, needed_pixels(strip, self._plan), filled)

    def _joined(self, col: AxisTile, result: Reconstruction) -> _Layers:
        """The tile's own columns, faded with its left neighbour; keeps its right edge for the next."""
        layers = [result.mean.copy()] if result.std is None else [result.mean.copy(), result.std.copy()]
        if self._right is not None:
            for old, layer in zip(self._right, layers, strict=True):
                shared = old.shape[2]
                layer[:, :, :shared] = fade(old, layer[:, :, :shared], axis=2)
        own = col.own_stop - col.keep_start
        self._right = [layer[:, :, own:] for layer in layers] if col.fade_px else None
        return [layer[:, :, :own] for layer in layers]

    def _fade_with_above(self, block: _Layers, col: AxisTile) -> None:
        if self._above is None:
            return
        for old, layer in zip(self._above, block, strict=True):
            shared = old.shape[1]
            layer[:, :shared] = fade(old[:, :, col.keep_start : col.own_stop], layer[:, :shared], axis=1)

    def _keep_edge(self, block: _Layers, col: AxisTile) -> None:
        shared = self._row.fade_px
        if not shared:
            return
        if self.edge is None:
            self.edge = [np.zeros((layer.shape[0], shared, self._plan.shape[1]), np.float32) for layer in block]
        for target, layer in zip(self.edge, block, strict=True):
            target[:, :, col.keep_start : col.own_stop] = layer[:, -shared:]
