"""What a stopped evaluation goes on from: the sums of the samples that are done, in one file with a fingerprint of all that decides them."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geocr.io.failure import naming_failure

if TYPE_CHECKING:
    from geocr.evaluation.measuring import MethodMeasures
    from geocr.evaluation.run import EvaluationPlan, Row

SAVE_SECONDS = 20.0
"""Time between two savings: what a kill costs at most, apart from the batch under way."""
_FREE = frozenset({"gallery", "resamples", "workers", "reference"})
"""Settings that change no sample's sums."""


@dataclass(slots=True)
class Part:
    """The samples of an evaluation that are done."""

    rows: "list[Row]"
    """Of every method, in the order of the samples."""
    rois: list[str]
    """Region of each sample."""

    @property
    def done(self) -> int:
        """Samples."""
        return len(self.rois)


@dataclass(frozen=True, slots=True)
class PartFile:
    """Keeps a `Part` and the sums that belong to it. Read without unpickling objects."""

    path: Path
    """Replaced whole or not at all."""
    fingerprint: str
    """Of `fingerprint_of`: a file with another one is of another evaluation."""

    def load(self, measures: "Mapping[str, MethodMeasures]") -> Part | None:
        """Put the sums back; None when there is no file, a damaged one, or one of another evaluation."""
        try:
            stored: dict[str, Any] = torch.load(self.path, weights_only=True)
            if stored["fingerprint"] != self.fingerprint:
                return None
            for name, one in measures.items():
                one.load_state(stored["measures"][name])
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, TypeError):
            return None
        return Part(stored["rows"], stored["rois"])

    def save(self, part: Part, measures: "Mapping[str, MethodMeasures]") -> None:
        """Write what is done so far.

        Raises:
            OutputWriteError: When it cannot be written.
        """
        content = {
            "fingerprint": self.fingerprint,
            "rows": part.rows,
            "rois": part.rois,
            "measures": {name: one.state() for name, one in measures.items()},
        }
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        with naming_failure(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.save(content, temporary)
                temporary.replace(self.path)
            finally:
                temporary.unlink(missing_ok=True)


def fingerprint_of(plan: "EvaluationPlan") -> str:
    """Hash of all that decides the sums: version, methods and their weights, settings, and the samples with their files' sizes and times."""
    facts = plan.describe()
    facts["settings"] = {name: value for name, value in facts["settings"].items() if name not in _FREE}
    facts["reading"] = {name: repr(value) for name, value in plan.dataset.settings().items()}
    facts["files"] = [_files_of(plan, number) for number in plan.numbers]
    facts["land_cover"] = None if plan.settings.land_cover is None else _stamp(Path(plan.settings.land_cover))
    del facts["tests"]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _files_of(plan: "EvaluationPlan", number: int) -> list[Any]:
    record = plan.dataset.samples[number]
    return [record.id, *(_stamp(plan.dataset.root / path) for path in record.paths)]


def _stamp(path: Path) -> list[Any]:
    """Name, size and time of change; the name alone where it is no local file."""
    try:
        found = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), found.st_size, found.st_mtime_ns]
