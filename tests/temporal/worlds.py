"""Small places seen on several dates, on disk, with masks that are arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from geocr.core.types import BoolArray, FloatArray
from geocr.inference.inputs import OtherDate, SceneTiles
from geocr.io.open import open_scene
from tests.scenes import ArrayMask, write_raster

BANDS = ("B02", "B03", "B04")


@dataclass(frozen=True, kw_only=True)
class Date:
    """What one date saw: `scene = gain x ground + offset`, where its clouds let it."""

    days: int
    gain: float = 1.0
    offset: float = 0.0
    clouds: BoolArray | None = None
    noise: float = 0.0
    name: str = ""


@dataclass(frozen=True, eq=False)
class World:
    """A scene with other dates, and the ground under its clouds."""

    ground: FloatArray
    dn: NDArray[np.uint16]
    mask: BoolArray
    tiles: SceneTiles


def make_ground(shape: tuple[int, int], seed: int = 0) -> FloatArray:
    """`(3, rows, columns)` reflectance from 0.02 to 0.3 with structure at several sizes."""
    rng = np.random.default_rng(seed)
    layers = [sum(size * gaussian_filter(rng.standard_normal(shape), size, mode="wrap") for size in (1, 4, 16)) for _ in BANDS]
    ground = np.stack([0.12 + 0.04 * layer / np.std(layer) for layer in layers])
    return np.clip(ground, 0.02, 0.3).astype(np.float32)


def disc(shape: tuple[int, int], row: int, col: int, radius: int) -> BoolArray:
    rows, cols = np.indices(shape)
    inside: BoolArray = (rows - row) ** 2 + (cols - col) ** 2 < radius**2
    return inside


def counts(reflectance: FloatArray) -> NDArray[np.uint16]:
    return np.clip(np.rint(reflectance * 1e4), 1, 65535).astype(np.uint16)


def seen(ground: FloatArray, date: Date, seed: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(1000 + seed)
    picture = date.gain * ground + date.offset + date.noise * rng.standard_normal(ground.shape)
    if date.clouds is not None:
        picture = np.where(date.clouds, 0.7, picture)
    return counts(picture.astype(np.float32))


def make_world(
    folder: Path, dates: list[Date], mask: BoolArray, *, seed: int = 0, sar: bool = False, nodata: BoolArray | None = None
) -> World:
    """The scene of day 0 under `mask`, and the same place on other dates."""
    ground = make_ground(mask.shape, seed)
    dn = seen(ground, Date(days=0, clouds=mask), seed)
    if nodata is not None:
        dn[:, nodata] = 0
    folder.mkdir(exist_ok=True)
    path = write_raster(folder / "s2_20240510.tif", dn, nodata=0, descriptions=BANDS, scale=1e-4)
    s1 = None
    if sar:
        db = np.random.default_rng(seed).normal(-12, 3, (2, *mask.shape)).astype(np.float32)
        s1 = write_raster(folder / "s1_20240510.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    others = []
    for number, date in enumerate(dates):
        other = write_raster(folder / f"other_{number}.tif", seen(ground, date, number), nodata=0, descriptions=BANDS, scale=1e-4)
        clouds = np.zeros(mask.shape, bool) if date.clouds is None else date.clouds
        others.append(OtherDate(scene=open_scene(other), mask=ArrayMask(clouds), days=date.days, name=date.name or f"date {number}"))
    others.sort(key=lambda other: (abs(other.days), other.days, other.name))
    tiles = SceneTiles(scene=open_scene(path, s1), mask=ArrayMask(mask), others=tuple(others))
    return World(ground=ground, dn=dn, mask=mask, tiles=tiles)
