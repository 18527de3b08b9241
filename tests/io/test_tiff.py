"""Tile lists as GDAL writes them, in every kind of TIFF that it writes, and never as something else."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from geocr.core.errors import RasterReadError
from geocr.io.tiff import TiledImage, read_images
from tests.scenes import TRANSFORM


def make_tiff(path: Path, *, shape: tuple[int, int] = (100, 70), count: int = 3, overviews: tuple[int, ...] = (2, 4), **how: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (count, *shape)).astype(np.uint8)
    profile = {
        "driver": "GTiff", "height": shape[0], "width": shape[1], "count": count, "dtype": "uint8", "transform": TRANSFORM, "tiled": True,
        "blockxsize": 32, "blockysize": 32, "interleave": "band", "compress": "zstd", **how,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    if overviews:
        with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=64, COMPRESS_OVERVIEW="ZSTD"), rasterio.open(path, "r+") as dataset:
            dataset.build_overviews(overviews, Resampling.nearest)


def images_of(path: Path) -> list[TiledImage]:
    with path.open("rb") as stream:
        return read_images(stream)


@pytest.mark.parametrize("bigtiff", ["NO", "YES"])
@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
@pytest.mark.parametrize("shape", [(100, 70), (1, 1), (32, 33), (64, 32)])
@pytest.mark.parametrize("count", [1, 3])
def test_places_are_those_that_gdal_tells(tmp_path: Path, bigtiff: str, endianness: str, shape: tuple[int, int], count: int) -> None:
    path = tmp_path / "a.tif"
    overviews = (2, 4) if max(shape) > 4 else ()
    make_tiff(path, shape=shape, count=count, overviews=overviews, bigtiff=bigtiff, endianness=endianness)
    images = images_of(path)
    assert [image.shape for image in images] == [(-(-shape[0] // factor), -(-shape[1] // factor)) for factor in (1, *overviews)]
    assert [image.block for image in images] == [32, *[64] * len(overviews)]
    with path.open("rb") as stream, rasterio.open(path) as dataset:
        for level, image in enumerate(images):
            assert image.bands == count
            offsets, sizes = image.offsets.read(stream), image.sizes.read(stream)
            down, across = image.lattice
            assert len(offsets) == len(sizes) == count * down * across
            for band, i, j in np.ndindex(count, down, across):
                item = [
                    dataset.get_tag_item(f"BLOCK_{what}_{j}_{i}", "TIFF", bidx=band + 1, ovr=level - 1 if level else None)
                    for what in ("OFFSET", "SIZE")
                ]
                index = image.index(band, i, j)
                assert [offsets[index], sizes[index]] == [int(value) for value in item]


@pytest.mark.parametrize("bigtiff", ["NO", "YES"])
@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
@pytest.mark.parametrize("shape", [(100, 70), (1, 1), (64, 32)])
def test_exchanged_places_exchange_the_pixels(tmp_path: Path, bigtiff: str, endianness: str, shape: tuple[int, int]) -> None:
    path = tmp_path / "a.tif"
    make_tiff(path, shape=shape, count=2, overviews=(), bigtiff=bigtiff, endianness=endianness)
    with rasterio.open(path) as dataset:
        before = dataset.read()
    with path.open("r+b") as stream:
        (image,) = read_images(stream)
        half = image.offsets.count // 2
        for numbers in (image.offsets, image.sizes):
            values = numbers.read(stream)
            numbers.write(stream, values[half:] + values[:half])
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), before[::-1])


@pytest.mark.parametrize("bigtiff", ["NO", "YES"])
def test_a_cut_directory_is_noticed(tmp_path: Path, bigtiff: str) -> None:
    path = tmp_path / "a.tif"
    make_tiff(path, shape=(300, 300), overviews=(), bigtiff=bigtiff)
    data = path.read_bytes()
    sizes = images_of(path)[0].sizes
    for size in (0, 1, 3, 6, 9, 30, 100):
        with pytest.raises(RasterReadError, match="TIFF must"):
            read_images(io.BytesIO(data[:size]))
    stream = io.BytesIO(data[: sizes.position + struct.calcsize(sizes.packing) - 1])
    with pytest.raises(RasterReadError, match=f"ends before byte {sizes.position + struct.calcsize(sizes.packing)}"):
        read_images(stream)[0].sizes.read(stream)


@pytest.mark.parametrize("head", [b"PNG\0", b"IM*\0", b"MI*\0", bytes(64)])
def test_no_tiff(head: bytes) -> None:
    with pytest.raises(RasterReadError, match="must begin with II or MM"):
        read_images(io.BytesIO(head + bytes(64)))


def test_directories_that_go_round(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    make_tiff(path, overviews=())
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack("<I", data[4:8])
    (entries,) = struct.unpack("<H", data[first : first + 2])
    data[first + 2 + 12 * entries : first + 6 + 12 * entries] = struct.pack("<I", first)
    with pytest.raises(RasterReadError, match=f"that at byte {first} comes again"):
        read_images(io.BytesIO(data))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"interleave": "pixel"}, "bands one behind the other"),
        ({"tiled": False, "blockxsize": None, "blockysize": None}, r"must be tiled; tags \[322"),
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    make_tiff(tmp_path / "a.tif", overviews=(), **how)
    with pytest.raises(RasterReadError, match=message):
        images_of(tmp_path / "a.tif")
