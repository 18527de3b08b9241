"""How many rows are read at once."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from geocr.inference.inputs import strip_rows
from geocr.io.open import open_scene
from geocr.io.raster import GDAL_OPTIONS


def sparse_scene(path: Path, *, rows: int, cols: int, block: int) -> Path:
    """Thirteen bands without a stored block: a wide scene in a few bytes."""
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 13, "width": cols, "height": rows, "nodata": 0, "crs": "EPSG:32633"}
    tiles = {"tiled": True, "blockxsize": block, "blockysize": block, "sparse_ok": True}
    with rasterio.open(path, "w", **profile, **tiles, transform=Affine(10, 0, 4e5, 0, -10, 5.3e6)):
        pass
    return path


@pytest.mark.parametrize(
    ("cols", "block", "expected"), [(4096, 512, 512), (4096, 256, 256), (10980, 512, 256), (10980, 256, 256), (50_000, 512, 128)]
)
def test_wide_scenes_are_read_in_fewer_rows(tmp_path: Path, cols: int, block: int, expected: int) -> None:
    scene = open_scene(str(sparse_scene(tmp_path / "wide.tif", rows=2048, cols=cols, block=block)))
    assert strip_rows(scene) == expected


def test_a_block_of_all_bands_fits_into_gdals_cache(tmp_path: Path) -> None:
    """rasterio takes bytes: a number meant as megabytes would turn the cache off, and each band decode a pixel-interleaved block anew."""
    with rasterio.Env(**GDAL_OPTIONS), rasterio.open(sparse_scene(tmp_path / "block.tif", rows=512, cols=512, block=512)) as source:
        assert source.read().nbytes <= rasterio.env.get_gdal_config("GDAL_CACHEMAX") <= 2**26
    assert np.dtype("uint16").itemsize * 13 * 512 * 512 <= GDAL_OPTIONS["GDAL_CACHEMAX"]
