"""`--check-shift` on scenes: known shifts, no false alarm, and its words."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geocr.clouds.mask import Description
from geocr.config import PredictConfig
from geocr.core.types import BoolArray, Window
from geocr.grid.shift import Shift
from geocr.inference.prepare import prepare_scene
from geocr.inference.record import run_tags
from geocr.inference.shift import scene_shift, shift_note
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from geocr.simulate.files import ScenePaths
from geocr.simulate.scene import simulate_scene, write_scene


@dataclass(frozen=True)
class FileMask:
    """A mask read from a file, or clear everywhere."""

    path: Path | None = None
    source: str = "test"
    notes: tuple[str, ...] = ()
    facts: Description = field(default_factory=dict)

    def read(self, window: Window) -> BoolArray:
        if self.path is None:
            return np.zeros(window.shape, bool)
        with rasterio.open(self.path) as source:
            whole: BoolArray = source.read(1) > 0
        return whole[window.row : window.row_stop, window.col : window.col_stop]

    def describe(self) -> Description:
        return self.facts


def moved(s1: Path | str, folder: Path, rows: float, cols: float) -> str:
    """A copy of Sentinel-1 whose georeference is wrong by so many of its pixels, down and right."""
    out = folder / f"moved_{rows}_{cols}.tif"
    with rasterio.open(s1) as source:
        profile = source.profile | {"driver": "GTiff", "transform": source.transform * Affine.translation(cols, rows)}
        with rasterio.open(out, "w", **profile) as target:
            target.write(source.read())
            target.descriptions = ("VV", "VH")
    return str(out)


@pytest.fixture(scope="module")
def cloudy(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    scene = simulate_scene(shape=(400, 420), seed=4, cloud_cover=0.3, bands=("B02", "B03", "B04", "B08"))
    return write_scene(scene, tmp_path_factory.mktemp("shift"))


@pytest.mark.parametrize(("rows", "cols"), [(0.0, 0.0), (2.0, -3.0), (-1.3, 0.6)])
def test_a_known_shift_of_a_cloudy_scene(cloudy: ScenePaths, tmp_path: Path, rows: float, cols: float) -> None:
    scene = open_scene(str(cloudy.s2), moved(cloudy.s1, tmp_path, rows, cols))
    found = scene_shift(scene, FileMask(cloudy.mask))
    assert found is not None
    assert found.is_clear
    assert (found.rows, found.cols) == pytest.approx((rows, cols), abs=0.3)
    note = shift_note(scene, found)
    assert note.startswith("Warning") is (max(abs(rows), abs(cols)) > 1)
    if note.startswith("Warning"):
        assert (f"px {'down' if rows > 0 else 'up'} and " in note, f"px {'right' if cols > 0 else 'left'} of Sentinel-2" in note) == (
            True,
            True,
        )


@pytest.mark.real_data
@pytest.mark.parametrize(("rows", "cols"), [(3.0, -2.0), (-5.0, 4.0)])
def test_a_known_shift_of_a_real_scene(real_data: Path, tmp_path: Path, rows: float, cols: float) -> None:
    """Spain is aligned to within a pixel, so there is no warning; moved by known pixels the difference is found to 0.15 px."""
    folder = real_data / "sen1floods11_spain_512"
    s1, s2 = folder / "Spain_7370579_S1Hand.tif", str(folder / "Spain_7370579_S2Hand.tif")

    def measured(path: str) -> tuple[Scene, Shift]:
        scene = open_scene(s2, path, s1_units="db")
        found = scene_shift(scene, FileMask())
        assert found is not None
        assert found.is_clear
        return scene, found

    aligned_scene, aligned = measured(str(s1))
    assert aligned.length_px < 1
    assert not shift_note(aligned_scene, aligned).startswith("Warning")
    scene, found = measured(moved(s1, tmp_path, rows, cols))
    assert (found.rows - aligned.rows, found.cols - aligned.cols) == pytest.approx((rows, cols), abs=0.15)
    assert "geocr does not co-register" in shift_note(scene, found)


def test_a_run_says_what_it_measured(cloudy: ScenePaths, tmp_path: Path) -> None:
    config = PredictConfig(check_shift=True, cloud_mask=str(cloudy.mask), mask_buffer_m=0)
    prepared = prepare_scene(str(cloudy.s2), moved(cloudy.s1, tmp_path, 4, 0), config, threads=1)
    assert any(note.startswith("Warning: Sentinel-1 lies ") for note in prepared.notes)
    shift = prepared.describe()["sar"]["shift"]
    assert shift["clear"]
    assert shift["rows_px"] == pytest.approx(4, abs=0.3)
    assert '"rows_px"' in run_tags(prepared, None)["GEOCR_S1"]
    unasked = prepare_scene(str(cloudy.s2), str(cloudy.s1), config.model_copy(update={"check_shift": False}), threads=1)
    assert "shift" not in unasked.describe()["sar"]


def test_too_little_to_compare(cloudy: ScenePaths, tmp_path: Path) -> None:
    scene = open_scene(str(cloudy.s2), str(cloudy.s1))

    class Overcast(FileMask):
        def read(self, window: Window) -> BoolArray:
            return np.ones(window.shape, bool)

    assert scene_shift(scene, Overcast()) is None
    assert "too little of the scene is clear" in shift_note(scene, None)
    assert scene_shift(open_scene(str(cloudy.s2)), FileMask()) is None
    unclear = Shift(rows=0, cols=0, peak=2.0, spread_px=5.0, chips=3)
    assert "edges do not agree on 3 chip(s)" in shift_note(scene, unclear)
