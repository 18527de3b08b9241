"""The lattice of tiles over a scene, one axis at a time.

Windows start every `stride_px` pixels from the scene's first pixel; the last one is shifted inward to end
with the scene, so no window reaches outside and none is smaller than the others (unless the scene is). Of
each window the kept part is what may be written; kept parts of neighbours overlap by exactly
`overlap_px`, over which the later tile fades in. At most two kept parts meet on an axis, nothing is
trimmed or faded at the scene's border, and together they cover every pixel.
"""

from dataclasses import dataclass
from functools import cached_property

from geocr.core.types import Window
from geocr.grid.spec import TileSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisTile:
    """One tile along one axis; half-open ranges of scene pixels."""

    start: int
    """First pixel of the window."""
    stop: int
    """First pixel behind the window."""
    keep_start: int
    """First pixel that may be written."""
    keep_stop: int
    """First pixel behind those that may be written."""
    own_stop: int
    """Where the next tile's kept part begins: up to here this tile's pixels are final."""

    @property
    def fade_px(self) -> int:
        """How many kept pixels at the end are shared with the next tile."""
        return self.keep_stop - self.own_stop


def axis_tiles(length: int, spec: TileSpec) -> tuple[AxisTile, ...]:
    """Tiles along an axis of `length` pixels, in order."""
    if length <= spec.size_px:
        return (AxisTile(start=0, stop=length, keep_start=0, keep_stop=length, own_stop=length),)
    last = (length - spec.size_px) // spec.align_px * spec.align_px
    starts = sorted({*range(0, last, spec.stride_px), last})
    stops = [start + spec.size_px for start in starts[:-1]] + [length]
    keep_stops = [stop - spec.halo_px for stop in stops[:-1]] + [length]
    own_stops = [stop - spec.overlap_px for stop in keep_stops[:-1]] + [length]
    keep_starts = [0, *own_stops[:-1]]
    return tuple(
        AxisTile(start=start, stop=stop, keep_start=keep_start, keep_stop=keep_stop, own_stop=own_stop)
        for start, stop, keep_start, keep_stop, own_stop in zip(starts, stops, keep_starts, keep_stops, own_stops, strict=True)
    )


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """All tiles of a scene: the product of its row tiles and its column tiles."""

    shape: tuple[int, int]
    """Rows and columns of the scene."""
    spec: TileSpec
    """What the reconstructor asked for."""

    @cached_property
    def rows(self) -> tuple[AxisTile, ...]:
        """Tiles down the scene."""
        return axis_tiles(self.shape[0], self.spec)

    @cached_property
    def cols(self) -> tuple[AxisTile, ...]:
        """Tiles across the scene."""
        return axis_tiles(self.shape[1], self.spec)

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    def rows_touching(self, row_start: int, row_stop: int) -> tuple[AxisTile, ...]:
        """Row tiles that a run over the output rows `row_start` to `row_stop` must compute."""
        return tuple(row for row in self.rows if row.keep_start < row_stop and row.keep_stop > row_start)

    @staticmethod
    def window(row: AxisTile, col: AxisTile) -> Window:
        """The window a reconstructor is given."""
        return Window(row=row.start, col=col.start, height=row.stop - row.start, width=col.stop - col.start)

    @staticmethod
    def kept(row: AxisTile, col: AxisTile) -> Window:
        """The part of it that may be written."""
        return Window(row=row.keep_start, col=col.keep_start, height=row.keep_stop - row.keep_start, width=col.keep_stop - col.keep_start)
