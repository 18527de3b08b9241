"""Sentinel-1 on the Sentinel-2 grid: any CRS, resolution and extent, warped window by window.

Backscatter is turned into power, interpolated there (bilinear; GDAL widens the kernel when the source is
finer than the scene), and then into dB. The chain is a VRT with GDAL's own pixel functions under a
WarpedVRT, so nothing is read before a window asks for it.

The warp's coordinate tolerance is 1e-9 of a pixel: GDAL's default of 0.125 approximates coordinates per
read, and a pixel would then depend on the window it was read in.
"""

from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from geocr.core.types import FloatArray, Window
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader, open_raster
from geocr.radiometry.sar import SarUnits, power_to_db

WARP_TOLERANCE_PX = 1e-9
_PIXEL_FUNCTIONS = {
    "db": "<PixelFunctionType>dB2pow</PixelFunctionType>",
    "amplitude": '<PixelFunctionType>pow</PixelFunctionType><PixelFunctionArguments power="2"/>',
}


class SarReader(RasterReader):
    """Reads Sentinel-1 backscatter on the scene's grid; a `RasterReader` that warps.

    Args:
        path: The Sentinel-1 raster.
        indexes: 1-based numbers of its VV and VH bands, in that order (or one of them).
        units: What the file holds.
        grid: The grid to read on.
    """

    def __init__(self, path: str, *, indexes: tuple[int, ...], units: SarUnits, grid: SceneGrid) -> None:
        super().__init__(path)
        self.indexes = indexes
        self.units = units
        self.grid = grid

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "indexes": self.indexes, "units": self.units, "grid": self.grid}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], indexes=state["indexes"], units=state["units"], grid=state["grid"])  # type: ignore[misc]

    def _open(self) -> DatasetReader:
        with open_raster(self.path) as source:
            power = open_raster(_power_vrt(source, self.path, self.indexes, self.units))
        return WarpedVRT(
            power,
            crs=self.grid.crs,
            transform=self.grid.transform,
            height=self.grid.shape[0],
            width=self.grid.shape[1],
            resampling=Resampling.bilinear,
            src_nodata=np.nan,
            nodata=np.nan,
            tolerance=WARP_TOLERANCE_PX,
        )

    def read_backscatter(self, window: Window) -> FloatArray:
        """Backscatter of a window: `(band, y, x)` float32 in dB (display data: its own values), NaN off the source."""
        power = self.read(window).astype(np.float32, copy=False)
        return power if self.units == "display" else power_to_db(power)


def _power_vrt(source: DatasetReader, path: str, indexes: tuple[int, ...], units: SarUnits) -> str:
    """XML of a VRT whose bands are the source's in linear power (display: as they are), NaN where nodata."""
    rows, cols = source.shape
    rect = f'xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"'
    bands = []
    for number, index in enumerate(indexes, start=1):
        nodata = source.nodatavals[index - 1]
        if nodata is None and units in ("power", "amplitude"):
            nodata = 0.0  # no echo: the border of a GRD and everything outside the swath
        skip = "" if nodata is None else f"<NODATA>{nodata!r}</NODATA>"
        bands.append(
            f'<VRTRasterBand dataType="Float32" band="{number}" subClass="VRTDerivedRasterBand"><NoDataValue>nan</NoDataValue>'
            f"{_PIXEL_FUNCTIONS.get(units, '<PixelFunctionType>sum</PixelFunctionType>')}"
            f"<SourceTransferType>Float32</SourceTransferType>"
            f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename><SourceBand>{index}</SourceBand>'
            f"<SrcRect {rect}/><DstRect {rect}/>{skip}</ComplexSource></VRTRasterBand>"
        )
    coefficients = ", ".join(repr(float(value)) for value in source.transform.to_gdal())
    return (
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><SRS>{escape(source.crs.to_wkt())}</SRS>'
        f"<GeoTransform>{coefficients}</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
