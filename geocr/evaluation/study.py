"""`evaluate`: an evaluation from what a researcher has, checkpoints and a folder of data, to figures and files."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from geocr.core.errors import InputError
from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import FusionDataset
from geocr.evaluation.cogs import CogFolder
from geocr.evaluation.outputs import EvaluationFolder, write_evaluation
from geocr.evaluation.run import EvaluationPlan, EvaluationResult, Progress, Silent, plan_evaluation, run_plan
from geocr.evaluation.settings import EvaluateSettings


def evaluate(
    checkpoints: str | Path | Sequence[str | Path],
    data: str | FusionDataset,
    out: str | Path | None = None,
    *,
    split: str | None = "test",
    options: Mapping[str, Any] | None = None,
    cloud_mask: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,  # noqa: ANN401 - fields of EvaluateSettings, checked there
) -> EvaluationResult:
    """Measure trained models, ensembles and baselines on the same samples, as `geocr evaluate` does.

    Args:
        checkpoints: Trained models, one or several; none at all is `()`, with `baselines`.
        data: `NAME=PATH`, a data set of `geocr data list` and its folder; or a data set object.
        out: Folder for tables, pictures and predictions; None writes nothing. An evaluation that was stopped there goes on.
        split: Of a data set given by name: `train`, `val` or `test`; None for every sample.
        options: Further arguments of a data set given by name.
        cloud_mask: Detector for sets without masks: `auto`, a name, or `none` to look for no clouds.
        overwrite: Replace an evaluation in the folder.
        progress: Told how far it is.
        settings: Fields of `EvaluateSettings`: `baselines=("input", "mean_fill")`, `ensemble=("both",)`, `preset="uncrtaints"`, `limit=100`.

    Returns:
        Figures of each method with intervals and paired tests; `rows` has one for each sample and method.

    Raises:
        OutputExistsError: When the folder holds an evaluation and may not be overwritten.
        InputError: When a setting is unknown, or does not fit the samples.
        GeocrError: What reading checkpoints and samples raises.
    """
    chosen = _settings(settings)
    if out is None and chosen.export:
        raise InputError("predictions are written into a folder, and none was given; name one with out=, or leave export out")
    folder = None if out is None else EvaluationFolder(Path(out))
    if folder is not None:
        folder.require_free(overwrite=overwrite)
    dataset = data if isinstance(data, FusionDataset) else _open(data, split, options or {})
    dataset.find_clouds(cloud_mask)
    several = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    plan = plan_evaluation(dataset, several, chosen)
    return run_plan(plan, progress=progress) if folder is None else evaluate_into(plan, folder, progress)[0]


def evaluate_into(
    plan: EvaluationPlan, folder: EvaluationFolder, progress: Progress | None = None
) -> tuple[EvaluationResult, dict[str, Any]]:
    """Run a plan and leave everything in a folder; one that was stopped there goes on.

    Returns:
        What was found, and the summary with the names of the files.

    Raises:
        OutputWriteError: When a file cannot be written.
        GeocrError: As `run_plan`.
    """
    watched = progress or Silent()
    sink = CogFolder(folder.predictions) if plan.settings.export else None
    result = run_plan(plan, sink=sink, progress=watched, part_file=folder.part)
    watched.stage("tables and pictures", 1)
    report = write_evaluation(result, folder)
    watched.advance()
    return result, report


def _settings(given: Mapping[str, Any]) -> EvaluateSettings:
    known = {field.name for field in fields(EvaluateSettings)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise InputError(f"settings of an evaluation are {', '.join(sorted(known))}; got {', '.join(unknown)}")
    listed = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return replace(EvaluateSettings(), **{**given, **listed})


def _open(text: str, split: str | None, options: Mapping[str, Any]) -> FusionDataset:
    name, equals, root = text.partition("=")
    if not equals or not name or not root:
        raise InputError(
            f"data is NAME=PATH, for example 'sen12mscr=/data/SEN12MSCR', or a data set; got {text!r}; geocr data list shows the names"
        )
    try:
        dataset: FusionDataset = DATASETS.load(name.strip())(root, split=split, **options)
    except TypeError as error:
        raise InputError(f"options must be arguments of {name}; {error}") from error
    return dataset
