"""`geocr data`: the commands about data sets, each in a module of its own."""

from importlib import import_module

import typer

from geocr.cli._render import help_text

app = typer.Typer(
    name="data",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Data sets for training and evaluation.",
)

for _name in ("list", "index", "check", "show"):
    _command = import_module(f"geocr.cli.data_{_name}").command
    app.command(_name, help=help_text(_command.__doc__))(_command)
