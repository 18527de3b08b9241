"""The tile engine: rows in, finished rows out, every tile reconstructed once, in flat memory.

One background thread reads strips of rows, a pool reconstructs tiles of the lattice a few at a time, and this module
puts them together in lattice order: tiles of a row fade into each other along the columns, rows of tiles fade into each
other down the scene. What is held is a few strips, a few tiles and the fading edge of the last row of tiles,
whatever the scene's height. The order of every sum is fixed, so the bytes do not depend on threads.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import numpy as np

from geocr.core.errors import ReconstructionError
from geocr.core.types import BoolArray, FloatArray, Reconstruction, TileInput, Window
from geocr.grid.blend import fade
from geocr.grid.lattice import AxisTile, Lattice
from geocr.inference.inputs import RowStream, RowStrip, SceneTiles, cut_window
from geocr.inference.plan import ScenePlan
from geocr.inference.products import FinishedRows, sar_cover
from geocr.inference.reconstructor import BatchReconstructor, Reconstructor

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _TileRow:
    """One row of the lattice with the pixels it needs."""

    row: AxisTile
    strips: list[RowStrip]


_Layers: TypeAlias = list[FloatArray]
"""The mean, the share of SAR in it and, when asked for, the standard deviation and the days of its source: `(band, y, x)` each."""
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
    on_damage: Callable[[str], None] = lambda _: None,
) -> Iterator[FinishedRows]:
    """Reconstruct the output rows `row_start` to `row_stop`, from top to bottom.

    Args:
        tiles: The scene and its mask.
        plan: The lattice and the products.
        reconstructor: Fills tiles; None where nothing is to be replaced, and rows are only copied.
        row_start: First output row.
        row_stop: First row behind the last.
        on_tile: Called after each tile, with whether it was computed (else skipped).
        on_damage: Called with a sentence for each input block that does not decode and is taken as nodata.

    Yields:
        Finished rows, in order, without gaps.

    Raises:
        RasterReadError: When an input block cannot be decoded.
        ReconstructionError: When the reconstructor gives a wrong shape or a value that is not finite.
    """
    rows = plan.lattice.rows_touching(row_start, row_stop)
    read_start, read_stop = rows[0].start, rows[-1].stop
    with (
        RowStream(tiles, read_start, read_stop, step=plan.read_rows, on_damage=on_damage) as stream,
        ThreadPoolExecutor(plan.threads, thread_name_prefix="geocr-tile", initializer=_use_cores, initargs=(plan.torch_threads,)) as pool,
    ):
        tile_rows = (_TileRow(row=row, strips=stream.rows(row.start, row.stop)) for row in rows)
        groups = [plan.lattice.cols[first : first + plan.batch] for first in range(0, len(plan.lattice.cols), plan.batch)]
        results = _in_order(
            pool,
            lambda job: _reconstruct(job[0], job[1], plan, reconstructor, lambda tile: tiles.with_others(tile, on_damage)),
            ((tile_row, group) for tile_row in tile_rows for group in groups),
            ahead=plan.threads,
        )
        above: _Edge | None = None
        merger: _RowMerger | None = None
        for (tile_row, group), answers in results:
            if merger is None:  # with its first answer a row of tiles leaves none of the row above in work
                merger = _RowMerger(plan, tile_row, above, (row_start, row_stop), pool)
                stream.read_ahead()
            for col, answer in zip(group, answers, strict=True):
                merger.add(col, answer)
                on_tile(answer is not None)
            if group is groups[-1]:
                finished = merger.finish()
                above, merger = merger.edge, None
                if finished is not None:
                    yield finished
                finished = None  # whoever writes the rows lets them go when they are written


def _use_cores(count: int) -> None:
    """How many cores each of the tiles that run side by side may use; torch keeps that number per thread."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


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


