"""Is a data set whole and what it says it is: layout, counts, files, values, splits."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, TypeAlias

from rasterio.errors import RasterioError
from torch.utils.data import DataLoader, Dataset

from geocr.core.errors import (
    BandError,
    GeocrError,
    GeoreferenceError,
    InputError,
    MissingDataError,
    RasterNotFoundError,
    RasterReadError,
    SampleError,
    UnitsError,
)
from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import FusionDataset
from geocr.data.sample import FusionSample, validate_sample

Severity: TypeAlias = Literal["error", "warning"]
EXAMPLES = 3
"""Named of each finding."""

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (RasterNotFoundError, "missing file"),
    (RasterReadError, "unreadable or truncated file"),
    (UnitsError, "wrong unit"),
    (BandError, "wrong bands"),
    (SampleError, "wrong bands, size or values"),
    (GeoreferenceError, "wrong georeference"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, and how often."""

    kind: str
    """What, in a few words."""
    severity: Severity
    """An `error` makes the set unfit as it is; a `warning` is worth knowing."""
    count: int
    """How many samples, files or regions."""
    examples: tuple[str, ...]
    """The first of them, with what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check found."""

    dataset: str
    """Name in the table."""
    root: str
    """Where."""
    counts: Mapping[str, int]
    """Samples by split (`all` for a set without splits)."""
    read: int
    """Samples read."""
    findings: tuple[Finding, ...]
    """Errors first."""

    @property
    def passed(self) -> bool:
        """True when there is no error."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "dataset": self.dataset,
            "root": self.root,
            "passed": self.passed,
            "counts": dict(self.counts),
            "read": self.read,
            "findings": [{name: getattr(finding, name) for name in Finding.__slots__} for finding in self.findings],
        }


class _Collector:
    def __init__(self) -> None:
        self._found: dict[tuple[str, Severity], list[str]] = {}
        self._counts: dict[tuple[str, Severity], int] = {}

    def add(self, kind: str, severity: Severity, example: str, count: int = 1) -> None:
        examples = self._found.setdefault((kind, severity), [])
        self._counts[kind, severity] = self._counts.get((kind, severity), 0) + count
        if len(examples) < EXAMPLES:
            examples.append(example)

    def findings(self) -> tuple[Finding, ...]:
        ordered = sorted(self._found, key=lambda key: (key[1] != "error", key[0]))
        return tuple(Finding(kind=key[0], severity=key[1], count=self._counts[key], examples=tuple(self._found[key])) for key in ordered)


def check_dataset(
    name: str,
    root: str | Path,
    *,
    limit: int | None = None,
    workers: int = 0,
    options: Mapping[str, Any] | None = None,
    total: Callable[[int], None] | None = None,
    advance: Callable[[int], None] | None = None,
) -> CheckReport:
    """Check a data set from its folders to its pixels.

    Args:
        name: Name in the table.
        root: Its folder.
        limit: Read only so many samples, spread evenly; all when None.
        workers: Processes that read.
        options: Further arguments of the data set.
        total: Told the number of samples to read.
        advance: Told of each.

    Raises:
        RegistryError: When there is no such data set.
        InputError: When an option is wrong.
    """
    kind: type[FusionDataset] = DATASETS.load(name)
    found = _Collector()
    sets = {split or "all": _open(kind, root, split, options or {}, found) for split in kind.card.splits or (None,)}
    there = {split: dataset for split, dataset in sets.items() if dataset is not None}
    _check_splits(there, found)
    read = 0
    work = [(dataset, numbers) for dataset, numbers in _chosen(there, limit)]
    if total is not None:
        total(sum(len(numbers) for _, numbers in work))
    for dataset, numbers in work:
        loader: Any = DataLoader(_Checked(dataset, numbers), batch_size=None, num_workers=workers, collate_fn=_as_is)
        for problems in loader:
            read += 1
            for problem in problems:
                found.add(*problem)
            if advance is not None:
                advance(1)
    return CheckReport(
        dataset=name, root=str(root), counts={split: len(dataset) for split, dataset in there.items()}, read=read, findings=found.findings()
    )


def _open(
    kind: type[FusionDataset], root: str | Path, split: str | None, options: Mapping[str, Any], found: _Collector
) -> FusionDataset | None:
    """The set of a split; its warnings and its absence become findings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            dataset = kind(root, split=split, **dict(options))
        except MissingDataError as error:
            found.add("missing or empty layout", "error", f"{split or 'all'}: {error}")
            return None
        except TypeError as error:
            raise InputError(f"options must be arguments of {kind.card.name} other than root and split; {error}") from error
    for partner, ids in dataset.missing.items():
        found.add(
            f"samples without their {partner}", "warning", f"{split or 'all'}: {len(ids)}, first {', '.join(ids[:EXAMPLES])}", len(ids)
        )
    for warning in caught:
        text = str(warning.message)
        if "left out for the lack of a partner" not in text:
            found.add("note of the data set", "warning", text)
    return dataset


