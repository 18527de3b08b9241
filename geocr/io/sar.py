"""Sentinel-1 on the Sentinel-2 grid: any CRS, resolution and extent, warped window by window.

Backscatter is turned into power, interpolated there (bilinear, with a kernel as wide as the scene's pixel where the
source is finer), and then into dB. The chain is a VRT with GDAL's own pixel functions under a WarpedVRT, so nothing is
read before a window asks for it.

GDAL decides two things per read, and a pixel would then depend on the window it was read in. Both are set here: the
tolerance of coordinates (1e-9 of a pixel instead of 0.125), and the width of the kernel (`kernel_scale`), which GDAL takes from
the sizes of the window and of the source pixels under it, rounded to whole pixels. An image in radar geometry is warped by its
control points instead, in fixed blocks (`sar_gcps.py`).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import product
from math import ceil, hypot, inf
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points

from geocr.core.types import FloatArray, NumberArray, Window
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader, open_raster
from geocr.io.remote import gdal_name
from geocr.io.sar_border import BORDER_REACH_PX, border_noise, dark_pixels
from geocr.io.sar_gcps import GCP_BLOCK_PX, gcp_warp_vrt
from geocr.radiometry.sar import SarUnits, power_to_db

WARP_TOLERANCE_PX = 1e-9
_PIXEL_FUNCTIONS = {
    "db": "<PixelFunctionType>dB2pow</PixelFunctionType>",
    "amplitude": '<PixelFunctionType>pow</PixelFunctionType><PixelFunctionArguments power="2"/>',
}
_NO_ECHO: dict[SarUnits, float | None] = {"db": float("-inf"), "power": 0.0, "amplitude": 0.0, "display": None}
"""What stands for no measurement where the file names no other value: the border of a GRD, everything outside the swath."""


class SarReader(RasterReader):
    """Reads Sentinel-1 backscatter on the scene's grid; a `RasterReader` that warps.

    Args:
        path: The Sentinel-1 raster.
        indexes: 1-based numbers of its VV and VH bands, in that order (or one of them).
        units: What the file holds.
        grid: The grid to read on.
        by_gcps: Warp by the raster's ground control points: it has no other georeference.
        without_border_noise: Read dark rims of the swath as unmeasured (`sar_border.py`).
    """

    def __init__(
        self,
        path: str,
        *,
        indexes: tuple[int, ...],
        units: SarUnits,
        grid: SceneGrid,
        by_gcps: bool = False,
        without_border_noise: bool = False,
    ) -> None:
        super().__init__(path)
        self.indexes = indexes
        self.units = units
        self.grid = grid
        self.by_gcps = by_gcps
        self.without_border_noise = without_border_noise and units != "display"
        self._in_db = False
        """Whether what is opened answers in dB already: known once it is."""

    def __getstate__(self) -> dict[str, Any]:
        names = ("path", "indexes", "units", "grid", "by_gcps", "without_border_noise")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state.pop("path"), **state)  # type: ignore[misc]

    def _open(self) -> DatasetReader:
        with open_raster(self.path) as source:
            if (
                self.units == "db" and not self.by_gcps and _lies_on(source, self.grid)
            ):  # nothing to interpolate: power and back costs time and bits
                self._in_db = True
                return open_raster(_values_vrt(source, gdal_name(self.path), self.indexes, "display", self.grid))
            values = _values_vrt(source, gdal_name(self.path), self.indexes, self.units, self.grid)
            if self.by_gcps:
                return open_raster(gcp_warp_vrt(source, self.grid, values, len(self.indexes)))
            power = open_raster(values)
        if _lies_on(power, self.grid):
            return power
        scale_y, scale_x = kernel_scale(power, self.grid)
        return WarpedVRT(
            power,
            src_crs=_wrapped_crs(power, self.grid),
            crs=self.grid.crs,
            transform=self.grid.transform,
            height=self.grid.shape[0],
            width=self.grid.shape[1],
            resampling=Resampling.bilinear,
            src_nodata=np.nan,
            nodata=np.nan,
            tolerance=WARP_TOLERANCE_PX,
            XSCALE=scale_x,
            YSCALE=scale_y,
            SOURCE_EXTRA=ceil(1 / min(scale_y, scale_x)) + 1,
        )

    def read(self, window: Window, indexes: Sequence[int] | None = None) -> NumberArray:
        """What is opened, on a window: power, or dB that needs no warp, `(band, y, x)` float32; arguments and errors as of `RasterReader.read`."""
        if not self.by_gcps:
            return super().read(window, indexes)
        count = len(self.indexes if indexes is None else indexes)
        out = np.empty((count, *window.shape), np.float32)
        for block in _blocks(window, self.grid.window, GCP_BLOCK_PX):
            pixels = super().read(block, indexes)
            shared = _shared(window, block)
            rows, cols = shared.slices_in(window)
            block_rows, block_cols = shared.slices_in(block)
            out[:, rows, cols] = pixels[:, block_rows, block_cols]
        return out

    def read_backscatter(self, window: Window) -> FloatArray:
        """Backscatter of a window: `(band, y, x)` float32 in dB (display data: its own values), NaN off the source."""
        backscatter = self._backscatter(window)
        if self.without_border_noise and dark_pixels(backscatter).any():
            around = window.grown(BORDER_REACH_PX, self.grid.shape)
            rows, cols = window.slices_in(around)
            backscatter[:, border_noise(self._backscatter(around))[rows, cols]] = np.nan
        return backscatter

    def _backscatter(self, window: Window) -> FloatArray:
        backscatter = self.read(window).astype(np.float32, copy=False)
        if self._in_db:
            backscatter[backscatter == -inf] = np.nan  # no echo is no measurement
        elif self.units != "display":
            for band in backscatter:  # one at a time: a strip of a full scene is large
                band[:] = power_to_db(band)
        return backscatter


def _lies_on(source: DatasetReader, grid: SceneGrid) -> bool:
    """Whether a raster's pixels are the scene's own."""
    return (source.crs, source.transform, source.shape) == (grid.crs, grid.transform, grid.shape)


def _blocks(window: Window, limits: Window, size: int) -> Iterator[Window]:
    """The fixed blocks of a grid that a window touches."""
    for row in range(window.row // size * size, window.row_stop, size):
        for col in range(window.col // size * size, window.col_stop, size):
            height, width = min(size, limits.row_stop - row), min(size, limits.col_stop - col)
            yield Window(row=row, col=col, height=height, width=width)


def _shared(one: Window, other: Window) -> Window:
    """What two overlapping windows share."""
    row, col = max(one.row, other.row), max(one.col, other.col)
    return Window(row=row, col=col, height=min(one.row_stop, other.row_stop) - row, width=min(one.col_stop, other.col_stop) - col)


def kernel_scale(source: DatasetReader, grid: SceneGrid) -> tuple[float, float]:
    """Scene pixels per source pixel down and across the source, at the scene's centre, at most 1.

    Below 1 the source is finer than the scene, and the kernel widens by the inverse.
    """
    centre_row, centre_col = grid.shape[0] / 2, grid.shape[1] / 2
    steps = ((-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5))
    corners = [grid.transform * (centre_col + col, centre_row + row) for row, col in steps]
    xs, ys = transform_points(grid.crs, source.crs, [x for x, _ in corners], [y for _, y in corners])
    if source.crs.is_geographic:  # the scene's centre may lie on the antimeridian
        xs = [xs[0] + (x - xs[0] + 180) % 360 - 180 for x in xs]
    x, y = zip(*(~source.transform * point for point in zip(xs, ys, strict=True)), strict=True)
    down, across = (hypot(axis[1] - axis[0], axis[3] - axis[2]) for axis in (y, x))
    return _at_most_one(down), _at_most_one(across)


def _within_reach(source: DatasetReader, grid: SceneGrid) -> Affine:
    """The transform of a source; of one in degrees moved by the whole turns that bring it to where longitudes are looked for.

    For a scene in degrees that is beside it; for another, PROJ gives longitudes between -180 and 180, and `_wrapped_crs` between 0 and 360
    where a source reaches beyond 180.
    """
    own: Affine = source.transform
    if not source.crs.is_geographic:
        return own
    here, _ = own * (source.width / 2, source.height / 2)
    there = here
    if grid.crs.is_geographic:
        there, _ = grid.transform * (grid.shape[1] / 2, grid.shape[0] / 2)
    elif _crosses(source):
        there = 180.0
    turns = round((there - here) / 360)
    moved: Affine = Affine.translation(360.0 * turns, 0) * own if turns else own
    return moved


def _crosses(source: DatasetReader) -> bool:
    """Whether a source in degrees reaches beyond -180 or 180."""
    lons = [(source.transform * corner)[0] for corner in product((0, source.width), (0, source.height))]
    return bool(min(lons) < -180 or max(lons) > 180)


def _wrapped_crs(source: DatasetReader, grid: SceneGrid) -> CRS:
    """The CRS of a source; of one in degrees that reaches beyond 180 one whose longitudes run from 0 to 360 (GDAL's CENTER_LONG).

    It gets a name of its own and no number: GDAL keeps transformations by these, and does not look at the extension.
    """
    if not source.crs.is_geographic or grid.crs.is_geographic or not _crosses(source):
        return source.crs
    wkt = re.sub(r',AUTHORITY\["[^"]*","[^"]*"\]', "", source.crs.to_wkt(version="WKT1_GDAL"))
    wkt = re.sub(r'^GEOGCS\["([^"]*)"', r'GEOGCS["\1, longitudes from 0 to 360"', wkt)
    return CRS.from_wkt(f'{wkt[:-1]},EXTENSION["CENTER_LONG","180"]]')


def _at_most_one(source_px: float) -> float:
    """Inverse of the source pixels in a scene pixel; a source up to a twentieth finer counts as equal, as in GDAL."""
    return 1 / source_px if 1.05 < source_px < inf else 1.0


def _values_vrt(source: DatasetReader, path: str, indexes: tuple[int, ...], units: SarUnits, grid: SceneGrid) -> str:
    """XML of a VRT whose bands are the source's in linear power (display: as they are), NaN where nodata."""
    rows, cols = source.shape
    rect = f'xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"'
    function = _PIXEL_FUNCTIONS.get(units)
    kind = "" if function is None else ' subClass="VRTDerivedRasterBand"'
    bands = []
    for number, index in enumerate(indexes, start=1):
        nodata = source.nodatavals[index - 1]
        if nodata is None or np.isnan(nodata):  # NaN needs no naming, it stays NaN all along
            nodata = _NO_ECHO[units]
        skip = "" if nodata is None else f"<NODATA>{nodata!r}</NODATA>"
        ratio, offset = source.scales[index - 1], source.offsets[index - 1]
        rule = "" if (ratio, offset) == (1.0, 0.0) else f"<ScaleOffset>{offset!r}</ScaleOffset><ScaleRatio>{ratio!r}</ScaleRatio>"
        bands.append(
            f'<VRTRasterBand dataType="Float32" band="{number}"{kind}><NoDataValue>nan</NoDataValue>'
            f"{'' if function is None else function + '<SourceTransferType>Float32</SourceTransferType>'}"
            f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename><SourceBand>{index}</SourceBand>'
            f"<SrcRect {rect}/><DstRect {rect}/>{rule}{skip}</ComplexSource></VRTRasterBand>"
        )
    georeference = ""  # in radar geometry there is none: the warp around it knows the control points
    if source.crs is not None:
        coefficients = ", ".join(repr(float(value)) for value in _within_reach(source, grid).to_gdal())
        georeference = f"<SRS>{escape(source.crs.to_wkt())}</SRS><GeoTransform>{coefficients}</GeoTransform>"
    return f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">{georeference}{"".join(bands)}</VRTDataset>'