def needed_pixels(strip: RowStrip, observed: BoolArray, plan: ScenePlan) -> BoolArray:
    """Which pixels are to be replaced: `(y, x)` bool. `observed` is `(band, y, x)`, True where a band holds a value."""
    wanted: BoolArray = strip.inside & np.logical_or.reduce(observed, axis=0)
    return wanted if plan.mode == "full" else wanted & strip.cloud_mask


def _reconstruct(
    tile_row: _TileRow,
    group: Sequence[AxisTile],
    plan: ScenePlan,
    reconstructor: Reconstructor | None,
    with_others: Callable[[TileInput], TileInput],
) -> list[Reconstruction | None]:
    """The kept parts of neighbouring tiles, None for each that holds nothing to replace."""
    answers: list[Reconstruction | None] = [None] * len(group)
    jobs = {} if reconstructor is None else {i: job for i, col in enumerate(group) if (job := _tile_job(tile_row, col, plan)) is not None}
    if reconstructor is None or not jobs:
        return answers
    inputs = [with_others(tile) for tile, _, _ in jobs.values()]
    if plan.batch > 1 and isinstance(reconstructor, BatchReconstructor):
        results = reconstructor.many(inputs)
    else:
        results = [reconstructor(tile) for tile in inputs]
    for (i, (tile, needed, kept)), result in zip(jobs.items(), results, strict=True):
        result.checked(tile, needed)
        if plan.with_std and result.std is None:
            raise ReconstructionError("a reconstructor that says it has a standard deviation must return one with each tile, got None")
        if plan.with_days and result.source_days is None:
            raise ReconstructionError("a method that borrows from other dates must return the days of its sources with each tile, got None")
        rows, cols = kept.slices_in(tile.window)
        std = result.std[:, rows, cols] if result.std is not None and plan.with_std else None
        share = sar_cover(tile.sar) if result.sar_share is None else result.sar_share
        days = result.source_days[:, rows, cols] if result.source_days is not None and plan.with_days else None
        answers[i] = Reconstruction(mean=result.mean[:, rows, cols], std=std, sar_share=share[:, rows, cols], source_days=days)
    return answers


def _tile_job(tile_row: _TileRow, col: AxisTile, plan: ScenePlan) -> tuple[TileInput, BoolArray, Window] | None:
    """One tile's input, its pixels to replace, and its kept part; None when there is nothing to replace."""
    window, kept = Lattice.window(tile_row.row, col), Lattice.kept(tile_row.row, col)
    if not _may_need(tile_row.strips, kept, plan):
        return None
    strip = cut_window(tile_row.strips, window)
    inner = strip.part(kept)
    needed = np.zeros(window.shape, bool)
    needed[kept.slices_in(window)] = needed_pixels(inner, inner.observed, plan)
    return (strip.tile(), needed, kept) if needed.any() else None


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


def _compose(rows: FinishedRows, strip: RowStrip, filled: _Layers | None, plan: ScenePlan) -> None:
    """Put a block of columns into finished rows, of a scene that is read in more bands than are written those alone."""
    if strip.scene.output_bands is not None:
        places = [strip.scene.bands.index(band) for band in strip.scene.output_bands]
        by_band = (0, 2) if plan.with_std else (0,)  # the mean, and the standard deviation behind the share of SAR
        filled = None if filled is None else [layer[places] if i in by_band else layer for i, layer in enumerate(filled)]
        strip = strip.written()
    observed = strip.observed
    rows.put(strip, observed, needed_pixels(strip, observed, plan), filled)


