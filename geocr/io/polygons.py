"""Polygons in any CRS: read from a file or WKT, laid on a scene's grid, asked for window by window."""

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
from geocr.io.antimeridian import unwrap_longitudes
from geocr.io.grid import SceneGrid

WGS84 = CRS.from_epsg(4326)
VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".fgb", ".kml", ".gml", ".wkt")
"""Ends of names by which a file is taken for a vector file and not for a raster."""
_LOOKS_LIKE_WKT = re.compile(
    r"(SRID=[^;]*;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON|GEOMETRYCOLLECTION)\s*(Z|M|ZM)?\s*(\(|EMPTY)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPolygons:
    """Polygons on a scene's grid. Picklable, and the same whatever window is read."""

    geometry: BaseGeometry = field(repr=False)
    """Polygons in the CRS of the grid; may be empty."""
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
        parts = shapely.get_parts(self.geometry)
        near = parts[shapely.intersects(parts, outline)]  # of ten thousand clouds a window meets a few
        inside: BoolArray = geometry_mask(list(near), out_shape=window.shape, transform=transform, invert=True)
        return inside

    @property
    def touches_scene(self) -> bool:
        """Whether any polygon lies on the scene."""
        return bool(self.geometry.intersects(shapely.box(*self.scene_bounds)))

    @property
    def scene_bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the scene."""
        west, south, east, north = rasterio.transform.array_bounds(*self.grid.shape, self.grid.transform)
        return west, south, east, north


def read_polygons(
    source: str, option: str = "--aoi", what: str = "an area of interest", *, may_be_empty: bool = False
) -> tuple[BaseGeometry, CRS]:
    """Read polygons, joined into one valid geometry, and their CRS.

    Args:
        source: A GeoJSON, GeoPackage, shapefile or other vector file (its first layer), a .wkt file, or WKT itself. WKT is
            longitude and latitude (WGS 84) unless it begins with `SRID=<EPSG code>;`.
        option: What names the source on the command line, for messages.
        what: What the polygons are, for messages.
        may_be_empty: Whether there may be no polygon at all.

    Raises:
        RasterNotFoundError: When there is no such file.
        RasterReadError: When it cannot be read, or holds no polygons.
        GeoreferenceError: When its SRID is no EPSG code, or it names no CRS and is not in degrees.
    """
    geometry, crs = _read(source, option, what)
    polygons = [part for part in shapely.get_parts(geometry) if part.geom_type in ("Polygon", "MultiPolygon")]
    if not polygons and not (may_be_empty and geometry.is_empty):
        raise RasterReadError(f"{what} is made of polygons, and {_short(source)} holds none ({geometry.geom_type})")
    return shapely.make_valid(shapely.union_all(polygons)), crs


def lay_polygons(geometry: BaseGeometry, crs: CRS, grid: SceneGrid) -> GridPolygons:
    """Bring polygons onto a scene's grid."""
    if crs != grid.crs and not geometry.is_empty:
        transformer = Transformer.from_crs(crs.to_wkt(), grid.crs.to_wkt(), always_xy=True)
        if crs.is_geographic:
            geometry = unwrap_longitudes(geometry, grid.centre_lonlat()[0])
        # long edges bend under projection: points every hundredth of a degree (or kilometre) keep them where they are
        geometry = shapely.segmentize(geometry, 0.01 if crs.is_geographic else 1000.0)
        geometry = shapely.transform(geometry, lambda points: np.column_stack(transformer.transform(points[:, 0], points[:, 1])))
    return GridPolygons(geometry=geometry, grid=grid)


def _short(source: str) -> str:
    return source if len(source) <= 60 else source[:57] + "..."


def _read(source: str, option: str, what: str) -> tuple[BaseGeometry, CRS]:
    text = source.strip()
    if _LOOKS_LIKE_WKT.match(text):
        return _from_wkt(text, option, what)
    import pyogrio.raw  # noqa: PLC0415 - brings a GDAL of its own, for the few runs that have polygons
    from pyogrio.errors import DataSourceError  # noqa: PLC0415 - as above

    path = Path(source)
    if "://" not in source and not path.exists():
        raise RasterNotFoundError(f"{option} must be a vector file or WKT; there is nothing at {_short(source)}; check the path")
    if path.suffix.lower() == ".wkt":
        return _from_wkt(path.read_text().strip(), option, what)
    try:
        meta, _, shapes, _ = pyogrio.raw.read(source, columns=[])
    except DataSourceError as error:
        raise RasterReadError(f"{option} must be a vector file that GDAL reads, or WKT; {source} is not: {error}") from error
    crs = CRS.from_user_input(meta["crs"]) if meta["crs"] else WGS84
    geometry = shapely.union_all([shape for shape in shapely.from_wkb(shapes) if shape is not None])
    if not meta["crs"] and not geometry.is_empty:
        _require_degrees(geometry, source, what)
    return geometry, crs


def _require_degrees(geometry: BaseGeometry, source: str, what: str) -> None:
    """Refuse coordinates that are no longitude and latitude where no CRS says what else they are."""
    west, south, east, north = geometry.bounds
    if west < -360 or east > 360 or south < -90 or north > 90:
        raise GeoreferenceError(
            f"{what} without a CRS is in degrees of longitude and latitude; {source} names none and spans x {west:.6g} to {east:.6g}, "
            f"y {south:.6g} to {north:.6g}; write its CRS beside it (the .prj of a shapefile) or into it"
        )


def _from_wkt(text: str, option: str, what: str) -> tuple[BaseGeometry, CRS]:
    crs = WGS84
    if text.upper().startswith("SRID="):
        code, _, text = text.partition(";")
        try:
            crs = CRS.from_epsg(int(code[5:]))
        except (ValueError, CRSError) as error:
            raise GeoreferenceError(
                f"the SRID of {what} is an EPSG code, got {code!r}: {error}; write for example SRID=32633;POLYGON((...))"
            ) from error
    try:
        return shapely.from_wkt(text), crs
    except shapely.errors.ShapelyError as error:
        raise RasterReadError(f"{option} must be well-formed WKT, got {_short(text)!r}: {error}") from error
