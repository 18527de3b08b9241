"""How much memory filling a scene from another date takes, asked of a process of its own: `python -m tests.temporal.tall_fill FOLDER ROWS`.

In the process of the tests everything that other tests left running would be counted too.
"""

import sys
import tracemalloc
from pathlib import Path

import numpy as np

from geocr.inference.engine import stream_rows
from geocr.inference.plan import plan_scene
from geocr.temporal import DateFill, fit_dates
from tests.temporal.worlds import Date, make_world


def peak_bytes(folder: Path, rows: int) -> tuple[int, int]:
    """Most bytes held at once while the dates are compared, and most while a scene of so many rows is filled."""
    shape = (rows, 260)
    mask = np.zeros(shape, bool)
    mask[:: rows // 6, 60:200] = True
    world = make_world(folder, [Date(days=2, gain=1.1)], mask)
    tracemalloc.start()
    dates = fit_dates(world.tiles)
    compared = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    fill = DateFill(shape=shape, matches=dates.matches, rest=None)
    plan = plan_scene(world.tiles, fill.tile, mode="replace-clouds", with_std=True, with_days=True, threads=1)
    for finished in stream_rows(world.tiles, plan, fill, row_start=0, row_stop=rows):
        del finished
    filled = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return compared, filled


if __name__ == "__main__":
    print(*peak_bytes(Path(sys.argv[1]), int(sys.argv[2])))  # noqa: T201 - to who started it
