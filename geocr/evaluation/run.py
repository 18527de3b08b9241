"""`run_plan`: several methods on the same samples, measured alike."""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from geocr._version import __version__
from geocr.core.errors import BandError, InputError
from geocr.core.html import facts_table
from geocr.data.datasets.base import FusionDataset
from geocr.data.sample import FusionSample, SampleMeta
from geocr.data.show import spread
from geocr.data.worker import prepare_worker
from geocr.evaluation import partial
from geocr.evaluation.baselines import last_date
from geocr.evaluation.measuring import MeasureSums, MethodMeasures, Ruler
from geocr.evaluation.methods import Methods, build_methods
from geocr.evaluation.partial import Part, PartFile, fingerprint_of
from geocr.evaluation.prediction import Prediction
from geocr.evaluation.settings import EvaluateSettings
from geocr.evaluation.significance import Interval, PairedTest, Units, bootstrap_values, draws, interval_of, paired_test
from geocr.evaluation.strata import LandCoverMap, cloud_share, coverage_name
from geocr.metrics.presets import find_preset

Row = dict[str, Any]
"""Column to value: one method on one sample."""


class Progress(Protocol):
    """Told how far a run is."""

    def note(self, text: str) -> None:
        """A decision."""
        ...

    def stage(self, name: str, total: int) -> None:
        """A stage begins."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Steps of it are done."""
        ...


