"""Digital numbers on another grid: bilinear, NaN where nothing was observed, the same in every window."""

from math import ceil
from typing import Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader, open_raster
from geocr.io.sar import WARP_TOLERANCE_PX, kernel_scale


class WarpedReader(RasterReader):
    """Digital numbers warped bilinearly to a grid, float32, NaN where not observed; the same in every window (see `geocr.io.sar`)."""

    def __init__(self, path: str, *, grid: SceneGrid, nodata: float | None) -> None:
        super().__init__(path)
        self.grid = grid
        self.nodata = nodata

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "grid": self.grid, "nodata": self.nodata}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], grid=state["grid"], nodata=state["nodata"])  # type: ignore[misc]

    def _open(self) -> DatasetReader:
        source = open_raster(self.path)
        scale_y, scale_x = kernel_scale(source, self.grid)
        return WarpedVRT(
            source,
            crs=self.grid.crs,
            transform=self.grid.transform,
            height=self.grid.shape[0],
            width=self.grid.shape[1],
            resampling=Resampling.bilinear,
            src_nodata=self.nodata,
            nodata=np.nan,
            dtype="float32",
            tolerance=WARP_TOLERANCE_PX,
            XSCALE=scale_x,
            YSCALE=scale_y,
            SOURCE_EXTRA=ceil(1 / min(scale_y, scale_x)) + 1,
            UNIFIED_SRC_NODATA="YES",  # as in an unwarped file: nodata in all bands is nodata,
        )
