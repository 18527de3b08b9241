"""What the measures of a suite share changes none of them, and windows in blocks are the windows of the whole image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from geocr.metrics import ssim
from geocr.metrics.base import MetricInput
from geocr.metrics.presets import PRESETS
from geocr.metrics.ssim import SsimWindow
from geocr.metrics.suite import build_suite
from tests.metrics.cases import BANDS, make_batch

REGIONS = ("all", "cloudy", "clear")


def test_measures_that_share_their_maps_are_those_that_do_not() -> None:
    given = make_batch(2, size=(30, 33))
    together = build_suite(PRESETS["geocr"], BANDS, regions=REGIONS, per_band=True)
    alone = build_suite(PRESETS["geocr"], BANDS, regions=REGIONS, per_band=True)
    for batch in (given, replace(given, prediction=given.prediction.flip(-1))):
        together.update(batch)
        for metric in alone.metrics().values():
            metric.update(alone.preparation.apply(batch, BANDS))
    found, expected = together.compute(), alone.compute()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_one_map_serves_all_regions_and_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compute = ssim.ssim_map
    monkeypatch.setattr(ssim, "ssim_map", lambda *args, **kwargs: calls.append(1) or compute(*args, **kwargs))
    build_suite(PRESETS["geocr"], BANDS, regions=REGIONS, per_band=True).update(make_batch(2, size=(30, 33)))
    assert len(calls) == 1


def test_a_batch_that_is_changed_is_measured_anew() -> None:
    given = make_batch(1, size=(20, 20), masks=False)
    suite = build_suite(PRESETS["geocr"], BANDS, regions=("all",))
    suite.update(given)
    before = float(suite.compute()["mae"])
    suite.reset()
    given.prediction.copy_(given.target)
    suite.update(given)
    assert before > 0
    assert float(suite.compute()["mae"]) == 0


@pytest.mark.parametrize("side", [11, 63, 64, 65, 128, 130])
@pytest.mark.parametrize("window", [SsimWindow(), SsimWindow(kind="uniform", size_px=7), SsimWindow(centre_px=4.5)])
def test_windows_in_blocks_are_those_of_the_whole_image(side: int, window: SsimWindow) -> None:
    image = torch.rand((2, side, 70), dtype=torch.float64, generator=torch.Generator().manual_seed(side))
    line = window.weights().numpy()
    expected = correlate1d(correlate1d(image.numpy(), line, axis=1, mode="constant"), line, axis=2, mode="constant")
    np.testing.assert_allclose(ssim._windowed(image, window.weights()).numpy(), expected, rtol=1e-12, atol=1e-13)


def test_a_batch_alone_keeps_nothing() -> None:
    given = make_batch(1, size=(20, 20))
    pair = given.comparison("target", "cloudy")
    assert given.shared is None
    assert isinstance(given, MetricInput)
    assert torch.equal(pair.counted, given.counted("cloudy"))
