"""What the engine reads: the scene and its cloud mask together, as tiles, or as strips of rows read ahead."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from geocr.core.types import BoolArray, DatedTile, FloatArray, NumberArray, TileInput, Window
from geocr.io.scene import Scene

_STRIP_ROWS = (128, 512)
"""Least and most rows read at once: enough to make a read worth its call, few enough to keep memory flat."""
_STRIP_BYTES = 2**27
"""Most bytes read at once where rows can be cut: three strips are held, and to decode tall blocks twice costs a twentieth of a fast network's time."""


class MaskReader(Protocol):
    """What the engine needs of a cloud mask: any window, True is cloud or shadow."""

    def read(self, window: Window) -> BoolArray:
        """The mask of a window."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OtherDate:
    """The same place on another day, on the scene's grid and in its bands. Picklable: no pixels inside."""

    scene: Scene
    """Where its pixels come from; without Sentinel-1 the date takes the target's."""
    mask: MaskReader
    """Which of them are cloud or shadow."""
    days: int
    """Its day minus the day of the target."""
    name: str = ""
    """How to call it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able: how its clouds were found."""

    def read(self, window: Window, own_sar: FloatArray, on_damage: Callable[[str], None] = lambda _: None) -> DatedTile:
        """One window of it; `own_sar` is the target's backscatter there."""
        dn, sar, damage = self.scene.read_pixels(window)
        for sentence in damage:
            on_damage(sentence)
        return DatedTile(
            days=self.days,
            optical=self.scene.scale.to_reflectance(dn),
            sar=own_sar if self.scene.sar is None else sar,
            cloud_mask=self.mask.read(window),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneTiles:
    """A scene and its cloud mask, read as tiles. Picklable: no pixels inside."""

    scene: Scene
    """Where pixels come from."""
    mask: MaskReader
    """Which of them are cloud or shadow."""
    aoi: MaskReader | None = None
    """Which of them may be replaced; all when None."""
    others: tuple[OtherDate, ...] = ()
    """Other dates of the place, nearest in time first; read by tile and only where a tile is computed."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scene."""
        return self.scene.grid.shape

    def read_rows(self, window: Window) -> "RowStrip":
        """Pixels of a window in the file's own numbers.

        Raises:
            RasterReadError: When a block does not decode, unless the scene's `on_error` is `nodata`.
        """
        dn, sar, damage = self.scene.read_pixels(window)
        return RowStrip(
            window=window,
            dn=dn,
            sar=sar,
            cloud_mask=self.mask.read(window),
            inside=np.broadcast_to(np.True_, window.shape) if self.aoi is None else self.aoi.read(window),
            scene=self.scene,
            damage=damage,
        )

    def read(self, window: Window) -> TileInput:
        """One window as a reconstructor sees it."""
        return self.with_others(self.read_rows(window).tile())

    def with_others(self, tile: TileInput, on_damage: Callable[[str], None] = lambda _: None) -> TileInput:
        """The tile with its window of every other date."""
        if not self.others:
            return tile
        return replace(tile, others=tuple(other.read(tile.window, tile.sar, on_damage) for other in self.others))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowStrip:
    """A window of a scene held in memory in the file's own dtype (half the size of reflectance)."""

    window: Window
    """Where it lies."""
    dn: NumberArray
    """`(band, y, x)` digital numbers."""
    sar: FloatArray
    """`(band, y, x)` dB, NaN outside Sentinel-1."""
    cloud_mask: BoolArray
    """`(y, x)`, True is cloud or shadow."""
    inside: BoolArray
    """`(y, x)`, True where pixels may be replaced: inside the area of interest."""
    scene: Scene
    """For its radiometry."""
    damage: tuple[str, ...] = ()
    """A sentence for each block that did not decode and reads as nodata."""

    @property
    def observed(self) -> BoolArray:
        """`(band, y, x)`, True where a band holds a value."""
        return self.scene.scale.observed(self.dn)

    @property
    def valid(self) -> BoolArray:
        """`(y, x)`, True where any band holds a value."""
        valid: BoolArray = np.logical_or.reduce(self.observed, axis=0)
        return valid

    def tile(self) -> TileInput:
        """This strip in reflectance and dB, as a reconstructor sees it."""
        seen = self.observed
        optical = self.scene.scale.to_reflectance(self.dn, seen)
        valid: BoolArray = np.logical_or.reduce(seen, axis=0)
        return TileInput(window=self.window, optical=optical, sar=self.sar, cloud_mask=self.cloud_mask, valid=valid)

    def written(self) -> "RowStrip":
        """This strip with the bands alone that the run writes."""
        wanted = self.scene.output_bands
        if wanted is None:
            return self
        places = [self.scene.bands.index(band) for band in wanted]
        return replace(self, dn=self.dn[places], scene=self.scene.only(wanted))

    def part(self, window: Window) -> "RowStrip":
        """The part of it inside a window."""
        rows, cols = window.slices_in(self.window)
        return RowStrip(
            window=window,
            dn=self.dn[:, rows, cols],
            sar=self.sar[:, rows, cols],
            cloud_mask=self.cloud_mask[rows, cols],
            inside=self.inside[rows, cols],
            scene=self.scene,
        )

    def rows(self, start: int, stop: int) -> "RowStrip":
        """The part of it between two scene rows."""
        return self.part(Window(row=start, col=self.window.col, height=stop - start, width=self.window.width))

    def columns(self, start: int, stop: int) -> "RowStrip":
        """The part of it between two scene columns."""
        return self.part(Window(row=self.window.row, col=start, height=self.window.height, width=stop - start))


def stack_rows(parts: list[RowStrip]) -> RowStrip:
    """Join strips that follow each other into one; a single strip is returned as it is."""
    if len(parts) == 1:
        return parts[0]
    first, last = parts[0].window, parts[-1].window
    return RowStrip(
        window=Window(row=first.row, col=first.col, height=last.row_stop - first.row, width=first.width),
        dn=np.concatenate([part.dn for part in parts], axis=1),
        sar=np.concatenate([part.sar for part in parts], axis=1),
        cloud_mask=np.concatenate([part.cloud_mask for part in parts], axis=0),
        inside=np.concatenate([part.inside for part in parts], axis=0),
        scene=parts[0].scene,
    )


class RowStream:
    """Full-width strips of rows, each read once, the next one in the background from when `read_ahead` is called.

    Args:
        tiles: Where to read.
        row_start: First row that will be asked for.
        row_stop: First row that will not.
        step: Rows of a strip.
        on_damage: Told of each block that reads as nodata because it does not decode.
    """

    def __init__(
        self, tiles: SceneTiles, row_start: int, row_stop: int, *, step: int, on_damage: Callable[[str], None] = lambda _: None
    ) -> None:
        self._tiles = tiles
        self._on_damage = on_damage
        self._stop = row_stop
        self._step = step
        self._next = row_start // self._step * self._step
        self._held: deque[RowStrip] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="geocr-read")
        self._ahead: Future[RowStrip] | None = None
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._held.clear()

    def read_ahead(self) -> None:
        """Begin to read the next strip, unless it would be the third in memory.

        To be called once nobody uses rows any more that were let go, which would be in memory still.
        """
        if len(self._held) < 2:
            self._begin()

    def _begin(self) -> None:
        """Begin to read the next strip in the background, if there is one and none is being read."""
        if self._ahead is None and self._next < self._stop:
            rows, cols = self._tiles.shape
            window = Window(row=self._next, col=0, height=min(self._step, rows - self._next), width=cols)
            self._next = window.row_stop
            self._ahead = self._pool.submit(self._tiles.read_rows, window)

    def rows(self, start: int, stop: int) -> list[RowStrip]:
        """Strips that cover rows `start` to `stop`, in order; rows before `start` may not be asked for again."""
        while self._held and self._held[0].window.row_stop <= start:
            self._held.popleft()
        while not self._held or self._held[-1].window.row_stop < stop:
            self._begin()
            if self._ahead is None:
                break
            strip, self._ahead = self._ahead.result(), None
            for sentence in strip.damage:
                self._on_damage(sentence)
            if strip.window.row_stop > start:
                self._held.append(strip)
        return [
            strip.rows(max(start, strip.window.row), min(stop, strip.window.row_stop))
            for strip in self._held
            if strip.window.row < stop and strip.window.row_stop > start
        ]


