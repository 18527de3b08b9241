"""Blocks that do not decode: an error every time they are read, or exactly their pixels as nodata and a sentence each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import RasterReadError
from geocr.core.types import NumberArray, Window
from geocr.io.damage import read_what_decodes
from geocr.io.open import open_scene
from geocr.io.raster import GDAL_OPTIONS, RasterReader
from tests.scenes import write_raster

SHAPE, BLOCK = (160, 200), 32
LOST = (2, 3)
"""Row and column of the block that is made unreadable."""


def make_damaged(path: Path, pixels: NumberArray, **options: object) -> str:
    """Zeros in the place of one compressed block, as a hole in a sparse copy has."""
    write_raster(path, pixels, block=BLOCK, **options)  # type: ignore[arg-type]
    row, col = LOST
    with rasterio.open(path) as dataset:
        offset, size = (int(dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = bytes(size)
    path.write_bytes(data)
    return str(path)


def lost_pixels() -> NumberArray:
    lost = np.zeros(SHAPE, bool)
    lost[LOST[0] * BLOCK : (LOST[0] + 1) * BLOCK, LOST[1] * BLOCK : (LOST[1] + 1) * BLOCK] = True
    return lost


@pytest.fixture
def pixels() -> NumberArray:
    return np.random.default_rng(0).integers(1, 9000, (3, *SHAPE)).astype(np.uint16)


@pytest.mark.parametrize("threads", ["1", "ALL_CPUS"])
def test_a_lost_block_fails_however_often_it_is_read(tmp_path: Path, pixels: NumberArray, threads: str) -> None:
    """GDAL's decoding threads leave it in the cache, where a second read would find zeros and no error."""
    reader = RasterReader(make_damaged(tmp_path / "s2.tif", pixels))
    with rasterio.Env(**{**GDAL_OPTIONS, "GDAL_NUM_THREADS": threads}):
        for window in (Window(row=0, col=0, height=160, width=200), Window(row=64, col=96, height=32, width=32)):
            for indexes in ([1], [1, 2, 3], [1, 2, 3], [2]):
                with pytest.raises(RasterReadError, match=r"s2\.tif fails in rows"):
                    reader.read(window, indexes)
        np.testing.assert_array_equal(reader.read(Window(row=0, col=0, height=64, width=200)), pixels[:, :64])


@pytest.mark.parametrize(
    ("dtype", "nodata", "empty"), [("uint16", 0, 0), ("uint16", 65535, 65535), ("uint16", None, 0), ("float32", None, np.nan)]
)
def test_exactly_the_lost_block_reads_as_nodata(
    tmp_path: Path, pixels: NumberArray, dtype: str, nodata: float | None, empty: float
) -> None:
    dn = pixels.astype(dtype) if dtype == "uint16" else (pixels / 10_000).astype(dtype)
    path = make_damaged(tmp_path / "s2.tif", dn, nodata=nodata, descriptions=("B02", "B03", "B04"), scale=1e-4)
    with rasterio.Env(**GDAL_OPTIONS):
        scene = open_scene(path, on_error="nodata", s2_scale=1e-4, s2_offset=0.0)
        found, sar, said = scene.read_pixels(scene.grid.window)
        np.testing.assert_array_equal(found, np.where(lost_pixels(), np.array(empty, dtype), dn))
        np.testing.assert_array_equal(scene.read_dn(scene.grid.window), found)
        assert sar.shape == (0, *SHAPE)
        assert len(said) == 1
        assert f"{path} fails in rows 64 to 95, columns 96 to 127" in said[0]
        with pytest.raises(RasterReadError):
            replace(scene, on_error="stop").read_pixels(scene.grid.window)


def test_lost_backscatter_is_not_a_number_and_the_optical_pixels_stay(tmp_path: Path, pixels: NumberArray) -> None:
    s2 = write_raster(tmp_path / "s2.tif", pixels, nodata=0, descriptions=("B02", "B03", "B04"), scale=1e-4, block=BLOCK)
    db = np.random.default_rng(1).normal(-12, 2, (2, *SHAPE)).astype(np.float32)
    s1 = make_damaged(tmp_path / "s1.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    with rasterio.Env(**GDAL_OPTIONS):
        scene = open_scene(s2, s1, on_error="nodata")
        found, sar, said = scene.read_pixels(scene.grid.window)
    np.testing.assert_array_equal(found, pixels)
    np.testing.assert_array_equal(np.isnan(sar).all(axis=0), lost_pixels())
    np.testing.assert_allclose(sar[:, ~lost_pixels()], db[:, ~lost_pixels()], atol=1e-4)
    assert all("s1.tif" in sentence for sentence in said)
    assert said


windows = st.builds(
    lambda row, col, height, width: Window(row=row, col=col, height=height, width=width),
    st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.integers(1, 60),
)  # fmt: skip


@given(
    window=windows, block=st.tuples(st.integers(1, 40), st.integers(1, 40)), bad=st.sets(st.tuples(st.integers(0, 99), st.integers(0, 99)))
)
def test_every_pixel_is_read_once_or_lost_with_its_block(window: Window, block: tuple[int, int], bad: set[tuple[int, int]]) -> None:
    whole = np.arange(100 * 100).reshape(1, 100, 100)
    lost = np.zeros((100, 100), bool)
    for row, col in bad:
        lost[row // block[0] * block[0] :, col // block[1] * block[1] :][: block[0], : block[1]] = True
    asked = np.zeros((100, 100), int)

    def read(part: Window) -> NumberArray:
        rows, cols = slice(part.row, part.row_stop), slice(part.col, part.col_stop)
        asked[rows, cols] += 1
        if lost[rows, cols].any():
            assert lost[rows, cols].all()
            raise RasterReadError(f"{part}")
        return whole[:, rows, cols]

    rows, cols = slice(window.row, window.row_stop), slice(window.col, window.col_stop)
    found, said = read_what_decodes(read, window, block=block, empty=np.full((1, *window.shape), -1))
    np.testing.assert_array_equal(found[0], np.where(lost[rows, cols], -1, whole[0, rows, cols]))
    assert (asked[rows, cols] == 1).all()
    assert asked.sum() == window.height * window.width
    assert bool(said) == bool(lost[rows, cols].any())
