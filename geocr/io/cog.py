"""Finished parts in, a strictly valid Cloud-Optimized GeoTIFF out, almost without decoding a pixel.

GDAL writes a skeleton: all directories and metadata, no tile. Behind it go the tiles, the coarsest overview first and the raster last as a COG
wants them, and their places are filled into the skeleton's lists. Tiles that the parts hold as the COG needs them are copied as bytes; those of
overviews so coarse that a part is no whole row of blocks (1/12 of the pixels) are decoded, joined and compressed again. GDAL's own COG driver is
not used: on GDAL 3.10 it interleaves by pixel, which took over 19 minutes for a full 13-band scene (docs/performance.md).
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from geocr.core.errors import OutputWriteError
from geocr.core.types import NumberArray
from geocr.io.failure import naming_failure
from geocr.io.overviews import level_shapes, nodata_pixel
from geocr.io.part import Part, RowBlocks
from geocr.io.raster import open_raster
from geocr.io.skeleton import write_skeleton
from geocr.io.spec import RasterSpec
from geocr.io.tiff import TiledImage, read_images
from geocr.io.tiles import TileAppender, encode_tiles

MOST_OPEN = 16
"""Parts that GDAL may hold open at the same time, 2 to 3 MB each: those of a scene of 16,384 rows. Of more each is opened for each band."""


def assemble_cog(parts: Sequence[tuple[Path, int, int]], destination: Path, spec: RasterSpec) -> Path:
    """Join part files into one COG.

    Args:
        parts: Path, first row and number of rows of each part, top to bottom; together they are the scene.
        destination: Where the COG is made; the caller renames it to its final name.
        spec: The product.

    Returns:
        `destination`.

    Raises:
        OutputWriteError: When writing fails, a part was damaged, or the result is not a valid COG on the very grid of the input.
    """
    for leftover in (
        destination,
        destination.with_name(destination.name + ".aux.xml"),
    ):  # of a run that was stopped here: GDAL would read them
        leftover.unlink(missing_ok=True)
    with naming_failure(destination), ExitStack() as closed_after:
        opened = [Part(*part, keep_open=len(parts) <= MOST_OPEN) for part in parts]
        for part in opened:
            closed_after.callback(part.close)
        write_skeleton(destination, spec, row=0, height=spec.grid.shape[0], band_tags=_statistics(opened, spec))
        with destination.open("r+b") as stream:
            tiles = TileAppender(stream)
            for level in reversed(range(len(tiles.images))):
                for band in range(spec.count):
                    for row, tile_row in enumerate(_tile_rows(opened, spec, tiles.images[level], level, band)):
                        tiles.append(level, band, row, tile_row)
            tiles.finish()
        _require_all_blocks(destination)
    _require_valid(destination, spec)
    return destination


def _tile_rows(parts: Sequence[Part], spec: RasterSpec, image: TiledImage, level: int, band: int) -> Iterator[list[bytes]]:
    """Compressed rows of tiles of a band, top to bottom: those of the parts, or new ones where parts begin within a row of blocks."""
    if all(part.fits(level) for part in parts):
        for part in parts:
            yield from part.tiles(level, band)
        return
    blocks = RowBlocks(image.shape[0], image.block)
    for part in parts:
        for block in blocks.push(part.pixels(level, band)):
            yield encode_tiles(block, spec, image.block)


def _statistics(parts: Sequence[Part], spec: RasterSpec) -> list[dict[str, str]]:
    """Statistics tags of each band from the coarsest overview, so that a viewer need not read the scene to choose a stretch."""
    if spec.categories:
        return [{} for _ in range(spec.count)]
    coarsest = len(level_shapes(spec.grid.shape)) - 1
    return [_band_statistics(np.concatenate([part.pixels(coarsest, band) for part in parts]), spec.nodata) for band in range(spec.count)]


def _band_statistics(values: NumberArray, nodata: float | None) -> dict[str, str]:
    empty = nodata_pixel(nodata, values.dtype)
    seen = (values.ravel() if empty is None else values[values != empty]).astype(np.float64)
    seen = seen[np.isfinite(seen)]
    if seen.size == 0:
        return {}
    figures = {"MINIMUM": seen.min(), "MAXIMUM": seen.max(), "MEAN": seen.mean(), "STDDEV": seen.std()}
    tags = {f"STATISTICS_{name}": f"{value:.10g}" for name, value in figures.items()}
    return {"STATISTICS_APPROXIMATE": "YES", "STATISTICS_VALID_PERCENT": f"{100 * seen.size / values.size:.4g}", **tags}


def write_category_names(destination: Path, spec: RasterSpec) -> None:
    """Write the class names beside a categorical COG, where GDAL and QGIS look for them (`.aux.xml`)."""
    last = max(spec.categories)
    names = "".join(f"<Category>{escape(spec.categories.get(value, ('', (0, 0, 0, 0)))[0])}</Category>" for value in range(last + 1))
    text = f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand></PAMDataset>\n'
    with naming_failure(destination):
        destination.with_name(destination.name + ".aux.xml").write_text(text)


def _require_all_blocks(path: Path) -> None:
    """Raise unless every block of a GeoTIFF lies inside the file, as GDAL reads it.

    Raises:
        OutputWriteError: When a block is missing or cut.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        lattices = [image.lattice for image in read_images(stream)]
    with open_raster(str(path)) as dataset:
        for band, (level, (down, across)) in product(range(1, dataset.count + 1), enumerate(lattices)):
            overview = level - 1 if level else None
            for i, j in product(range(down), range(across)):
                found = [dataset.get_tag_item(f"BLOCK_{what}_{j}_{i}", "TIFF", bidx=band, ovr=overview) for what in ("OFFSET", "SIZE")]
                if None in found or sum(map(int, found)) > size:
                    raise OutputWriteError(
                        f"an output must be whole; block {i}, {j} of band {band} of {path} is not in the file: the disk is full; "
                        f"free space or choose another folder with -o, then run the same command again to go on from here"
                    )


def _require_valid(path: Path, spec: RasterSpec) -> None:
    """Raise unless the file is a strictly valid COG on the spec's grid."""
    valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    if not valid:
        raise OutputWriteError(f"an output must be a strictly valid COG; {path} is not: {'; '.join(errors + warnings)}")
    with open_raster(str(path)) as dataset:
        if (dataset.shape, dataset.transform, dataset.crs) != (spec.grid.shape, spec.grid.transform, spec.grid.crs):
            raise OutputWriteError(
                f"an output must lie on the input's grid: expected {spec.grid}, got {dataset.shape}, {dataset.transform!r}, {dataset.crs}"
            )


def colour_names(bands: Sequence[str]) -> tuple[str, ...]:
    """GDAL colour interpretation of Sentinel-2 bands: red, green and blue where they are, else undefined."""
    known = {"B04": ColorInterp.red, "B03": ColorInterp.green, "B02": ColorInterp.blue}
    return tuple(known[band].name if band in known else "undefined" for band in bands)


def sync_rename(source: Path, target: Path) -> None:
    """Flush a finished file to the disk, then give it its final name in one step.

    What GDAL or a viewer kept beside an older file of that name (statistics, overviews, a mask) is of that file, and goes with it.

    Raises:
        OutputWriteError: When either fails.
    """
    with naming_failure(target):
        with source.open("rb") as stream:
            os.fsync(stream.fileno())
        source.replace(target)
        for suffix in (".aux.xml", ".ovr", ".msk"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
