"""`geocr report`: a finished run as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from geocr.cli import _options as options
from geocr.cli._render import AsJson, Quiet, Verbose, print_facts, print_json, size_of


def command(
    scene: Annotated[str, typer.Argument(metavar="OUT", help="Cloud-free scene that predict-scene wrote; its other files lie beside it.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="HTML file to write. (default: <OUT stem>_report.html beside OUT)")
    ] = None,
    s2: options.InputOfResult = None,
    overwrite: options.Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write a report of a finished run: one HTML file that needs no network.

    Before and after to be compared by a divider, provenance and uncertainty over them, parts of the scene pixel by pixel, histograms and
    spectra, the expected error, all parameters, and the command that repeats the run.

    [bold]Examples[/bold]

      geocr report clear.tif

      geocr report clear.tif -o /tmp/report.html --s2 /data/scene_s2.tif
    """
    from geocr.report.html import require_report_place, write_report
    from geocr.report.result import beside, find_result

    name = beside(scene, "_report.html")
    destination = out if out is not None else Path(name.rsplit("/", 1)[-1] if "://" in name else name)
    require_report_place(destination, overwrite=overwrite)
    files = find_result(scene, s2)
    write_report(files, destination)
    facts = {"report": str(destination), "bytes": destination.stat().st_size, "missing": list(files.missing)}
    if as_json:
        print_json(facts)
    elif not quiet:
        print_facts("report", [("file", str(destination)), ("size", size_of(destination.stat().st_size))])
        for reason in files.missing:
            typer.echo(f"note: {reason}", err=True)
