"""`geocr evaluate`: checkpoints, ensembles and baselines on the same samples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli._datasets import SetOptions, Workers, dataset_argument, open_dataset
from geocr.cli._options import DryRun
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_facts, print_json

if TYPE_CHECKING:
    from geocr.evaluation.mixing import EnsembleVariance
    from geocr.evaluation.run import EvaluationResult
    from geocr.evaluation.settings import EvaluateSettings


def command(
    context: typer.Context,
    data: Annotated[str, typer.Option(metavar="NAME=PATH", help="Data set and its folder, for example sen12mscr=SEN12MSCR.")],
    checkpoints: Annotated[list[Path] | None, typer.Argument(metavar="CKPT...", help="Trained models (.safetensors).")] = None,
    split: Annotated[str, typer.Option(help="train, val or test; all for every sample.")] = "test",
    settings: SetOptions = None,
    cloud_mask: Annotated[
        str, typer.Option(help="Detector for sets without masks: auto, s2cloudless, rule, or none to look for no clouds.")
    ] = "auto",
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="input, mean_fill, interpolation, scenefit, least_cloudy, mosaic, or all; may be repeated."),
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(help="Evaluate the checkpoints as one too; its variance: aleatoric, epistemic or both, or several by comma."),
    ] = None,
    tta: Annotated[str, typer.Option(help="Evaluate checkpoints with test-time views too: flips, or all (and quarter turns).")] = "none",
    preset: Annotated[str, typer.Option(help="Metrics: geocr, or those of a paper (docs/metrics.md).")] = "geocr",
    land_cover: Annotated[str | None, typer.Option(help="A map of classes, in any CRS: scores by class too.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="Test every other method against this one. (default: every pair of checkpoints)")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")] = Path("evaluation"),
    export: Annotated[bool, typer.Option("--export", help="Write every prediction as a COG on its sample's grid.")] = False,
    no_gallery: Annotated[bool, typer.Option("--no-gallery", help="Draw no best, median and worst samples.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many samples, spread evenly.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples that a model takes together.")] = 1,
    device: Annotated[str, typer.Option(help="auto (a GPU when there is one), cpu, cuda or cuda:N.")] = "auto",
    workers: Workers = 0,
    resamples: Annotated[int, typer.Option(min=100, help="Of the intervals and of the tests.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of resampling and of fits.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing evaluation.")] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure checkpoints, ensembles and baselines on the same samples: by region, band, cloud coverage and land cover.

    Writes summary.json, samples.parquet (a row for each sample and method), table.md, plots and galleries into the folder.

    [bold]Examples[/bold]

      geocr evaluate a.safetensors b.safetensors --data sen12mscr=SEN12MSCR --ensemble both --baseline all

      geocr evaluate --data triplets=PICTURES --baseline input --preset attention_gan
    """
    from geocr.evaluation.outputs import EvaluationFolder
    from geocr.evaluation.run import plan_evaluation
    from geocr.evaluation.study import evaluate_into

    chosen = _settings(context.params)
    folder = EvaluationFolder(out)
    name, root = dataset_argument(data)
    with Display(
        quiet=quiet or as_json, stopped="what was measured is kept, apart from the last seconds, and the same command goes on"
    ) as display:
        if not dry_run:
            folder.require_free(overwrite=overwrite)
        found = open_dataset(name, root, split=None if split == "all" else split, pairs=settings, note=display.note)
        found.find_clouds(cloud_mask)
        plan = plan_evaluation(found, checkpoints or [], chosen)
        if dry_run:
            report = plan.describe()
        else:
            result, report = evaluate_into(plan, folder, display)
    if as_json:
        print_json(report)
    elif dry_run:
        _print_plan(report)
    elif not quiet:
        _print_result(result, report)


def _settings(params: dict[str, Any]) -> "EvaluateSettings":
    from geocr.evaluation.baselines import BASELINES
    from geocr.evaluation.settings import EvaluateSettings

    names = ("preset", "tta", "reference", "land_cover", "export", "limit", "batch", "device", "workers", "resamples", "seed")
    baselines = params["baseline"] or []
    return EvaluateSettings(
        **{name: params[name] for name in names},
        baselines=tuple(BASELINES) if "all" in baselines else tuple(dict.fromkeys(baselines)),
        ensemble=_variances(params["ensemble"]),
        gallery=not params["no_gallery"],
    )


def _variances(text: str | None) -> "tuple[EnsembleVariance, ...]":
    from geocr.core.errors import InputError
    from geocr.evaluation.mixing import ENSEMBLE_VARIANCES

    asked = [] if text is None else [kind.strip() for kind in text.split(",")]
    if not set(asked) <= set(ENSEMBLE_VARIANCES):
        raise InputError(f"--ensemble takes {', '.join(ENSEMBLE_VARIANCES)}, one or several by comma; got {text!r}")
    return tuple(kind for kind in ENSEMBLE_VARIANCES if kind in asked)


def _print_plan(plan: dict[str, Any]) -> None:
    dates, rows, columns = plan["sample_shape"]
    print_facts(
        "plan (nothing was predicted)",
        [
            ("samples", f"{plan['samples']} of {plan['samples_in_split']} of {plan['dataset']}, split {plan['split'] or 'none'}"),
            ("each", f"{columns} x {rows} pixels, {dates} date(s), {plan['optical_unit']}"),
            ("methods", ", ".join(plan["methods"])),
            ("metrics", f"{plan['preset']}, regions {', '.join(plan['regions'])}"),
            ("bands", ", ".join(plan["bands"])),
            ("tests", "; ".join(" - ".join(pair) for pair in plan["tests"]) or "none"),
        ],
    )


def _print_result(result: "EvaluationResult", report: dict[str, Any]) -> None:
    from geocr.cli._render import print_table
    from geocr.evaluation.report import region_tables

    unit = report["resampled"]
    for region, (heads, rows) in region_tables(result).items():
        print_table(f"{region} pixels", heads, rows)
    typer.echo(f"{report['samples']} samples, preset {report['preset']}; 95 % intervals over {unit['count']} {unit['unit']}s in table.md")
    for name, one in report["results"].items():
        for kind, count in one["fallbacks"].items():
            typer.echo(f"{name}: {count} samples were answered by {kind}, for want of clear pixels")
    typer.echo(f"results: {report['files'][-1]} and {len(report['files']) - 1} files beside it")
