"""What a fit says of itself is true of what it fills."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geocr.core.errors import TooFewClearPixelsError
from geocr.scenefit import fit_scene
from geocr.scenefit.spread import fit_spread
from tests.scenefit.fields import ArraySource, field_scene


def test_a_band_seen_only_under_cloud_is_refused_by_its_number() -> None:
    source, _ = field_scene((200, 190), seed=1)
    optical = source.optical.copy()
    optical[2, ~source.cloud] = np.nan
    with pytest.raises(TooFewClearPixelsError, match="band 3 of the file holds values under cloud"):
        fit_scene(replace(source, optical=optical))


def test_the_expected_error_is_that_of_the_pixels_that_are_filled() -> None:
    source, truth = field_scene((320, 300), seed=2)
    sar = source.sar.copy()
    sar[:, source.cloud] = np.nan  # Sentinel-1 covers clear pixels only: every cloudy one is filled without it
    holed = replace(source, sar=sar)
    fit = fit_scene(holed)
    error = fit.error
    assert error.rmse_with_sar is not None
    assert error.rmse_without_sar > error.rmse_with_sar
    assert error.rmse_overall == pytest.approx(error.rmse_without_sar)
    made = fit(holed.whole()).mean[:, source.cloud] - truth[:, source.cloud]
    assert error.rmse_overall == pytest.approx(float(np.sqrt(np.mean(made**2))), rel=0.5)


@pytest.mark.parametrize("scale", [1e-3, 1e-2, 1.0])
def test_the_standard_deviation_scales_with_the_errors(scale: float) -> None:
    rng = np.random.default_rng(0)
    errors = (rng.standard_normal((4000, 3)) * 0.02).astype(np.float32)
    gap = torch.from_numpy(rng.uniform(0, 60, 4000).astype(np.float32))
    traits = torch.from_numpy(rng.normal(-3.5, 0.3, (3, 4000)).astype(np.float32))
    plain = fit_spread(errors, gap, traits)(gap, traits)
    scaled = fit_spread(errors * np.float32(scale), gap, traits)(gap, traits)
    ratio = (scaled / plain / scale).numpy()
    assert np.median(ratio) == pytest.approx(1, rel=0.05)


def test_a_dark_scene_has_small_deviations() -> None:
    source, truth = field_scene((260, 240), bands=3, seed=5)
    factor = np.float32(0.02)  # an 8-bit picture read with the scale of a product
    dark = ArraySource(source.optical * factor, source.sar, source.cloud)
    fit = fit_scene(dark)
    result = fit(dark.whole())
    assert result.std is not None
    errors = np.abs(result.mean - truth * factor)[:, source.cloud]
    within = float(np.mean(errors <= result.std[:, source.cloud]))
    assert 0.5 < within < 0.9
    assert 0.5 < fit.error.within_one_std < 0.9
