"""Tiles that are moved as bytes arrive whole, in their place, or with an error."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geocr.core.errors import OutputWriteError
from geocr.io.skeleton import write_skeleton
from geocr.io.tiles import SealedTiles, TileAppender, encode_tiles
from tests.io.test_cog import make_pixels, make_spec


def write_tiles(path: Path, *, sealed: bool) -> dict[tuple[int, int, int], list[bytes]]:
    spec = make_spec((600, 700), count=2)
    write_skeleton(path, spec, row=0, height=600)
    written = {}
    with path.open("r+b") as stream:
        tiles = TileAppender(stream, sealed=sealed)
        for level, image in enumerate(tiles.images):
            for band in range(2):
                for row in range(image.lattice[0]):
                    pixels = np.full((min(512, image.shape[0] - 512 * row), image.shape[1]), 100 * level + 10 * band + row, np.uint16)
                    written[level, band, row] = encode_tiles(pixels, spec, image.block)
                    tiles.append(level, band, row, written[level, band, row])
        tiles.finish()
    return written


def test_every_tile_is_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiles(path, sealed=False)
    with rasterio.open(path) as dataset:
        for band in (1, 2):
            pixels = dataset.read(band)
            assert (pixels[:512] == 10 * (band - 1)).all()
            assert (pixels[512:] == 10 * (band - 1) + 1).all()
    with rasterio.open(path, overview_level=0) as dataset:
        assert [np.unique(dataset.read(band)).tolist() for band in (1, 2)] == [[100], [110]]


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", None), ("uint16", 0), ("uint16", 65535), ("float32", np.nan), ("int16", -9999)])
def test_a_skeleton_has_no_tile(tmp_path: Path, dtype: str, nodata: float | None) -> None:
    path = tmp_path / "a.tif"
    write_skeleton(path, make_spec((1100, 700), dtype=dtype, nodata=nodata), row=0, height=1100)
    with path.open("rb") as stream:
        assert all(set(field.read(stream)) == {0} for image in TileAppender(stream).images for field in (image.offsets, image.sizes))
    assert path.stat().st_size < 4096


@pytest.mark.parametrize("sealed", [True, False])
def test_what_lies_around_a_tile(tmp_path: Path, sealed: bool) -> None:
    path = tmp_path / "a.tif"
    written = write_tiles(path, sealed=sealed)
    data = path.read_bytes()
    images = SealedTiles(path).images
    with path.open("rb") as stream:
        for (level, band, row), tiles in written.items():
            image = images[level]
            for col, tile in enumerate(tiles):
                index = image.index(band, row, col)
                offset, size = image.offsets.read(stream)[index], image.sizes.read(stream)[index]
                assert data[offset : offset + size] == tile
                assert data[offset - 4 : offset] == struct.pack("<I", size)
                assert data[offset + size : offset + size + 4] == tile[-4:]
                if sealed:
                    assert data[offset + size + 4 : offset + size + 8] == struct.pack("<I", zlib.crc32(tile))
    assert max(image.offsets.position for image in images) < data.index(written[0, 0, 0][0])


def test_sealed_tiles_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    written = write_tiles(path, sealed=True)
    for (level, band, row), tiles in written.items():
        assert list(SealedTiles(path).rows(level, band))[row] == tiles


@pytest.mark.parametrize("where", [0, 1, -1])
def test_any_changed_byte_of_a_tile_is_noticed(tmp_path: Path, where: int) -> None:
    path = tmp_path / "a.tif"
    last = write_tiles(path, sealed=True)[0, 1, 1][-1]
    data = bytearray(path.read_bytes())
    place = data.rindex(last) + where % len(last)
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(OutputWriteError, match=r"tile 7 of .*a\.tif is not: .* delete .*, then run the same command again"):
        list(SealedTiles(path).rows(0, 1))
    assert len(list(SealedTiles(path).rows(0, 0))) == 2


def test_a_cut_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiles(path, sealed=True)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OutputWriteError, match="damaged"):
        list(SealedTiles(path).rows(1, 1))


def test_a_missing_tile_is_noticed(tmp_path: Path) -> None:
    spec = make_spec((600, 100), count=1)
    path = tmp_path / "a.tif"
    write_skeleton(path, spec, row=0, height=600)
    with path.open("r+b") as stream:
        tiles = TileAppender(stream)
        tiles.append(0, 0, 0, encode_tiles(make_pixels(spec)[0, :512], spec, 512))
        with pytest.raises(OutputWriteError, match=r"1 of 2 tiles of the image of \(600, 100\) are missing"):
            tiles.finish()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("height", [1, 511, 512])
def test_tiles_depend_on_pixels_alone(dtype: str, height: int) -> None:
    spec = make_spec((height, 700), count=1, dtype=dtype)
    pixels = make_pixels(spec)[0]
    first = encode_tiles(pixels, spec, 512)
    for other in range(3):
        encode_tiles(make_pixels(spec, seed=other + 1)[0], spec, 512)  # what memory holds afterwards
        assert encode_tiles(pixels.copy(), spec, 512) == first
    assert len(first) == 2
