"""The two baselines over several dates, by hand."""

import pytest
import torch
from torch import Tensor

from geocr.models.base import FusionModel
from geocr.models.least_cloudy import LeastCloudy
from geocr.models.mosaic import Mosaic

KWARGS = {"optical_bands": ["B04"], "level": "L2A"}
CLOUDY = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [100.0, 200.0, 300.0]]).view(1, 3, 1, 1, 3)
MASK = torch.tensor([[True, True, False], [False, True, False], [True, True, False]]).view(1, 3, 1, 3)


def predict(model: FusionModel, cloudy: Tensor, mask: Tensor, valid: Tensor | None = None) -> list[float]:
    empty = torch.empty(*cloudy.shape[:2], 0, *cloudy.shape[3:])
    values: list[float] = model(empty, cloudy, mask, None, valid).mean.flatten().tolist()
    return values


def test_the_least_cloudy_date_is_given_back_with_its_clouds() -> None:
    assert predict(LeastCloudy(**KWARGS), CLOUDY, MASK) == [10, 20, 30]


def test_of_equal_shares_the_first_date_is_taken() -> None:
    assert predict(LeastCloudy(**KWARGS), CLOUDY, torch.zeros_like(MASK)) == [1, 2, 3]


def test_a_date_that_only_fills_is_never_the_least_cloudy() -> None:
    clear_filler = MASK.clone()
    clear_filler[:, 2] = False
    real = torch.tensor([[True, False, False]])
    assert predict(LeastCloudy(**KWARGS), CLOUDY, clear_filler, real) == [1, 2, 3]


def test_a_mosaic_averages_clear_dates_and_all_dates_where_none_is_clear() -> None:
    assert predict(Mosaic(**KWARGS), CLOUDY, MASK) == [10, pytest.approx(222 / 3), pytest.approx(333 / 3)]


def test_a_mosaic_leaves_dates_that_only_fill_out_of_both() -> None:
    real = torch.tensor([[True, True, False]])
    assert predict(Mosaic(**KWARGS), CLOUDY, MASK, real) == [10, 11, pytest.approx(16.5)]


def test_reflectance_passes_through_unclipped() -> None:
    for kind in (LeastCloudy, Mosaic):
        normalizer = kind(**KWARGS).spec.normalizer
        bright = torch.tensor([[[1.7]]]).numpy()
        assert normalizer.mean_to_reflectance(normalizer.optical_to_network(bright)) == pytest.approx(1.7)


def test_they_have_nothing_to_learn() -> None:
    for kind in (LeastCloudy, Mosaic):
        assert not kind(**KWARGS).state_dict()
