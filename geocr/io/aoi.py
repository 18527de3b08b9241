"""An area of interest: polygons in any CRS, asked for window by window on the scene's grid."""

from geocr.core.errors import GeoreferenceError
from geocr.io.grid import SceneGrid
from geocr.io.polygons import WGS84, GridPolygons, lay_polygons, read_polygons

__all__ = ["WGS84", "read_aoi", "read_polygons"]


def read_aoi(source: str, grid: SceneGrid) -> GridPolygons:
    """Read polygons and bring them onto a scene's grid.

    Args:
        source: A GeoJSON, GeoPackage or other vector file, a .wkt file, or WKT itself. WKT is longitude and latitude
            (WGS 84) unless it begins with `SRID=<EPSG code>;`.
        grid: The scene's grid.

    Raises:
        RasterNotFoundError: When there is no such file.
        RasterReadError: When it holds no polygons.
        GeoreferenceError: When the polygons do not touch the scene.
    """
    aoi = lay_polygons(*read_polygons(source), grid)
    if not aoi.touches_scene:
        found = ", ".join(f"{value:.6g}" for value in aoi.geometry.bounds)
        west, south, east, north = aoi.scene_bounds
        raise GeoreferenceError(
            f"the area of interest must touch the scene: in {grid.crs.to_string()} it spans {found} (west, south, east, north) and the scene "
            f"{west:.6g}, {south:.6g}, {east:.6g}, {north:.6g}; check the order of coordinates (longitude first) and the CRS"
        )
    return aoi
