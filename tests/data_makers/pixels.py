"""Pixels with the units and dtypes of real files, and writers of the formats they come in."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.crs import CRS

SIDE = 32
CRS_UTM = CRS.from_epsg(32631)
TRANSFORM = Affine(10.0, 0.0, 704_342.0, 0.0, -10.0, 5_631_402.0)


def backscatter(rng: np.random.Generator, side: int = SIDE) -> NDArray[np.float32]:
    """VV and VH in dB."""
    return np.stack([rng.normal(-11, 3, (side, side)), rng.normal(-18, 3, (side, side))]).astype(np.float32)


def counts(rng: np.random.Generator, bands: int = 13, side: int = SIDE, *, cloudy: bool = False) -> NDArray[np.uint16]:
    """Reflectance x 10000, never 0; bright where cloudy."""
    low, high = (4000, 9000) if cloudy else (200, 3000)
    return rng.integers(low, high, (bands, side, side)).astype(np.uint16)


def colours(rng: np.random.Generator, side: int = SIDE) -> NDArray[np.uint8]:
    """An RGB picture, `(y, x, 3)`."""
    return rng.integers(0, 256, (side, side, 3)).astype(np.uint8)


def greys(rng: np.random.Generator, side: int = SIDE) -> NDArray[np.uint8]:
    """A grey picture, `(y, x)`."""
    return rng.integers(0, 256, (side, side)).astype(np.uint8)


def write_tif(path: Path, pixels: NDArray[Any], *, georeferenced: bool = True, nodata: float | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    place: dict[str, Any] = {"crs": CRS_UTM, "transform": TRANSFORM} if georeferenced else {}
    with rasterio.open(
        path, "w", driver="GTiff", count=pixels.shape[0], height=pixels.shape[1], width=pixels.shape[2], dtype=pixels.dtype, nodata=nodata,
        compress="deflate", **place,
    ) as out:  # fmt: skip
        out.write(pixels)
    return path


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def read_raw(path: str | Path) -> NDArray[Any]:
    with rasterio.open(path) as dataset:
        pixels: NDArray[Any] = dataset.read()
    return pixels
