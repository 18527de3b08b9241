"""The grid a detector works on: the scene's own, or squares of it on large scenes.

s2cloudless needs 9 s for a million pixels on two cores: 18 minutes for a scene of 10980 x 10980 pixels at
10 m, 30 s at 60 m. The atmospheric bands it rests on (B01, B09, B10) have 60 m pixels to begin with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod, sqrt

import numpy as np

from geocr.clouds.mask import Description, check_inside
from geocr.core.types import BoolArray, Window
from geocr.io.grid import SceneGrid

NATIVE_PIXELS = 4 * 2**20
"""Scenes of at most that many pixels are worked on as they are (2048 x 2048)."""
COARSE_RESOLUTION_M = 60.0
"""Side of a working pixel on larger ones: that of the atmospheric bands."""
COARSE_PIXELS = 16 * 2**20
"""Working pixels a mask may have: 16 MiB, held in memory by every worker."""
CHUNK_VALUES = 6_000_000
"""Reflectances read at a time (24 MB as float32)."""
CHUNK_COLUMNS = 1024
"""Columns read at a time from tiled files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingGrid:
    """Squares of `factor` x `factor` scene pixels, anchored at the scene's upper-left corner."""

    scene_shape: tuple[int, int]
    """`(rows, columns)` of the scene."""
    factor: int
    """Scene pixels along a side of a working pixel."""
    resolution_m: float
    """Side of a working pixel in metres."""

    @property
    def shape(self) -> tuple[int, int]:
        """`(rows, columns)` of working pixels; the last ones may be partial."""
        return ceil(self.scene_shape[0] / self.factor), ceil(self.scene_shape[1] / self.factor)

    def chunks(self, *, bands: int, block_width: int) -> Iterator[tuple[Window, Window]]:
        """Windows that cover the scene, each in scene pixels and in working pixels, of bounded memory.

        Args:
            bands: Bands that will be read.
            block_width: Columns of the file's blocks; a file in strips is read in full rows.
        """
        rows, cols = self.scene_shape
        step_cols = cols if block_width >= cols else max(1, CHUNK_COLUMNS // self.factor) * self.factor
        step_rows = max(1, CHUNK_VALUES // (bands * min(step_cols, cols) * self.factor)) * self.factor
        for row in range(0, rows, step_rows):
            for col in range(0, cols, step_cols):
                window = Window(row=row, col=col, height=min(step_rows, rows - row), width=min(step_cols, cols - col))
                coarse = Window(
                    row=row // self.factor,
                    col=col // self.factor,
                    height=ceil(window.height / self.factor),
                    width=ceil(window.width / self.factor),
                )
                yield window, coarse


def plan_working_grid(grid: SceneGrid) -> WorkingGrid:
    """Native pixels for scenes of up to `NATIVE_PIXELS`, else about 60 m, coarser where the mask would not fit memory."""
    factor = 1
    if prod(grid.shape) > NATIVE_PIXELS:
        factor = max(1, round(COARSE_RESOLUTION_M / grid.pixel_size_m), int(sqrt(prod(grid.shape) / COARSE_PIXELS)))
        while ceil(grid.shape[0] / factor) * ceil(grid.shape[1] / factor) > COARSE_PIXELS:
            factor += 1
    return WorkingGrid(scene_shape=grid.shape, factor=factor, resolution_m=grid.pixel_size_m * factor)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseMask:
    """A cloud mask held in memory on its working grid; each scene pixel takes the value of its square."""

    source: str
    """The detector's name."""
    working: WorkingGrid
    """The grid of `cloud`."""
    cloud: BoolArray
    """`(rows, columns)` of the working grid; True is cloud or shadow, buffer included, and False where the scene holds nothing."""
    facts: Description
    """What `describe` adds to source and resolution."""
    notes: tuple[str, ...] = ()
    """To be said aloud."""

    def read(self, window: Window) -> BoolArray:
        """The mask of a window: `(height, width)` bool, True is cloud or shadow."""
        check_inside(window, self.working.scene_shape)
        rows = np.arange(window.row, window.row_stop) // self.working.factor
        cols = np.arange(window.col, window.col_stop) // self.working.factor
        return self.cloud[rows[:, None], cols]

    def describe(self) -> Description:
        """Method, threshold, buffer, resolution and sun as plain values."""
        return {"source": self.source, "working_resolution_m": self.working.resolution_m, **self.facts}
