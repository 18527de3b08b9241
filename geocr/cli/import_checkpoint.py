"""`geocr import-checkpoint`: published weights as checkpoints of geocr."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_facts, print_json

if TYPE_CHECKING:
    from geocr.importing.method import ImportMethod


def command(
    method: Annotated[str | None, typer.Argument(metavar="METHOD", help="Whose weights; without it, the methods are listed.")] = None,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The published file.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Checkpoint to write.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings of the training as JSON, for methods that need them.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the weights, stored with them.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing checkpoint.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Convert published weights into a checkpoint for predict-scene; alone, list the methods and the files they expect.

    Every tensor of the file must have its place in the model and every place its tensor, or the file is refused. Nothing is
    unpickled but tensors. The checkpoint is loaded back and run once before it takes its name.

    [bold]Examples[/bold]

      geocr import-checkpoint

      geocr import-checkpoint uncrtaints model.pth.tar --config conf.json -o uncrtaints.safetensors

      geocr import-checkpoint dsen2cr model.hdf5 -o dsen2cr.safetensors --licence GPL-3.0
    """
    from geocr.core.errors import InputError
    from geocr.importing import METHODS

    if method is None:
        _list_methods({name: METHODS.load(name) for name in METHODS}, as_json=as_json)
        return
    if file is None or out is None:
        METHODS[method]  # an unknown method is the greater mistake
        raise InputError(f"an import needs the published file and where to write: geocr import-checkpoint {method} FILE -o OUT.safetensors")
    from geocr.importing.convert import import_checkpoint

    report = import_checkpoint(method, file, out, config=config, licence=licence, overwrite=overwrite)
    original = METHODS.load(method).licence
    notes = [*report.notes, *_unlicensed(licence, original)]
    if as_json:
        print_json({**asdict(report), "notes": notes})
        return
    with Display(quiet=quiet) as display:
        for note in notes:
            display.note(note)
    if not quiet:
        print_facts(
            str(out),
            [
                ("model", report.model),
                ("arguments", ", ".join(f"{name}={value}" for name, value in report.kwargs.items()) or "the defaults"),
                ("parameters", f"{report.parameters:,}"),
                ("tensors", f"{report.tensors} in the file, {len(report.dropped)} of them dropped, {len(report.filled)} filled"),
                *_reasons("dropped", report.dropped),
                *_reasons("filled", report.filled),
                ("next", f"geocr info {out}"),
            ],
        )


def _unlicensed(licence: str | None, original: str) -> list[str]:
    if licence is not None:
        return []
    return [f"No licence of the weights was given (--licence). That of the original code: {original}. Ask whoever published the weights."]


def _reasons(kind: str, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Reasons, each once, with how many tensors it holds for."""
    counts: dict[str, list[str]] = {}
    for name, reason in names.items():
        counts.setdefault(reason, []).append(name)
    return [(kind, f"{len(held)}, such as {held[0]}: {reason}") for reason, held in counts.items()]


def _list_methods(methods: "Mapping[str, ImportMethod]", *, as_json: bool) -> None:
    listed: dict[str, dict[str, Any]] = {
        name: {
            "title": method.title,
            "files": method.files,
            "config": method.config,
            "origin": method.origin,
            "licence": method.licence,
            "units": method.units,
        }
        for name, method in methods.items()
    }
    if as_json:
        print_json(listed)
        return
    for name, facts in listed.items():
        print_facts(
            name,
            [
                ("what", facts["title"]),
                ("FILE", facts["files"]),
                ("--config", facts["config"] or "none"),
                ("origin", facts["origin"]),
                ("licence", f"{facts['licence']} (of the original code)"),
                ("expects", facts["units"]),
            ],
        )
        typer.echo()
