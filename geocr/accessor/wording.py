"""What is said in the words of the command line, said in those of Python.

The flow speaks of options (`--cloud-mask auto`), which most people who meet its errors and notes have typed. Who calls it from Python gave
arguments. A sentence crosses from one to the other here, so that it has to be written once.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from geocr.config import OPTION_NAMES, PredictConfig
from geocr.core.errors import GeocrError

_ARGUMENTS = ("overwrite", "scheduler", "workers", "scratch", "threads")
"""Options that are arguments of `predict_scene`, not settings."""
_SWITCHES = frozenset({"overwrite", *(name for name, field in PredictConfig.model_fields.items() if field.annotation is bool)})
"""Options that are given without a value."""
_WHOLE = (
    ("--no-s1", "s1=None"),
    ("--reference S2[,S1]", "references=(PATH, ...)"),
    (" with -o", ""),
    ("for example -o ", "for example "),
)
"""What has no argument of its own name."""
_FIELDS = {option: field for field, option in OPTION_NAMES.items()}
_ADVISED = re.compile(r"\b(?:add|give|with|use|or)( |: )$|: $")
"""What stands before a switch that is to be set, rather than talked about."""
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")
_VALUE = re.compile(r"""[ =]([^\s;:()"']+)""")
_CHOICES = frozenset(
    {"auto", "s2cloudless", "scl", "cldprb", "omnicloudmask", "rule", "db", "power", "amplitude", "display", "full", "temporal", "scenefit",
     "model", "zero", "estimate", "cpu", "cuda", "mask", "keep", "nodata", "processes"}
)  # fmt: skip
"""Words that are values of options wherever they follow one."""
_SPOKEN = re.compile(r"`[^`]*`|geocr (?:predict|data|train|import|synthesize)[^;]*")
"""Commands that are quoted: they are to be typed as they stand."""
_STAGED = re.compile(r"[^\s'\"]*geocr-array-[0-9a-f]{32}/(\w+?)_\d{4,}\.tif")
"""Where arrays lie while a run reads them."""

P = ParamSpec("P")
R = TypeVar("R")


def in_python(text: str) -> str:
    """A sentence with arguments where it has options: `give --scl FILE` becomes `give scl=FILE`; arrays stand for the files they were staged as."""
    text = _STAGED.sub(lambda found: f"the array {found.group(1)}", text)
    pieces, at = [], 0
    for command in _SPOKEN.finditer(text):
        pieces += [_arguments(text[at : command.start()]), command.group()]
        at = command.end()
    return "".join([*pieces, _arguments(text[at:])])


def _arguments(text: str) -> str:
    for spoken, written in _WHOLE:
        text = text.replace(spoken, written)
    pieces, at = [], 0
    for option in _OPTION.finditer(text):
        name = _FIELDS.get(option.group(1), option.group(1).replace("-", "_"))
        if option.start() < at or (name not in PredictConfig.model_fields and name not in _ARGUMENTS):
            continue
        value, end = _value(name, text, option.start(), option.end())
        pieces += [text[at : option.start()], name, value]
        at = end
    return "".join([*pieces, text[at:]])


def _value(name: str, text: str, start: int, end: int) -> tuple[str, int]:
    """What stands behind an option, as Python writes it (`=5`, `="auto"`), and where it ends; nothing for an option that is only named."""
    if name in _SWITCHES:
        return ("=True" if _ADVISED.search(text[:start]) else ""), end
    found = _VALUE.match(text, end)
    if found is None:
        return "", end
    value = found.group(1).rstrip(".,")
    written = _written(value)
    return ("", end) if written is None else (f"={written}", found.start(1) + len(value))


def _written(value: str) -> str | None:
    """A value as Python writes it; None for a word that is no value."""
    if re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?|[A-Z]+", value):
        return value
    if re.fullmatch(r"B\w\w(,B\w\w)+", value):
        return str(tuple(value.split(",")))
    if re.fullmatch(r"-?[\d.]+,-?[\d.]+|MIN,MAX", value):
        return f"({value.replace(',', ', ')})"
    return f'"{value}"' if value in _CHOICES or re.search(r"[=/]|\.[a-z]+$", value) else None


@contextmanager
def python_words() -> Iterator[None]:
    """Errors that leave the block speak of arguments."""
    try:
        yield
    except GeocrError as error:
        error.args = tuple(in_python(part) if isinstance(part, str) else part for part in error.args)
        raise


@contextmanager
def about(argument: str) -> Iterator[None]:
    """Errors that leave the block name the argument that they are about: several may be wrong in the same way."""
    try:
        yield
    except GeocrError as error:
        error.args = (f"{argument}: {error}",)
        raise


def speaks_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with errors that speak of arguments."""

    @wraps(function)
    def spoken(*args: P.args, **kwargs: P.kwargs) -> R:
        with python_words():
            return function(*args, **kwargs)

    return spoken


def with_python_notes(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of a run, with notes that speak of arguments."""
    return {**facts, "notes": [in_python(note) for note in facts["notes"]]}


def public_function(function: Callable[P, R]) -> Callable[P, R]:
    """A function of the flow as `geocr.NAME`: its errors, and the notes of its result, speak of arguments."""

    @wraps(function)
    def public(*args: P.args, **kwargs: P.kwargs) -> R:
        with python_words():
            made = function(*args, **kwargs)
        summary = getattr(made, "summary", None)
        if isinstance(summary, dict):
            summary.update(with_python_notes(summary))
        return made

    public.__module__ = "geocr"  # where a pickle finds it
    return public
