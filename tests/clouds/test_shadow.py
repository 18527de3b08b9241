from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geocr.clouds import working
from geocr.clouds.selection import make_cloud_mask
from geocr.clouds.sun import SunAngle, sun_from_arguments, sun_from_tags
from geocr.core.errors import InputError
from geocr.io.grid import SceneGrid
from tests.clouds.optical import TEN, disc, paint, scene_of
from tests.scenes import TRANSFORM, UTM

RULE = ("B01", "B02", "B03", "B04", "B08", "B10", "B11")
SHAPE = (260, 260)
CENTRE = (130, 130)
EAST_SUN = {"sun_zenith_deg": 45.0, "sun_azimuth_deg": 90.0}


def grid_at(crs: CRS, transform: Affine) -> SceneGrid:
    return SceneGrid(crs=crs, transform=transform, shape=(100, 100))


@pytest.mark.parametrize(
    ("azimuth", "rows", "cols"), [(90, 0, -0.1), (270, 0, 0.1), (180, -0.1, 0), (0, 0.1, 0), (135, -0.1 / 2**0.5, -0.1 / 2**0.5)]
)
def test_shadows_fall_away_from_the_sun(azimuth: float, rows: float, cols: float) -> None:
    step = SunAngle(zenith_deg=45, azimuth_deg=azimuth).shadow_step(grid_at(UTM, TRANSFORM))
    assert step == pytest.approx((rows, cols), abs=6e-4)


def test_low_suns_throw_longer_shadows_and_degrees_are_metres() -> None:
    degrees = grid_at(CRS.from_epsg(4326), Affine(2e-4, 0, 15.0, 0, -1e-4, 60.0))
    step = SunAngle(zenith_deg=60, azimuth_deg=90).shadow_step(degrees)
    assert step == pytest.approx((0, -(3**0.5) / (2e-4 * 111_195 * 0.5)), rel=2e-3, abs=1e-4)
    flipped = grid_at(UTM, Affine(10, 0, 499_980, 0, 10, 5_300_040))
    assert SunAngle(zenith_deg=45, azimuth_deg=180).shadow_step(flipped)[0] == pytest.approx(0.1, abs=6e-4)


def two_dark_spots(folder: Path, *, tags: dict[str, str] | None = None, bands: tuple[str, ...] = RULE):  # noqa: ANN201
    """A cloud with one dark spot 600 m west of it and one 600 m east."""
    cloud = disc(SHAPE, CENTRE, 16)
    west, east = disc(SHAPE, (130, 70), 16), disc(SHAPE, (130, 190), 16)
    return scene_of(folder, paint(SHAPE, bands, cloud=cloud, shade=west | east), bands, tags=tags), west, east


@pytest.mark.parametrize("native_px", [working.NATIVE_PIXELS, 1000])
def test_with_the_sun_in_the_east_the_western_spot_is_the_shadow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native_px: int) -> None:
    monkeypatch.setattr(working, "NATIVE_PIXELS", native_px)
    scene, west, east = two_dark_spots(tmp_path)
    mask = make_cloud_mask(scene, "rule", buffer_m=0, **EAST_SUN)
    found = mask.read(scene.grid.window)
    assert found[west].mean() > 0.8
    assert not found[east].any()
    assert mask.describe()["sun_azimuth_deg"] == 90
    assert any("azimuth 90" in note for note in mask.notes)


def test_tags_give_the_sun_and_arguments_outrank_them(tmp_path: Path) -> None:
    tags = {"MEAN_SUN_ZENITH_ANGLE": "45.0", "MEAN_SUN_AZIMUTH_ANGLE": "270.0"}
    scene, west, east = two_dark_spots(tmp_path, tags=tags)
    found = make_cloud_mask(scene, "rule", buffer_m=0).read(scene.grid.window)
    assert found[east].mean() > 0.9
    assert not found[west].any()
    found = make_cloud_mask(scene, "rule", buffer_m=0, **EAST_SUN).read(scene.grid.window)
    assert found[west].mean() > 0.9
    assert not found[east].any()


def test_without_the_sun_dark_land_near_clouds_is_shadow(tmp_path: Path) -> None:
    scene, west, east = two_dark_spots(tmp_path)
    mask = make_cloud_mask(scene, "rule", buffer_m=0)
    found = mask.read(scene.grid.window)
    assert found[west].mean() > 0.9
    assert found[east].mean() > 0.9
    assert mask.describe()["sun_zenith_deg"] is None
    assert any("not known" in note for note in mask.notes)


