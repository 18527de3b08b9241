"""Where the tiles of a TIFF lie: read from its directories, and written back in place.

Just enough of the format (https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, BigTIFF: https://www.awaresystems.be/imaging/tiff/bigtiff.html) to move
compressed tiles from file to file without decoding them. GDAL writes every directory that is read here.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from geocr.core.errors import RasterReadError

_WIDTH, _HEIGHT, _SAMPLES, _PLANAR = 256, 257, 277, 284
_TILE_WIDTH, _TILE_OFFSETS, _TILE_SIZES = 322, 324, 325
_CODES = {3: "H", 4: "I", 16: "Q"}
"""Struct codes of the field types SHORT, LONG and LONG8."""
_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_SEPARATE = 2
"""PlanarConfiguration of bands that lie one behind the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberField:
    """A list of whole numbers in a TIFF: where it lies and how it is packed."""

    position: int
    """First byte in the file."""
    packing: str
    """Struct format of the whole list, with its byte order."""

    @property
    def count(self) -> int:
        """How many numbers."""
        return int(self.packing[1:-1])

    def read(self, stream: BinaryIO) -> tuple[int, ...]:
        """The numbers."""
        return _unpack(stream, self.position, self.packing)

    def write(self, stream: BinaryIO, numbers: Sequence[int]) -> None:
        """Put other numbers in their place, as many as there were."""
        stream.seek(self.position)
        stream.write(struct.pack(self.packing, *numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class TiledImage:
    """One image of a TIFF: the raster itself or one of its overviews."""

    shape: tuple[int, int]
    """Rows and columns."""
    bands: int
    """Number of bands, one behind the other."""
    block: int
    """Rows and columns of a (square) tile; those at the lower and right edge are as large, and filled up."""
    offsets: NumberField
    """First byte of each tile, 0 where it is not there; band by band, each in reading order."""
    sizes: NumberField
    """Bytes of each tile."""

    @property
    def lattice(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        rows, cols = self.shape
        return -(-rows // self.block), -(-cols // self.block)

    def index(self, band: int, row: int, col: int) -> int:
        """Place of a tile in the lists; everything counted from 0."""
        down, across = self.lattice
        return (band * down + row) * across + col


def read_images(stream: BinaryIO) -> list[TiledImage]:
    """All images of a tiled TIFF or BigTIFF, in the order of their directories: the raster first, then its overviews.

    Raises:
        RasterReadError: When the directories are not those of a tiled, band-interleaved TIFF.
    """
    stream.seek(0)
    order = _BYTE_ORDERS.get(stream.read(2), "")
    if not order:
        raise RasterReadError("a TIFF must begin with II or MM; the file does not")
    big = _unpack(stream, 2, order + "1H")[0] == 43
    (position,) = _unpack(stream, 8, order + "1Q") if big else _unpack(stream, 4, order + "1I")
    images: list[TiledImage] = []
    seen: set[int] = set()
    while position:
        if position in seen:
            raise RasterReadError(f"the directories of a TIFF must end; that at byte {position} comes again")
        seen.add(position)
        fields, position = _read_directory(stream, position, order, big=big)
        images.append(_image(stream, fields))
    return images


def _read_directory(stream: BinaryIO, position: int, order: str, *, big: bool) -> tuple[dict[int, NumberField], int]:
    """The whole-number fields of a directory by tag, and where the next directory is (0: nowhere)."""
    (count,) = _unpack(stream, position, order + ("1Q" if big else "1H"))
    word, offset_code, first = (8, "1Q", position + 8) if big else (4, "1I", position + 2)
    entry_bytes = 4 + 2 * word
    fields = {}
    for entry in range(first, first + count * entry_bytes, entry_bytes):
        tag, kind = _unpack(stream, entry, order + "2H")
        if kind not in _CODES:
            continue
        (length,) = _unpack(stream, entry + 4, order + offset_code)
        packing = f"{order}{length}{_CODES[kind]}"
        place = entry + 4 + word
        if struct.calcsize(packing) > word:  # short lists lie in the entry itself
            (place,) = _unpack(stream, place, order + offset_code)
        fields[tag] = NumberField(position=place, packing=packing)
    (following,) = _unpack(stream, first + count * entry_bytes, order + offset_code)
    return fields, following


def _image(stream: BinaryIO, fields: dict[int, NumberField]) -> TiledImage:
    missing = {_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_OFFSETS, _TILE_SIZES} - fields.keys()
    if missing:
        raise RasterReadError(f"every image of the TIFF must be tiled; tags {sorted(missing)} are not there")

    def value(tag: int, default: int) -> int:
        return fields[tag].read(stream)[0] if tag in fields else default

    bands = value(_SAMPLES, 1)
    image = TiledImage(
        shape=(value(_HEIGHT, 0), value(_WIDTH, 0)),
        bands=bands,
        block=value(_TILE_WIDTH, 0),
        offsets=fields[_TILE_OFFSETS],
        sizes=fields[_TILE_SIZES],
    )
    tiles = image.index(bands, 0, 0)
    if (bands > 1 and value(_PLANAR, 1) != _SEPARATE) or {image.offsets.count, image.sizes.count} != {tiles}:
        raise RasterReadError(
            f"an image must have its bands one behind the other in {tiles} tiles; it lists {image.offsets.count} and {image.sizes.count}"
        )
    return image


def _unpack(stream: BinaryIO, position: int, packing: str) -> tuple[int, ...]:
    stream.seek(position)
    data = stream.read(struct.calcsize(packing))
    if len(data) < struct.calcsize(packing):
        raise RasterReadError(
            f"a TIFF must hold what its directories name; the file ends before byte {position + struct.calcsize(packing)}"
        )
    return struct.unpack(packing, data)
