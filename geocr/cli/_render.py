"""How the command line looks: progress with time left, notes, errors, tables. The only place that knows rich."""

import inspect
import json
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_STATE = {"verbose": False}


def _set_verbose(value: bool) -> bool:
    _STATE["verbose"] = _STATE["verbose"] or value
    return value


Verbose = Annotated[bool, typer.Option("--verbose", callback=_set_verbose, help="Show the traceback of an error.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]


def help_text(docstring: str | None) -> str:
    """A docstring as help: paragraphs as one line each, to be wrapped where the terminal ends; what is indented stays as it is."""
    paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(text if text.startswith(" ") else " ".join(text.split("\n")) for text in paragraphs)


def verbose() -> bool:
    """Whether tracebacks were asked for."""
    return _STATE["verbose"]


def print_error(message: str) -> None:
    """One error on standard error, plain so that it can be searched for."""
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(message, err=True)


def print_json(content: dict[str, Any]) -> None:
    """A JSON object on standard output."""
    typer.echo(json.dumps(content, indent=2, sort_keys=True))


def size_of(count: float) -> str:
    """Bytes for people: `1.4 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.2f} GiB"


class Display:
    """Progress on standard error: a bar with the time left on a terminal, a line a stage elsewhere.

    Args:
        quiet: Show nothing.
        stopped: What Ctrl-C leaves behind, in words.
    """

    def __init__(self, *, quiet: bool, stopped: str = "finished rows are kept, and the same command goes on from there") -> None:
        self._quiet = quiet
        self._stopped = stopped
        self._bar: RichProgress | None = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("[bold]{task.description:<22}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is KeyboardInterrupt:  # typer ends the process by itself, with code 130 and without a word
            print_error(f"stopped; {self._stopped}")

    def note(self, text: str) -> None:
        """Say a decision aloud."""
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(f"note: {text}", highlight=False, markup=False)
        else:
            typer.echo(f"note: {text}", err=True)

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""
        if self._quiet:
            return
        if self._bar is not None:
            if self._task is not None:
                self._bar.update(self._task, completed=self._bar.tasks[self._task].total)
            self._task = self._bar.add_task(name, total=total)
        else:
            typer.echo(f"{name} ...", err=True)

    def advance(self, steps: int = 1) -> None:
        """Count steps of the stage."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, steps)


def in_words(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """What is in a report, without the signs of a programming language: `collection sentinel-2-l2a, limit none`."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {in_words(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        plain = all(isinstance(inner, int) for inner in value)
        return (" x " if plain else ", ").join(in_words(inner) for inner in value) or "none"
    return "none" if value is None else str(value)


def print_facts(title: str, facts: list[tuple[str, str]], *, err: bool = False) -> None:
    """A titled two-column list on standard output, or on standard error."""
    width = max(len(name) for name, _ in facts)
    typer.secho(title, bold=True, err=err)
    for name, value in facts:
        typer.echo(f"  {name:<{width}}  {value}", err=err)


def print_table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """A table on standard output, the first column to the left; wrapped to the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, head in enumerate(heads):
        table.add_column(head, justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
