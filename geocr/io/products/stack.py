"""Bands of several files and resolutions as one raster: a VRT that GDAL reads lazily, window by window.

A band on the stack's own grid is passed on as it is. A coarser one is interpolated (bilinear or cubic), a finer one averaged, by GDAL's
warper, whose pixels do not depend on the window they are read in as long as coordinates are computed exactly, without its approximation
(docs/decisions/0003-sar-warp.md), and the kernel has a fixed width. The warper leaves nodata out of what it mixes: DN 0 does not bleed
into its neighbours, and a mixture of values never comes out as nodata.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeAlias
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from affine import Affine

from geocr.core.errors import GeoreferenceError, InputError, RasterNotFoundError, RasterReadError, RemoteReadError, UnitsError
from geocr.io.grid import SceneGrid, grid_of
from geocr.io.products.product import BandFile
from geocr.io.raster import open_raster
from geocr.io.remote import gdal_name

S2Resampling: TypeAlias = Literal["bilinear", "cubic"]
_ALGORITHMS = {"bilinear": "Bilinear", "cubic": "Cubic", "average": "Average"}
_GDAL_TYPES = {
    "uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32", "float32": "Float32", "float64": "Float64",
}  # fmt: skip
_BLOCK = 512
"""Side of the blocks that are warped at a time."""
_MOST_BLOCK_ROWS = 6
"""Rows of blocks that are read at once on coarser grids; more would not fit the memory of a run."""
_SAME = 1e-6
"""Difference of two grids, in pixels over their whole size, below which they are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSource:
    """A band file that was opened once: how its pixels lie and are stored."""

    file: BandFile
    grid: SceneGrid
    dtype: str
    nodata: float | None
    scale: float
    """Reflectance per DN by the product, else by the file's tags (1 when there are none)."""
    offset: float
    block: tuple[int, int]
    """Rows and columns of the file's blocks."""
    description: str


def open_bands(files: tuple[BandFile, ...]) -> tuple[BandSource, ...]:
    """Open every file of a stack once and look at its grid and storage.

    Raises:
        RasterNotFoundError: When a file is missing.
        RasterReadError: When one is no raster.
        RemoteReadError: When one cannot be fetched.
        GeoreferenceError: When one has no CRS, or its CRS is not that of the others.
        UnitsError: When they are stored in different dtypes or nodata values, or in one that holds no reflectance.
    """
    sources = tuple(map(_open_band, files))
    first = sources[0]
    for source in sources[1:]:
        if source.grid.crs != first.grid.crs:
            raise GeoreferenceError(
                f"all bands of a scene have one CRS; {first.file.path} is in {first.grid.crs.to_string()} and {source.file.path} in "
                f"{source.grid.crs.to_string()}; give the files of one product"
            )
        if (source.dtype, str(source.nodata)) != (first.dtype, str(first.nodata)):
            raise UnitsError(
                f"all bands of a scene share one dtype and one nodata value; {first.file.path} has {first.dtype} and nodata {first.nodata}, "
                f"{source.file.path} {source.dtype} and {source.nodata}; rewrite them with one of each"
            )
    if first.dtype not in _GDAL_TYPES:
        raise UnitsError(f"a scene must hold integers or floats ({', '.join(_GDAL_TYPES)}), got {first.dtype} in {first.file.path}")
    return sources


def _open_band(file: BandFile) -> BandSource:
    try:
        opened = open_raster(file.path)
    except (RasterNotFoundError, RasterReadError, RemoteReadError) as error:
        raise type(error)(f"{error} (it is band {file.band}; --s2-bands can leave it out)") from error
    with opened as source:
        if not 1 <= file.index <= source.count:
            raise InputError(f"{file.path} has {source.count} bands, and {file.band} was looked for in band {file.index}")
        at = file.index - 1
        return BandSource(
            file=file,
            grid=grid_of(source, file.path),
            dtype=source.dtypes[at],
            nodata=source.nodatavals[at],
            scale=source.scales[at] if file.scale is None else file.scale,
            offset=source.offsets[at] if file.offset is None else file.offset,
            block=(int(source.block_shapes[at][0]), int(source.block_shapes[at][1])),
            description=source.descriptions[at] or file.band,
        )


