"""Small Sentinel-2 scenes on disk from reflectances."""

from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geocr.core.types import BoolArray
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from tests.scenes import TRANSFORM, UTM, write_raster

LAND = {
    "B01": 0.09,
    "B02": 0.07,
    "B03": 0.09,
    "B04": 0.10,
    "B05": 0.14,
    "B08": 0.30,
    "B8A": 0.31,
    "B09": 0.12,
    "B10": 0.002,
    "B11": 0.24,
    "B12": 0.16,
}
CLOUD = {
    "B01": 0.50,
    "B02": 0.52,
    "B03": 0.50,
    "B04": 0.50,
    "B05": 0.52,
    "B08": 0.58,
    "B8A": 0.58,
    "B09": 0.30,
    "B10": 0.02,
    "B11": 0.40,
    "B12": 0.30,
}
SHADE = {
    "B01": 0.07,
    "B02": 0.045,
    "B03": 0.05,
    "B04": 0.045,
    "B05": 0.05,
    "B08": 0.08,
    "B8A": 0.08,
    "B09": 0.03,
    "B10": 0.001,
    "B11": 0.07,
    "B12": 0.05,
}
TEN = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")


def paint(
    shape: tuple[int, int], bands: tuple[str, ...], *, cloud: BoolArray | None = None, shade: BoolArray | None = None
) -> NDArray[np.float64]:
    """`(bands, y, x)` reflectance of slightly rough land, with clouds and shade where the masks say."""
    rough = np.random.default_rng(5).normal(1, 0.04, shape)
    picture = np.stack([np.full(shape, LAND[band]) * rough for band in bands])
    for mask, look in ((shade, SHADE), (cloud, CLOUD)):
        if mask is not None:
            for number, band in enumerate(bands):
                picture[number][mask] = look[band]
    return picture


def scene_of(
    folder: Path,
    reflectance: NDArray[np.float64],
    bands: tuple[str, ...],
    *,
    nodata: BoolArray | None = None,
    crs: CRS = UTM,
    transform: Affine = TRANSFORM,
    tags: dict[str, str] | None = None,
    block: int | None = None,
) -> Scene:
    """Write DN = 10000 x reflectance with named bands, 0 where `nodata`, and open it."""
    dn = np.clip(np.rint(reflectance * 10_000), 1, 65_535).astype(np.uint16)
    if nodata is not None:
        dn[:, nodata] = 0
    path = write_raster(
        folder / "s2.tif", dn, crs=crs, transform=transform, nodata=0, descriptions=bands, scale=1e-4, tags=tags, block=block
    )
    return open_scene(path)


def disc(shape: tuple[int, int], centre: tuple[int, int], radius: float) -> BoolArray:
    rows, cols = np.indices(shape)
    mask: BoolArray = np.hypot(rows - centre[0], cols - centre[1]) <= radius
    return mask
