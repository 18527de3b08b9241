import json
from pathlib import Path

import numpy as np
import pytest

from geocr.clouds.selection import CLOUD_MASKS, make_cloud_mask
from geocr.core.errors import InputError
from geocr.io.scene import Scene
from tests.clouds.optical import TEN, disc, paint, scene_of
from tests.scenes import write_raster

SHAPE = (60, 60)
RULE = ("B01", "B02", "B03", "B04", "B08", "B10", "B11")


def make(folder: Path, bands: tuple[str, ...]) -> Scene:
    return scene_of(folder, paint(SHAPE, bands, cloud=disc(SHAPE, (30, 30), 12)), bands)


@pytest.fixture
def scl(tmp_path: Path) -> str:
    return write_raster(tmp_path / "scl.tif", np.full((1, *SHAPE), 9, np.uint8))


@pytest.mark.parametrize(
    ("bands", "source"), [(TEN, "s2cloudless"), ((*TEN, "B03"), "s2cloudless"), (RULE, "rule"), (("B04", "B03", "B02"), "rule")]
)
def test_auto_takes_the_best_the_bands_allow_and_says_which(tmp_path: Path, bands: tuple[str, ...], source: str) -> None:
    mask = make_cloud_mask(make(tmp_path, bands))
    assert mask.source == source
    assert mask.notes[0].startswith("Cloud mask auto takes")
    assert any(f"found by {source}" in note for note in mask.notes)


@pytest.mark.parametrize("bands", [TEN, RULE])
def test_auto_takes_the_scene_classification_it_is_given(tmp_path: Path, scl: str, bands: tuple[str, ...]) -> None:
    assert make_cloud_mask(make(tmp_path, bands), scl=scl).source == "scl"


def test_a_file_not_used_is_said(tmp_path: Path, scl: str) -> None:
    scene = make(tmp_path, RULE)
    assert f"--scl {scl} is not used: the cloud mask asked for is rule." in make_cloud_mask(scene, "rule", scl=scl).notes
    mine = write_raster(tmp_path / "mine.tif", np.ones((1, *SHAPE), np.uint8))
    assert f"--scl {scl} is not used: the cloud mask is read from {mine}." in make_cloud_mask(scene, mine, scl=scl).notes


def test_every_mask_of_the_table_describes_itself_in_json(tmp_path: Path, scl: str) -> None:
    bands = tuple(sorted({*TEN, *RULE}))
    scene = make(tmp_path, bands)
    probability = write_raster(tmp_path / "p.tif", np.full((1, *SHAPE), 60, np.uint8))
    for name in CLOUD_MASKS:
        if name == "omnicloudmask":  # needs weights: tests/clouds/test_omnicloudmask.py
            continue
        mask = make_cloud_mask(scene, f"cldprb={probability}" if name == "cldprb" else name, scl=scl if name == "scl" else None)
        facts = json.loads(json.dumps(mask.describe()))
        assert facts["source"] == mask.source == name
        assert {"threshold", "buffer_m", "working_resolution_m", "sun_zenith_deg", "sun_azimuth_deg", "shadows"} <= set(facts)
        assert facts["buffer_m"] == pytest.approx(60)
        assert all(note.endswith(".") for note in mask.notes)
        found = mask.read(scene.grid.window)
        assert found.dtype == bool
        assert found.shape == SHAPE
        assert found[30, 30]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"buffer_m": 10.0, "buffer_px": 1}, r"in metres or in pixels, got both \(10.0 m, 1 px\)"),
        ({"buffer_m": 0.0, "buffer_px": 0}, "got both"),
        ({"buffer_m": -0.1}, "must be 0 or more, got -0.1 m"),
        ({"buffer_px": -1}, "must be 0 or more, got -1 px"),
        ({"buffer_m": float("nan")}, "must be 0 or more, got nan m"),
        ({"buffer_m": float("inf")}, "must be 0 or more, got inf m"),
        ({"threshold": 1.01}, "within 0 to 1, got 1.01"),
        ({"threshold": -0.01}, "within 0 to 1"),
        ({"threshold": float("nan")}, "within 0 to 1"),
        ({"sun_zenith_deg": 30.0}, "both its zenith and its azimuth"),
    ],
)
def test_arguments_out_of_range(tmp_path: Path, options: dict[str, float], text: str) -> None:
    with pytest.raises(InputError, match=text):
        make_cloud_mask(make(tmp_path, RULE), "rule", **options)


def test_clouds_are_true_and_clear_land_is_false(tmp_path: Path) -> None:
    scene = make(tmp_path, TEN)
    for method in ("s2cloudless", "rule"):
        found = make_cloud_mask(scene, method, buffer_m=0).read(scene.grid.window)
        assert found[30, 30]
        assert not found[2, 2]
        assert 0.05 < found.mean() < 0.5
    facts = make_cloud_mask(scene, "rule", buffer_m=0).describe()
    assert facts["cloud_share"] + facts["shadow_share"] == pytest.approx(found.mean(), abs=0.02)  # type: ignore[operator]
