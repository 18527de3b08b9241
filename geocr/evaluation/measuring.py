"""The measures of one method: summed over samples, by class of coverage and land cover, and kept sample by sample for the statistics."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocr.core.types import NumberArray
from geocr.data.sample import FusionSample
from geocr.evaluation.prediction import Prediction, measured_scale
from geocr.evaluation.strata import coverage_name
from geocr.metrics.base import ImageMetric, MetricInput, Region
from geocr.metrics.calibration import Calibration, CalibrationCurve
from geocr.metrics.presets import Measure, MetricPreset
from geocr.metrics.suite import MetricSuite, build_suite

_LAND_COVER_METRICS = ("mae", "rmse", "psnr", "sam")
"""Measures of single pixels: a window around one would see other classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """What is measured, alike for every method of a run."""

    preset: MetricPreset
    """The preset, with calibration."""
    bands: tuple[str, ...]
    """Bands that every method predicts, in the order of the samples."""
    regions: tuple[Region, ...]
    """`all`, and where there is a mask `cloudy` and `clear`."""

    @classmethod
    def of(cls, preset: MetricPreset, bands: tuple[str, ...], *, has_mask: bool) -> "Ruler":
        """The preset with calibration over pixels where it names none (and its units allow one)."""
        calibrated = any(measure.metric == "calibration" for measure in preset.measures)
        if not calibrated and preset.preparation.encoding.variance_factor is not None:
            preset = replace(preset, measures=(*preset.measures, Measure(key="calibration", metric="calibration")))
        return cls(preset=preset, bands=bands, regions=("all", "cloudy", "clear") if has_mask else ("all",))

    def suite(self) -> MetricSuite:
        """Fresh measures, by region and band.

        Raises:
            BandError: When the preset measures bands that are not there.
        """
        return build_suite(self.preset, self.bands, regions=self.regions, per_band=True)

    def pixel_suite(self) -> MetricSuite:
        """Fresh measures of single pixels, for parts of images."""
        measures = tuple(measure for measure in self.preset.measures if measure.metric in _LAND_COVER_METRICS)
        return build_suite(replace(self.preset, measures=measures), self.bands, regions=self.regions)

    def given(self, sample: FusionSample, prediction: Prediction, predicted: tuple[str, ...], cloudy: Tensor | None) -> MetricInput:
        """One sample with its prediction, as a batch of one, with white at 1.

        Args:
            sample: With its target.
            prediction: Bands as in `predicted`.
            predicted: Their names.
            cloudy: `(C, H, W)`, bands as in the sample: what stands for the cloudy input where a measure compares with it.
        """
        meta = sample["meta"]
        scale = measured_scale(meta)
        own = [meta["optical_bands"].index(band) for band in self.bands]
        theirs = [predicted.index(band) for band in self.bands]
        mask = sample.get("cloud_mask")
        return MetricInput(
            prediction=prediction.mean[None, theirs] / scale,
            target=sample["clear"][None, own] / scale,
            cloudy=None if cloudy is None else cloudy[None, own] / scale,
            variance=None if prediction.variance is None else prediction.variance[None, theirs] / scale**2,
            cloud_mask=None if mask is None else mask.any(dim=0)[None],
            valid_mask=sample["valid_mask"][None],
        )