def test_dark_land_without_a_cloud_is_no_shadow(tmp_path: Path) -> None:
    shade = disc(SHAPE, CENTRE, 20)
    scene = scene_of(tmp_path, paint(SHAPE, TEN, shade=shade), TEN)
    assert not make_cloud_mask(scene).read(scene.grid.window).any()


def test_a_small_cloud_without_the_sun_throws_no_large_shadow(tmp_path: Path) -> None:
    shade = disc(SHAPE, (130, 60), 30)
    for radius, found in ((20, True), (10, False)):  # areas 1 : 2.25 and 1 : 9
        scene = scene_of(tmp_path, paint(SHAPE, RULE, cloud=disc(SHAPE, CENTRE, radius), shade=shade), RULE)
        assert make_cloud_mask(scene, "rule", buffer_m=0).read(scene.grid.window)[shade].any() == found


def test_dark_land_beyond_the_reach_is_no_shadow(tmp_path: Path) -> None:
    shape = (60, 420)  # the cloud ends at column 32, the near spot starts 560 m and the far one 1160 m further on
    cloud, near, far = disc(shape, (30, 20), 12), disc(shape, (30, 100), 12), disc(shape, (30, 160), 12)
    scene = scene_of(tmp_path, paint(shape, RULE, cloud=cloud, shade=near | far), RULE)
    found = make_cloud_mask(scene, "rule", buffer_m=0).read(scene.grid.window)
    assert found[near].mean() > 0.9
    assert not found[far].any()


def test_water_is_no_shadow(tmp_path: Path) -> None:
    scene, west, east = two_dark_spots(tmp_path)
    picture = paint(SHAPE, RULE, cloud=disc(SHAPE, CENTRE, 16), shade=west | east)
    picture[RULE.index("B08")][west] = 0.02  # green 0.05 outshines it, whatever the air adds
    scene = scene_of(tmp_path, picture, RULE)
    found = make_cloud_mask(scene, "rule", buffer_m=0).read(scene.grid.window)
    assert not found[west].any()
    assert found[east].mean() > 0.9


def test_too_little_land_tells_nothing(tmp_path: Path) -> None:
    shape = (40, 40)
    scene = scene_of(tmp_path, paint(shape, RULE, cloud=np.ones(shape, bool)), RULE)
    mask = make_cloud_mask(scene, "rule")
    assert mask.read(scene.grid.window).all()
    assert any("too little clear land" in note for note in mask.notes)


def test_without_infrared_shadows_are_not_looked_for(tmp_path: Path) -> None:
    scene, west, east = two_dark_spots(tmp_path, bands=("B02", "B03", "B04"))
    mask = make_cloud_mask(scene, buffer_m=0)
    assert not mask.read(scene.grid.window)[west | east].any()
    assert any("takes B08 or B8A" in note for note in mask.notes)
    assert mask.describe()["shadows"] == "none"


def test_sun_from_tags() -> None:
    assert sun_from_tags({"view:sun_elevation": "54.8", "view:sun_azimuth": "157.1"}) == SunAngle(zenith_deg=90 - 54.8, azimuth_deg=157.1)
    assert sun_from_tags({"SUN_ZENITH": "30", "sun_azimuth": "150"}) == SunAngle(zenith_deg=30, azimuth_deg=150)
    assert sun_from_tags({"sun_azimuth": "150"}) is None
    assert sun_from_tags({"SUN_ZENITH": "thirty", "sun_azimuth": "150"}) is None
    assert sun_from_tags({"SUN_ZENITH": "95", "sun_azimuth": "150"}) is None


@pytest.mark.parametrize(
    ("zenith", "azimuth", "text"),
    [
        (30, None, "both its zenith and its azimuth, got zenith=30, azimuth=None"),
        (None, 30, "both its zenith"),
        (85.1, 10, "within 0 to 85"),
        (-1, 10, "within 0 to 85"),
        (float("nan"), 10, "within 0 to 85"),
        (30, 361, "clockwise from north"),
        (30, float("nan"), "clockwise from north"),
    ],
)
def test_impossible_suns(zenith: float | None, azimuth: float | None, text: str) -> None:
    with pytest.raises(InputError, match=text):
        sun_from_arguments(zenith, azimuth)


def test_possible_suns() -> None:
    assert sun_from_arguments(None, None) is None
    assert sun_from_arguments(85, 360) == SunAngle(zenith_deg=85, azimuth_deg=360)
    assert sun_from_arguments(0, 0) == SunAngle(zenith_deg=0, azimuth_deg=0)
