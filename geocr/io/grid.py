"""The one grid of a run: the Sentinel-2 scene's CRS, transform and size, kept to the last digit."""

from dataclasses import dataclass
from math import cos, hypot, radians
from pathlib import Path

from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.warp import transform as transform_points

from geocr.core.errors import GeoreferenceError, RasterReadError
from geocr.core.types import Window

METRES_PER_DEGREE = 111_195.0
"""Length of a degree of a great circle on the mean sphere (radius 6371 km)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneGrid:
    """Where the pixels of a scene lie on the ground."""

    crs: CRS
    """Coordinate reference system."""
    transform: Affine
    """Pixel `(column, row)` to CRS coordinates of the pixel's upper-left corner."""
    shape: tuple[int, int]
    """`(rows, columns)`."""

    @property
    def window(self) -> Window:
        """The whole scene as a window."""
        return Window(row=0, col=0, height=self.shape[0], width=self.shape[1])

    @property
    def pixel_size_m(self) -> float:
        """Side of a pixel in metres: the geometric mean of its two sides at the scene's centre.

        Degrees are turned into metres on the mean sphere, so that buffers in metres mean the same in
        every CRS.
        """
        a, b, _, d, e, _ = self.transform[:6]
        if self.crs.is_geographic:
            _, latitude = self.centre_lonlat()
            narrow = max(cos(radians(latitude)), 1e-6)
            return float((hypot(a * narrow, d) * hypot(b * narrow, e)) ** 0.5) * METRES_PER_DEGREE
        return float((hypot(a, d) * hypot(b, e)) ** 0.5) * float(self.crs.linear_units_factor[1])

    def centre_lonlat(self) -> tuple[float, float]:
        """Longitude and latitude of the scene's centre in degrees (WGS 84)."""
        a, b, c, d, e, f = self.transform[:6]
        row, col = self.shape[0] / 2, self.shape[1] / 2
        (lon,), (lat,) = transform_points(self.crs, CRS.from_epsg(4326), [a * col + b * row + c], [d * col + e * row + f])
        return float(lon), float(lat)


def grid_of(source: DatasetReader, path: str) -> SceneGrid:
    """The grid of an open raster.

    Args:
        source: The raster.
        path: How to call it in messages.

    Raises:
        RasterReadError: When it is a container of several rasters.
        GeoreferenceError: When it has no CRS or no transform.
    """
    if source.count == 0:
        raise RasterReadError(
            f"an input must be one raster; {path} is a container of {len(source.subdatasets)} rasters ({', '.join(source.subdatasets[:3])} ...); "
            f"convert the one with the bands to a GeoTIFF, for example with gdal_translate"
        )
    if source.crs is None or source.transform.is_identity:
        what = "only ground control points (a raw GRD in radar geometry)" if source.gcps[0] else "none"
        cure = (
            "terrain-correct it first, for example with SNAP or pyroSAR, or take a terrain-corrected (RTC) product"
            if source.gcps[0]
            else f"if you know where it lies, write it into the file: `gdal_edit.py -a_srs EPSG:… -a_ullr … {Path(path).name}`"
        )
        raise GeoreferenceError(f"a scene must have a CRS and a transform; {path} has {what}; {cure}")
    return SceneGrid(crs=source.crs, transform=source.transform, shape=source.shape)
