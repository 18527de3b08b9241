"""An area of interest: polygons in any CRS, asked for window by window on the scene's grid."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import geometry_mask
from shapely.geometry.base import BaseGeometry

from geocr.core.errors import GeoreferenceError, RasterNotFoundError, RasterReadError
from geocr.core.types import BoolArray, Window
from geocr.io.grid import SceneGrid

WGS84 = CRS.from_epsg(4326)
_LOOKS_LIKE_WKT = re.compile(
    r"(SRID=[^;]*;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON|GEOMETRYCOLLECTION)\s*(Z|M|ZM)?\s*(\(|EMPTY)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaOfInterest:
    """Polygons on a scene's grid. Picklable, and the same whatever window is read."""

    geometry: BaseGeometry = field(repr=False)
    """Polygons in the CRS of the grid."""
    grid: SceneGrid
    """The scene's grid."""

    def read(self, window: Window) -> BoolArray:
        """`(height, width)` bool, True where a pixel's centre lies inside."""
        transform = self.grid.transform * rasterio.Affine.translation(window.col, window.row)
        corners = [(0, 0), (window.width, 0), (window.width, window.height), (0, window.height)]
        a, b, c, d, e, f = transform[:6]
        outline = shapely.Polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in corners])
        if not self.geometry.intersects(outline):
            return np.zeros(window.shape, bool)
        if self.geometry.contains(outline):
            return np.ones(window.shape, bool)
        inside: BoolArray = geometry_mask([self.geometry], out_shape=window.shape, transform=transform, invert=True)
        return inside


def read_aoi(source: str, grid: SceneGrid) -> AreaOfInterest:
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
    geometry, crs = _read(source)
    polygons = [part for part in shapely.get_parts(geometry) if part.geom_type in ("Polygon", "MultiPolygon")]
    if not polygons:
        raise RasterReadError(f"an area of interest is made of polygons, and {_short(source)} holds none ({geometry.geom_type})")
    merged = shapely.make_valid(shapely.union_all(polygons))
    if crs != grid.crs:
        transformer = Transformer.from_crs(crs.to_wkt(), grid.crs.to_wkt(), always_xy=True)
        # long edges bend under projection: points every hundredth of a degree (or kilometre) keep them where they are
        merged = shapely.segmentize(merged, 0.01 if crs.is_geographic else 1000.0)
        merged = shapely.transform(merged, lambda points: np.column_stack(transformer.transform(points[:, 0], points[:, 1])))
    aoi = AreaOfInterest(geometry=merged, grid=grid)
    rows, cols = grid.shape
    west, south, east, north = rasterio.transform.array_bounds(rows, cols, grid.transform)
    if not merged.intersects(shapely.box(west, south, east, north)):
        found = ", ".join(f"{value:.6g}" for value in merged.bounds)
        raise GeoreferenceError(
            f"the area of interest must touch the scene: in {grid.crs.to_string()} it spans {found} (west, south, east, north) and the scene "
            f"{west:.6g}, {south:.6g}, {east:.6g}, {north:.6g}; check the order of coordinates (longitude first) and the CRS"
        )
    return aoi


def _short(source: str) -> str:
    return source if len(source) <= 60 else source[:57] + "..."


def _read(source: str) -> tuple[BaseGeometry, CRS]:
    text = source.strip()
    if _LOOKS_LIKE_WKT.match(text):
        return _from_wkt(text)
    import pyogrio.raw  # noqa: PLC0415 - brings a GDAL of its own, for the few runs that have an area of interest
    from pyogrio.errors import DataSourceError  # noqa: PLC0415 - as above

    path = Path(source)
    if "://" not in source and not path.exists():
        raise RasterNotFoundError(f"--aoi must be a vector file or WKT; there is nothing at {_short(source)}; check the path")
    if path.suffix.lower() == ".wkt":
        return _from_wkt(path.read_text().strip())
    try:
        meta, _, shapes, _ = pyogrio.raw.read(source, columns=[])
    except DataSourceError as error:
        raise RasterReadError(f"--aoi must be a vector file that GDAL reads, or WKT; {source} is not: {error}") from error
    crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else WGS84
    return shapely.union_all(shapely.from_wkb(shapes)), crs


def _from_wkt(text: str) -> tuple[BaseGeometry, CRS]:
    crs = WGS84
    if text.upper().startswith("SRID="):
        code, _, text = text.partition(";")
        try:
            crs = CRS.from_epsg(int(code[5:]))
        except (ValueError, CRSError) as error:
            raise GeoreferenceError(
                f"the SRID of an area of interest is an EPSG code, got {code!r}: {error}; write for example SRID=32633;POLYGON((...))"
            ) from error
    try:
        return shapely.from_wkt(text), crs
    except shapely.errors.ShapelyError as error:
        raise RasterReadError(f"--aoi must be well-formed WKT, got {_short(text)!r}: {error}") from error