def stack_grid(sources: tuple[BandSource, ...], resolution_m: float | None) -> SceneGrid:
    """The grid of the finest band, or one that begins at the same corner with coarser pixels.

    Raises:
        InputError: When the resolution is finer than the finest band.
    """
    finest = min(sources, key=lambda source: source.grid.pixel_size_m).grid
    if resolution_m is None:
        return finest
    factor = resolution_m / finest.pixel_size_m
    if factor < 1 - _SAME:
        raise InputError(
            f"--resolution makes a run cheaper, on a grid that is coarser than the scene's own {finest.pixel_size_m:g} m; got {resolution_m:g} m, "
            f"and finer pixels would be invented; leave it out"
        )
    if factor < 1 + _SAME:
        return finest
    rows, cols = (ceil(size / factor - _SAME) for size in finest.shape)
    return SceneGrid(crs=finest.crs, transform=finest.transform * Affine.scale(factor), shape=(rows, cols))


def how_resampled(source: BandSource, grid: SceneGrid, resampling: S2Resampling) -> str | None:
    """`average` for a finer band, the given way for a coarser or shifted one, None for one on the grid."""
    if _same_grid(source.grid, grid):
        return None
    return "average" if source.grid.pixel_size_m < grid.pixel_size_m * (1 - _SAME) else resampling


def _same_grid(one: SceneGrid, other: SceneGrid) -> bool:
    if one.shape != other.shape:
        return False
    off = ~other.transform * one.transform
    corners = [off * (col, row) for row in (0, one.shape[0]) for col in (0, one.shape[1])]
    wanted = [(col, row) for row in (0, one.shape[0]) for col in (0, one.shape[1])]
    return bool(np.allclose(corners, wanted, rtol=0, atol=_SAME))


def stack_vrt(
    sources: tuple[BandSource, ...],
    grid: SceneGrid,
    *,
    resampling: S2Resampling,
    nodata: float,
    scaling: tuple[float, float],
    tags: Mapping[str, str],
) -> str:
    """XML of a VRT with these bands on one grid.

    Args:
        sources: The bands, in the order they shall have.
        grid: The stack's grid.
        resampling: For bands that are coarser than the grid.
        nodata: DN that means nothing here.
        scaling: Scale and offset that all bands carry.
        tags: The stack's metadata.
    """
    dtype = _GDAL_TYPES[sources[0].dtype]
    rows, cols = grid.shape
    items = "".join(f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in tags.items())
    bands = []
    block_rows, block_cols = _blocks(sources, grid)
    for number, source in enumerate(sources, start=1):
        way = how_resampled(source, grid, resampling)
        path, index = gdal_name(source.file.path), source.file.index
        if way is not None:
            path, index = _warped(source, grid, way, nodata=nodata, dtype=dtype), 1
        rect = f'xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"'
        bands.append(
            f'<VRTRasterBand dataType="{dtype}" band="{number}" blockXSize="{block_cols}" blockYSize="{block_rows}">'
            f"<Description>{escape(source.description)}</Description><NoDataValue>{nodata!r}</NoDataValue>"
            f"<Offset>{scaling[1]!r}</Offset><Scale>{scaling[0]!r}</Scale>"
            f'<SimpleSource><SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename><SourceBand>{index}</SourceBand>'
            f"<SrcRect {rect}/><DstRect {rect}/></SimpleSource></VRTRasterBand>"
        )
    return (
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><SRS>{escape(grid.crs.to_wkt())}</SRS>'
        f"<GeoTransform>{_numbers(grid.transform)}</GeoTransform><Metadata>{items}</Metadata>{''.join(bands)}</VRTDataset>"
    )


