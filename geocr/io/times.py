"""When a raster was acquired: by its name, else by its tags."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_NAME = re.compile(
    r"(?<!\d)(?P<year>19\d{2}|20\d{2})(?P<sep>[-_]?)(?P<month>0[1-9]|1[0-2])(?P=sep)(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?:[T_-]?(?P<hour>[01]\d|2[0-3])[:-]?(?P<minute>[0-5]\d)[:-]?(?P<second>[0-5]\d))?(?!\d)"
)
_TAGS = (
    "datetime",
    "ACQUISITION_DATETIME",
    "DATATAKE_1_DATATAKE_SENSING_START",
    "PRODUCT_START_TIME",
    "ACQUISITION_START_TIME",
    "SENSING_TIME",
    "TIFFTAG_DATETIME",
)
"""Names under which STAC items, ESA's products and GDAL's drivers keep it, the more telling first."""
_INSTANT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """The time of an image: a second when it is known, else a day."""

    start: datetime
    """First moment, without time zone, UTC."""
    stop: datetime
    """Last moment."""

    @property
    def middle(self) -> datetime:
        """Half way between both."""
        return self.start + (self.stop - self.start) / 2


def acquisition_of(path: str, tags: Mapping[str, str] | None = None) -> Acquisition | None:
    """Time of a raster by its name (`...20230813T100559...`, `..._2019-05-27...`), else by its tags; None when neither tells.

    The first date in the name counts, as in the names of Sentinel products, where the time of acquisition comes before that
    of processing.

    Args:
        path: Only its last part is read.
        tags: The raster's tags.
    """
    found = _NAME.search(Path(path).name)
    if found is None:
        texts = (tags[name] for name in _TAGS if tags and name in tags)
        found = next((match for match in (_NAME.search(_iso(text)) for text in texts) if match), None)
    return None if found is None else _acquisition(found)


def acquisition_time(path: str, tags: Mapping[str, str] | None = None) -> datetime | None:
    """Begin of an acquisition in UTC, as `acquisition_of` finds it; midnight where only the day is known."""
    found = acquisition_of("" if path.startswith("<") else path, tags)
    return None if found is None else found.start.replace(tzinfo=UTC)


def _iso(text: str) -> str:
    """TIFF writes `2019:05:27 10:05:59`: the same with hyphens and `T`."""
    date, _, time = text.strip().replace("T", " ").partition(" ")
    return f"{date.replace(':', '-')}T{time.rstrip('Z').split('.')[0]}" if time else date.replace(":", "-")


def _acquisition(match: re.Match[str]) -> Acquisition | None:
    parts = match.groupdict()
    try:
        day = datetime(int(parts["year"]), int(parts["month"]), int(parts["day"]), tzinfo=UTC).replace(tzinfo=None)
    except ValueError:  # 31 June
        return None
    if parts["hour"] is None:
        return Acquisition(start=day, stop=day + timedelta(days=1) - timedelta(microseconds=1))
    start = day + timedelta(hours=int(parts["hour"]), minutes=int(parts["minute"]), seconds=int(parts["second"]))
    return Acquisition(start=start, stop=start + _INSTANT)
