"""Reading the 15-band raster and writing an array, for tools that take and give arrays."""

from pathlib import Path

import numpy as np
import rasterio
import torch
from conv3 import BANDS
from torch import Tensor


def read_stack(path: Path) -> Tensor:
    """All 15 bands as `(1, 15, H, W)` float32, 0 to 1; one band at a time, so that no second copy of the scene is held."""
    with rasterio.open(path) as source:
        held = torch.empty((1, source.count, source.height, source.width), dtype=torch.float32)
        for number in range(source.count):
            held[0, number] = torch.from_numpy(source.read(number + 1).astype(np.float32))
    return held.div_(10_000)


def write_like(path: Path, result: Tensor, like: Path) -> None:
    """`(1, 13, H, W)` reflectance as uint16 in a tiled, uncompressed GeoTIFF, the fastest that GDAL writes; a band at a time."""
    with rasterio.open(like) as source:
        profile = {"driver": "GTiff", "crs": source.crs, "transform": source.transform, "width": source.width, "height": source.height}
    profile |= {"count": BANDS, "dtype": "uint16", "nodata": 0, "tiled": True, "blockxsize": 512, "blockysize": 512, "bigtiff": "if_safer"}
    with rasterio.open(path, "w", **profile) as out:
        for number, band in enumerate(result[0], start=1):
            out.write(to_dn(band.numpy()), number)


def to_dn(reflectance: np.ndarray) -> np.ndarray:
    """Reflectance as uint16 from 1 to 10,000; 0 is nodata."""
    dn: np.ndarray = np.clip(np.rint(reflectance * np.float32(10_000)), 1, 10_000).astype(np.uint16)
    return dn
