import pickle
from pathlib import Path

import numpy as np
import pytest

from geocr.clouds import s2cloudless
from geocr.clouds.s2cloudless import S2CloudlessDetector
from geocr.clouds.selection import make_cloud_mask
from geocr.core.errors import CloudMaskError
from geocr.core.types import FloatArray
from tests.clouds.optical import TEN, disc, paint, scene_of


@pytest.mark.filterwarnings("ignore")  # the reference pulls in its whole download client
def test_probabilities_are_those_of_the_reference_package() -> None:
    reference = pytest.importorskip("s2cloudless")
    pixels = np.random.default_rng(3).uniform(0, 0.7, (10, 30, 40)).astype(np.float32)
    expected = reference.S2PixelCloudDetector().get_cloud_probability_maps(np.moveaxis(pixels, 0, -1)[None])[0]
    got = S2CloudlessDetector().score(dict(zip(TEN, pixels, strict=True)), np.ones((30, 40), bool))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert got.std() > 0.05


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = dict(zip(TEN, np.random.default_rng(4).uniform(0, 0.7, (10, 30, 41)).astype(np.float32), strict=True))
    valid = np.random.default_rng(5).random((30, 41)) < 0.7
    whole = S2CloudlessDetector().score(pixels, valid)
    for strip in (1, 97, int(valid.sum()) - 1, int(valid.sum())):
        monkeypatch.setattr(s2cloudless, "PREDICT_PIXELS", strip)
        np.testing.assert_array_equal(S2CloudlessDetector().score(pixels, valid), whole)


class RecordingTrees:
    """Stands in for the model and keeps what it is shown."""

    def predict(self, features: FloatArray) -> FloatArray:
        self.features = features
        return np.full(len(features), 0.7, np.float32)


def test_reflectances_are_clipped_and_nodata_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = RecordingTrees()
    monkeypatch.setattr(s2cloudless, "_load_trees", lambda: trees)
    pixels = {band: np.full((1, 3), 0.1 * number, np.float32) for number, band in enumerate(TEN)}
    pixels["B12"][0] = (-0.01, 5000.0, 9.0)
    score = S2CloudlessDetector().score(pixels, np.array([[True, True, False]]))
    np.testing.assert_allclose(score, [[0.7, 0.7, 0.0]])
    np.testing.assert_allclose(trees.features[:, :9], [np.arange(9) * 0.1] * 2, rtol=1e-6)
    assert trees.features[:, 9].tolist() == [0, 2]


def test_averaging_covers_a_disc_of_40_m_of_observed_pixels() -> None:
    score, valid = np.zeros((31, 31), np.float32), np.ones((31, 31), bool)
    score[13:18, 13:18] = 1  # 25 pixels, all inside the disc of 49 around the centre
    assert S2CloudlessDetector(threshold=0.50).outline(score, valid, 10)[15, 15]
    assert not S2CloudlessDetector(threshold=0.52).outline(score, valid, 10)[15, 15]
    half = valid.copy()
    half[:, :15] = False
    full = np.where(half, np.float32(0.41), np.float32(0))
    np.testing.assert_array_equal(S2CloudlessDetector().outline(full, half, 10), half)
    single = np.zeros((9, 9), np.float32)
    single[4, 4] = 1
    assert S2CloudlessDetector(threshold=0.19).outline(single, np.ones((9, 9), bool), 60).sum() == 5  # a cross of five
    assert not S2CloudlessDetector(threshold=0.21).outline(single, np.ones((9, 9), bool), 60).any()


def test_scene_with_ten_bands_in_any_order(tmp_path: Path) -> None:
    cloud = disc((70, 70), (30, 40), 12)
    bands = tuple(reversed(TEN))
    scene = scene_of(tmp_path, paint(cloud.shape, bands, cloud=cloud), bands)
    mask = make_cloud_mask(scene, buffer_m=0)
    assert mask.source == "s2cloudless"
    found = mask.read(scene.grid.window)
    assert (found & cloud).sum() / (found | cloud).sum() > 0.75
    again = pickle.loads(pickle.dumps(mask))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(again.read(scene.grid.window), found)
    assert again.describe() == mask.describe()
    np.testing.assert_array_equal(make_cloud_mask(scene, buffer_m=0).read(scene.grid.window), found)


def test_missing_bands_are_listed_with_what_would_work(tmp_path: Path) -> None:
    bands = tuple(band for band in TEN if band not in ("B10", "B8A"))
    scene = scene_of(tmp_path, paint((20, 20), bands), bands)
    with pytest.raises(CloudMaskError, match=r"lacks B8A, B10; use --cloud-mask rule, .*--scl FILE.*--cloud-mask FILE"):
        make_cloud_mask(scene, "s2cloudless")
    mask = make_cloud_mask(scene)
    assert mask.source == "rule"
    assert "lacks B8A, B10" in mask.notes[0]


def test_a_broken_lightgbm_is_said_and_auto_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(s2cloudless, "_load_trees", fail)
    scene = scene_of(tmp_path, paint((20, 20), TEN), TEN)
    assert make_cloud_mask(scene).source == "rule"
    with pytest.raises(CloudMaskError, match="working LightGBM; here: libgomp"):
        make_cloud_mask(scene, "s2cloudless")
