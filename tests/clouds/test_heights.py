import numpy as np
import pytest
from scipy import ndimage

from geocr.clouds import heights
from geocr.clouds.heights import CLOUD_HEIGHTS_M, MAX_HEIGHTS, CloudHeights, match_heights, project_clouds, project_matched, project_unseen
from geocr.clouds.shadow import UNSEEN_COVER, find_shadows
from geocr.core.types import BoolArray, FloatArray

SIDE = 480
RESOLUTION_M = 20.0
STEP = (-0.035, -0.015)
"""Sun in the south-south-east, 37 degrees from the zenith: a shadow moves 38 pixels north-west per kilometre."""
MILD, DEEP = 0.3, 0.7


def draw_clouds(seed: int = 0, share: float = 0.12) -> BoolArray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), 7, mode="wrap")
    cloud: BoolArray = noise > np.quantile(noise, 1 - share)
    return cloud


def throw(cloud: BoolArray, height_m: float) -> BoolArray:
    shift = [round(step * height_m) for step in STEP]
    return ndimage.shift(cloud.astype(np.uint8), shift, order=0).astype(bool) & ~cloud


def darken(cloud: BoolArray, shadow: BoolArray, by: float = MILD, seed: int = 1) -> FloatArray:
    """Darkness of rough land with shadows; NaN under clouds."""
    dark = np.random.default_rng(seed).normal(0, 0.1, cloud.shape) + by * shadow
    return np.where(cloud, np.nan, dark).astype(np.float32)


def match(cloud: BoolArray, darkness: FloatArray, step: tuple[float, float] = STEP) -> CloudHeights:
    return match_heights(cloud, darkness, resolution_m=RESOLUTION_M, step=step)


def find(cloud: BoolArray, darkness: FloatArray, step: tuple[float, float] | None = STEP) -> BoolArray:
    return find_shadows(cloud, darkness, np.ones_like(cloud), resolution_m=RESOLUTION_M, step=step)


@pytest.mark.parametrize("height_m", [500.0, 1200.0, 2500.0])
def test_clouds_are_as_high_as_their_shadows_say(height_m: float) -> None:
    cloud = draw_clouds()
    found = match(cloud, darken(cloud, throw(cloud, height_m)))
    known = found.height_m[np.isfinite(found.height_m)]
    assert known.size > 0.7 * cloud.mean() * found.height_m.size
    assert np.median(known) == pytest.approx(height_m, abs=found.spacing_m)
    assert np.mean(np.abs(known - height_m) <= 2 * found.spacing_m) > 0.9


def test_high_and_low_clouds_are_told_apart() -> None:
    cloud, (west, east) = draw_clouds(), np.split(np.arange(SIDE), 2)
    low, high = cloud.copy(), cloud.copy()
    low[:, east], high[:, west] = False, False
    found = match(cloud, darken(cloud, (throw(low, 600) | throw(high, 2000)) & ~cloud))
    half = found.height_m.shape[1] // 2
    assert np.nanmedian(found.height_m[:, : half - 30]) == pytest.approx(600, abs=100)
    assert np.nanmedian(found.height_m[:, half + 30 :]) == pytest.approx(2000, abs=100)


def test_mild_shadows_are_found_on_the_right_side_only() -> None:
    cloud = draw_clouds()
    shadow = throw(cloud, 1200)
    darkness = darken(cloud, shadow)
    found = find(cloud, darkness)
    inside = ndimage.binary_erosion(shadow, iterations=2)
    assert found[inside].mean() > 0.95
    assert (found & shadow).sum() / found.sum() > 0.9
    turned = find(cloud, darkness, (-STEP[0], -STEP[1]))
    assert turned[inside].mean() < 0.1
    assert find(cloud, darkness, None)[inside].mean() < 0.3  # too light to be told without the outline


def test_deep_shadows_need_no_match() -> None:
    cloud = draw_clouds(share=0.02)
    shadow = throw(cloud, 1200)
    assert find(cloud, darken(cloud, shadow, DEEP))[ndimage.binary_erosion(shadow)].mean() > 0.95
    assert not find(np.zeros_like(cloud), darken(cloud, shadow, DEEP)).any()


def test_rough_land_matches_nothing() -> None:
    cloud = draw_clouds()
    forest = darken(cloud, draw_clouds(seed=5, share=0.2))
    assert np.isfinite(match(cloud, darken(cloud, np.zeros_like(cloud))).height_m).mean() < 0.01
    assert find(cloud, forest).mean() < 0.02