def _blocks(sources: tuple[BandSource, ...], grid: SceneGrid) -> tuple[int, int]:
    """Rows and columns of the grid that the finest band's blocks fill, so that reading by them decodes each once."""
    finest = min(sources, key=lambda source: source.grid.pixel_size_m)
    ratio = finest.grid.pixel_size_m / grid.pixel_size_m
    return tuple(max(1, min(size, round(block * ratio))) for block, size in zip(finest.block, grid.shape, strict=True))  # type: ignore[return-value]


def full_block_rows(sources: tuple[BandSource, ...], grid: SceneGrid) -> int:
    """Rows of the grid that one row of the finest band's blocks fills, or a few where one ends within a pixel of the grid."""
    finest = min(sources, key=lambda source: source.grid.pixel_size_m)
    rows = finest.block[0] * finest.grid.pixel_size_m / grid.pixel_size_m
    even = (round(rows * count) for count in range(1, _MOST_BLOCK_ROWS + 1) if abs(rows * count - round(rows * count)) < _SAME)
    return max(1, min(grid.shape[0], next(even, round(rows))))


def _numbers(transform: Affine) -> str:
    return ", ".join(repr(float(value)) for value in transform.to_gdal())


def _warped(source: BandSource, grid: SceneGrid, way: str, *, nodata: float, dtype: str) -> str:
    """XML of a VRT that warps one band to the grid with exact coordinates."""
    rows, cols = grid.shape
    inner_rows, inner_cols = source.grid.shape
    wkt = escape(grid.crs.to_wkt())
    rect = f'xOff="0" yOff="0" xSize="{inner_cols}" ySize="{inner_rows}"'
    inner = (
        f'<VRTDataset rasterXSize="{inner_cols}" rasterYSize="{inner_rows}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{_numbers(source.grid.transform)}</GeoTransform>"
        f'<VRTRasterBand dataType="{dtype}" band="1"><NoDataValue>{nodata!r}</NoDataValue>'
        f'<SimpleSource><SourceFilename relativeToVRT="0">{escape(gdal_name(source.file.path))}</SourceFilename>'
        f"<SourceBand>{source.file.index}</SourceBand><SrcRect {rect}/><DstRect {rect}/></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    extra = '<Option name="XSCALE">1</Option><Option name="YSCALE">1</Option>' if way != "average" else ""
    transforms = "".join(
        f"<{side}GeoTransform>{_numbers(transform)}</{side}GeoTransform><{side}InvGeoTransform>{_numbers(~transform)}</{side}InvGeoTransform>"
        for side, transform in (("Src", source.grid.transform), ("Dst", grid.transform))
    )
    return (
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}" subClass="VRTWarpedDataset"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{_numbers(grid.transform)}</GeoTransform>"
        f'<VRTRasterBand dataType="{dtype}" band="1" subClass="VRTWarpedRasterBand"><NoDataValue>{nodata!r}</NoDataValue></VRTRasterBand>'
        f"<BlockXSize>{min(_BLOCK, cols)}</BlockXSize><BlockYSize>{min(_BLOCK, rows)}</BlockYSize>"
        f"<GDALWarpOptions><WarpMemoryLimit>67108864</WarpMemoryLimit><ResampleAlg>{_ALGORITHMS[way]}</ResampleAlg>"
        f'<WorkingDataType>{dtype}</WorkingDataType><Option name="INIT_DEST">NO_DATA</Option>{extra}'
        f'<SourceDataset relativeToVRT="0">{escape(inner)}</SourceDataset>'
        f"<Transformer><GenImgProjTransformer>{transforms}</GenImgProjTransformer></Transformer>"
        f'<BandList><BandMapping src="1" dst="1"><SrcNoDataReal>{nodata!r}</SrcNoDataReal><SrcNoDataImag>0</SrcNoDataImag>'
        f"<DstNoDataReal>{nodata!r}</DstNoDataReal><DstNoDataImag>0</DstNoDataImag></BandMapping></BandList></GDALWarpOptions></VRTDataset>"
    )
