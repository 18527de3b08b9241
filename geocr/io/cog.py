"""Finished rows in, a strictly valid Cloud-Optimized GeoTIFF out, without a scene in memory.

Rows are first written to part files (tiled, band-interleaved, cheaply compressed), one for each band of rows of the plan:
they are what a stopped run resumes from and what workers leave behind. A virtual mosaic over the parts then gets overviews, and
one streaming copy lays header, overviews and pixels out in COG order. GDAL's own COG driver is not used: on GDAL 3.10 it
interleaves by pixel, which took over 19 minutes for a full 13-band scene where this took 36 seconds (docs/performance.md).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError  # some calls let GDAL's own errors through, which are no RasterioError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rio_cogeo.cogeo import cog_validate

from geocr.core.errors import OutputWriteError
from geocr.core.types import NumberArray, Window
from geocr.io.grid import SceneGrid
from geocr.io.raster import open_raster, rasterio_window

COG_BLOCK_PX = 512
PART_BLOCK_PX = 256
"""Smaller than the final block: a writer must hold one row of blocks in memory."""
_PREDICTORS = {"i": 2, "u": 2, "f": 3}
_SMALLEST_OVERVIEW_PX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterSpec:
    """What a product is, apart from its pixels."""

    grid: SceneGrid
    """Exactly the grid of the input."""
    count: int
    """Number of bands."""
    dtype: str
    """NumPy name of the pixel type."""
    nodata: float | None
    """Nodata value, or None."""
    descriptions: tuple[str | None, ...]
    """Band names, one a band."""
    scale: float = 1.0
    """GDAL scale tag of every band."""
    offset: float = 0.0
    """GDAL offset tag of every band."""
    colorinterp: tuple[str, ...] = ()
    """GDAL colour interpretation by band, for example `red`; empty leaves it undefined."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Dataset tags."""
    categories: Mapping[int, tuple[str, tuple[int, int, int, int]]] = field(default_factory=dict)
    """Class value to name and RGBA, for a categorical band."""
    resampling: Resampling = Resampling.average
    """How overviews are made."""

    def profile(self, *, height: int, row: int, block: int) -> dict[str, Any]:
        """Creation options of a GeoTIFF that holds `height` rows from `row` on."""
        return {
            "driver": "GTiff",
            "width": self.grid.shape[1],
            "height": height,
            "count": self.count,
            "dtype": self.dtype,
            "nodata": self.nodata,
            "crs": self.grid.crs,
            "transform": self.grid.transform * rasterio.Affine.translation(0, row),
            "tiled": True,
            "blockxsize": block,
            "blockysize": block,
            "interleave": "band",
            "compress": "zstd",
            "zstd_level": 1,
            "predictor": _PREDICTORS[np.dtype(self.dtype).kind],
            "bigtiff": "if_safer",
            "num_threads": "all_cpus",
            "sparse_ok": False,
        }


class PartWriter:
    """Writes one band of rows to a part file, under a temporary name until it is whole.

    Rows come in order, in chunks of any height. At most one row of blocks is buffered.

    Args:
        path: Final name of the part.
        spec: The product.
        row: First scene row of the part.
        height: Its number of rows.
    """

    def __init__(self, path: Path, spec: RasterSpec, *, row: int, height: int) -> None:
        self.path = path
        self._temporary = path.with_name(path.name + ".partial")
        self._height = height
        self._written = 0
        self._filled = 0
        self._buffer = np.empty((spec.count, min(PART_BLOCK_PX, height), spec.grid.shape[1]), spec.dtype)
        with _naming_failure(path):
            self._dataset = rasterio.open(self._temporary, "w", **spec.profile(height=height, row=row, block=PART_BLOCK_PX))

    def write(self, chunk: NumberArray) -> None:
        """Append rows, `(band, rows, columns)` in the product's dtype."""
        done = 0
        while done < chunk.shape[1]:
            take = min(chunk.shape[1] - done, self._buffer.shape[1] - self._filled)
            self._buffer[:, self._filled : self._filled + take] = chunk[:, done : done + take]
            self._filled += take
            done += take
            if self._filled == self._buffer.shape[1] or self._written + self._filled == self._height:
                self._flush()

    def _flush(self) -> None:
        window = Window(row=self._written, col=0, height=self._filled, width=self._buffer.shape[2])
        with _naming_failure(self.path):
            self._dataset.write(self._buffer[:, : self._filled], window=rasterio_window(window))
        self._written += self._filled
        self._filled = 0

    def finish(self) -> None:
        """Close the part and give it its final name.

        Raises:
            OutputWriteError: When rows are missing, or the disk is full.
        """
        if self._written != self._height:
            raise OutputWriteError(f"a part must be whole: {self.path} has {self._written} of {self._height} rows")
        with _naming_failure(self.path):
            self._dataset.close()
            _require_all_blocks(self._temporary)
            self._temporary.replace(self.path)

    def abandon(self) -> None:
        """Close and delete what was written."""
        self._dataset.close()
        self._temporary.unlink(missing_ok=True)


