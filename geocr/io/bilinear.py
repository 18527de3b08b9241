"""Digital numbers on another grid: bilinear, float32, NaN where nothing was observed, the same in every window."""

from math import ceil

import numpy as np
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from geocr.io.grid import SceneGrid
from geocr.io.sar import WARP_TOLERANCE_PX, kernel_scale


def warp_bilinear(source: DatasetReader, grid: SceneGrid, *, nodata: float | None, bands_apart: bool) -> WarpedVRT:
    """A raster as it is read on a grid of any CRS and resolution; nodata has no weight and does not spread.

    As with Sentinel-1, the tolerance of coordinates and the width of the kernel are fixed, so that a pixel does not depend on the window it
    is read in.

    Args:
        source: The raster on its own grid.
        grid: The grid to read on.
        nodata: The source's number for no measurement; None where it has none.
        bands_apart: Whether each band's nodata is its own; else a pixel is without a measurement where all bands are.
    """
    scale_y, scale_x = kernel_scale(source, grid)
    return WarpedVRT(
        source,
        crs=grid.crs,
        transform=grid.transform,
        height=grid.shape[0],
        width=grid.shape[1],
        resampling=Resampling.bilinear,
        src_nodata=nodata,
        nodata=np.nan,
        dtype="float32",
        tolerance=WARP_TOLERANCE_PX,
        XSCALE=scale_x,
        YSCALE=scale_y,
        SOURCE_EXTRA=ceil(1 / min(scale_y, scale_x)) + 1,
        UNIFIED_SRC_NODATA="NO" if bands_apart else "YES",
    )
