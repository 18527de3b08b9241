"""Options that commands about data sets share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from geocr.data.datasets.base import FusionDataset

DatasetName = Annotated[str, typer.Option("--dataset", "-d", help="Name of the data set; geocr data list shows them.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that read; 0 reads in this one.")]
SetOptions = Annotated[
    list[str] | None, typer.Option("--set", help="Further argument of the data set, NAME=VALUE (JSON or text); may be repeated.")
]
MaxDays = Annotated[
    float | None,
    typer.Option(min=0, help="scenes, allclear: greatest distance in days between a cloudy image and its partners. (default: 5; 2)"),
]


def dataset_options(pairs: list[str] | None, *, max_days: float | None = None) -> dict[str, Any]:
    """`NAME=VALUE` pairs as keyword arguments: values are JSON where they parse as such, else text. `max_days` is added when given.

    Raises:
        InputError: When a pair has no `=`.
    """
    import json

    from geocr.core.errors import InputError

    options: dict[str, Any] = {} if max_days is None else {"max_days": max_days}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InputError(f"--set takes NAME=VALUE, for example --set patch_px=128; got {pair!r}")
        try:
            options[name.strip().replace("-", "_")] = json.loads(value)
        except json.JSONDecodeError:
            options[name.strip().replace("-", "_")] = value
    return options


def open_dataset(
    name: str, root: str, *, split: str | None, pairs: list[str] | None, note: Callable[[str], None], max_days: float | None = None
) -> "FusionDataset":
    """The data set of a command's options; its warnings go to `note`.

    Raises:
        InputError: When it does not take an option.
    """
    import warnings

    from geocr.core.errors import InputError
    from geocr.data.datasets import DATASETS

    options = dataset_options(pairs, max_days=max_days)
    kind = DATASETS.load(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            dataset: FusionDataset = kind(root, split=split, **options)
        except TypeError as error:
            raise InputError(f"--set must name arguments of {name}; {error}") from error
    for warning in caught:
        note(str(warning.message))
    return dataset


def require_suffix(path: Path, suffix: str, *, what: str) -> None:
    """Refuse a name that promises another format than the one that is written.

    Raises:
        InputError: When the path does not end in `suffix`.
    """
    from geocr.core.errors import InputError

    if path.suffix.lower() != suffix:
        raise InputError(f"{what} is written as {suffix}; got {path}; give -o {path.with_suffix(suffix)}")


def dataset_argument(text: str) -> tuple[str, str]:
    """Name and folder of `NAME=PATH`.

    Raises:
        InputError: When it is neither.
    """
    from geocr.core.errors import InputError

    name, equals, root = text.partition("=")
    if not equals or not name or not root:
        raise InputError(f"--data takes NAME=PATH, for example sen12mscr=SEN12MSCR; got {text!r}; geocr data list shows the names")
    return name.strip(), root