class _RowMerger:
    """Joins the tiles of one lattice row, left to right, fades the row above into them, and composes output rows.

    A tile is skipped only when it holds no pixel to replace, its fading edges included; so wherever a pixel is to be replaced,
    all tiles that have a weight there were computed, and whatever stands elsewhere is never written.

    Args:
        plan: The lattice and the products.
        tile_row: The row of tiles and the pixels it needs.
        above: Fading edge of the row of tiles above.
        span: First output row of the run, and the first behind its last.
        pool: Where tiles are joined and composed, while the next are awaited.
    """

    def __init__(self, plan: ScenePlan, tile_row: _TileRow, above: _Edge | None, span: tuple[int, int], pool: ThreadPoolExecutor) -> None:
        self._plan = plan
        self._pool = pool
        self._joining: deque[Future[None]] = deque()
        self._row = row = tile_row.row
        self._above = above
        self._right: _Layers | None = None
        self._edge_made = threading.Lock()
        self.edge: _Edge | None = above if row.fade_px else None
        """Rows that the next row of tiles shares, once a tile was computed. Takes the place of the row above's, column by column: of a
        tile that is skipped it keeps what stood there, which is never written."""
        first, stop = max(row.keep_start, span[0]), min(row.own_stop, span[1])
        self._strips = tile_row.strips
        self._output = Window(row=first, col=0, height=stop - first, width=plan.shape[1]) if first < stop else None
        self._finished = None
        if self._output is not None:
            bands, dtype = len(plan.written), plan.dtype
            self._finished = FinishedRows.empty(
                self._output, bands=bands, dtype=dtype, with_std=plan.with_std, with_days=plan.with_days, with_mask=plan.with_mask
            )

    def add(self, col: AxisTile, result: Reconstruction | None) -> None:
        """Take the next tile of the row; it is joined and composed in the pool, beside its neighbours: what they share none of them changes."""
        layers, left = self._layers_of(result), self._right
        own = col.own_stop - col.keep_start
        self._right = [layer[:, :, own:] for layer in layers] if layers is not None and col.fade_px else None
        strip = None
        if self._output is not None:
            strip = cut_window(self._strips, replace(self._output, col=col.keep_start, width=own))
        if len(self._joining) > self._plan.threads:
            self._joining.popleft().result()
        self._joining.append(self._pool.submit(self._join, col, layers, left, strip))

    @staticmethod
    def _layers_of(result: Reconstruction | None) -> _Layers | None:
        if result is None:
            return None
        parts = (result.mean, result.sar_share, result.std, result.source_days)
        return [layer if layer.flags.writeable else layer.copy() for layer in parts if layer is not None]

    def _join(self, col: AxisTile, layers: _Layers | None, left: _Layers | None, strip: RowStrip | None) -> None:
        """Fade a tile with its left neighbour and the row above, keep its lower edge, and put its columns into the finished rows."""
        block = None if layers is None else [layer[:, :, : col.own_stop - col.keep_start] for layer in layers]
        if layers is not None and left is not None:
            for old, layer in zip(left, layers, strict=True):
                fade(old, layer[:, :, : old.shape[2]], axis=2)
        if block is not None:
            self._fade_with_above(block, col)
            self._keep_edge(block, col)
        if strip is None or self._finished is None:
            return
        filled = None
        if block is not None:
            offset = strip.window.row - self._row.keep_start
            filled = [layer[:, offset : offset + strip.window.height] for layer in block]
        _compose(self._finished, strip, filled, self._plan)

    def finish(self) -> FinishedRows | None:
        """Output rows that this row of tiles completes, after its last tile; None when they lie outside the run."""
        while self._joining:
            self._joining.popleft().result()
        return self._finished

    def _fade_with_above(self, block: _Layers, col: AxisTile) -> None:
        if self._above is None:
            return
        for old, layer in zip(self._above, block, strict=True):
            shared = old.shape[1]
            fade(old[:, :, col.keep_start : col.own_stop], layer[:, :shared], axis=1)

    def _keep_edge(self, block: _Layers, col: AxisTile) -> None:
        shared = self._row.fade_px
        if not shared:
            return
        with self._edge_made:
            if self.edge is None:
                self.edge = [np.zeros((layer.shape[0], shared, self._plan.shape[1]), np.float32) for layer in block]
        for target, layer in zip(self.edge, block, strict=True):
            target[:, :, col.keep_start : col.own_stop] = layer[:, -shared:]
