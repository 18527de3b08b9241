"""Fitting: deterministic, at home with missing data, honest about its error, and refusing what it cannot do."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage

from geocr.core.errors import GeocrError, TooFewClearPixelsError
from geocr.core.types import FloatArray
from geocr.scenefit import SceneFit, fit_scene
from geocr.scenefit.sampling import MIN_CLEAR_PX
from tests.scenefit.fields import ArraySource, field_scene

Fields = tuple[ArraySource, FloatArray]


def rmse(source: ArraySource, truth: FloatArray, mean: FloatArray) -> float:
    return float(np.sqrt(np.mean((mean - truth)[:, source.cloud] ** 2)))


def mean_fill_rmse(source: ArraySource, truth: FloatArray) -> float:
    clear = source.optical[:, ~source.cloud].mean(axis=1)
    return float(np.sqrt(np.mean((truth[:, source.cloud] - clear[:, None]) ** 2)))


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_cores(fields: Fields, fitted: SceneFit) -> None:
    source, _ = fields
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1 if before > 1 else 2)
        again = fit_scene(source, seed=3)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(again(source.whole()).mean, fitted(source.whole()).mean)
    assert again.error == fitted.error


def test_it_beats_the_mean_and_says_by_how_much_it_errs(fields: Fields, fitted: SceneFit) -> None:
    source, truth = fields
    result = fitted(source.whole())
    actual = rmse(source, truth, result.mean)
    assert actual < 0.6 * mean_fill_rmse(source, truth)
    assert fitted.error.rmse_overall == pytest.approx(actual, rel=0.35)
    assert len(fitted.error.rmse) == 4
    assert fitted.error.clear_px == np.count_nonzero(~source.cloud)
    assert 0.6 < fitted.error.within_one_std < 0.9
    assert fitted.error.within_two_std >= 0.9
    assert json.loads(json.dumps(fitted.describe()))["error"]["held_out_px"] > 1000


def test_the_standard_deviation_grows_with_the_distance_to_clear_pixels(fields: Fields, fitted: SceneFit) -> None:
    source, _ = fields
    std = fitted(source.whole()).std
    assert std is not None
    distance = np.asarray(ndimage.distance_transform_edt(source.cloud))
    means = [float(std[:, (distance > low) & (distance <= high)].mean()) for low, high in ((0, 2), (2, 6), (6, 14), (14, 999))]
    assert means == sorted(means)
    assert (std[:, source.cloud] > 0).all()


@pytest.mark.parametrize(("bands", "sar_bands"), [(1, 0), (1, 1), (3, 2)])
def test_any_number_of_bands(bands: int, sar_bands: int) -> None:
    source, truth = field_scene((200, 190), bands=bands, sar_bands=sar_bands, seed=1)
    fit = fit_scene(source)
    mean = fit(source.whole()).mean
    assert np.isfinite(mean).all()
    assert rmse(source, truth, mean) < mean_fill_rmse(source, truth)
    assert (fit.blind is None) == (sar_bands == 0)
    share = fit(source.whole()).sar_share
    assert share is not None
    assert bool(share.any()) == (sar_bands > 0)


def test_missing_data_stays_local() -> None:
    source, truth = field_scene((256, 256), seed=2)
    optical, sar = source.optical.copy(), source.sar.copy()
    sar[:, :, 170:] = np.nan
    sar[0, 40:43, 40:43] = np.nan
    optical[:, :30, :40] = np.nan
    optical[1, 200:, :50] = np.nan
    holed = ArraySource(optical, sar, source.cloud)
    fit = fit_scene(holed)
    result = fit(holed.whole())
    assert fit.blind is not None
    assert np.isfinite(result.mean).all()
    assert result.std is not None
    assert np.isfinite(result.std).all()
    blind = source.cloud.copy()
    blind[:, :180] = False
    assert result.sar_share is not None
    assert not result.sar_share[0][blind].any()
    covered = source.cloud.copy()
    covered[:, 160:] = False
    covered[30:53, 30:53] = False
    assert result.sar_share[0][covered].all()
    error = np.abs(result.mean - truth)
    assert error[:, blind].mean() > error[:, source.cloud & ~blind].mean()
    assert result.std[:, blind].mean() > result.std[:, source.cloud & ~blind].mean()


def test_a_band_that_is_nodata_all_over_is_left_alone() -> None:
    source, _ = field_scene((192, 192), seed=4)
    optical = source.optical.copy()
    optical[2] = np.nan
    fit = fit_scene(ArraySource(optical, source.sar, source.cloud))
    assert fit.error.rmse[2] is None
    assert all(fit.error.rmse[band] is not None for band in (0, 1, 3))
    assert np.isfinite(fit(ArraySource(optical, source.sar, source.cloud).whole()).mean).all()


def test_too_few_clear_pixels_are_refused_with_the_number_needed() -> None:
    source, _ = field_scene((128, 128), cloud=1 - (MIN_CLEAR_PX - 1) / 128**2)
    with pytest.raises(TooFewClearPixelsError, match=f"at least {MIN_CLEAR_PX} clear pixels.*less cloudy date or a checkpoint") as caught:
        fit_scene(source)
    assert isinstance(caught.value, GeocrError)
    assert isinstance(caught.value, ValueError)


def test_a_scene_without_any_clear_pixel_is_refused() -> None:
    source, _ = field_scene((96, 96))
    with pytest.raises(TooFewClearPixelsError):
        fit_scene(ArraySource(source.optical, source.sar, np.ones_like(source.cloud)))


def test_just_enough_clear_pixels_are_enough() -> None:
    source, _ = field_scene((128, 128), cloud=1 - (MIN_CLEAR_PX + 200) / 128**2)
    fit = fit_scene(source)
    assert np.isfinite(fit(source.whole()).mean).all()


def test_a_scene_of_several_windows_is_fitted_and_told_of() -> None:
    source, truth = field_scene((700, 640), bands=2, seed=5, cloud=0.15)
    stages: list[str] = []
    fit = fit_scene(source, on_progress=stages.append)
    assert rmse(source, truth, fit(source.whole()).mean) < 0.6 * mean_fill_rmse(source, truth)
    assert stages == ["measuring the scene", "hiding clear pixels", "learning"]
