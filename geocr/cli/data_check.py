"""`geocr data check`: is a data set whole?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geocr.cli._datasets import DatasetName, MaxDays, SetOptions, Workers, dataset_options
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_facts, print_json

if TYPE_CHECKING:
    from geocr.data.check import CheckReport


def command(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="Folder of the data set.")],
    dataset: DatasetName,
    limit: Annotated[int | None, typer.Option(min=1, help="Read only so many samples, spread evenly. (default: all)")] = None,
    workers: Workers = 2,
    max_days: MaxDays = None,
    settings: SetOptions = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Check layout, counts, files, bands, value ranges, and that splits share no region.

    Exit code 0 when nothing is wrong, 1 when the set has errors, 2 when the check could not be made.

    [bold]Examples[/bold]

      geocr data check SEN12MSCR --dataset sen12mscr

      geocr data check SEN12MSCR --dataset sen12mscr --limit 1000 --json > check.json
    """
    from geocr.core.errors import MissingDataError
    from geocr.data.check import check_dataset
    from geocr.data.datasets import DATASETS

    DATASETS[dataset]  # an unknown set is the greater mistake
    if not Path(root).is_dir():
        raise MissingDataError(f"a data set is checked in its folder; there is none at {root}; geocr data list tells how to get {dataset}")
    with Display(quiet=quiet or as_json) as display:
        report = check_dataset(
            dataset,
            root,
            limit=limit,
            workers=workers,
            options=dataset_options(settings, max_days=max_days),
            total=lambda count: display.stage("samples", count),
            advance=display.advance,
        )
    if as_json:
        print_json(report.to_dict())
    elif not quiet or not report.passed:
        _print(report)
    if not report.passed:
        raise typer.Exit(1)


def _print(report: "CheckReport") -> None:
    counts = ", ".join(f"{count} {split}" for split, count in report.counts.items()) or "none"
    print_facts(
        f"{report.dataset} at {report.root}: {'passed' if report.passed else 'errors'}", [("samples", counts), ("read", str(report.read))]
    )
    for finding in report.findings:
        typer.secho(f"{finding.severity}: {finding.kind} ({finding.count})", bold=True)
        for example in finding.examples:
            typer.echo(f"  {example}")
