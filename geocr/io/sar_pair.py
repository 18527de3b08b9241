"""VV and VH that lie in files of their own, as one raster."""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.io import DatasetReader

from geocr.core.bands import S1_BANDS, canonical_s1_band, names_other_polarisation
from geocr.core.errors import BandError, GeoreferenceError
from geocr.io.raster import open_raster
from geocr.io.remote import gdal_name
from geocr.io.sar_gcps import gcp_xml

_POLARISATION = re.compile(r"(?<![A-Za-z])[Vv][VvHh](?![A-Za-z])")


def polarisation_of(path: str) -> str | None:
    """`VV` or `VH` by the last part of a path; None when it names none or both."""
    return canonical_s1_band(_stem(path))


def without_polarisation(path: str) -> str:
    """A path with its polarisation blanked, the same for both files of a pair."""
    folder, _, name = path.split("?", maxsplit=1)[0].rpartition("/")
    return f"{folder}/{_POLARISATION.sub('**', name)}"


def names_other(path: str) -> bool:
    """Whether a file name names HH or HV."""
    return names_other_polarisation(_stem(path))


def _stem(path: str) -> str:
    return Path(path.split("?", maxsplit=1)[0]).stem.replace("_", " ").replace("-", " ")


def pair_vrt(paths: Sequence[str], polarisations: Sequence[str]) -> str:
    """The XML of a VRT whose bands are those of single-band files on one grid.

    Args:
        paths: Files or URLs, one band each.
        polarisations: `VV` or `VH` of each.

    Raises:
        BandError: When a file has more than one band, or a polarisation stands twice.
        GeoreferenceError: When the files do not share one grid.
        RasterNotFoundError: When a file is missing.
        RasterReadError: When a file is no raster.
    """
    if sorted(polarisations) != sorted(set(polarisations)):
        raise BandError(
            f"each polarisation of a Sentinel-1 pair stands once; got {', '.join(polarisations)} in {', '.join(paths)}; name one VV and one VH"
        )
    order = sorted(range(len(paths)), key=lambda place: S1_BANDS.index(polarisations[place]))
    sources = [open_raster(paths[place]) for place in order]
    try:
        for place, source in zip(order, sources, strict=True):
            if source.count != 1:
                raise BandError(
                    f"a file of a Sentinel-1 pair holds one band, its polarisation; {paths[place]} has {source.count}; give a raster with both bands by itself"
                )
            _require_one_grid(sources[0], source, paths[order[0]], paths[place])
        bands = [
            _band(number, source, gdal_name(paths[place]), polarisations[place])
            for number, (place, source) in enumerate(zip(order, sources, strict=True), start=1)
        ]
        return f"{_head(sources[0])}{''.join(bands)}</VRTDataset>"
    finally:
        for source in sources:
            source.close()


def _require_one_grid(first: DatasetReader, other: DatasetReader, first_path: str, path: str) -> None:
    if (first.shape, first.crs, first.transform, len(first.gcps[0])) != (other.shape, other.crs, other.transform, len(other.gcps[0])):
        raise GeoreferenceError(
            f"the polarisations of a Sentinel-1 pair lie on one grid; {first_path} is {first.width} x {first.height} pixels in {first.crs} and {path} "
            f"{other.width} x {other.height} in {other.crs}, or they are shifted; take both from one product, or warp one to the other's grid first"
        )


def _head(source: DatasetReader) -> str:
    georeference = ""
    if source.crs is not None and not source.transform.is_identity:
        coefficients = ", ".join(repr(float(value)) for value in source.transform.to_gdal())
        georeference = f"<SRS>{escape(source.crs.to_wkt())}</SRS><GeoTransform>{coefficients}</GeoTransform>"
    elif source.gcps[0]:
        georeference = gcp_xml(source)
    tags = "".join(f'<MDI key="{escape(key, _QUOTE)}">{escape(value)}</MDI>' for key, value in source.tags().items())
    return f'<VRTDataset rasterXSize="{source.width}" rasterYSize="{source.height}">{georeference}<Metadata>{tags}</Metadata>'


_QUOTE = {'"': "&quot;"}


def _band(number: int, source: DatasetReader, path: str, polarisation: str) -> str:
    kind = typename_fwd[dtype_rev[source.dtypes[0]]]
    rect = f'xOff="0" yOff="0" xSize="{source.width}" ySize="{source.height}"'
    nodata = "" if source.nodata is None else f"<NoDataValue>{source.nodata!r}</NoDataValue>"
    block_rows, block_cols = source.block_shapes[0]
    return (
        f'<VRTRasterBand dataType="{kind}" band="{number}" blockXSize="{block_cols}" blockYSize="{block_rows}">'
        f"<Description>{polarisation}</Description>{nodata}<Scale>{source.scales[0]!r}</Scale><Offset>{source.offsets[0]!r}</Offset>"
        f'<SimpleSource><SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename><SourceBand>1</SourceBand>'
        f"<SrcRect {rect}/><DstRect {rect}/></SimpleSource></VRTRasterBand>"
    )
