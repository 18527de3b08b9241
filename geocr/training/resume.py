"""Resume files: all that a run needs to go on as if it had never stopped. Read without unpickling objects."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from geocr._version import __version__
from geocr.core.errors import CheckpointError, InputError, OutputWriteError
from geocr.training.config import TrainConfig

RESUME_FORMAT = 1
"""Raised when the keys of a resume file change."""

_FREE = frozenset(
    {f"run.{name}" for name in ("epochs", "max_steps", "patience", "save_every", "log_every", "pictures", "tensorboard", "wandb", "device")}
    | {"data.root", "data.s1", "data.s2", "data.workers", "data.max_val", "about"}
)
"""Settings that may differ when a run goes on; any other would make it another run."""


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    batches: int = 0
    """Batches of one process, from the first epoch on."""
    steps: int = 0
    """Steps of the optimiser."""
    due: bool = False
    """A validation of this very step was not finished."""
    best: float | None = None
    """Best validation figure so far."""
    best_step: int | None = None
    """Its step."""
    stale: int = 0
    """Validations since."""


def save_resume(path: Path, config: TrainConfig, progress: Progress, task: Mapping[str, Any], average: Mapping[str, Any] | None) -> None:
    """Write a resume file; an existing one is replaced whole or not at all.

    Raises:
        OutputWriteError: When it cannot be written.
    """
    content = {
        "format": RESUME_FORMAT,
        "geocr_version": __version__,
        "config": config.to_dict(),
        "progress": asdict(progress),
        "task": dict(task),
        "average": None if average is None else dict(average),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        torch.save(content, temporary)
        temporary.replace(path)
    except OSError as error:
        raise OutputWriteError(f"a resume file could not be written to {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load_resume(path: Path, *, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a resume file: tensors, numbers and text, nothing else.

    Raises:
        CheckpointError: When it is missing, damaged, or of another format.
    """
    if not path.is_file():
        raise CheckpointError(f"a run goes on from its resume file, and there is none at {path}; start it without --resume")
    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        known = content["format"]
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise CheckpointError(f"a resume file must be whole, and written by geocr train; {path} is not: {error}") from error
    if known != RESUME_FORMAT:
        raise CheckpointError(
            f"this geocr ({__version__}) reads resume files of format {RESUME_FORMAT}, got {known!r}; use the geocr that wrote it"
        )
    return content


def require_same_run(stored: Mapping[str, Any], config: TrainConfig) -> None:
    """Refuse to go on with settings that would have given another run.

    Raises:
        InputError: Naming them.
    """
    before, now = _flat(stored), _flat(config.to_dict())
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key) and key not in _FREE)
    if changed:
        told = "; ".join(f"{key} was {before.get(key)!r} and is {now.get(key)!r}" for key in changed)
        raise InputError(f"a run goes on with its own settings; {told}. Start another one, with model.start to begin from its weights")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return flat
