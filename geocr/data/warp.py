"""Digital numbers on another grid: bilinear, NaN where nothing was observed, the same in every window."""

from typing import Any

from rasterio.io import DatasetReader

from geocr.io.bilinear import warp_bilinear
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader, open_raster


class WarpedReader(RasterReader):
    """Digital numbers warped bilinearly to a grid, float32, NaN where not observed; the same in every window (see `geocr.io.bilinear`)."""

    def __init__(self, path: str, *, grid: SceneGrid, nodata: float | None) -> None:
        super().__init__(path)
        self.grid = grid
        self.nodata = nodata

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "grid": self.grid, "nodata": self.nodata}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], grid=state["grid"], nodata=state["nodata"])  # type: ignore[misc]

    def _open(self) -> DatasetReader:
        # as in an unwarped file, a pixel is without a measurement where all bands are
        return warp_bilinear(open_raster(self.path), self.grid, nodata=self.nodata, bands_apart=False)