def test_turning_the_scene_turns_the_shadows() -> None:
    cloud = draw_clouds()
    darkness = darken(cloud, throw(cloud, 1200))
    expected = find(cloud, darkness)
    np.testing.assert_array_equal(find(cloud[:, ::-1], darkness[:, ::-1], (STEP[0], -STEP[1]))[:, ::-1], expected)
    np.testing.assert_array_equal(find(cloud[::-1], darkness[::-1], (-STEP[0], STEP[1]))[::-1], expected)
    np.testing.assert_array_equal(find(cloud.T.copy(), darkness.T.copy(), (STEP[1], STEP[0])).T, expected)


def test_large_scenes_are_matched_on_larger_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = draw_clouds()
    darkness = darken(cloud, throw(cloud, 1200))
    assert match(cloud, darkness).factor == 2
    monkeypatch.setattr(heights, "MAX_CELLS", SIDE * SIDE // 16)
    coarse = match(cloud, darkness)
    assert coarse.factor == 4
    assert np.nanmedian(coarse.height_m) == pytest.approx(1200, abs=coarse.spacing_m)


@pytest.mark.parametrize("step", [(0.0, 0.0), (0.0, -0.55), (0.4, 0.4)])
def test_overhead_and_low_suns(step: tuple[float, float]) -> None:
    cloud = draw_clouds()
    found = match(cloud, darken(cloud, np.zeros_like(cloud)), step)
    assert found.spacing_m >= (CLOUD_HEIGHTS_M[1] - CLOUD_HEIGHTS_M[0]) / MAX_HEIGHTS
    assert find(cloud, darken(cloud, throw(cloud, 1200), DEEP), step).shape == cloud.shape


def test_projection_covers_the_heights_and_no_more() -> None:
    cloud = np.zeros((5, 600), bool)
    cloud[2, 550] = True
    region = project_clouds(cloud, (0.0, -0.1))
    low, high = (round(height * 0.1) for height in CLOUD_HEIGHTS_M)
    expected = np.zeros_like(cloud)
    expected[2, 550 - high : 550 - low + 1] = True
    np.testing.assert_array_equal(region, expected)
    assert not project_clouds(cloud, (0.9, 0.0)).any()  # thrown out of the scene
    assert project_clouds(cloud, (0.0, 0.0)).sum() == 1


def known(height_m: float, shape: tuple[int, int]) -> CloudHeights:
    return CloudHeights(height_m=np.full(shape, height_m, np.float32), factor=1, spacing_m=10.0)


def test_a_matched_cloud_throws_one_shadow() -> None:
    cloud = np.zeros((5, 600), bool)
    cloud[2, 550] = True
    region = project_matched(cloud, known(1000, cloud.shape), (0.0, -0.1))
    rows, cols = np.nonzero(region)
    assert (rows == 2).all()
    assert (np.diff(cols) == 1).all()
    assert 550 - 120 <= cols[0] <= 550 - 119  # 1000 m, give or take 200
    assert 550 - 81 <= cols[-1] <= 550 - 80
    assert not project_matched(cloud, known(np.nan, cloud.shape), (0.0, -0.1)).any()


def test_unseen_clouds_throw_shadows_in_from_the_sunward_edge() -> None:
    valid = np.ones((5, 600), bool)
    valid[:, 580:] = False
    region = project_unseen(valid, known(1000, valid.shape), (0.0, -0.1))
    expected = np.zeros_like(valid)
    expected[:, 580 - 120 : 580] = True  # the sun stands in the east: up to 1200 m high beyond column 580
    np.testing.assert_array_equal(region, expected)
    assert not project_unseen(valid, known(np.nan, valid.shape), (0.0, -0.1)).any()


def test_unseen_clouds_are_believed_in_under_a_cloudy_sky_only() -> None:
    cloud = draw_clouds(share=0.15)
    cloud[300:] = False
    strip = np.zeros_like(cloud)
    strip[-20:, 100:130] = True  # thrown by a cloud beyond the lower edge, where the sun stands
    darkness = darken(cloud, throw(cloud, 1200) | strip, DEEP)
    shadow = find(cloud, darkness)
    assert cloud.mean() < UNSEEN_COVER
    assert not shadow[strip].any()
    cloud = draw_clouds(share=0.2)
    cloud[400:] = False
    darkness = darken(cloud, throw(cloud, 1200) | strip, DEEP)
    assert cloud.mean() > UNSEEN_COVER
    assert find(cloud, darkness)[strip].mean() > 0.9
    assert not find(cloud, darkness)[-100:, 140:].any()
