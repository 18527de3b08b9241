"""Compressed tiles: made by GDAL, one row of them at a time, and moved from file to file as bytes."""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import rasterio
from rasterio.io import MemoryFile

from geocr.core.errors import OutputWriteError
from geocr.core.types import NumberArray
from geocr.io.spec import RasterSpec
from geocr.io.tiff import TiledImage, read_images

_NUMBER = struct.Struct("<I")
_LEADER_BYTES = _NUMBER.size
_ANYWHERE = rasterio.Affine(2, 0, 0, 0, 2, 0)
"""Some transform: without one rasterio warns, and only the tiles are wanted."""


def encode_tiles(pixels: NumberArray, spec: RasterSpec, block: int) -> list[bytes]:
    """Compress one row of tiles of one band.

    The bytes depend on the pixels alone: GDAL fills edge tiles up with zeros.

    Args:
        pixels: `(y, x)` in the product's dtype, full width, at most one tile high.
        spec: The product.
        block: Side of a tile.

    Returns:
        The tiles from left to right.
    """
    height, width = pixels.shape
    shape = {"width": width, "height": height, "count": 1, "dtype": spec.dtype, "transform": _ANYWHERE}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", **shape, **spec.creation_options(block)) as dataset:
            dataset.write(pixels[np.newaxis])
        (image,) = read_images(memory)
        return [_read(memory, *place) for place in zip(image.offsets.read(memory), image.sizes.read(memory), strict=True)]


def _read(stream: BinaryIO, position: int, size: int) -> bytes:
    stream.seek(position)
    return stream.read(size)


class TileAppender:
    """Appends compressed tiles to a TIFF that has its directories but no tile yet.

    Around each tile lie its size and its last four bytes once more: GDAL promises so in the head of one-band files
    (https://gdal.org/en/stable/drivers/raster/cog.html#header-ghost-area), and elsewhere it does no harm.

    Args:
        stream: The file, open for reading and writing.
        sealed: Whether a CRC-32 follows each tile, for `SealedTiles` to check.
    """

    def __init__(self, stream: BinaryIO, *, sealed: bool = False) -> None:
        self.images = read_images(stream)
        self._stream = stream
        self._sealed = sealed
        self._end = stream.seek(0, os.SEEK_END)
        self._offsets = [[0] * image.offsets.count for image in self.images]
        self._sizes = [[0] * image.sizes.count for image in self.images]

    def append(self, level: int, band: int, row: int, tiles: Sequence[bytes]) -> None:
        """Write a whole row of tiles.

        Args:
            level: 0 for the raster, then its overviews from fine to coarse.
            band: From 0.
            row: Row of tiles, from 0.
            tiles: From left to right.
        """
        first = self.images[level].index(band, row, 0)
        for index, tile in enumerate(tiles, first):
            trailer = tile[-_LEADER_BYTES:] + (_NUMBER.pack(zlib.crc32(tile)) if self._sealed else b"")
            self._stream.writelines((_NUMBER.pack(len(tile)), tile, trailer))
            self._offsets[level][index] = self._end + _LEADER_BYTES
            self._sizes[level][index] = len(tile)
            self._end += _LEADER_BYTES + len(tile) + len(trailer)

    def finish(self) -> None:
        """Write down where the tiles are.

        Raises:
            OutputWriteError: When one is missing.
        """
        for image, offsets, sizes in zip(self.images, self._offsets, self._sizes, strict=True):
            if 0 in offsets:
                raise OutputWriteError(
                    f"a raster must be whole; {offsets.count(0)} of {len(offsets)} tiles of the image of {image.shape} are missing"
                )
            image.offsets.write(self._stream, offsets)
            image.sizes.write(self._stream, sizes)
        self._stream.flush()


class SealedTiles:
    """The compressed tiles of a file that a sealing `TileAppender` wrote.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            self.images: list[TiledImage] = read_images(stream)
            self._offsets = [image.offsets.read(stream) for image in self.images]
            self._sizes = [image.sizes.read(stream) for image in self.images]

    def rows(self, level: int, band: int) -> Iterator[list[bytes]]:
        """Rows of tiles of a band of the raster (level 0) or an overview, top to bottom.

        Raises:
            OutputWriteError: When a tile is not what was written.
        """
        image = self.images[level]
        down, across = image.lattice
        with self.path.open("rb") as stream:
            for row in range(down):
                yield [self._tile(stream, level, image.index(band, row, col)) for col in range(across)]

    def _tile(self, stream: BinaryIO, level: int, index: int) -> bytes:
        size = self._sizes[level][index]
        tile = _read(stream, self._offsets[level][index], size)
        seal = stream.read(2 * _NUMBER.size)[_NUMBER.size :]
        if seal != _NUMBER.pack(zlib.crc32(tile)):
            raise OutputWriteError(
                f"finished rows must be as they were written; tile {index} of {self.path} is not: the file was damaged; "
                f"delete {self.path.parent}, then run the same command again"
            )
        return tile