def strip_rows(scene: Scene) -> int:
    """Rows of one read: a multiple of the file's block height, so that no block is decoded twice, but of a very wide scene less.

    JPEG 2000 is never cut: each read decodes its blocks anew, and slowly.
    """
    jp2_rows = scene.optical.jp2_rows
    block, jp2 = jp2_rows or int(scene.optical.handle.block_shapes[0][0]), jp2_rows is not None
    least, most = _STRIP_ROWS
    if block > most:  # a file that is one tall block may be cut (GDAL keeps it decoded), JPEG 2000 may not: each read decodes it anew
        return most if block >= scene.grid.shape[0] and not jp2 else block
    rows = block * max(1, -(-least // block))
    row_bytes = scene.grid.shape[1] * (len(scene.indexes) * np.dtype(scene.scale.dtype).itemsize + 4 * len(scene.sar_bands))
    while not jp2 and rows >= 2 * least and rows * row_bytes > _STRIP_BYTES:
        rows //= 2
    return rows


def cut_window(strips: list[RowStrip], window: Window) -> RowStrip:
    """A window out of the strips that cover its rows; copies no more than the window."""
    return stack_rows(
        [
            strip.rows(max(window.row, strip.window.row), min(window.row_stop, strip.window.row_stop)).columns(window.col, window.col_stop)
            for strip in strips
            if strip.window.row < window.row_stop and strip.window.row_stop > window.row
        ]
    )


def row_windows(shape: tuple[int, int], step: int) -> Iterator[Window]:
    """Full-width windows of `step` rows down a scene."""
    for row in range(0, shape[0], step):
        yield Window(row=row, col=0, height=min(step, shape[0] - row), width=shape[1])
