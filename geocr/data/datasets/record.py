"""What a data set knows about its samples before a file is opened: records, and partners that are missing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Dates: TypeAlias = tuple[str | None, ...]
Partner: TypeAlias = Literal["sar", "cloudy", "clear", "mask"]
"""The images a sample is made of."""
PARTNERS: tuple[Partner, ...] = ("sar", "cloudy", "clear", "mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRecord:
    """One sample by the names of its files. Paths are relative to the data set's root, with forward slashes."""

    id: str
    """Unique within the data set."""
    roi: str
    """Region, scene or group that may not straddle a split."""
    split: str | None = None
    """`train`, `val` or `test`; None where the set has no split."""
    date: str | None = None
    """ISO date of the target (without one: of the first cloudy image), None where the set does not tell."""
    sar: tuple[str, ...] = ()
    """Sentinel-1 files, one per date (an empty name on a date without); empty in a set without Sentinel-1."""
    cloudy: tuple[str, ...] = ()
    """Cloudy images, one per date; empty where there is none."""
    clear: str | None = None
    """The target's file."""
    masks: tuple[str, ...] = ()
    """Cloud masks that come with the set, one per cloudy image; empty where there is none."""
    more: tuple[str, ...] = ()
    """Files that hold further bands of these images."""
    sar_dates: Dates = ()
    """ISO dates of `sar`; empty where the set does not tell."""
    cloudy_dates: Dates = ()
    """ISO dates of `cloudy`; empty where the set does not tell."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All its files, each once."""
        clear = () if self.clear is None else (self.clear,)
        return tuple(path for path in dict.fromkeys((*self.sar, *self.cloudy, *clear, *self.masks, *self.more)) if path)

    def lacks(self, required: Iterable[Partner]) -> tuple[Partner, ...]:
        """Those of the required partners that it does not have."""
        has = {"sar": bool(self.sar), "cloudy": bool(self.cloudy), "clear": self.clear is not None, "mask": bool(self.masks)}
        return tuple(partner for partner in required if not has[partner])

    def numbered(self, number: int) -> "SampleRecord":
        """A copy in which `{n}` in identifier, region and paths is the number: a record may be the pattern of many."""
        text = str(number)

        def fill(paths: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(path.replace("{n}", text) for path in paths)

        return replace(
            self,
            id=self.id.replace("{n}", text),
            roi=self.roi.replace("{n}", text),
            sar=fill(self.sar),
            cloudy=fill(self.cloudy),
            clear=None if self.clear is None else self.clear.replace("{n}", text),
            masks=fill(self.masks),
            more=fill(self.more),
        )


class Records(Sequence[SampleRecord]):
    """Samples as patterns and numbers: a few bytes each.

    Records are made when they are asked for. A hundred thousand of them held as objects would be some hundred megabytes, which
    every worker process of a loader would come to copy.

    Args:
        patterns: Records with `{n}` for the number; one without is a single sample.
        pattern: `(samples,)` int32, which pattern each sample is of.
        number: `(samples,)` int32, its number.
    """

    def __init__(self, patterns: Sequence[SampleRecord], pattern: NDArray[np.int32], number: NDArray[np.int32]) -> None:
        self._patterns, self._pattern, self._number = tuple(patterns), pattern, number

    @classmethod
    def of(cls, records: Iterable[SampleRecord]) -> Self:
        """Samples whose names follow no pattern, in this order."""
        patterns = tuple(records)
        return cls(patterns, np.arange(len(patterns), dtype=np.int32), np.zeros(len(patterns), np.int32))

    @classmethod
    def patterned(cls, numbers: Mapping[SampleRecord, Iterable[int]]) -> Self:
        """Samples by pattern, in the order of the mapping and sorted by number within each."""
        parts = [np.sort(np.fromiter(found, np.int32)) for found in numbers.values()]
        sizes = [len(part) for part in parts]
        return cls(tuple(numbers), np.repeat(np.arange(len(parts), dtype=np.int32), sizes), np.concatenate([*parts, np.zeros(0, np.int32)]))

    def __len__(self) -> int:
        return len(self._pattern)

    @overload
    def __getitem__(self, index: int) -> SampleRecord: ...
    @overload
    def __getitem__(self, index: slice) -> "Records": ...
    def __getitem__(self, index: int | slice) -> "SampleRecord | Records":
        """One record, or a part of them as `Records`."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self._patterns[int(self._pattern[index])].numbered(int(self._number[index]))

    def __iter__(self) -> Iterator[SampleRecord]:
        for index in range(len(self)):
            yield self[index]

    def take(self, indexes: NDArray[np.integer]) -> "Records":
        """Those at the given indexes, in that order."""
        return Records(self._patterns, self._pattern[indexes], self._number[indexes])

    def of_split(self, split: str) -> "Records":
        """Those of one split."""
        wanted = np.array([pattern.split == split for pattern in self._patterns] + [False], bool)
        return self.take(np.flatnonzero(wanted[self._pattern]))

    def count_splits(self) -> dict[str | None, int]:
        """How many samples each split has."""
        counts: dict[str | None, int] = {}
        for index, count in zip(*np.unique(self._pattern, return_counts=True), strict=True):
            split = self._patterns[int(index)].split
            counts[split] = counts.get(split, 0) + int(count)
        return counts

    def splits_of_rois(self) -> dict[str, set[str | None]]:
        """Splits in which each region has samples: more than one is a leak."""
        found: dict[str, set[str | None]] = {}
        for index in np.unique(self._pattern):
            pattern = self._patterns[int(index)]
            found.setdefault(pattern.roi, set()).add(pattern.split)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a look at the folders of a data set found."""

    samples: Sequence[SampleRecord]
    """In an order that does not depend on the file system."""
    missing: Mapping[Partner, tuple[str, ...]] = field(default_factory=dict)
    """Partner to the identifiers that were left out for the lack of it."""


def scan_of(numbers: Mapping[SampleRecord, Iterable[int]], required: Sequence[Partner]) -> Scan:
    """A scan of patterns and their numbers, leaving out and counting what lacks a required partner.

    Args:
        numbers: Pattern to its samples; a pattern without a partner holds the samples that lack it.
        required: What a sample must have.
    """
    missing: dict[Partner, list[str]] = {partner: [] for partner in required}
    kept: dict[SampleRecord, list[int]] = {}
    for pattern, found in numbers.items():
        ordered = sorted(found)
        lacks = pattern.lacks(required)
        for partner in lacks:
            missing[partner] += [pattern.id.replace("{n}", str(number)) for number in ordered]
        if not lacks:
            kept[pattern] = ordered
    return Scan(samples=Records.patterned(kept), missing={partner: tuple(ids) for partner, ids in missing.items()})


def scan_of_records(records: Iterable[SampleRecord], required: Sequence[Partner]) -> Scan:
    """A scan of single records, leaving out and counting what lacks a required partner."""
    missing: dict[Partner, list[str]] = {partner: [] for partner in required}
    kept: list[SampleRecord] = []
    for record in records:
        lacks = record.lacks(required)
        for partner in lacks:
            missing[partner].append(record.id)
        if not lacks:
            kept.append(record)
    return Scan(samples=Records.of(kept), missing={partner: tuple(ids) for partner, ids in missing.items()})
