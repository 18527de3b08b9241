"""Folders of fake scenes: s1, s2, s2_clear, masks, with times in the names."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from geocr.core.bands import L1C_BANDS

UTM = CRS.from_epsg(32633)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a fake raster lies."""

    left: float = 500000.0
    top: float = 5300000.0
    size: tuple[int, int] = (160, 192)
    res: float = 10.0
    crs: CRS = UTM


def surface(x: np.ndarray, y: np.ndarray, band: int) -> np.ndarray:
    """A smooth field of map coordinates, nowhere symmetric: a flip or a shift cannot hide. 0.05 to 0.45."""
    return (0.25 + 0.1 * np.sin(x / 150 + band) + 0.1 * np.cos(y / 230 - 0.3 * band)).astype(np.float32)


def centres(place: Place) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.mgrid[: place.size[0], : place.size[1]]
    return place.left + (cols + 0.5) * place.res, place.top - (rows + 0.5) * place.res


def write(path: Path, array: np.ndarray, place: Place, *, names: tuple[str, ...], nodata: float | None = None, scale: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=array.shape[0],
        height=array.shape[1],
        width=array.shape[2],
        dtype=array.dtype,
        crs=place.crs,
        transform=from_origin(place.left, place.top, place.res, place.res),
        nodata=nodata,
        tiled=True,
        blockxsize=64,
        blockysize=64,
    ) as out:
        out.write(array)
        out.descriptions = names
        if scale != 1.0:
            out.scales = (scale,) * out.count
    return path


def write_s2(path: Path, place: Place | None = None, *, bands: tuple[str, ...] = L1C_BANDS, add: float = 0.0) -> Path:
    """Reflectance x 10000, uint16, 0 is nodata."""
    place = place or Place()
    x, y = centres(place)
    values = np.stack([surface(x, y, L1C_BANDS.index(band)) + add for band in bands])
    return write(path, np.rint(values * 10000).astype(np.uint16), place, names=bands, nodata=0, scale=1e-4)


def write_s1(path: Path, place: Place | None = None, *, names: tuple[str, ...] = ("VV", "VH"), add: float = 0.0) -> Path:
    """Backscatter in dB, float32, NaN is nodata."""
    place = place or Place()
    x, y = centres(place)
    values = np.stack([-25 + 40 * surface(x, y, 20 + number) + add for number in range(len(names))])
    return write(path, values.astype(np.float32), place, names=names, nodata=float("nan"))


def write_mask(path: Path, place: Place | None = None, *, cols: slice = slice(0, 64)) -> Path:
    place = place or Place()
    mask = np.zeros((1, *place.size), np.uint8)
    mask[0, :, cols] = 1
    return write(path, mask, place, names=("mask",))


def make_scenes(root: Path, *, clear: bool = True, masks: bool = True, place: Place | None = None) -> Path:
    """One place, one cloudy scene, Sentinel-1 the day before, a clear scene four days later."""
    write_s2(root / "s2" / "S2_20230813T100559.tif", place, add=0.2)
    write_s1(root / "s1" / "S1_20230812T053000.tif", place)
    if clear:
        write_s2(root / "s2_clear" / "S2_20230817T100601.tif", place)
    if masks:
        write_mask(root / "masks" / "S2_20230813T100559.tif", place)
    return root
