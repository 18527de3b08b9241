"""Finished rows in a file of their own, compressed as they will be in the COG, overviews and all.

A part is a GeoTIFF of a run of scene rows that any tool opens. Its tiles are those of the COG wherever both cut rows at the same place.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader

from geocr.core.errors import OutputWriteError
from geocr.core.types import NumberArray
from geocr.io.failure import naming_failure
from geocr.io.overviews import halve, overview_factors
from geocr.io.skeleton import write_skeleton
from geocr.io.spec import COG_BLOCK_PX, RasterSpec
from geocr.io.tiles import SealedTiles, TileAppender, encode_tiles

HELD_ROWS = COG_BLOCK_PX + COG_BLOCK_PX // 4
"""Most rows that a writer holds, counted at full resolution: less than a row of blocks, and half a row of blocks of the first overview."""

PART_FORMAT = 2
"""Raised when parts change, so that a run does not go on from those of an older geocr."""


class RowBlocks:
    """Collects rows of one band into rows of blocks.

    Args:
        height: Rows that will come in all.
        block: Rows of a block.
    """

    def __init__(self, height: int, block: int) -> None:
        self._block = block
        self._missing = height
        self._held: NumberArray | None = None
        self.done = 0
        """Rows of blocks given out."""

    def push(self, rows: NumberArray) -> Iterator[NumberArray]:
        """Take rows `(y, x)`; give out every row of blocks that is whole, the last one as high as it is."""
        waiting = rows if self._held is None else np.concatenate([self._held, rows])
        self._held = None
        self._missing -= rows.shape[0]
        while waiting.shape[0] >= self._block or (waiting.shape[0] and not self._missing):
            yield waiting[: self._block]
            self.done += 1
            waiting = waiting[self._block :]
        if waiting.shape[0]:
            self._held = waiting.copy()  # a view would keep all the rows that came


class PartWriter:
    """Writes one band of rows and its overviews to a part file, under a temporary name until it is whole.

    Rows come in order, in chunks of any height. At most `HELD_ROWS` are held.

    Args:
        path: Final name of the part.
        spec: The product.
        row: First scene row of the part; a multiple of the coarsest overview's factor.
        height: Its number of rows; such a multiple too, but for the last part.

    Raises:
        OutputWriteError: When the file cannot be written, or overviews of the part would not be those of the scene.
    """

    def __init__(self, path: Path, spec: RasterSpec, *, row: int, height: int) -> None:
        factors = overview_factors(spec.grid.shape)
        coarsest = max(factors, default=1)
        if row % coarsest or (row + height != spec.grid.shape[0] and height % coarsest):
            raise OutputWriteError(f"parts must be cut at multiples of {coarsest} rows; {path} has rows {row} to {row + height - 1}")
        self.path = path
        self._spec = spec
        self._temporary = path.with_name(path.name + ".partial")
        self._height = height
        self._written = 0
        with naming_failure(path):
            write_skeleton(self._temporary, spec, row=row, height=height)
            self._stream = self._temporary.open("r+b")
            try:
                self._tiles = TileAppender(self._stream, sealed=True)
            except BaseException:
                self.abandon()
                raise
        self._blocks = [[RowBlocks(image.shape[0], image.block) for _ in range(spec.count)] for image in self._tiles.images]

    def write(self, chunk: NumberArray) -> None:
        """Append rows, `(band, rows, columns)` in the product's dtype."""
        self._written += chunk.shape[1]
        if self._written > self._height:
            raise self._not_whole()
        with naming_failure(self.path):
            for band, rows in enumerate(chunk):
                self._take(0, band, rows)

    def _take(self, level: int, band: int, rows: NumberArray) -> None:
        """Write the rows of blocks that these rows complete, and hand them on to the next coarser level."""
        blocks = self._blocks[level][band]
        for block in blocks.push(rows):
            self._tiles.append(level, band, blocks.done, encode_tiles(block, self._spec, self._tiles.images[level].block))
            if level + 1 < len(self._blocks):
                self._take(level + 1, band, halve(block, nodata=self._spec.nodata, resampling=self._spec.resampling))

    def finish(self) -> None:
        """Close the part and give it its final name.

        Raises:
            OutputWriteError: When rows are missing, or the disk is full.
        """
        if self._written != self._height:
            raise self._not_whole()
        with naming_failure(self.path):
            with self._stream:
                self._tiles.finish()
            self._temporary.replace(self.path)

    def _not_whole(self) -> OutputWriteError:
        return OutputWriteError(f"a part must be whole: {self.path} has {self._written} of {self._height} rows")

    def abandon(self) -> None:
        """Close and delete what was written."""
        with suppress(OSError):  # rows that do not fit on the disk are not wanted any more
            self._stream.close()
        self._temporary.unlink(missing_ok=True)


class Part:
    """A finished part file.

    Args:
        path: The file.
        row: Its first scene row.
        height: Its number of rows.
        keep_open: Let GDAL hold the file between bands of a level, which takes some megabytes; else it is opened for each.

    Raises:
        RasterReadError: When the file is no part.
    """

    def __init__(self, path: Path, row: int, height: int, *, keep_open: bool = False) -> None:
        self.row = row
        self.height = height
        self._tiles = SealedTiles(path)
        self._keep_open = keep_open
        self._opened: tuple[int, DatasetReader] | None = None

    def fits(self, level: int) -> bool:
        """Whether its rows of blocks are the scene's at a level: 0 is the raster itself, then come overviews from fine to coarse."""
        return self.row % (self._tiles.images[level].block << level) == 0

    def tiles(self, level: int, band: int) -> Iterator[list[bytes]]:
        """Compressed rows of tiles of a band (from 0), top to bottom.

        Raises:
            OutputWriteError: When the file was damaged.
        """
        return self._tiles.rows(level, band)

    def pixels(self, level: int, band: int) -> NumberArray:
        """All pixels `(y, x)` of a band (from 0) at a level.

        Raises:
            OutputWriteError: When the file was damaged.
        """
        for _ in self.tiles(level, band):  # not every damage makes tiles that do not decode
            pass
        if self._opened is None or self._opened[0] != level:  # bands of a level are asked for one after another
            self.close()
            options = {"overview_level": level - 1} if level else {}
            self._opened = level, rasterio.open(self._tiles.path, **options)
        pixels: NumberArray = self._opened[1].read(band + 1)
        if not self._keep_open:
            self.close()
        return pixels

    def close(self) -> None:
        """Close what `pixels` opened."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None
