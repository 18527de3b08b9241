"""Another date of the same place, laid over a scene's grid: any CRS, resolution and extent, warped window by window.

Bilinear, in the file's own numbers as float32, each band by itself (`geocr.io.bilinear`).
"""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds

from geocr.core.errors import BandError, GeoreferenceError
from geocr.io.bilinear import warp_bilinear
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader
from geocr.io.scene import Scene


class OverlayReader(RasterReader):
    """Reads an optical raster on the grid of a scene; a `RasterReader` that warps.

    Args:
        source: Reads the raster, or the bands of a product, on its own grid.
        nodata: Its number for no measurement (NaN for floats).
        grid: The grid to read on.
    """

    def __init__(self, source: RasterReader, *, nodata: float, grid: SceneGrid) -> None:
        super().__init__(source.path)
        self.source = source
        self.nodata = nodata
        self.grid = grid

    def __getstate__(self) -> dict[str, Any]:
        return {"source": self.source, "nodata": self.nodata, "grid": self.grid}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["source"], nodata=state["nodata"], grid=state["grid"])  # type: ignore[misc]

    def _require_reachable(self, cause: BaseException) -> None:
        self.source._require_reachable(cause)  # noqa: SLF001 - it alone knows its files

    def _open(self) -> DatasetReader:
        source = copy(self.source).handle  # a handle of its own: after damage it is opened anew
        return warp_bilinear(source, self.grid, nodata=self.nodata, bands_apart=True)


def lay_over(other: Scene, target: Scene, name: str) -> Scene:
    """The same scene with the target's bands, in the target's order, on the target's grid; without Sentinel-1.

    A scene that lies on these pixels already is read as it is.

    Args:
        other: Any scene.
        target: Whose grid and bands are wanted.
        name: How to call the other in messages.

    Raises:
        BandError: When it lacks a band of the target.
        GeoreferenceError: When it does not overlap the target.
    """
    absent = [band for band in target.bands if band not in other.bands]
    if absent:
        raise BandError(
            f"a reference must have every band of the scene; {name} lacks {', '.join(absent)} (it has {', '.join(other.bands)}); "
            f"give a product with them, or a scene of only the bands that both have"
        )
    _require_overlap(other.grid, target.grid, name)
    indexes = tuple(other.indexes[other.bands.index(band)] for band in target.bands)
    laid = replace(other, indexes=indexes, bands=target.bands, sar=None, sar_bands=())
    if (other.grid.crs, other.grid.transform, other.grid.shape) == (target.grid.crs, target.grid.transform, target.grid.shape):
        return laid
    nodata = np.nan if other.scale.nodata is None else other.scale.nodata
    return replace(
        laid,
        optical=OverlayReader(other.optical, nodata=nodata, grid=target.grid),
        scale=replace(other.scale, nodata=np.nan, dtype="float32"),
        grid=target.grid,
    )


def _require_overlap(grid: SceneGrid, target: SceneGrid, name: str) -> None:
    """Raise unless the bounds meet, in the target's CRS."""
    left, bottom, right, top = array_bounds(*target.shape, target.transform)
    try:
        west, south, east, north = transform_bounds(grid.crs, target.crs, *array_bounds(*grid.shape, grid.transform))
    except RasterioError as error:
        raise GeoreferenceError(f"a reference must be transformable into the scene's CRS; {name} is not: {error}") from error
    if not (west < right and east > left and south < top and north > bottom):
        raise GeoreferenceError(
            f"a reference must overlap the scene; in {target.crs.to_string()} {name} spans x {west:.6g} to {east:.6g}, y {south:.6g} to "
            f"{north:.6g} and the scene x {left:.6g} to {right:.6g}, y {bottom:.6g} to {top:.6g}; give another date of the same place"
        )
