"""UCE, AUCE and the discard curve: published, in equal bins, streamed and merged."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from geocr.core.errors import InputError
from geocr.metrics.base import MetricInput
from geocr.metrics.calibration import Calibration
from tests.metrics import definitions
from tests.metrics.cases import make_batch, part

GIVEN = make_batch(40, bands=3, size=(9, 8))


def samples(given: MetricInput, kind: str) -> tuple[Any, Any, Any]:
    """Variances, signed errors and squared errors of pixels or images, in numpy."""
    assert given.variance is not None
    error, variance = (given.prediction - given.target).numpy(), given.variance.numpy()
    valid = given.valid[:, 0].numpy()
    maps = [variance.mean(1), error.mean(1), (error**2).mean(1)]
    if kind == "pixel":
        return tuple(one[valid] for one in maps)
    return tuple(np.array([one[i][valid[i]].mean() for i in range(len(one))]) for one in maps)


def curve_of(metric: Calibration, *batches: MetricInput) -> Any:
    for batch in batches:
        metric.update(batch)
    return metric.compute()


@pytest.mark.parametrize("sample", ["image", "pixel"])
@pytest.mark.parametrize("error", ["rms", "signed_mean"])
@pytest.mark.parametrize("binning", ["equal", "uncrtaints"])
def test_uce_and_auce_by_definition(sample: Any, error: Any, binning: Any) -> None:
    found = curve_of(Calibration(sample=sample, error=error, binning=binning, exact=True), GIVEN)
    variances, signed, squares = samples(GIVEN, sample)
    errors = signed if error == "signed_mean" else np.sqrt(squares)
    definition = definitions.calibration_in_equal_bins if binning == "equal" else definitions.calibration_as_published
    uce, auce = definition(variances, errors)
    assert float(found.uce) == pytest.approx(uce, rel=1e-9)
    assert float(found.auce) == pytest.approx(auce, rel=1e-9)
    np.testing.assert_allclose(found.discard_mse.numpy(), definitions.discard(variances, squares), rtol=1e-9)
    assert int(found.samples.sum()) == len(variances)


def test_signed_means_hide_errors_that_cancel() -> None:
    """The published error of an image, its mean signed error, is far below what a variance predicts."""
    given = make_batch(30, bands=3, size=(40, 40))
    honest, published = (curve_of(Calibration(sample="image", error=error), given) for error in ("rms", "signed_mean"))  # type: ignore[arg-type]
    assert float(honest.uce) < 0.002
    assert float(published.uce) > 10 * float(honest.uce)


def test_the_right_variance_is_calibrated_and_a_wrong_one_is_not() -> None:
    given = make_batch(4, bands=3, size=(64, 64))
    assert given.variance is not None
    per_pixel = replace(given, variance=given.variance.mean(dim=1, keepdim=True).expand_as(given.target).contiguous())
    right = curve_of(Calibration(), per_pixel)
    assert float(right.uce) < 0.003
    wrong = curve_of(Calibration(), replace(per_pixel, variance=4 * per_pixel.variance))  # type: ignore[operator]
    expected = np.sqrt(4 * float(per_pixel.variance.mean())) - np.sqrt(float(per_pixel.variance.mean()))  # type: ignore[union-attr]
    assert float(wrong.uce) == pytest.approx(expected, rel=0.1)
    assert (right.root_mean_variance[1:] > right.root_mean_variance[:-1]).all()
    assert float(right.discard_line[0]) > 0
    assert (right.discard_mse[10:] > right.discard_mse[9:-1]).all()


def test_the_histogram_is_close_to_the_exact_answer() -> None:
    given = make_batch(6, bands=3, size=(64, 64))
    exact = curve_of(Calibration(exact=True), given)
    binned = curve_of(Calibration(), given)
    torch.testing.assert_close(binned.edges, exact.edges, rtol=1e-12, atol=0)
    assert int((binned.samples - exact.samples).abs().sum()) < 0.02 * int(exact.samples.sum())
    torch.testing.assert_close(binned.uce, exact.uce, rtol=0.02, atol=1e-5)
    torch.testing.assert_close(binned.discard_mse, exact.discard_mse, rtol=0.01, atol=0)
    torch.testing.assert_close(binned.discard_mse[-1], exact.discard_mse[-1], rtol=1e-12, atol=0)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("cut", [0, 1, 17, 39])
def test_merged_halves_are_the_whole(exact: bool, cut: int) -> None:
    whole = curve_of(Calibration(exact=exact), GIVEN)
    first, second = Calibration(exact=exact), Calibration(exact=exact)
    if cut:
        first.update(part(GIVEN, 0, cut))
    second.update(part(GIVEN, cut, 40))
    if cut:
        second.compute()
    second.merge_state(first)
    for name, one, other in zip(whole._fields, second.compute(), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9, equal_nan=True, msg=name)


def test_one_variance_everywhere_goes_into_one_bin() -> None:
    given = replace(GIVEN, variance=torch.full_like(GIVEN.target, 0.01))
    rmse = np.sqrt(samples(given, "pixel")[2].mean())
    for exact in (True, False):
        found = curve_of(Calibration(exact=exact), given)
        assert float(found.uce) == pytest.approx(abs(rmse - 0.1), rel=1e-9)
        assert float(found.auce) == pytest.approx(abs(rmse - 0.1), rel=1e-9)


def test_zero_and_huge_variances_are_kept() -> None:
    assert GIVEN.variance is not None
    variance = GIVEN.variance.clone()
    variance[0], variance[1] = 0, 1e9
    found = curve_of(Calibration(), replace(GIVEN, variance=variance))
    assert int(found.samples.sum()) == int(GIVEN.valid.sum())
    assert float(found.edges[0]) == 0
    assert float(found.edges[-1]) == pytest.approx(1e9)
    assert float(found.root_mean_variance[-1]) == pytest.approx(np.sqrt(1e9))


def test_invalid_pixels_and_other_regions_do_not_count() -> None:
    spoil = torch.tensor(torch.nan).double()
    spoilt = replace(GIVEN, **{n: torch.where(GIVEN.valid, getattr(GIVEN, n), spoil) for n in ("prediction", "target", "variance")})
    for one, other in zip(curve_of(Calibration(), GIVEN), curve_of(Calibration(), spoilt), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    assert GIVEN.cloud_mask is not None
    cloudy = curve_of(Calibration(region="cloudy"), GIVEN)
    assert int(cloudy.samples.sum()) == int((GIVEN.valid[:, 0] & GIVEN.cloud_mask).sum())


def test_nothing_gives_nan_and_short_sets_a_short_curve() -> None:
    for exact in (True, False):
        metric = Calibration(exact=exact)
        assert metric.empty
        found = curve_of(metric, replace(part(GIVEN, 0, 1), valid_mask=torch.zeros(1, 9, 8, dtype=torch.bool)))
        assert metric.empty
        assert found.uce.isnan()
        assert found.discard_mse.isnan().all()
    three = curve_of(Calibration(sample="image"), part(GIVEN, 0, 3))
    assert three.discard_mse[:6].isnan().all()
    assert three.discard_mse[6:].isfinite().all()


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Calibration(sample="band"), "sample of a calibration is one of pixel, image, got 'band'"),  # type: ignore[arg-type]
        (lambda: Calibration(binning="uncrtaints", exact=False), "a bin of its own, which no histogram can"),
        (lambda: Calibration(bins=1), "2 bins or more, got 1"),
        (lambda: Calibration().update(replace(GIVEN, variance=None)), "needs the predicted variance"),
        (lambda: Calibration().update(replace(GIVEN, variance=-GIVEN.target)), "a variance is 0 or more, got -0"),
    ],
)
def test_senseless_settings_are_refused(make_it: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_it()


def test_golden_values() -> None:
    found = curve_of(Calibration(), GIVEN)
    assert [round(float(one), 9) for one in (found.uce, found.auce, *found.discard_line)] == GOLDEN


GOLDEN = [0.001886852, 0.003141001, 0.001511687, 0.001165986]