class _naming_failure:  # noqa: N801 - reads as a statement
    """Turns GDAL's write errors into ours, naming the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (RasterioError, CPLE_BaseError, OSError)) and not isinstance(error, OutputWriteError):
            raise OutputWriteError(
                f"outputs must be writable and fit on the disk; writing {self._path} failed: {error}; "
                f"free space or choose another folder with -o, then run the same command again to go on from here"
            ) from error


def assemble_cog(parts: Sequence[tuple[Path, int, int]], destination: Path, spec: RasterSpec, scratch: Path) -> Path:
    """Join part files into one COG.

    Args:
        parts: Path, first row and number of rows of each part; together they are the scene.
        destination: Where the COG is made; the caller renames it to its final name.
        spec: The product.
        scratch: Folder for the virtual mosaic and its overviews, on a disk with room for a third of the COG.

    Returns:
        `destination`.

    Raises:
        OutputWriteError: When writing fails or the result is not a valid COG on the very grid of the input.
    """
    mosaic = scratch / f"{destination.stem}.vrt"
    overviews = mosaic.with_name(mosaic.name + ".ovr")
    leftovers = (overviews, mosaic.with_name(mosaic.name + ".aux.xml"), destination, destination.with_name(destination.name + ".aux.xml"))
    for leftover in leftovers:  # of a run that was stopped here: GDAL would read or reuse them
        leftover.unlink(missing_ok=True)
    with _naming_failure(destination):
        mosaic.write_text(_mosaic_xml(parts, spec))
        _build_overviews(mosaic, spec)
        _write_statistics(mosaic, spec)
        profile = spec.profile(height=spec.grid.shape[0], row=0, block=COG_BLOCK_PX)
        options = {
            key: profile[key]
            for key in ("tiled", "blockxsize", "blockysize", "interleave", "compress", "zstd_level", "predictor", "bigtiff", "num_threads")
        }
        rasterio.shutil.copy(mosaic, destination, driver="GTiff", copy_src_overviews=True, **options)
        _require_all_blocks(destination)
    overviews.unlink(missing_ok=True)
    mosaic.unlink()
    _require_valid(destination, spec)
    return destination


def overview_factors(shape: tuple[int, int]) -> list[int]:
    """Powers of two whose overviews have a longer side above 256 pixels: the coarsest fits in one block."""
    factors, factor = [], 2
    while max(shape) / factor > _SMALLEST_OVERVIEW_PX:
        factors.append(factor)
        factor *= 2
    return factors


def _build_overviews(mosaic: Path, spec: RasterSpec) -> None:
    factors = overview_factors(spec.grid.shape)
    if not factors:
        return
    settings = {
        "COMPRESS_OVERVIEW": "ZSTD",
        "ZSTD_LEVEL_OVERVIEW": "1",
        "PREDICTOR_OVERVIEW": str(_PREDICTORS[np.dtype(spec.dtype).kind]),
        "INTERLEAVE_OVERVIEW": "BAND",
        "GDAL_TIFF_OVR_BLOCKSIZE": str(COG_BLOCK_PX),
        "BIGTIFF_OVERVIEW": "IF_SAFER",
        "GDAL_NUM_THREADS": "ALL_CPUS",
    }
    with rasterio.Env(**settings), rasterio.open(mosaic, "r+") as dataset:  # overviews of a VRT go to a file beside it
        dataset.build_overviews(factors, spec.resampling)


def _write_statistics(mosaic: Path, spec: RasterSpec) -> None:
    """Band statistics from the coarsest overview, so that a viewer need not read the scene to choose a stretch."""
    if spec.categories:
        return
    with rasterio.open(mosaic, "r+") as dataset:
        shape = tuple(max(1, -(-side // 2 ** len(overview_factors(spec.grid.shape)))) for side in spec.grid.shape)
        for band in range(1, spec.count + 1):
            values = dataset.read(band, out_shape=shape, masked=True)
            seen = values.compressed().astype(np.float64)
            seen = seen[np.isfinite(seen)]
            if seen.size == 0:
                continue
            figures = {"MINIMUM": seen.min(), "MAXIMUM": seen.max(), "MEAN": seen.mean(), "STDDEV": seen.std()}
            tags = {f"STATISTICS_{name}": f"{value:.10g}" for name, value in figures.items()}
            dataset.update_tags(band, STATISTICS_APPROXIMATE="YES", STATISTICS_VALID_PERCENT=f"{100 * seen.size / values.size:.4g}", **tags)


def _mosaic_xml(parts: Sequence[tuple[Path, int, int]], spec: RasterSpec) -> str:
    rows, cols = spec.grid.shape
    coefficients = ", ".join(repr(float(value)) for value in spec.grid.transform.to_gdal())
    # A transform is that of pixel areas whatever AREA_OR_POINT said; Point would be stored half a pixel off and lose its last digit on the way.
    tags = "".join(f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in spec.tags.items() if key != "AREA_OR_POINT")
    bands = "".join(_band_xml(number, parts, spec) for number in range(1, spec.count + 1))
    return (
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><SRS>{escape(spec.grid.crs.to_wkt())}</SRS>'
        f"<GeoTransform>{coefficients}</GeoTransform><Metadata>{tags}</Metadata>"
        f'<Metadata domain="IMAGE_STRUCTURE"><MDI key="INTERLEAVE">BAND</MDI></Metadata>{bands}</VRTDataset>'
    )


def _band_xml(number: int, parts: Sequence[tuple[Path, int, int]], spec: RasterSpec) -> str:
    cols = spec.grid.shape[1]
    facts = []
    description = spec.descriptions[number - 1]
    if description:
        facts.append(f"<Description>{escape(description)}</Description>")
    if spec.nodata is not None:
        facts.append(f"<NoDataValue>{spec.nodata!r}</NoDataValue>")
    if (spec.scale, spec.offset) != (1.0, 0.0):
        facts.append(f"<Offset>{spec.offset!r}</Offset><Scale>{spec.scale!r}</Scale>")
    if spec.categories:
        facts.append("<ColorInterp>Palette</ColorInterp>" + _categories_xml(spec))
    elif spec.colorinterp:
        facts.append(f"<ColorInterp>{spec.colorinterp[number - 1].capitalize()}</ColorInterp>")
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="0">{escape(str(path))}</SourceFilename><SourceBand>{number}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{cols}" ySize="{height}"/><DstRect xOff="0" yOff="{row}" xSize="{cols}" ySize="{height}"/></SimpleSource>'
        for path, row, height in parts
    )
    return f'<VRTRasterBand dataType="{_gdal_type(spec.dtype)}" band="{number}">{"".join(facts)}{sources}</VRTRasterBand>'


def _gdal_type(dtype: str) -> str:
    return {"uint8": "Byte", "int8": "Int8", "float32": "Float32", "float64": "Float64"}.get(
        dtype, dtype.replace("uint", "UInt").replace("int", "Int")
    )


def _categories_xml(spec: RasterSpec) -> str:
    last = max(spec.categories)
    entries = [spec.categories.get(value, ("", (0, 0, 0, 0)))[1] for value in range(last + 1)]
    table = "".join(f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="{a}"/>' for r, g, b, a in entries)
    return f"<ColorTable>{table}</ColorTable>"


def write_category_names(destination: Path, spec: RasterSpec) -> None:
    """Write the class names beside a categorical COG, where GDAL and QGIS look for them (`.aux.xml`)."""
    last = max(spec.categories)
    names = "".join(f"<Category>{escape(spec.categories.get(value, ('', (0, 0, 0, 0)))[0])}</Category>" for value in range(last + 1))
    text = f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand></PAMDataset>\n'
    with _naming_failure(destination):
        destination.with_name(destination.name + ".aux.xml").write_text(text)


def _require_all_blocks(path: Path) -> None:
    """Raise unless every block of a GeoTIFF lies inside the file: GDAL does not tell when closing failed on a full disk.

    Raises:
        OutputWriteError: When a block is missing or cut.
    """
    size = path.stat().st_size
    with open_raster(str(path)) as dataset:
        for band in range(1, dataset.count + 1):
            for overview in (None, *range(len(dataset.overviews(band)))):
                factor = 1 if overview is None else dataset.overviews(band)[overview]
                block_rows, block_cols = dataset.block_shapes[band - 1]
                down, across = (-(-side // factor) for side in dataset.shape)
                for i, j in product(range(-(-down // block_rows)), range(-(-across // block_cols))):
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
    with _naming_failure(target):
        with source.open("rb") as stream:
            os.fsync(stream.fileno())
        source.replace(target)
        for suffix in (".aux.xml", ".ovr", ".msk"):
            target.with_name(target.name + suffix).unlink(missing_ok=True)
