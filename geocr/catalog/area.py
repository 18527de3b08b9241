"""The area and the time that are searched: degrees and UTC, across the antimeridian too."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from geocr.core.errors import InputError
from geocr.io.polygons import WGS84, read_polygons

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchArea:
    """Polygons in degrees (WGS 84), longitudes from -180 to 180; split where they cross the antimeridian."""

    geometry: BaseGeometry = field(repr=False)

    @classmethod
    def from_bbox(cls, text: str) -> "SearchArea":
        """`W,S,E,N` in degrees; W greater than E crosses the antimeridian.

        Raises:
            InputError: When it is no such box.
        """
        rule = f"--bbox is W,S,E,N in degrees, for example 14.9,46.0,15.2,46.3, got {text!r}"
        try:
            west, south, east, north = (float(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(rule) from error
        if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90 and west != east):
            raise InputError(f"{rule}; longitudes are from -180 to 180, and S is less than N")
        if west < east:
            return cls(geometry=shapely.box(west, south, east, north))
        halves = [shapely.box(*half) for half in ((west, south, 180, north), (-180, south, east, north)) if half[0] < half[2]]
        return cls(geometry=shapely.MultiPolygon(halves))

    @classmethod
    def from_aoi(cls, source: str) -> "SearchArea":
        """Polygons of a vector file or WKT, in any CRS.

        Raises:
            RasterNotFoundError: When there is no such file.
            RasterReadError: When it holds no polygons.
        """
        merged, crs = read_polygons(source)
        if crs != WGS84:
            transformer = Transformer.from_crs(crs.to_wkt(), "EPSG:4326", always_xy=True)
            merged = shapely.segmentize(merged, 0.01 if crs.is_geographic else 1000.0)
            merged = shapely.transform(merged, lambda points: np.column_stack(transformer.transform(points[:, 0], points[:, 1])))
        return cls(geometry=merged)

    @property
    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """One box a hemisphere side: what a catalogue is asked for, west always less than east."""
        west, south, east, north = self.geometry.bounds
        if east - west <= 180:
            return ((west, south, east, north),)
        parts = shapely.get_parts(self.geometry)
        sides = [
            [part for part in parts if (part.centroid.x < 0) == negative] for negative in (False, True)
        ]  # west of the antimeridian first
        return tuple(shapely.unary_union(side).bounds for side in sides if side)


def geometry_of(item: dict[str, Any]) -> BaseGeometry | None:
    """An item's footprint, repaired where a catalogue has it crossing itself; None when it has none."""
    if not item.get("geometry"):
        return None
    shape: BaseGeometry = shapely.geometry.shape(item["geometry"])
    return shape if shape.is_valid else shapely.make_valid(shape)


def area_m2(shape: BaseGeometry) -> float:
    """Area on a sphere of 6371 km by the cylindrical equal-area projection; exact enough for shares of a tile."""

    def project(points: Any) -> Any:  # noqa: ANN401 - an array of coordinates
        radius = 6_371_000.0
        return np.column_stack([np.radians(points[:, 0]) * radius, np.sin(np.radians(points[:, 1])) * radius])

    return float(shapely.transform(shape, project).area)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTime:
    """From `start` to `end`, both in it, UTC."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str) -> "SearchTime":
        """`2023-08-15`, `2023-08-01/2023-08-31` or two RFC 3339 times; days are whole.

        Raises:
            InputError: When it is no such range.
        """
        first, slash, last = text.partition("/")
        try:
            start, end = _instant(first, end=False), _instant(last if slash else first, end=True)
        except ValueError as error:
            raise InputError(f"--date is a day or FROM/TO, for example 2023-08-01/2023-08-31, got {text!r}") from error
        if end < start:
            raise InputError(f"--date is FROM/TO with FROM before TO, got {text!r}")
        return cls(start=start, end=end)

    def widened(self, days: float) -> "SearchTime":
        """The same and so many days before and after."""
        more = timedelta(days=days)
        return SearchTime(start=self.start - more, end=self.end + more)

    def holds(self, moment: datetime) -> bool:
        """Whether a time lies in the range."""
        return self.start <= moment <= self.end

    def __str__(self) -> str:
        return "/".join(moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (self.start, self.end))


def _instant(text: str, *, end: bool) -> datetime:
    text = text.strip()
    if len(text) == len("2023-08-15"):
        start = datetime.combine(date.fromisoformat(text), time(), UTC)
        return start + _DAY - timedelta(seconds=1) if end else start
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
