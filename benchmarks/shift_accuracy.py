"""How exactly `--check-shift` measures: shifts of known size on a real aligned scene and on simulated cloudy ones.

    python benchmarks/shift_accuracy.py [../shared/data/sen1floods11_spain_512]

On the real scene the shift that it has by itself is not known; the difference to it is measured.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from geocr.core.types import BoolArray, Window
from geocr.grid.shift import Shift
from geocr.inference.shift import scene_shift
from geocr.io.open import open_scene
from geocr.simulate.scene import simulate_scene, write_scene

TRIALS = 20


class _Mask:
    """A mask held as an array."""

    source, notes = "benchmark", ()

    def __init__(self, array: BoolArray) -> None:
        self.array = array

    def read(self, window: Window) -> BoolArray:
        return self.array[window.row : window.row_stop, window.col : window.col_stop]

    def describe(self) -> dict[str, str | float | bool | list[int] | None]:
        return {}


def measure(s2: str, s1: str, cloudy: BoolArray, rows: float, cols: float) -> Shift:
    """The shift found where Sentinel-1 is moved by so many of its pixels."""
    with tempfile.TemporaryDirectory() as folder:
        moved = f"{folder}/s1.tif"
        with rasterio.open(s1) as source:
            profile = source.profile | {"driver": "GTiff", "transform": source.transform * Affine.translation(cols, rows)}
            with rasterio.open(moved, "w", **profile) as target:
                target.write(source.read())
        found = scene_shift(open_scene(s2, moved, s1_units="db"), _Mask(cloudy))
    if found is None:
        raise SystemExit("nothing to compare")
    return found


def report(name: str, s2: str, s1: str, cloudy: BoolArray) -> None:
    """Print the errors over random shifts of up to six pixels."""
    rng = np.random.default_rng(0)
    base = measure(s2, s1, cloudy, 0, 0)
    errors, clear = [], 0
    for rows, cols in rng.uniform(-6, 6, (TRIALS, 2)):
        found = measure(s2, s1, cloudy, rows, cols)
        errors.append((found.rows - base.rows - rows, found.cols - base.cols - cols))
        clear += found.is_clear
    size = np.abs(errors)
    print(
        f"{name}: unmoved {base.rows:+.2f}, {base.cols:+.2f} px; {clear} of {TRIALS} found; "
        f"error rms {np.sqrt((size**2).mean()):.2f} px, largest {size.max():.2f} px"
    )


def main() -> None:
    """Measure on the real scene, if given, and on simulated ones."""
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        s2, s1 = str(next(folder.glob("*S2Hand.tif"))), str(next(folder.glob("*S1Hand.tif")))
        with rasterio.open(s2) as source:
            clear = np.zeros(source.shape, bool)
        report("Spain, real, clear", s2, s1, clear)
    for cover in (0.0, 0.3, 0.6):
        with tempfile.TemporaryDirectory() as place:
            scene = simulate_scene(shape=(1024, 1024), seed=1, cloud_cover=cover, bands=("B03", "B04", "B08"))
            paths = write_scene(scene, place)
            with rasterio.open(paths.mask) as source:
                cloudy = source.read(1) > 0
            report(f"simulated, {cloudy.mean():.0%} cloud and shadow", str(paths.s2), str(paths.s1), cloudy)


if __name__ == "__main__":
    main()