@dataclass(slots=True, kw_only=True, eq=False)
class MeasureSums:
    """One measure sample by sample, as the sums its metric is made of: what resampling works on."""

    metric: ImageMetric
    """Says what is made of sums."""
    band_mean: bool
    """Whether the mean of single bands is wanted."""
    totals: list[NDArray[np.float64]] = field(default_factory=list)
    """One `(C,)` a sample."""
    numbers: list[NDArray[np.float64]] = field(default_factory=list)
    """One `(C,)` a sample: how many values are in the sum; 0 where nothing counted."""

    def stacked(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Totals and numbers, `(samples, C)` each."""
        return np.stack(self.totals), np.stack(self.numbers)

    def value(self, totals: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The measure of sums `(..., C)`: `(...)` float64, NaN where nothing counted. As `ImageMetric.compute`."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = totals / numbers
        if self.metric.pooling == "pooled":
            mean = self.metric.finish(torch.from_numpy(mean)).numpy()
        value: NDArray[np.float64] = mean.mean(axis=-1) if self.band_mean else mean[..., 0]
        return value


class MethodMeasures:
    """Collects what one method scores.

    Args:
        ruler: What is measured.
    """

    def __init__(self, ruler: Ruler) -> None:
        self.ruler = ruler
        self.whole = ruler.suite()
        self.by_coverage: dict[str, MetricSuite] = {}
        self.coverage_counts: dict[str, int] = {}
        self.by_land_cover: dict[int, MetricSuite] = {}
        self.sums: dict[str, MeasureSums] = {
            key: MeasureSums(metric=metric, band_mean=key in self.whole.band_means)
            for key, metric in self.whole.metrics().items()
            if isinstance(metric, ImageMetric) and (metric.band_count is None or key in self.whole.band_means)
        }
        self._one = ruler.suite()

    def add(self, given: MetricInput, share: float | None, land_cover: NumberArray | None) -> dict[str, float]:
        """Add one sample; returns its own values by key.

        Args:
            given: A batch of one.
            share: Of its pixels under cloud.
            land_cover: `(y, x)` classes, -1 unknown.
        """
        one = self._one
        one.reset()
        one.update(given)
        self.whole.merge(one)
        name = coverage_name(share)
        if name is not None:
            self.by_coverage.setdefault(name, self.ruler.suite()).merge(one)
            self.coverage_counts[name] = self.coverage_counts.get(name, 0) + 1
        for value in () if land_cover is None else np.unique(land_cover[land_cover >= 0]).tolist():
            inside = torch.from_numpy(land_cover == value)[None] & given.valid[:, 0]
            if inside.any():
                self.by_land_cover.setdefault(value, self.ruler.pixel_suite()).update(replace(given, valid_mask=inside))
        for key, sums in self.sums.items():
            metric = one.metrics()[key]
            if isinstance(metric, ImageMetric):
                sums.totals.append(metric.total.numpy().copy())
                sums.numbers.append(metric.number.numpy().copy())
        return values_of(one)

    def state(self) -> dict[str, Any]:
        """All that was added, as tensors, numbers and text: what `load_state` takes."""
        return {
            "whole": _states(self.whole),
            "by_coverage": {name: _states(suite) for name, suite in self.by_coverage.items()},
            "coverage_counts": dict(self.coverage_counts),
            "by_land_cover": {value: _states(suite) for value, suite in self.by_land_cover.items()},
            "sums": {key: [torch.from_numpy(part) for part in one.stacked()] for key, one in self.sums.items() if one.totals},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` gave, under the same ruler."""
        _restore(self.whole, state["whole"])
        self.by_coverage = {name: _restore(self.ruler.suite(), one) for name, one in state["by_coverage"].items()}
        self.coverage_counts = dict(state["coverage_counts"])
        self.by_land_cover = {value: _restore(self.ruler.pixel_suite(), one) for value, one in state["by_land_cover"].items()}
        for key, (totals, numbers) in state["sums"].items():
            self.sums[key].totals, self.sums[key].numbers = list(totals.numpy()), list(numbers.numpy())

    def curves(self) -> dict[str, CalibrationCurve]:
        """Calibration by key, of methods that gave a variance."""
        found = {key: metric for key, metric in self.whole.metrics().items() if isinstance(metric, Calibration)}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*was called before the ``update`` method")  # these only merged
            return {key: metric.compute() for key, metric in found.items() if not metric.empty}

    def directions(self) -> Mapping[str, bool]:
        """Measure by key to whether more is better."""
        return {key: bool(sums.metric.higher_is_better) for key, sums in self.sums.items()}


def _states(suite: MetricSuite) -> dict[str, Any]:
    """Metric by key to its state: tensors, and lists of them."""
    return {key: dict(metric.metric_state) for key, metric in suite.metrics().items()}


def _restore(suite: MetricSuite, states: Mapping[str, Mapping[str, Any]]) -> MetricSuite:
    for key, metric in suite.metrics().items():
        for name, value in states[key].items():
            setattr(metric, name, value)
    return suite


def values_of(suite: MetricSuite) -> dict[str, float]:
    """What a suite found, as floats by key."""
    return {key: float(value) for key, value in suite.compute().items()}
