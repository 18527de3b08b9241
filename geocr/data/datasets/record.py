"""What a data set knows about its samples before a file is opened: records, and partners that are missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Dates: TypeAlias = tuple[str | None, ...]


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
    """Sentinel-1 files, one per date; empty in a set without Sentinel-1."""
    cloudy: tuple[str, ...] = ()
    """Cloudy images, one per date; empty where there is none."""
    clear: str | None = None
    """The target's file."""
    masks: tuple[str, ...] = ()
    """Cloud masks that come with the set, one per cloudy image; empty where there is none."""
    sar_dates: Dates = ()
    """ISO dates of `sar`; empty where the set does not tell."""
    cloudy_dates: Dates = ()
    """ISO dates of `cloudy`; empty where the set does not tell."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All its files, each once."""
        clear = () if self.clear is None else (self.clear,)
        return tuple(dict.fromkeys((*self.sar, *self.cloudy, *clear, *self.masks)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a look at the folders of a data set found."""

    samples: tuple[SampleRecord, ...]
    """In an order that does not depend on the file system."""
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Partner (`sar`, `cloudy`, `clear`, `mask`) to the identifiers that were left out for the lack of it."""
