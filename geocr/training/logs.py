"""Where figures and pictures of a run go: a CSV file always, TensorBoard and Weights & Biases on request."""

import csv
import logging
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from geocr.core.errors import InputError

COLUMNS = ("step", "epoch", "split", "name", "value")
"""Of the CSV file: one figure a row."""


class RunLog(Protocol):
    """Takes what a run tells."""

    def figures(self, step: int, epoch: float, split: str, values: Mapping[str, float]) -> None:
        """Figures behind a step, by name."""
        ...

    def picture(self, step: int, image: Image.Image) -> None:
        """The picture of a validation."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class CsvLog:
    """One figure a row; a run that goes on drops the rows behind the step it goes on from.

    Args:
        path: The file.
        step: Last step that is kept.
    """

    def __init__(self, path: Path, step: int) -> None:
        kept = _rows_until(path, step)
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._writer.writerows([COLUMNS, *kept])
        self._file.flush()

    def figures(self, step: int, epoch: float, split: str, values: Mapping[str, float]) -> None:
        """A row each, with all digits."""
        self._writer.writerows([step, f"{epoch:.6g}", split, name, repr(value)] for name, value in values.items())
        self._file.flush()

    def picture(self, step: int, image: Image.Image) -> None:
        """Pictures lie beside it."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoardLog:
    """TensorBoard's event files.

    Args:
        folder: Theirs.
        step: Last step that is kept.
    """

    def __init__(self, folder: Path, step: int) -> None:
        import_module("tensorboard")
        writer: Any = import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(str(folder), purge_step=step + 1 if step else None)

    def figures(self, step: int, epoch: float, split: str, values: Mapping[str, float]) -> None:  # noqa: ARG002 - as RunLog has it
        """Scalars under the split's name."""
        for name, value in values.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)

    def picture(self, step: int, image: Image.Image) -> None:
        """An image."""
        self._writer.add_image("samples", np.asarray(image), step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class WandbLog:
    """Weights & Biases, where the package is installed.

    Args:
        project: Its name there.
        folder: Of the run, whose name it takes.
        config: All settings.

    Raises:
        InputError: When the package is missing.
    """

    def __init__(self, project: str, folder: Path, config: Mapping[str, Any]) -> None:
        if find_spec("wandb") is None:
            raise InputError("run.wandb needs the package wandb, which is not installed: pip install wandb, or drop the setting")
        self._wandb: Any = import_module("wandb")
        self._run = self._wandb.init(
            project=project, name=folder.name, dir=str(folder), config=dict(config), id=folder.name, resume="allow"
        )

    def figures(self, step: int, epoch: float, split: str, values: Mapping[str, float]) -> None:
        """Scalars under the split's name."""
        self._run.log({f"{split}/{name}": value for name, value in values.items()} | {"epoch": epoch}, step=step)

    def picture(self, step: int, image: Image.Image) -> None:
        """An image."""
        self._run.log({"samples": self._wandb.Image(image)}, step=step)

    def close(self) -> None:
        """End the run there."""
        self._run.finish()


def open_logs(folder: Path, *, step: int, tensorboard: bool, wandb: str | None, config: Mapping[str, Any]) -> list[RunLog]:
    """The logs of a run that has done so many steps."""
    logs: list[RunLog] = [] if wandb is None else [WandbLog(wandb, folder, config)]
    logs.append(CsvLog(folder / "log.csv", step))
    if tensorboard:
        logging.getLogger("tensorboard").setLevel(logging.ERROR)
        logs.append(TensorBoardLog(folder / "tensorboard", step))
    return logs


def _rows_until(path: Path, step: int) -> list[list[str]]:
    if step == 0 or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [row for row in rows if len(row) == len(COLUMNS) and int(row[0]) <= step]
