"""Several measures over the same batches: a preset, put to work."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torchmetrics
from torch import Tensor, nn

from geocr.core.errors import BandError, InputError
from geocr.metrics import METRICS
from geocr.metrics.base import ImageMetric, MetricInput, Region
from geocr.metrics.calibration import Calibration
from geocr.metrics.preparation import Preparation
from geocr.metrics.presets import Measure, MetricPreset
from geocr.metrics.sam import SpectralAngle

_PER_BAND = "_band"
"""Ends the key of a metric that reports single bands."""


class MetricSuite(nn.Module):
    """Measures that share one preparation. Streams, merges, and as a child of a Lightning module synchronises between processes.

    Args:
        measures: Key to metric, in the order they are reported.
        preparation: What happens to the images first.
        bands: Canonical names of the bands of the images.
        band_means: Keys whose metric reports single bands of which the mean is wanted.
    """

    def __init__(
        self,
        measures: Mapping[str, torchmetrics.Metric],
        *,
        preparation: Preparation,
        bands: tuple[str, ...],
        band_means: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.measures = nn.ModuleDict(dict(measures))
        self.preparation = preparation
        self.bands = bands
        self.band_means = band_means

    def metrics(self) -> dict[str, torchmetrics.Metric]:
        """The metrics by key."""
        return {key: metric for key, metric in self.measures.items() if isinstance(metric, torchmetrics.Metric)}

    def update(self, given: MetricInput) -> None:
        """Add a batch, in reflectance (or pictures of 0 to 1). Calibrations pass over batches without a variance.

        Raises:
            InputError: When the batch lacks bands, size, mask or cloudy image that a measure needs.
        """
        prepared = replace(self.preparation.apply(given, self.bands), shared={})
        for metric in self.metrics().values():
            if not isinstance(metric, Calibration) or prepared.variance is not None:
                metric.update(prepared)

    def compute(self) -> dict[str, Tensor]:
        """Float64 scalars by key, synchronised between processes; NaN where nothing counted.

        Single bands are `<key>_<band>`. A calibration gives `<key>_uce`, `<key>_auce` and `<key>_discard_slope`, once there was a
        variance. A SAM measure adds `<key>_zero_vectors`, the pixels it left out; `<key>_skipped` counts the images in which a
        measure found no pixel, where there are any.
        """
        found: dict[str, Tensor] = {}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*was called before the ``update`` method")  # a suite that only merged
            for key, metric in self.metrics().items():
                found |= self._values(key, metric)
        return found

    def merge(self, other: "MetricSuite") -> None:
        """Add what another suite of the same measures has seen.

        Raises:
            InputError: When the measures differ.
        """
        theirs = other.metrics()
        if list(theirs) != list(self.metrics()):
            raise InputError(f"suites to merge must have the same measures, got {', '.join(self.metrics())} and {', '.join(theirs)}")
        for key, metric in self.metrics().items():
            metric.merge_state(theirs[key])

    def reset(self) -> None:
        """Forget all batches."""
        for metric in self.metrics().values():
            metric.reset()

    def _values(self, key: str, metric: torchmetrics.Metric) -> dict[str, Tensor]:
        if isinstance(metric, Calibration):
            if metric.empty:
                return {}
            curve = metric.compute()
            return {f"{key}_uce": curve.uce, f"{key}_auce": curve.auce, f"{key}_discard_slope": curve.discard_line[0]}
        value: Tensor = metric.compute()
        found = self._named(key, value)
        if isinstance(metric, SpectralAngle):
            found[f"{key}_zero_vectors"] = metric.total_of("zero_vectors")
        if isinstance(metric, ImageMetric) and int(skipped := metric.total_of("skipped")):
            found[f"{key}_skipped"] = skipped
        return found

    def _named(self, key: str, value: Tensor) -> dict[str, Tensor]:
        if value.ndim == 0:
            return {key: value}
        if key in self.band_means:
            return {key: value.mean()}
        return {f"{key.removesuffix(_PER_BAND)}_{band}": one for band, one in zip(self.preparation.bands or self.bands, value, strict=True)}


def build_suite(
    preset: MetricPreset, bands: tuple[str, ...], *, regions: tuple[Region, ...] | None = None, per_band: bool = False
) -> MetricSuite:
    """Put a preset to work on images of given bands.

    Args:
        preset: What to measure.
        bands: Canonical names of the bands of the images (`geocr.core.bands`), in order.
        regions: Regions to report: `("all",)` asks for no cloud mask; others report every measure of the whole image there too, as
            `<key>_cloudy` and `<key>_clear`. None: those of the preset.
        per_band: Report single bands too, as `<key>_<band>`, for measures that have bands.

    Raises:
        BandError: When the preset measures bands that the images lack.
    """
    measured = preset.preparation.bands or bands
    lacking = [name for name in measured if name not in bands]
    if lacking or len(set(bands)) != len(bands):
        raise BandError(
            f"the metrics of {preset.name} measure {', '.join(measured)}, got images of {', '.join(bands) or 'no bands'}; choose another preset"
        )
    asked = [measure for measure in preset.measures if regions is None or measure.region in regions]
    for measure in preset.measures:
        added = [replace(measure, region=region, key=f"{measure.key}_{region}") for region in regions or () if region != "all"]
        asked += [one for one in added if measure.region == "all" and one.key not in {known.key for known in asked}]
    whole = {measure.key: _metric(measure, None) for measure in asked if not measure.band_mean}
    whole |= {measure.key: _metric(measure, len(measured)) for measure in asked if measure.band_mean}
    if per_band:
        whole |= {
            measure.key + _PER_BAND: _metric(measure, len(measured))
            for measure in asked
            if measure.metric in ("mae", "rmse", "psnr", "ssim") and not measure.band_mean
        }
    ordered = {measure.key: whole.pop(measure.key) for measure in asked}
    means = frozenset(measure.key for measure in asked if measure.band_mean)
    return MetricSuite(ordered | whole, preparation=preset.preparation, bands=bands, band_means=means)


def _metric(measure: Measure, band_count: int | None) -> torchmetrics.Metric:
    arguments: dict[str, Any] = {"region": measure.region, **dict(measure.options)}
    if measure.metric != "calibration":
        arguments["reference"] = measure.reference
    if band_count is not None:
        arguments["band_count"] = band_count
    metric = METRICS.load(measure.metric)(**arguments)
    if not isinstance(metric, torchmetrics.Metric):
        raise InputError(f"a metric of the table is a torchmetrics.Metric, {measure.metric!r} is {type(metric).__name__}")
    return metric
