"""JPEG 2000 is decoded block by block and anew at each read: strips must follow its blocks."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

from geocr.core.types import Window
from geocr.grid.spec import TileSpec
from geocr.inference.inputs import RowStream, SceneTiles, row_windows, strip_rows
from geocr.inference.plan import plan_scene
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from tests.scenes import ArrayMask

BANDS = ("B02", "B03", "B04")
DECODED = re.compile(r"Tile \d+/\d+ has been decoded")
"""What OpenJPEG says, through GDAL's debug messages, each time it decodes a block of a band."""
pytestmark = pytest.mark.real_data


def native_bands(real_data: Path) -> NDArray[np.uint16]:
    """Blue, green and red of a real product at 10 m: `(band, 300, 300)`."""
    folder = real_data / "s2_l1c_jp2_crop_native" / "IMG_DATA"
    bands = []
    for name in BANDS:
        with rasterio.open(next(folder.glob(f"*_{name}.jp2"))) as dataset:
            bands.append(dataset.read(1))
    return np.stack(bands)


def write_jp2(path: Path, pixels: NDArray[np.uint16], block: int) -> Path:
    profile = {"driver": "JP2OpenJPEG", "count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2], "dtype": "uint16"}
    profile |= {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 399_960, 0, -10, 4_693_200), "QUALITY": 100, "REVERSIBLE": "YES"}
    with rasterio.open(path, "w", **profile, tiled=True, blockxsize=block, blockysize=block) as dataset:
        dataset.write(pixels)
    return path


def bundle(folder: Path, pixels: NDArray[np.uint16], block: int) -> Path:
    """One file a band as in a product, under a VRT."""
    bands = []
    for number, band in enumerate(pixels, start=1):
        path = write_jp2(folder / f"{number}.jp2", band[None], block)
        source = f'<SourceFilename relativeToVRT="1">{path.name}</SourceFilename><SourceBand>1</SourceBand>'
        bands.append(f'<VRTRasterBand dataType="UInt16" band="{number}"><SimpleSource>{source}</SimpleSource></VRTRasterBand>')
    rows, cols = pixels.shape[1:]
    where = "<SRS>EPSG:32631</SRS><GeoTransform>399960, 10, 0, 4693200, 0, -10</GeoTransform>"
    (folder / "scene.vrt").write_text(f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">{where}{"".join(bands)}</VRTDataset>')
    return folder / "scene.vrt"


def read_by(scene: Scene, rows: int) -> NDArray[Any]:
    return np.concatenate([scene.read_dn(window) for window in row_windows(scene.grid.shape, rows)], axis=1)


def decodes(
    caplog: pytest.LogCaptureFixture, path: Path, read: Callable[[Scene], NDArray[Any]], bands: tuple[str, ...] = BANDS
) -> tuple[int, NDArray[Any]]:
    """How many blocks a pass over the pixels decodes, and the pixels; GDAL's cache holds less than a row of blocks, as on a full scene."""
    with rasterio.Env(GDAL_CACHEMAX=1, GDAL_NUM_THREADS="ALL_CPUS", CPL_DEBUG=True), caplog.at_level(logging.DEBUG, logger="rasterio"):
        scene = open_scene(str(path), s2_bands=bands, s2_scale=1e-4, s2_offset=0.0)
        caplog.clear()
        pixels = read(scene)
        return sum(bool(DECODED.search(message)) for message in caplog.messages), pixels


@pytest.mark.parametrize(
    ("rows", "cols", "block", "strip"),
    [(600, 700, 256, 256), (900, 900, 300, 300), (560, 1100, 512, 512), (640, 700, 600, 600), (900, 300, 1024, 900)],
)
@pytest.mark.parametrize("form", ["one file", "a file a band"])
def test_a_pass_by_strips_decodes_each_block_once(  # noqa: PLR0917 - fixtures and sizes
    real_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, rows: int, cols: int, block: int, strip: int, form: str
) -> None:
    whole = np.tile(native_bands(real_data), (1, -(-rows // 300), -(-cols // 300)))[:, :rows, :cols]
    path = write_jp2(tmp_path / "scene.jp2", whole, block) if form == "one file" else bundle(tmp_path, whole, block)

    def by_strips(scene: Scene) -> NDArray[Any]:
        assert strip_rows(scene) == strip
        return read_by(scene, strip)

    blocks = 3 * -(-rows // block) * -(-cols // block)
    once, pixels = decodes(caplog, path, by_strips)
    np.testing.assert_array_equal(pixels, whole)
    assert once == blocks
    if cols > block:  # the same count does see blocks that are decoded twice
        assert decodes(caplog, path, lambda scene: read_by(scene, strip // 2))[0] > 1.4 * blocks


def test_the_engines_stream_decodes_each_block_once_too(real_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Tiles of 256 pixels that overlap ask for rows again and again; strips stand between them and the file."""
    tall = np.tile(native_bands(real_data), (1, 3, 3))
    path = write_jp2(tmp_path / "scene.jp2", tall, 300)

    def by_tiles(scene: Scene) -> NDArray[Any]:
        tiles = SceneTiles(scene=scene, mask=ArrayMask(np.zeros(scene.grid.shape, bool)))
        rows = []
        with RowStream(tiles, 0, 900, step=strip_rows(tiles.scene)) as stream:
            for start in range(0, 900, 192):
                stop = min(start + 256, 900)
                strips = [strip.dn for strip in stream.rows(start, stop)]
                rows.append(np.concatenate(strips, axis=1)[:, : min(192, 900 - start)])
        return np.concatenate(rows, axis=1)

    count, pixels = decodes(caplog, path, by_tiles)
    np.testing.assert_array_equal(pixels, tall)
    assert count == 3 * 3 * 3


def test_a_method_that_wants_fewer_rows_still_reads_full_blocks(real_data: Path, tmp_path: Path) -> None:
    """The scene fit asks for 128 rows to save memory: of JPEG 2000 that would decode each block of 1,024 rows eight times."""
    path = write_jp2(tmp_path / "scene.jp2", np.tile(native_bands(real_data), (1, 2, 1)), 256)
    plain = tmp_path / "plain.tif"
    rasterio.shutil.copy(path, plain, driver="GTiff", TILED="YES")
    for name, rows in ((path, 256), (plain, 128)):
        scene = open_scene(str(name), s2_bands=BANDS, s2_scale=1e-4, s2_offset=0.0)
        tiles = SceneTiles(scene=scene, mask=ArrayMask(np.zeros(scene.grid.shape, bool)))
        plan = plan_scene(tiles, TileSpec(size_px=256), mode="replace-clouds", with_std=False, threads=1, read_rows=128)
        assert plan.read_rows == rows


def test_the_native_files_of_a_product_are_decoded_once(real_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As they were published: bands of 10, 20 and 60 m in one block each, the picture of three bands in four."""
    for path in sorted((real_data / "s2_l1c_jp2_crop_native" / "IMG_DATA").glob("*.jp2")):
        bands, blocks = (BANDS, 12) if path.stem.endswith("TCI") else ((path.stem[-3:],), 1)
        count, pixels = decodes(caplog, path, lambda scene: read_by(scene, strip_rows(scene)), bands)
        scene = open_scene(str(path), s2_bands=bands, s2_scale=1e-4, s2_offset=0.0)
        np.testing.assert_array_equal(pixels, scene.read_dn(Window(row=0, col=0, height=scene.grid.shape[0], width=scene.grid.shape[1])))
        assert count == blocks, path.name
