"""Averages for detectors do not depend on how a scene is stored, and JPEG 2000 is decoded once for them."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from geocr.clouds.averaging import averaged_parts
from geocr.clouds.working import WorkingGrid
from geocr.core.types import FloatArray, Window
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from tests.scenes import write_raster

BANDS = ("B02", "B04")
BLOCK = 64
DECODED = re.compile(r"Tile \d+/\d+ has been decoded")


def dn_of(shape: tuple[int, int]) -> NDArray[np.uint16]:
    rng = np.random.default_rng(0)
    dn = rng.integers(200, 4000, (2, *shape)).astype(np.uint16)
    dn[:, :, : shape[1] // 3] = 0
    dn[1, 10:40, -30:] = 0
    return dn


def write_jp2(path: Path, pixels: NDArray[np.uint16]) -> str:
    profile = {"driver": "JP2OpenJPEG", "count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2], "dtype": "uint16"}
    profile |= {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 400_000, 0, -10, 5_300_000), "QUALITY": 100, "REVERSIBLE": "YES"}
    with rasterio.open(path, "w", **profile, tiled=True, blockxsize=BLOCK, blockysize=BLOCK) as dataset:
        dataset.write(pixels)
    return str(path)


def as_files(folder: Path, pixels: NDArray[np.uint16]) -> str:
    """Loose band files: a product, read through a stack."""
    (folder / "bands").mkdir()
    for name, band in zip(BANDS, pixels, strict=True):
        write_jp2(folder / "bands" / f"T33TWM_20230813T095559_{name}.jp2", band[None])
    return str(folder / "bands")


def as_one(folder: Path, pixels: NDArray[np.uint16]) -> str:
    return write_jp2(folder / "scene.jp2", pixels)


def averages(scene: Scene, working: WorkingGrid) -> FloatArray:
    """All parts put together; each working pixel is given once, by the part that holds its scene pixels."""
    out = np.full((len(BANDS), *working.shape), -9.0, np.float32)
    whole = Window(row=0, col=0, height=working.shape[0], width=working.shape[1])
    for part in averaged_parts(scene, BANDS, working):
        rows, cols = part.coarse.slices_in(whole)
        assert (out[:, rows, cols] == -9).all()
        assert (part.window.row, part.window.col) == (part.coarse.row * working.factor, part.coarse.col * working.factor)
        np.testing.assert_array_equal(part.seen, np.isfinite(part.mean))
        out[:, rows, cols] = part.mean
    assert not (out == -9).any()
    return out


@pytest.mark.parametrize("store", [as_files, as_one])
@pytest.mark.parametrize("shape", [(150, 90), (128, 200), (61, 70), (65, 33)])
@pytest.mark.parametrize("factor", [1, 6, 7, 100])
def test_averages_do_not_depend_on_how_a_scene_is_stored(
    tmp_path: Path, store: Callable[[Path, NDArray[np.uint16]], str], shape: tuple[int, int], factor: int
) -> None:
    """Blocks of 64 rows end within squares of 6, 7 and 100 pixels, and a scene may end anywhere in one."""
    dn = dn_of(shape)
    working = WorkingGrid(scene_shape=shape, factor=factor, resolution_m=10.0 * factor)
    plain = write_raster(tmp_path / "plain.tif", dn, nodata=0, descriptions=BANDS)
    options = {"s2_scale": 1e-4, "s2_offset": -0.1}
    expected = averages(open_scene(plain, **options), working)
    bands = None if store is as_files else BANDS
    found = averages(open_scene(store(tmp_path, dn), s2_bands=bands, **options), working)
    np.testing.assert_array_equal(found, expected)
    reflectance = np.where(dn > 0, dn * 1e-4 - 0.1, np.nan)
    top = reflectance[:, -(shape[0] % factor or factor) :, -(shape[1] % factor or factor) :]
    np.testing.assert_allclose(expected[:, -1, -1], [np.nanmean(band) for band in top], atol=1e-6)


@pytest.mark.parametrize("store", [as_files, as_one])
def test_each_block_of_jpeg_2000_is_decoded_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, store: Callable[[Path, NDArray[np.uint16]], str]
) -> None:
    dn = dn_of((300, 200))
    path, bands = store(tmp_path, dn), None if store is as_files else BANDS
    working = WorkingGrid(scene_shape=(300, 200), factor=6, resolution_m=60.0)
    with rasterio.Env(GDAL_CACHEMAX=2**17, GDAL_NUM_THREADS="1", CPL_DEBUG=True), caplog.at_level(logging.DEBUG, logger="rasterio"):
        scene = open_scene(path, s2_bands=bands, s2_scale=1e-4, s2_offset=0.0)
        caplog.clear()
        averages(scene, working)
        decoded = sum(bool(DECODED.search(message)) for message in caplog.messages)
    assert decoded == 5 * 4 * (2 if store is as_files else 1)
