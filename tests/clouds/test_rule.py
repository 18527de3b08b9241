from pathlib import Path

import numpy as np
import pytest

from geocr.clouds.rule import RULE_BANDS, RuleDetector
from geocr.clouds.selection import make_cloud_mask
from geocr.core.errors import CloudMaskError
from tests.clouds.optical import disc, paint, scene_of

WHITE = {"B01": 1.0, "B02": 1.0, "B03": 1.0, "B04": 1.0, "B10": 1.0, "B11": 1.0}


def score_of(detector: RuleDetector, **changes: float) -> float:
    pixels = {band: np.full((1, 1), value, np.float32) for band, value in (WHITE | changes).items()}
    return float(detector.score(pixels, np.ones((1, 1), bool))[0, 0])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1.0),
        ({"B02": 0.3}, 0.5),  # (0.3 - 0.1) / 0.4
        ({"B02": 0.1}, 0.0),
        ({"B01": 0.15}, 0.25),  # (0.15 - 0.1) / 0.2
        ({"B01": 0.16, "B10": 0.01}, 0.3),  # aerosol alone; with cirrus (0.17 - 0.15) / 0.05 = 0.4
        ({"B01": 0.12, "B10": 0.002}, -0.56),  # (0.122 - 0.15) / 0.05, below (0.12 - 0.1) / 0.2 = 0.1
        ({"B02": 0.3, "B03": 0.1, "B04": 0.04, "B11": 0.1}, 0.4),  # (0.44 - 0.2) / 0.6
        ({"B03": 0.9, "B11": 0.1}, 0.0),  # NDSI 0.8: snow
        ({"B03": 0.85, "B11": 0.15}, 0.5),  # NDSI 0.7
        ({"B03": 0.95, "B11": 0.05}, -0.5),  # NDSI 0.9
        ({"B03": 0.0, "B11": 0.0}, 1.0),  # no NDSI to speak of
    ],
)
def test_published_score_on_pixels_worked_out_by_hand(changes: dict[str, float], expected: float) -> None:
    assert score_of(RuleDetector(bands=RULE_BANDS), **changes) == pytest.approx(expected, abs=1e-5)


def test_haze_ramp_stands_in_for_missing_bands_only() -> None:
    sand = {"B02": 0.30, "B03": 0.40, "B04": 0.48}  # haze 0.06, visible 1.18, blue ramp 0.5
    assert score_of(RuleDetector(bands=("B02", "B03", "B04")), **sand) == pytest.approx((0.06 - 0.04) / 0.2, abs=1e-5)
    assert score_of(RuleDetector(bands=RULE_BANDS), **sand) == pytest.approx(0.5, abs=1e-5)
    assert score_of(RuleDetector(bands=("B02",)), **sand) == pytest.approx(0.5, abs=1e-5)


def test_cirrus_ramp_needs_both_of_its_bands() -> None:
    dim = {"B01": 0.12, "B10": 0.0}
    assert score_of(RuleDetector(bands=("B01", "B02", "B03", "B04", "B11")), **dim) == pytest.approx(0.1, abs=1e-5)


@pytest.mark.parametrize(
    ("bands", "said", "unsaid"),
    [
        (("B02", "B03", "B04"), ("B01, B10, B11", "snow", "haze test"), ()),
        (("B01", "B02", "B03", "B04", "B11"), ("without B10:",), ("snow", "haze")),
        (("B02",), ("snow",), ("haze test",)),
    ],
)
def test_what_is_missing_is_said(bands: tuple[str, ...], said: tuple[str, ...], unsaid: tuple[str, ...]) -> None:
    (note,) = RuleDetector(bands=bands).notes
    assert all(text in note for text in said)
    assert not any(text in note for text in unsaid)
    assert RuleDetector(bands=RULE_BANDS).notes == ()


def test_outline_closes_50_m_and_averages_70_m() -> None:
    detector = RuleDetector(bands=RULE_BANDS)
    valid = np.ones((41, 41), bool)
    score = np.zeros((41, 41), np.float32)
    score[20, 20] = 1
    assert not detector.outline(score, valid, 10).any()  # 1 / 49
    score[18:23, 18:23] = 1
    cloud = detector.outline(score, valid, 10)
    assert cloud[20, 16]  # two columns of five: 10 / 49 = 0.204
    assert not cloud[20, 15]  # one column: 5 / 49
    assert detector.outline(score, valid, 60).sum() == 25  # a pixel of 60 m is wider than both windows
    gap = np.ones((41, 41), np.float32)
    gap[18:22, :] = -3  # four rows, which closing over five fills
    assert detector.outline(gap, valid, 10).all()
    gap[17:22, :] = -3  # five rows
    assert not detector.outline(gap, valid, 10).all()


def test_nodata_does_not_thin_the_clouds_beside_it() -> None:
    valid = np.ones((20, 20), bool)
    valid[:, :10] = False
    score = np.where(valid, np.float32(0.25), np.float32(0))
    cloud = RuleDetector(bands=RULE_BANDS).outline(score, valid, 10)
    np.testing.assert_array_equal(cloud, valid)


@pytest.mark.parametrize(
    "bands", [RULE_BANDS, ("B02", "B03", "B04", "B08"), ("B04", "B03", "B02"), ("B08", "B11", "B10", "B04", "B03", "B02", "B01")]
)
def test_a_cloud_is_found_whatever_the_order_of_bands(bands: tuple[str, ...], tmp_path: Path) -> None:
    cloud = disc((90, 80), (45, 30), 14)
    scene = scene_of(tmp_path, paint(cloud.shape, bands, cloud=cloud), bands)
    found = make_cloud_mask(scene, "rule", buffer_m=0).read(scene.grid.window)
    assert (found & cloud).sum() / (found | cloud).sum() > 0.75
    assert not found[:, 60:].any()


def test_threshold_is_used(tmp_path: Path) -> None:
    cloud = disc((60, 60), (30, 30), 10)
    scene = scene_of(tmp_path, paint(cloud.shape, RULE_BANDS, cloud=cloud), RULE_BANDS)
    shares = [make_cloud_mask(scene, "rule", buffer_m=0, threshold=value).read(scene.grid.window).mean() for value in (0.05, 0.2, 0.95)]
    assert shares[0] > shares[1] > shares[2]


def test_without_blue_there_is_no_score(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, paint((20, 20), ("B04", "B08")), ("B04", "B08"))
    with pytest.raises(CloudMaskError, match=r"needs the blue band B02.*got B04, B08.*--cloud-mask FILE"):
        make_cloud_mask(scene, "rule")