def _check_splits(sets: Mapping[str, FusionDataset], found: _Collector) -> None:
    """No region and no file may stand in two splits."""
    regions = {split: {record.roi for record in dataset.samples} for split, dataset in sets.items()}
    files = {split: {path for record in dataset.samples for path in record.paths} for split, dataset in sets.items()}
    for one, other in combinations(sets, 2):
        shared_files = sorted(files[one] & files[other])
        by_place = all(hasattr(sets[split], "blocks") for split in (one, other))  # patches of one scene, apart by blocks of ground
        if by_place:
            continue
        if shared_files:
            found.add(
                "files in two splits", "error", f"{one} and {other} share {len(shared_files)}, first {shared_files[0]}", len(shared_files)
            )
        shared = sorted(regions[one] & regions[other])
        if shared:
            found.add(
                "regions in two splits",
                "error",
                f"{one} and {other} share {len(shared)}, first {', '.join(shared[:EXAMPLES])}",
                len(shared),
            )


def _chosen(sets: Mapping[str, FusionDataset], limit: int | None) -> list[tuple[FusionDataset, list[int]]]:
    every = [(dataset, number) for dataset in sets.values() for number in range(len(dataset))]
    if limit is not None and limit < len(every):
        every = [every[round(step * (len(every) - 1) / max(1, limit - 1))] for step in range(limit)]
    return [(dataset, [number for owner, number in every if owner is dataset]) for dataset in sets.values()]


Problem: TypeAlias = tuple[str, Severity, str]


class _Checked(Dataset[list[Problem]]):
    """What is wrong with each sample."""

    def __init__(self, dataset: FusionDataset, numbers: list[int]) -> None:
        self.dataset, self.numbers = dataset, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> list[Problem]:
        try:
            sample = validate_sample(self.dataset[self.numbers[index]])
        except (GeocrError, RasterioError, OSError) as error:
            kind = next((text for leaf, text in _KINDS if isinstance(error, leaf)), type(error).__name__)
            return [(kind, "error", str(error))]
        return _oddities(sample)


def _oddities(sample: FusionSample) -> list[Problem]:
    """What is legal and yet worth a look."""
    name = sample["meta"]["id"]
    problems: list[Problem] = []
    if not bool(sample["valid_mask"].any()):
        problems.append(("samples without a usable pixel", "warning", name))
    tensors: dict[str, Any] = dict(sample)
    for image in ("sar", "cloudy", "clear"):
        tensor = tensors.get(image)
        if tensor is not None and tensor.numel():
            seen = tensor[tensor == tensor]  # noqa: PLR0124 - not NaN
            if seen.numel() and float(seen.min()) == float(seen.max()):
                problems.append((f"blank {image} images", "warning", f"{name}: every pixel is {float(seen[0]):g}"))
    return problems


def _as_is(problems: Any) -> Any:  # noqa: ANN401 - a list of problems
    return problems
