"""Small scenes on disk for tests: rasters with given pixels, and masks that are arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geocr.core.types import BoolArray, Window

UTM = CRS.from_epsg(32633)
TRANSFORM = Affine(10.0, 0.0, 499_980.0, 0.0, -10.0, 5_300_040.0)


def write_raster(
    path: Path,
    pixels: NDArray[Any],
    *,
    crs: CRS | None = UTM,
    transform: Affine = TRANSFORM,
    nodata: float | None = None,
    descriptions: Sequence[str | None] = (),
    scale: float | None = None,
    offset: float = 0.0,
    tags: dict[str, str] | None = None,
    block: int | None = None,
) -> str:
    """Write `(band, y, x)` pixels to a GeoTIFF and return its path."""
    profile: dict[str, Any] = {"driver": "GTiff", "count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2]}
    profile |= {"dtype": pixels.dtype, "crs": crs, "transform": transform, "nodata": nodata, "compress": "deflate"}
    if block is not None:
        profile |= {"tiled": True, "blockxsize": block, "blockysize": block}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
        for number, text in enumerate(descriptions, start=1):
            if text:
                dataset.set_band_description(number, text)
        if scale is not None:
            dataset.scales = [scale] * pixels.shape[0]
            dataset.offsets = [offset] * pixels.shape[0]
        if tags:
            dataset.update_tags(**tags)
    return str(path)


@dataclass(frozen=True)
class ArrayMask:
    """A cloud mask held as an array, for tests."""

    array: BoolArray

    def read(self, window: Window) -> BoolArray:
        return self.array[window.row : window.row_stop, window.col : window.col_stop]
