"""Baselines: planes come back, means are means, and what is clear stays as it was."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from geocr.core.errors import InputError, RegistryError
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.sample import FusionSample
from geocr.evaluation.baselines import BASELINES, Baseline, least_cloudy_date
from geocr.evaluation.interpolation import interpolate_holes


def predicted(name: str, sample: FusionSample) -> torch.Tensor:
    return Baseline(name).predict([sample])[0][name].mean


@pytest.mark.parametrize("name", BASELINES)
def test_clear_pixels_stay_and_every_valid_pixel_has_a_value(name: str, sample: FusionSample) -> None:
    found = predicted(name, sample)
    clear = ~sample["cloud_mask"][0] & sample["valid_mask"]
    assert torch.equal(found[:, clear], sample["cloudy"][0][:, clear])
    assert torch.isfinite(found[:, sample["valid_mask"]]).all()


def test_a_plane_comes_back_inside_the_rim() -> None:
    y, x = np.mgrid[:24, :30].astype(np.float32)
    image = np.stack([0.01 * y + 0.02 * x, 0.5 - 0.01 * x])
    hole = np.zeros((24, 30), bool)
    hole[5:12, 8:20] = True
    broken = np.where(hole, np.float32(9), image)
    np.testing.assert_allclose(interpolate_holes(broken, hole, ~hole), image, atol=1e-6)


def test_beyond_the_rim_the_nearest_pixel_counts() -> None:
    image = np.tile(np.arange(6, dtype=np.float32), (4, 1))[None]
    hole = np.zeros((4, 6), bool)
    hole[:, 4:] = True
    found = interpolate_holes(image, hole, ~hole)
    assert (found[0, :, 4:] == 3).all()


def test_the_mean_of_clear_pixels(sample: FusionSample) -> None:
    cloud = sample["cloud_mask"][0]
    expected = sample["cloudy"][0][:, ~cloud].double().mean(dim=1)
    found = predicted("mean_fill", sample)[:, cloud]
    torch.testing.assert_close(found.double(), expected[:, None].expand_as(found), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "fallback"), [("mean_fill", "input"), ("interpolation", "input"), ("scenefit", "input")])
def test_without_a_clear_pixel_the_input_answers_and_it_is_said(name: str, fallback: str, sample: FusionSample) -> None:
    sample["cloud_mask"][:] = True
    answer = Baseline(name).predict([sample])[0][name]
    assert answer.fallback == fallback
    assert torch.equal(answer.mean, sample["cloudy"][0])


def test_too_few_clear_pixels_for_a_fit_are_interpolated(sample: FusionSample) -> None:
    sample["cloud_mask"][:, 4:] = True
    answer = Baseline("scenefit").predict([sample])[0]["scenefit"]
    assert answer.fallback == "interpolation"
    assert answer.variance is None


@pytest.fixture
def clearer() -> Synthetic:
    """Enough clear pixels for a fit."""
    return Synthetic(split="test", length=1, size_px=96, optical_bands=("B02", "B08"), cloud_cover=(0.2, 0.3))


def test_a_fit_has_a_variance_under_clouds_only(clearer: Synthetic) -> None:
    sample = clearer[0]
    variance = Baseline("scenefit").predict([sample])[0]["scenefit"].variance
    assert variance is not None
    cloud = sample["cloud_mask"][0]
    assert (variance[:, cloud] > 0).all()
    assert (variance[:, ~cloud] == 0).all()


def test_several_dates(two_dates: Callable[[], FusionSample]) -> None:
    sample = two_dates()
    assert least_cloudy_date(sample) == 1
    assert torch.equal(predicted("least_cloudy", sample), sample["cloudy"][1])
    assert torch.equal(predicted("input", sample), sample["cloudy"][0])  # day 2100 is later than 2090
    mosaic = predicted("mosaic", sample)
    only_second = sample["cloud_mask"][0] & ~sample["cloud_mask"][1]
    assert torch.equal(mosaic[:, only_second], sample["cloudy"][1][:, only_second])
    both = ~sample["cloud_mask"].any(dim=0)
    torch.testing.assert_close(mosaic[:, both], sample["cloudy"].mean(dim=0)[:, both])


def test_gaps_of_a_date_come_from_the_others(two_dates: Callable[[], FusionSample]) -> None:
    sample = two_dates()
    sample["cloudy"][0, :, 10, 10] = torch.nan
    assert torch.equal(predicted("input", sample)[:, 10, 10], sample["cloudy"][1, :, 10, 10])


@pytest.mark.slow
def test_pictures_scale_as_reflectance_does(clearer: Synthetic) -> None:
    """A set in 0 to 255 gives what the same set in 0 to 1 gives."""
    sample, picture = clearer[0], clearer[0]
    picture["cloudy"] = picture["cloudy"] * 255
    picture["meta"]["optical_unit"] = "display"
    torch.testing.assert_close(predicted("scenefit", picture) / 255, predicted("scenefit", sample), atol=1e-3, rtol=0)


def test_refusals(sample: FusionSample) -> None:
    with pytest.raises(RegistryError, match=r"baselines are input, .*; got 'kriging'"):
        Baseline("kriging")
    del sample["cloud_mask"]
    with pytest.raises(InputError, match="--cloud-mask auto"):
        Baseline("mosaic").require_fit(sample)
    Baseline("input").require_fit(sample)
    del sample["cloudy"]
    with pytest.raises(InputError, match="the cloudy image"):
        Baseline("input").require_fit(sample)
