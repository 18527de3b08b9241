"""`geocr data index`: one Parquet file about every sample."""

from pathlib import Path
from typing import Annotated

import typer

from geocr.cli._datasets import DatasetName, MaxDays, SetOptions, Workers, open_dataset, require_suffix
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_facts, print_json


def command(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="Folder of the data set.")],
    dataset: DatasetName,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Index to write. (default: ROOT/geocr_index_NAME.parquet)")] = None,
    cloud_mask: Annotated[
        str, typer.Option(help="Detector for sets without masks: auto, s2cloudless, rule, or none to look for no clouds.")
    ] = "auto",
    no_checksum: Annotated[bool, typer.Option("--no-checksum", help="Do without the SHA-256 of each sample's files.")] = False,
    workers: Workers = 2,
    max_days: MaxDays = None,
    settings: SetOptions = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Measure every sample once: paths, region, split, date, shares under cloud and shadow, statistics, checksum, errors.

    A stopped run goes on where it was; a later run measures what changed. Samples that cannot be read get their error as a row.

    [bold]Examples[/bold]

      geocr data index SEN12MSCR --dataset sen12mscr --workers 8

      geocr data index scenes --dataset scenes --set patch_px=128 --cloud-mask rule
    """
    if out is not None:
        require_suffix(out, ".parquet", what="an index")
    from geocr.data.index import build_index, default_index
    from geocr.data.masker import PatchMasker

    with Display(quiet=quiet or as_json) as display:
        found = open_dataset(dataset, root, split=None, pairs=settings, note=display.note, max_days=max_days)
        masker = None if cloud_mask == "none" or found.card.optical_unit == "display" else PatchMasker(method=cloud_mask)
        summary = build_index(
            found,
            out or default_index(root, dataset),
            masker=masker,
            checksum=not no_checksum,
            workers=workers,
            total=lambda count: display.stage("samples", count),
            advance=display.advance,
        )
    report = {"index": str(summary.path), "rows": summary.rows, "measured": summary.measured, "errors": summary.errors}
    if as_json:
        print_json(report)
    elif not quiet:
        print_facts("index", [(name, str(value)) for name, value in report.items()])
