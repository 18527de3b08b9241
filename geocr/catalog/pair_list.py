"""Lists of pairs as files that predict-batch and fetch read."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import shapely

from geocr.catalog.area import geometry_of
from geocr.catalog.items import STAC_VERSION, media_type, stac_time
from geocr.catalog.pairing import FoundPair, days_between
from geocr.core.errors import InputError, OutputExistsError
from geocr.io.whole import write_json, write_whole

COLUMNS = ("s1", "s2", "out", "date", "s1_date", "days", "overlap", "area_share", "cloud_percent")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """A pair as it stands in a list."""

    s1: tuple[str, ...]
    """Paths or URLs; several are a mosaic, the first on top."""
    s2: str
    out: str
    """Name of the result, relative to the list."""
    acquired: datetime
    s1_acquired: datetime | None
    days: float | None
    overlap: float
    area_share: float
    cloud_percent: float | None

    def as_json(self) -> dict[str, Any]:
        """By the columns of a list."""
        return {
            "s1": list(self.s1),
            "s2": self.s2,
            "out": self.out,
            "date": stac_time(self.acquired),
            "s1_date": None if self.s1_acquired is None else stac_time(self.s1_acquired),
            "days": None if self.days is None else round(self.days, 3),
            "overlap": round(self.overlap, 4),
            "area_share": round(self.area_share, 4),
            "cloud_percent": self.cloud_percent,
        }


def row_of(pair: FoundPair) -> PairRow:
    """A pair that was found, as a row."""
    return PairRow(
        s1=tuple(item.href for item in pair.s1),
        s2=pair.s2.href,
        out=f"{pair.s2.id}_cloudfree.tif",
        acquired=pair.s2.acquired,
        s1_acquired=pair.s1[0].acquired if pair.s1 else None,
        days=pair.days,
        overlap=pair.overlap,
        area_share=pair.area_share,
        cloud_percent=pair.cloud_percent,
    )


def write_pairs(path: Path, pairs: Sequence[FoundPair], *, overwrite: bool) -> None:
    """Write a list, whole or not at all.

    Args:
        path: `.csv`, or `.json` for a STAC item collection whose items have assets `s1`, `s1_2` and so on, and `s2`.
        pairs: What was found.
        overwrite: Replace an existing list.

    Raises:
        InputError: When the name ends in neither.
        OutputExistsError: When it exists.
        OutputWriteError: When it cannot be written.
    """
    require_list_name(path, overwrite=overwrite)
    if path.suffix.lower() == ".csv":
        write_whole(path, csv_text([row_of(pair) for pair in pairs]).encode())
    else:
        write_json(path, item_collection(pairs))


def require_list_name(path: Path, *, overwrite: bool) -> None:
    """Raise unless a list may be written there.

    Raises:
        InputError: When the name ends in neither .csv nor .json.
        OutputExistsError: When it exists and may not be overwritten.
    """
    if path.suffix.lower() not in (".csv", ".json"):
        raise InputError(f"a pair list is a .csv or .json file, got {path}; choose another name with -o")
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"outputs are never overwritten unasked, and {path} exists; add --overwrite, or choose another name with -o"
        )


def csv_text(rows: Sequence[PairRow]) -> str:
    """Rows as CSV; several Sentinel-1 images stand in one quoted field, separated by commas."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row.as_json(), "s1": ",".join(row.s1)})
    return stream.getvalue()


def item_collection(pairs: Sequence[FoundPair]) -> dict[str, Any]:
    """Pairs as a STAC item collection."""
    return {"type": "FeatureCollection", "features": [_feature(pair) for pair in pairs]}


def _feature(pair: FoundPair) -> dict[str, Any]:
    shape = geometry_of(dict(pair.s2.content))
    facts = row_of(pair).as_json()
    names = ["s1" if number == 1 else f"s1_{number}" for number in range(1, len(pair.s1) + 1)]
    sources = [*zip(names, pair.s1, strict=True), ("s2", pair.s2)]
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [],
        "id": pair.s2.id,
        "geometry": None if shape is None else shapely.geometry.mapping(shape),
        "bbox": None if shape is None else list(pair.s2.content.get("bbox") or shape.bounds),
        "properties": {
            "datetime": stac_time(pair.s2.acquired),
            **{f"geocr:{name}": facts[name] for name in ("out", "s1_date", "days", "overlap", "area_share", "cloud_percent")},
            "geocr:s1_days": [round(days_between(pair.s2, item), 3) for item in pair.s1],
        },
        "links": [{"rel": "derived_from", "href": item.href, "title": name} for name, item in sources],
        "assets": {
            name: {"href": item.href, "type": media_type(item.href) or "application/geo+json", "roles": ["metadata"], "title": item.id}
            for name, item in sources
        },
    }
