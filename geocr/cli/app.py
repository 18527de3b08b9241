"""The `geocr` command: its subcommands, and how errors reach a person."""

import sys
import warnings
from importlib import import_module
from typing import Annotated

import typer

from geocr._version import __version__
from geocr.cli import _render

app = typer.Typer(
    name="geocr",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Cloud-free Sentinel-2 scenes from cloudy ones and Sentinel-1.",
    epilog="Start with [bold]geocr demo[/bold], then [bold]geocr predict-scene scene_s1.tif scene_s2.tif[/bold]. Each command has --help with examples.",
)

for _module, _name in (
    ("predict_scene", "predict-scene"),
    ("predict_batch", "predict-batch"),
    ("search", "search"),
    ("fetch", "fetch"),
    ("composite", "composite"),
    ("demo", "demo"),
    ("report", "report"),
    ("view", "view"),
    ("evaluate", "evaluate"),
    ("export", "export"),
    ("models", "models"),
    ("info", "info"),
    ("import_checkpoint", "import-checkpoint"),
    ("doctor", "doctor"),
    ("synthesize_clouds", "synthesize-clouds"),
    ("train", "train"),
):
    _command = import_module(f"geocr.cli.{_module}").command
    app.command(_name, help=_render.help_text(_command.__doc__))(_command)
app.add_typer(import_module("geocr.cli.data").app)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"geocr {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Take options that stand before the command."""


def main() -> None:
    """Run the command line; errors become one message on standard error and exit code 2."""
    from geocr.core.errors import GeocrError
    from geocr.core.memory import share_one_heap

    share_one_heap()  # before anything starts threads
    # a missing georeference is our own error, with its cure; without this the library would say it first and worse
    warnings.filterwarnings("ignore", message="Dataset has no geotransform")
    try:
        app(prog_name="geocr")
    except GeocrError as error:
        if _render.verbose():
            raise
        _render.print_error(str(error))
        sys.exit(2)
