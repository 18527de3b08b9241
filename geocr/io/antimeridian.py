"""Polygons in longitude and latitude that cross the antimeridian, where 180 degrees east and west are one line."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

NEAR_DEG = 15.0
"""How near the antimeridian a scene must lie for a polygon to be read as crossing it; a UTM zone is 6 degrees wide."""
_FULL_CIRCLE = 360.0 - 1e-9
"""An edge along the whole parallel, as in the outline of the world, stays as it is."""


def unwrap_longitudes(geometry: BaseGeometry, scene_lon: float) -> BaseGeometry:
    """Let edges go the short way round the globe, for a scene near the antimeridian.

    GeoJSON (RFC 7946, 3.1.9) asks for polygons to be cut there, which needs nothing; many are not, and run from 179.9 to -179.9, which in
    plane coordinates is all the globe but the place that was meant. Longitudes then go on beyond 180, as every projection takes them.

    Args:
        geometry: Polygons in degrees, longitude first.
        scene_lon: Longitude of the scene's centre in degrees.
    """
    if abs(scene_lon) < 180.0 - NEAR_DEG:
        return geometry
    polygons = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon"]
    if not any(_jumps(ring).any() for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)):
        return geometry
    unwrapped = [shapely.Polygon(_unwrap(polygon.exterior), [_unwrap(ring) for ring in polygon.interiors]) for polygon in polygons]
    return shapely.union_all(shapely.make_valid(unwrapped))


def _jumps(ring: shapely.LinearRing) -> NDArray[np.bool_]:
    """Edges that are longer than half a circle and are not a whole one."""
    steps = np.abs(np.diff(shapely.get_coordinates(ring)[:, 0]))
    jumps: NDArray[np.bool_] = (steps > 180.0) & (steps < _FULL_CIRCLE)
    return jumps


def _unwrap(ring: shapely.LinearRing) -> NDArray[np.float64]:
    """`(points, 2)`: the ring with every such edge turned; as it is where it runs round a pole and would not close."""
    points = shapely.get_coordinates(ring).copy()
    steps = np.diff(points[:, 0])
    turns = np.concatenate([[0.0], np.cumsum(np.where(_jumps(ring), -360.0 * np.sign(steps), 0.0))])
    if turns[-1] != 0:
        return points
    points[:, 0] += turns
    return points
