"""How sure a score is, and whether two methods differ: resampling of whole regions, on the sums that measures are made of.

Pixels of a patch and patches of a region resemble each other, so the region is what is drawn: an interval from single patches
would be too narrow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geocr.core.errors import InputError
from geocr.evaluation.measuring import MeasureSums

_EXACT_GROUPS = 12
"""Up to so many groups every exchange is tried: 4,096."""
LEVEL = 0.95
"""Of the intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What is drawn."""

    kind: Literal["region", "sample"]
    """Regions (scenes, ROIs) where samples name two or more and some hold several samples; else samples."""
    of_sample: NDArray[np.int64]
    """`(samples,)`: number of each sample's unit."""
    count: int
    """How many units there are."""

    @classmethod
    def of(cls, rois: Sequence[str]) -> "Units":
        """From each sample's region."""
        names, places = np.unique(np.asarray(rois, dtype=str), return_inverse=True)
        if 2 <= len(names) < len(rois):
            return cls(kind="region", of_sample=places.astype(np.int64), count=len(names))
        return cls(kind="sample", of_sample=np.arange(len(rois)), count=len(rois))

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`(samples, C)` summed by unit: `(units, C)`."""
        found = np.zeros((self.count, values.shape[1]))
        np.add.at(found, self.of_sample, values)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A percentile interval of the bootstrap (Efron & Tibshirani 1993, chapter 13)."""

    low: float
    """Its 2.5 % end; NaN where it cannot be told."""
    high: float
    """Its 97.5 % end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """Method `a` against method `b` on the same samples."""

    key: str
    """The measure."""
    a: str
    """A method."""
    b: str
    """Another."""
    difference: float
    """Value of `a` minus value of `b`."""
    interval: Interval
    """Of the difference: both methods on the same draws."""
    p_value: float
    """Two-sided p-value of the permutation test; 1 where the methods agree."""
    exact: bool
    """Whether every exchange was tried."""


def draws(units: Units, resamples: int, seed: int) -> NDArray[np.float64]:
    """`(resamples, units)`: how often each unit is drawn, with replacement.

    Raises:
        InputError: With fewer than 100 resamples, of which 2.5 % are no number.
    """
    if resamples < 100:
        raise InputError(f"intervals need 100 resamples or more, got {resamples}; 2000 are customary")
    rng = np.random.default_rng(seed)
    return rng.multinomial(units.count, np.full(units.count, 1 / units.count), size=resamples).astype(np.float64)


def bootstrap_values(sums: MeasureSums, units: Units, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(resamples,)`: the measure of each draw; NaN where it is infinite (the PSNR of a perfect image)."""
    totals, numbers = (units.sums(part) for part in sums.stacked())
    with np.errstate(invalid="ignore"):  # 0 x infinity, of an image that was not drawn
        return sums.value(weights @ totals, weights @ numbers)


def interval_of(values: NDArray[np.float64]) -> Interval:
    """The percentile interval of resampled values; draws in which nothing counted are left out."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return Interval(low=float("nan"), high=float("nan"))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high))


def paired_test(
    key: str, names: tuple[str, str], pair: tuple[MeasureSums, MeasureSums], units: Units, weights: NDArray[np.float64], *, seed: int
) -> PairedTest:
    """Compare two methods on the same samples.

    The permutation test: were the methods alike, their results on a unit could be exchanged. In each of many draws the units whose
    results change places are chosen by coin; the p-value is the share of draws in which the values differ at least as much as they do.
    Up to 12 units every exchange is tried; else as many draws are made as there are `weights`, and the observed one counts as one more
    (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585).

    Args:
        key: The measure.
        names: Of the two methods.
        pair: Their sums.
        units: What is exchanged, and drawn for the interval.
        weights: Of `draws`.
        seed: Of the coins.
    """
    first, second = ([units.sums(part) for part in sums.stacked()] for sums in pair)
    exact = units.count <= _EXACT_GROUPS
    flips = _all_exchanges(units.count) if exact else np.random.default_rng(seed).integers(0, 2, weights.shape).astype(np.float64)
    value = pair[0].value

    def gap(one: Sequence[NDArray[np.float64]], other: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        return value(*one) - value(*other)

    with np.errstate(invalid="ignore"):  # infinities, see `bootstrap_values`
        observed = float(gap([part.sum(axis=0) for part in first], [part.sum(axis=0) for part in second]))
        differences = gap([weights @ part for part in first], [weights @ part for part in second])
        moved = [flips @ (theirs - own) for own, theirs in zip(first, second, strict=True)]
        permuted = gap(
            [own.sum(axis=0) + change for own, change in zip(first, moved, strict=True)],
            [own.sum(axis=0) - change for own, change in zip(second, moved, strict=True)],
        )
    return PairedTest(
        key=key,
        a=names[0],
        b=names[1],
        difference=observed,
        interval=interval_of(differences),
        p_value=_p_value(observed, permuted, exact=exact),
        exact=exact,
    )


def _all_exchanges(count: int) -> NDArray[np.float64]:
    """`(2^count, count)`: every choice of units."""
    bits: NDArray[np.float64] = (np.arange(2**count)[:, None] >> np.arange(count) & 1).astype(np.float64)
    return bits


def _p_value(observed: float, permuted: NDArray[np.float64], *, exact: bool) -> float:
    if not np.isfinite(observed):
        return float("nan")
    tolerance = 1e-12 * max(1.0, abs(observed))  # sums in another order
    extreme = int((np.abs(permuted) >= abs(observed) - tolerance).sum())
    return extreme / len(permuted) if exact else (extreme + 1) / (len(permuted) + 1)