class Silent:
    """Progress that nobody watches."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def advance(self, steps: int = 1) -> None:
        """Say nothing."""


class Sink(Protocol):
    """Takes predictions as they come."""

    def adopt(self, predictions: Sequence[tuple[str, str]]) -> bool:
        """Take predictions, method and sample each, from before the run was stopped as written; False where one is missing."""
        ...

    def write(self, name: str, sample: FusionSample, prediction: Prediction, bands: tuple[str, ...]) -> None:
        """One prediction of a method."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationPlan:
    """What will be measured: nothing was predicted yet."""

    dataset: FusionDataset
    """The samples."""
    numbers: tuple[int, ...]
    """Which of them."""
    methods: Methods
    """Who predicts."""
    ruler: Ruler
    """What is measured."""
    settings: EvaluateSettings
    """The rest."""
    pairs: tuple[tuple[str, str], ...]
    """Who is tested against whom."""
    shape: tuple[int, ...]
    """`(T, H, W)` of the first sample."""
    meta: SampleMeta
    """Of the first sample."""

    @property
    def optical_unit(self) -> str:
        """`reflectance`, or `display`: pictures, measured with white at 1."""
        return self.meta["optical_unit"]

    def describe(self) -> dict[str, Any]:
        """JSON-able facts, for `--dry-run` and the summary."""
        return {
            "geocr_version": __version__,
            "dataset": self.dataset.card.name,
            "root": str(self.dataset.root),
            "split": self.dataset.split,
            "samples": len(self.numbers),
            "samples_in_split": len(self.dataset),
            "sample_shape": list(self.shape),
            "optical_unit": self.optical_unit,
            "bands": list(self.ruler.bands),
            "regions": list(self.ruler.regions),
            "preset": self.ruler.preset.name,
            "measures": list(self.ruler.suite().metrics()),
            "methods": self.methods.describe(),
            "tests": [list(pair) for pair in self.pairs],
            "settings": self.settings.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationResult:
    """What an evaluation found."""

    plan: EvaluationPlan
    """What was measured."""
    rows: list[Row]
    """One per sample and method."""
    measures: dict[str, MethodMeasures]
    """Sums of each method."""
    units: Units
    """What was resampled."""
    intervals: dict[str, dict[str, Interval]]
    """Method to measure to its interval."""
    tests: list[PairedTest]
    """Comparisons."""
    seconds: dict[str, float] = field(default_factory=dict)
    """`predicting` and `measuring`, wall time."""

    def _repr_html_(self) -> str:
        """The tables by region, for notebooks."""
        from geocr.evaluation.report import region_tables  # noqa: PLC0415 - it knows this module

        tables = region_tables(self).items()
        return "".join(
            facts_table(f"{region} pixels, {len(self.plan.numbers)} samples", rows, head=heads[1:]) for region, (heads, rows) in tables
        )


def plan_evaluation(dataset: FusionDataset, checkpoints: Sequence[str | Path], settings: EvaluateSettings) -> EvaluationPlan:
    """Decide everything, on the first sample; reads that one.

    Raises:
        CheckpointError: When a checkpoint cannot be read, or does not fit the samples.
        InputError: When samples lack their target, or what a method needs; when a setting does not fit.
        BandError: When the methods share no band, or the preset measures others.
        RegistryError: When a name does not exist.
    """
    methods = build_methods(checkpoints, settings)
    numbers = range(len(dataset)) if settings.limit is None else spread(len(dataset), settings.limit)
    dataset = copy(dataset)
    dataset.on_error = "stop"  # a skip repeats another sample
    sample = dataset[numbers[0]]
    meta = sample["meta"]
    if "clear" not in sample:
        raise InputError(f"an evaluation compares with the clear image, and sample {meta['id']} of {meta['dataset']} has none")
    for predictor in methods.predictors:
        predictor.require_fit(sample)
    if settings.land_cover is not None:
        LandCoverMap(settings.land_cover).read(meta["grid"])
    if settings.export and meta["grid"] is None:
        raise InputError(
            f"an export lies on its sample's grid, and samples of {meta['dataset']} have no georeference (first: {meta['id']}); leave --export out"
        )
    ruler = Ruler.of(find_preset(settings.preset), _common_bands(methods, meta), has_mask="cloud_mask" in sample)
    ruler.suite()
    return EvaluationPlan(
        dataset=dataset,
        numbers=tuple(numbers),
        methods=methods,
        ruler=ruler,
        settings=settings,
        pairs=tuple(methods.pairs(settings.reference)),
        shape=(sample["sar"].shape[0], *sample["valid_mask"].shape),
        meta=meta,
    )


def _common_bands(methods: Methods, meta: SampleMeta) -> tuple[str, ...]:
    by_method = methods.bands_of(meta)
    bands = tuple(band for band in meta["optical_bands"] if all(band in predicted for predicted in by_method.values()))
    if not bands:
        told = "; ".join(f"{name}: {', '.join(predicted)}" for name, predicted in by_method.items())
        raise BandError(f"methods are compared on the bands that all of them predict, and there is none: {told}")
    return bands


def run_plan(
    plan: EvaluationPlan, *, sink: Sink | None = None, progress: Progress | None = None, part_file: Path | None = None
) -> EvaluationResult:
    """Predict every sample by every method, measure, resample, compare. One pass over the data; holds a batch at a time.

    Args:
        plan: Of `plan_evaluation`.
        sink: Takes every prediction, for example a `CogFolder`.
        progress: Told how far it is.
        part_file: Where finished samples are kept while it runs; one that the same evaluation left behind is gone on from, with the figures
            of an evaluation that was never stopped. It stays when this returns.

    Raises:
        RasterReadError: When a sample cannot be read: an evaluation leaves none out.
        CheckpointError: When a later sample does not fit a model that the first one fitted.
        OutputWriteError: When the finished samples cannot be kept.
    """
    watched = Silent() if progress is None else progress
    _tell(plan, watched)
    watched.stage("samples", len(plan.numbers))
    keeper = None if part_file is None else PartFile(part_file, fingerprint_of(plan))
    began = perf_counter()
    measures, part = _begin(plan, keeper, sink)
    if part.done:
        watched.note(f"going on behind {part.done} samples of the same evaluation, which was stopped")
        watched.advance(part.done)
    predicting = _measure_all(plan, measures, part, sink=sink, progress=watched, keeper=keeper)
    units = Units.of(part.rois)
    intervals, tests = _resample(plan, measures, units, watched)
    seconds = {"predicting": predicting, "all": perf_counter() - began}
    return EvaluationResult(plan=plan, rows=part.rows, measures=measures, units=units, intervals=intervals, tests=tests, seconds=seconds)


def _begin(plan: EvaluationPlan, keeper: PartFile | None, sink: Sink | None) -> tuple[dict[str, MethodMeasures], Part]:
    """Sums and rows to add to: those of the same evaluation where it was stopped and all its predictions are there, else none."""
    measures = {name: MethodMeasures(plan.ruler) for name in plan.methods.names}
    part = None if keeper is None else keeper.load(measures)
    if part is not None and (sink is None or sink.adopt([(row["method"], row["id"]) for row in part.rows])):
        return measures, part
    return {name: MethodMeasures(plan.ruler) for name in plan.methods.names}, Part([], [])


def _measure_all(
    plan: EvaluationPlan,
    measures: dict[str, MethodMeasures],
    part: Part,
    *,
    sink: Sink | None,
    progress: Progress,
    keeper: PartFile | None,
) -> float:
    """Add the samples that are not done yet to sums and rows; returns the seconds spent on predicting."""
    land_cover = None if plan.settings.land_cover is None else LandCoverMap(plan.settings.land_cover)
    predicting, saved = 0.0, perf_counter()
    for batch in batches(plan, part.done):
        for sample in batch:
            _require_alike(plan, sample)
        start = perf_counter()
        answers = plan.methods.predict(batch)
        predicting += perf_counter() - start
        for sample, answer in zip(batch, answers, strict=True):
            part.rows += _measure(plan, measures, sample, answer, land_cover=land_cover, sink=sink)
            part.rois.append(sample["meta"]["roi"])
            progress.advance()
        if keeper is not None and perf_counter() - saved >= partial.SAVE_SECONDS:
            keeper.save(part, measures)
            saved = perf_counter()
    return predicting


def _tell(plan: EvaluationPlan, progress: Progress) -> None:
    for name, predicted in plan.methods.bands_of(plan.meta).items():
        more = [band for band in predicted if band not in plan.ruler.bands]
        if more:
            progress.note(
                f"{name} also predicts {', '.join(more)}: not measured, because not every method does, or the samples have no such band"
            )
    if plan.ruler.regions == ("all",):
        progress.note("samples have no cloud mask: no regions, and no classes of cloud coverage")


def read_samples(plan: EvaluationPlan, numbers: Sequence[int]) -> Iterator[FusionSample]:
    """Samples by number, in order; read ahead by the plan's workers."""
    subset: Any = torch.utils.data.Subset(plan.dataset, list(numbers))
    workers = min(plan.settings.workers, len(numbers))
    loader: Iterable[FusionSample] = DataLoader(
        subset, batch_size=None, num_workers=workers, collate_fn=_as_is, worker_init_fn=prepare_worker if workers else None
    )
    yield from loader


def _as_is(sample: Any) -> Any:  # noqa: ANN401 - a sample, which torch would convert
    return sample


def batches(plan: EvaluationPlan, done: int = 0) -> Iterator[list[FusionSample]]:
    """Samples in order, neighbours of one shape together, at most `batch` of them; behind those that are done."""
    held: list[FusionSample] = []
    for sample in read_samples(plan, plan.numbers[done:]):
        if held and held[0]["sar"].shape != sample["sar"].shape:
            yield held
            held = []
        held.append(sample)
        if len(held) == plan.settings.batch:
            yield held
            held = []
    if held:
        yield held


def _require_alike(plan: EvaluationPlan, sample: FusionSample) -> None:
    """Refuse a sample that lacks what the first one had."""
    meta = sample["meta"]
    if "clear" not in sample or ("cloud_mask" not in sample and "cloudy" in plan.ruler.regions):
        raise InputError(
            f"all samples of an evaluation have a target, and a mask where the first has one; sample {meta['id']} of {meta['dataset']} has not"
        )
    absent = [band for band in plan.ruler.bands if band not in meta["optical_bands"]]
    if absent:
        raise BandError(f"all samples of an evaluation have the bands of the first; sample {meta['id']} lacks {', '.join(absent)}")
    for predictor in plan.methods.predictors:
        predictor.require_fit(sample)


def _measure(
    plan: EvaluationPlan,
    measures: dict[str, MethodMeasures],
    sample: FusionSample,
    answer: dict[str, Prediction],
    *,
    land_cover: LandCoverMap | None,
    sink: Sink | None,
) -> list[Row]:
    meta = sample["meta"]
    share = cloud_share(sample)
    classes = None if land_cover is None else land_cover.read(meta["grid"])
    cloudy: Tensor | None = torch.from_numpy(last_date(sample)) if "cloudy" in sample else None
    predicted = plan.methods.bands_of(meta)
    common: Row = {
        "id": meta["id"],
        "roi": meta["roi"],
        "split": meta["split"],
        "date": meta["times"]["clear"],
        "cloud_share": share,
        "coverage": coverage_name(share),
        "valid_px": int(sample["valid_mask"].sum()),
    }
    rows = []
    for name, prediction in answer.items():
        given = plan.ruler.given(sample, prediction, predicted[name], cloudy)
        rows.append({**common, "method": name, "fallback": prediction.fallback, **measures[name].add(given, share, classes)})
        if sink is not None:
            sink.write(name, sample, prediction, predicted[name])
    return rows


def _resample(
    plan: EvaluationPlan, measures: dict[str, MethodMeasures], units: Units, progress: Progress
) -> tuple[dict[str, dict[str, Interval]], list[PairedTest]]:
    settings = plan.settings
    weights = draws(units, settings.resamples, settings.seed)
    sums: dict[str, dict[str, MeasureSums]] = {name: one.sums for name, one in measures.items()}
    progress.stage("intervals and tests", len(sums) + len(plan.pairs))
    intervals = {}
    for name, by_key in sums.items():
        intervals[name] = {key: interval_of(bootstrap_values(one, units, weights)) for key, one in by_key.items()}
        progress.advance()
    tests = []
    for a, b in plan.pairs:
        tests += [paired_test(key, (a, b), (sums[a][key], sums[b][key]), units, weights, seed=settings.seed + 1) for key in sums[a]]
        progress.advance()
    return intervals, tests
