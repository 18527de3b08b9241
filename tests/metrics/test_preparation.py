"""Crop, bands and units before measuring."""

from dataclasses import replace

import pytest
import torch

from geocr.core.errors import InputError
from geocr.metrics.base import MetricInput
from geocr.metrics.preparation import EightBit, Preparation, Reflectance, StretchedEightBit
from tests.metrics.cases import BANDS, make_batch

ALL = torch.ones(1, 1, 2, 3, dtype=torch.bool)


@pytest.mark.parametrize(("side", "start"), [(7, 0), (8, 0), (9, 1), (10, 1)])
def test_the_crop_is_central(side: int, start: int) -> None:
    image = torch.arange(side * side, dtype=torch.float64).view(1, 1, side, side)
    mask = torch.ones(1, side, side, dtype=torch.bool)
    given = MetricInput(prediction=image, target=image, cloudy=image, variance=image, cloud_mask=mask, valid_mask=mask)
    found = Preparation(crop_px=7).apply(given, ("B02",))
    expected = image[..., start : start + 7, start : start + 7]
    for one in (found.prediction, found.target, found.cloudy, found.variance):
        torch.testing.assert_close(one, expected)
    assert found.cloud_mask is not None
    assert found.cloud_mask.shape == (1, 7, 7)


def test_images_smaller_than_the_crop_are_told() -> None:
    with pytest.raises(InputError, match=r"central 128 px, got images of \(131, 127\)"):
        Preparation(crop_px=128).apply(make_batch(1, size=(131, 127)), BANDS)
    with pytest.raises(InputError, match=r"Expected 2 bands \(B02, B03\), got 13"):
        Preparation().apply(make_batch(1, size=(20, 20)), ("B02", "B03"))


def test_bands_are_chosen_by_name_in_the_order_asked() -> None:
    given = make_batch(1, size=(12, 12), masks=False)
    found = Preparation(bands=("B04", "B8A")).apply(given, BANDS)
    torch.testing.assert_close(found.prediction, given.prediction[:, [3, 8]])
    assert found.variance is not None
    assert given.variance is not None
    torch.testing.assert_close(found.variance, given.variance[:, [3, 8]])


def test_units_of_reflectance() -> None:
    given = make_batch(1, size=(12, 12), masks=False)
    image = given.target.clone()
    image[0, 0, 0, :2] = torch.tensor([1.5, -0.25])
    given = replace(given, prediction=image, target=image, cloudy=image)
    found = Preparation(encoding=Reflectance(scale=5, clip_measured=True)).apply(given, BANDS)
    assert found.prediction[0, 0, 0, :2].tolist() == [7.5, -1.25]
    for measured in (found.target, found.cloudy):
        assert measured is not None
        assert measured[0, 0, 0, :2].tolist() == [5.0, 0.0]
    assert given.variance is not None
    torch.testing.assert_close(found.variance, 25 * given.variance)


def test_eight_bits_cut_and_give_pictures_back() -> None:
    values = torch.tensor([0.0, 1.0, 0.5, -3.0, 1.2, 0.999]).view(1, 1, 2, 3)
    assert EightBit().encode(values, ALL, measured=False).flatten().tolist() == [0, 255, 127, 0, 255, 254]
    assert EightBit(white=0.5).encode(values, ALL, measured=False).flatten().tolist() == [0, 255, 255, 0, 255, 255]
    picture = torch.arange(256)
    for dtype in (torch.float32, torch.float64):
        again = EightBit().encode((picture.to(dtype) / 255).double().view(1, 1, 16, 16), ALL, measured=True)
        assert again.flatten().tolist() == picture.tolist()
    assert EightBit().variance_factor is None


def test_stretching_goes_from_the_least_to_the_greatest_valid_value() -> None:
    dn = torch.tensor([100.0, 300.0, 500.0, 2000.0, 9000.0, 1100.0]).double().view(1, 1, 2, 3) / 1e4
    found = StretchedEightBit().encode(dn, ALL, measured=False).flatten().tolist()
    assert found == [0, int(255 * (200 / 1900)), int(255 * (400 / 1900)), 255, 255, int(255 * (1000 / 1900))]
    valid = torch.tensor([True, True, True, False, False, False]).view(1, 1, 2, 3)
    assert StretchedEightBit().encode(dn, valid, measured=False).flatten()[:3].tolist() == [0, 127, 255]
    assert StretchedEightBit().encode(torch.full_like(dn, 0.07), ALL, measured=False).flatten().tolist() == [255] * 6


def test_invalid_values_do_not_reach_the_stretch() -> None:
    given = make_batch(2, size=(20, 20))
    spoilt = replace(given, prediction=torch.where(given.valid, given.prediction, torch.tensor(torch.nan).double()))
    preparation = Preparation(bands=("B04", "B03", "B02"), encoding=StretchedEightBit())
    found = [preparation.apply(one, BANDS).prediction for one in (given, spoilt)]
    torch.testing.assert_close(*found, rtol=0, atol=0)
    assert preparation.apply(given, BANDS).variance is None
