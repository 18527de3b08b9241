"""A GeoTIFF with everything but its pixels: directories of the raster and its overviews, names, colours, tags, and lists of tiles to fill in.

GDAL writes it, as the sparse copy of a virtual raster that has no source. So all metadata is GDAL's own writing, in COG order (directories before
data), and only the numbers in the tile lists are ours (`geocr/io/tiles.py`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import rasterio
import rasterio.shutil

from geocr.io.overviews import level_shapes
from geocr.io.spec import RasterSpec, block_px


def write_skeleton(path: Path, spec: RasterSpec, *, row: int, height: int, band_tags: Sequence[Mapping[str, str]] = ()) -> None:
    """Write the skeleton of a product, or of a run of its rows.

    Args:
        path: File to write.
        spec: The product.
        row: First scene row.
        height: Number of rows.
        band_tags: Further tags of each band; none when empty.
    """
    xml = _raster_xml(spec, row=row, height=height, band_tags=band_tags or [{}] * spec.count)
    shapes = level_shapes(spec.grid.shape)
    with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=block_px(shapes[1:])):
        options = spec.creation_options(block_px(shapes[:1]))
        rasterio.shutil.copy(xml, path, driver="GTiff", copy_src_overviews=True, sparse_ok=True, **options)


def _raster_xml(spec: RasterSpec, *, row: int, height: int, band_tags: Sequence[Mapping[str, str]]) -> str:
    transform = spec.grid.transform * rasterio.Affine.translation(0, row) if row else spec.grid.transform
    coefficients = ", ".join(repr(float(value)) for value in transform.to_gdal())
    # A transform is that of pixel areas whatever AREA_OR_POINT said; Point would be stored half a pixel off and lose its last digit on the way.
    tags = _tags_xml({key: value for key, value in spec.tags.items() if key != "AREA_OR_POINT"})
    bands = "".join(_band_xml(number, spec, height, own_tags) for number, own_tags in enumerate(band_tags, 1))
    return (
        f'<VRTDataset rasterXSize="{spec.grid.shape[1]}" rasterYSize="{height}"><SRS>{escape(spec.grid.crs.to_wkt())}</SRS>'
        f"<GeoTransform>{coefficients}</GeoTransform>{tags}"
        f'<Metadata domain="IMAGE_STRUCTURE"><MDI key="INTERLEAVE">BAND</MDI></Metadata>{bands}</VRTDataset>'
    )


def _tags_xml(tags: Mapping[str, str]) -> str:
    return "<Metadata>" + "".join(f"<MDI key={quoteattr(key)}>{escape(value)}</MDI>" for key, value in tags.items()) + "</Metadata>"


def _band_xml(number: int, spec: RasterSpec, height: int, tags: Mapping[str, str]) -> str:
    facts = [_tags_xml(tags), _nodata_xml(spec)]
    description = spec.descriptions[number - 1]
    if description:
        facts.append(f"<Description>{escape(description)}</Description>")
    if (spec.scale, spec.offset) != (1.0, 0.0):
        facts.append(f"<Offset>{spec.offset!r}</Offset><Scale>{spec.scale!r}</Scale>")
    if spec.categories:
        facts.append("<ColorInterp>Palette</ColorInterp>" + _categories_xml(spec))
    elif spec.colorinterp:
        facts.append(f"<ColorInterp>{spec.colorinterp[number - 1].capitalize()}</ColorInterp>")
    facts += [_overview_xml(number, spec, shape) for shape in level_shapes(spec.grid.shape, rows=height)[1:]]
    return f'<VRTRasterBand dataType="{_gdal_type(spec.dtype)}" band="{number}">{"".join(facts)}</VRTRasterBand>'


def _overview_xml(number: int, spec: RasterSpec, shape: tuple[int, int]) -> str:
    """An empty raster inside the raster: GDAL's own virtual overviews would round sizes down, and a last row would have no overview."""
    rows, cols = shape
    facts = _nodata_xml(spec)  # without it GDAL would write tiles of zeros where nodata is something else
    bands = "".join(
        f'<VRTRasterBand dataType="{_gdal_type(spec.dtype)}" band="{band}">{facts}</VRTRasterBand>' for band in range(1, spec.count + 1)
    )
    empty = f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">{bands}</VRTDataset>'
    return f'<Overview><SourceFilename relativeToVRT="0">{escape(empty)}</SourceFilename><SourceBand>{number}</SourceBand></Overview>'


def _nodata_xml(spec: RasterSpec) -> str:
    return "" if spec.nodata is None else f"<NoDataValue>{spec.nodata!r}</NoDataValue>"


def _gdal_type(dtype: str) -> str:
    return {"uint8": "Byte", "int8": "Int8", "float32": "Float32", "float64": "Float64"}.get(
        dtype, dtype.replace("uint", "UInt").replace("int", "Int")
    )


def _categories_xml(spec: RasterSpec) -> str:
    last = max(spec.categories)
    entries = [spec.categories.get(value, ("", (0, 0, 0, 0)))[1] for value in range(last + 1)]
    table = "".join(f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="{a}"/>' for r, g, b, a in entries)
    return f"<ColorTable>{table}</ColorTable>"
