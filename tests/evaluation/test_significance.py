"""Intervals and tests on sums: by definition, against scipy, and honest about what was drawn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from geocr.core.errors import InputError
from geocr.evaluation.measuring import MeasureSums
from geocr.evaluation.significance import Units, bootstrap_values, draws, interval_of, paired_test
from geocr.metrics.mae import MeanAbsoluteError
from geocr.metrics.rmse import RootMeanSquaredError


def sums_of(values: NDArray[np.float64]) -> MeasureSums:
    """A measure that is the mean over images."""
    parts = [np.array([value]) for value in values]
    return MeasureSums(metric=MeanAbsoluteError(), band_mean=False, totals=parts, numbers=[np.ones(1)] * len(parts))


def test_units_are_regions_where_they_hold_several_samples() -> None:
    units = Units.of(["a", "a", "b"])
    assert (units.kind, units.count) == ("region", 2)
    assert units.sums(np.array([[1.0], [2.0], [4.0]])).tolist() == [[3.0], [4.0]]
    assert Units.of(["a", "b", "c"]).kind == "sample"
    assert (Units.of(["a", "a", "a"]).kind, Units.of(["a", "a", "a"]).count) == ("sample", 3)


def test_every_draw_has_as_many_units_as_there_are() -> None:
    weights = draws(Units.of(list("aabbc")), 200, 0)
    assert weights.shape == (200, 3)
    assert (weights.sum(axis=1) == 3).all()
    assert np.array_equal(weights, draws(Units.of(list("aabbc")), 200, 0))
    with pytest.raises(InputError, match="100 resamples"):
        draws(Units.of(["a", "b"]), 99, 0)


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(30, 3, 40)
    units = Units.of([str(i) for i in range(40)])
    found = interval_of(bootstrap_values(sums_of(values), units, draws(units, 8000, 1)))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=8000, method="percentile", rng=np.random.default_rng(2)).confidence_interval
    assert (found.low, found.high) == (pytest.approx(theirs.low, abs=0.06), pytest.approx(theirs.high, abs=0.06))


def test_alike_samples_of_a_region_widen_the_interval() -> None:
    """Ten samples a region that are copies of each other tell no more than one."""
    regions = np.random.default_rng(3).normal(0, 1, 8)
    values = np.repeat(regions, 10)
    by_region, by_sample = Units.of(np.repeat(list("abcdefgh"), 10).tolist()), Units.of([str(i) for i in range(80)])
    wide, narrow = (interval_of(bootstrap_values(sums_of(values), units, draws(units, 2000, 0))) for units in (by_region, by_sample))
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_exact_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(0, 1, 9), rng.normal(0.6, 1, 9)
    units = Units.of([str(i) for i in range(9)])
    found = paired_test("mae", ("a", "b"), (sums_of(a), sums_of(b)), units, draws(units, 200, 0), seed=0)
    theirs = stats.permutation_test((a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples", n_resamples=np.inf)
    assert found.exact
    assert found.difference == pytest.approx(float(np.mean(a) - np.mean(b)))
    assert found.p_value == pytest.approx(float(theirs.pvalue))


def test_exchanging_the_methods_changes_the_sign_only() -> None:
    rng = np.random.default_rng(5)
    a, b = sums_of(rng.normal(0, 1, 10)), sums_of(rng.normal(0.3, 1, 10))
    units = Units.of([str(i) for i in range(10)])
    one, other = (paired_test("mae", ("x", "y"), pair, units, draws(units, 200, 0), seed=0) for pair in ((a, b), (b, a)))
    assert one.difference == -other.difference
    assert one.p_value == other.p_value
    assert one.interval.low == pytest.approx(-other.interval.high)


def test_the_same_method_twice_is_no_difference() -> None:
    same = sums_of(np.random.default_rng(6).normal(0, 1, 30))
    units = Units.of([str(i) for i in range(30)])
    found = paired_test("mae", ("a", "a"), (same, same), units, draws(units, 200, 0), seed=0)
    assert (found.difference, found.p_value, found.exact) == (0.0, 1.0, False)
    assert (found.interval.low, found.interval.high) == (0.0, 0.0)


def test_p_values_are_even_where_there_is_nothing_to_find() -> None:
    """Under the null a share of about 0.1 lies below 0.1: 200 cases of 14 pairs, by draws."""
    rng = np.random.default_rng(7)
    units = Units.of([str(i) for i in range(14)])
    weights = draws(units, 400, 0)
    found = [
        paired_test("mae", ("a", "b"), (sums_of(rng.normal(0, 1, 14)), sums_of(rng.normal(0, 1, 14))), units, weights, seed=i).p_value
        for i in range(200)
    ]
    assert 0.04 < np.mean(np.array(found) < 0.1) < 0.17


def test_a_pooled_measure_is_pooled_in_every_draw() -> None:
    """RMSE of all pixels: the root of a mean of unequal images, never a mean of roots."""
    squares, numbers = np.array([1.0, 8.0, 27.0]), np.array([10.0, 20.0, 30.0])
    sums = MeasureSums(
        metric=RootMeanSquaredError(pooling="pooled"),
        band_mean=False,
        totals=[np.array([value]) for value in squares],
        numbers=[np.array([value]) for value in numbers],
    )
    units = Units.of(["a", "b", "c"])
    weights = np.array([[1.0, 1, 1], [2, 0, 1], [0, 0, 3]])
    expected = np.sqrt((weights @ squares) / (weights @ numbers))
    np.testing.assert_allclose(bootstrap_values(sums, units, weights), expected)


def test_an_infinite_score_has_no_interval() -> None:
    units = Units.of(["a", "b", "c"])
    found = interval_of(bootstrap_values(sums_of(np.array([30.0, np.inf, 31.0])), units, draws(units, 200, 0)))
    assert np.isnan(found.low)
