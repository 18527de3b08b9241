"""Where a grid lies on the globe, as GeoJSON wants it: longitude and latitude, split where it crosses the antimeridian."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from geocr.io.grid import SceneGrid

_POINTS_PER_EDGE = 21
"""Points along each edge: straight in UTM is bent in degrees; at 110 km between corners what is left is below a metre."""
_DECIMALS = 7
"""About a centimetre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """A place on the globe, WGS 84, degrees."""

    geometry: dict[str, Any]
    """GeoJSON Polygon, or MultiPolygon where it crosses the antimeridian (RFC 7946, section 3.1.9)."""
    bbox: tuple[float, float, float, float]
    """West, south, east, north; west is greater than east where it crosses the antimeridian (RFC 7946, section 5.2)."""


def footprint_of(grid: SceneGrid) -> Footprint:
    """The outline of a grid.

    Args:
        grid: Any grid that does not hold a pole.

    Returns:
        Its outline; edges follow the grid's to within a metre for a Sentinel-2 tile.
    """
    rows, cols = grid.shape
    steps = np.linspace(0, 1, _POINTS_PER_EDGE)[:-1]
    across = np.concatenate([steps, np.ones_like(steps), 1 - steps, np.zeros_like(steps)]) * cols
    down = np.concatenate([np.zeros_like(steps), steps, np.ones_like(steps), 1 - steps]) * rows
    a, b, c, d, e, f = grid.transform[:6]
    transformer = Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    lon, lat = transformer.transform(a * across + b * down + c, d * across + e * down + f)
    return outline(np.asarray(lon), np.asarray(lat))


def outline(lon: Any, lat: Any) -> Footprint:  # noqa: ANN401 - anything numpy takes for numbers
    """The footprint whose corners are given in order; neighbours are less than 180 degrees apart.

    Args:
        lon: Longitudes in degrees; a jump of more than 180 between neighbours is the antimeridian.
        lat: Latitudes in degrees.
    """
    unwrapped = np.unwrap(np.asarray(lon, float), period=360)
    unwrapped -= 360 * np.floor((unwrapped.min() + 180) / 360)  # begins in [-180, 180); may end beyond 180
    polygon = shapely.Polygon(np.column_stack([unwrapped, lat]).round(_DECIMALS))
    west, south, east, north = polygon.bounds
    shape: BaseGeometry = polygon
    if east > 180:
        here = shapely.intersection(polygon, shapely.box(west, south, 180, north))
        there = shapely.transform(shapely.intersection(polygon, shapely.box(180, south, east, north)), lambda xy: xy - [360, 0])
        shape = shapely.MultiPolygon([*_polygons(here), *_polygons(there)])
        east -= 360
    parts = [orient(part) for part in shapely.get_parts(shape)]
    geometry = shapely.geometry.mapping(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts))
    return Footprint(geometry=_lists(geometry), bbox=(west, south, round(east, _DECIMALS), north))


def _polygons(shape: BaseGeometry) -> list[shapely.Polygon]:
    """Without the lines and points that are left where a shape only touches the antimeridian."""
    return [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon) and not part.is_empty]


def _lists(value: Any) -> Any:  # noqa: ANN401 - nested coordinates
    """Tuples as lists: JSON knows no others, and what is written equals what is read back."""
    if isinstance(value, dict):
        return {key: _lists(part) for key, part in value.items()}
    return [_lists(part) for part in value] if isinstance(value, (list, tuple)) else value
