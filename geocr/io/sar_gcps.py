"""Sentinel-1 in radar geometry, warped by its ground control points: a thin plate spline through all of them.

A GRD carries about 200 control points, 10 to 20 km apart. A polynomial through them is wrong by many pixels (of the real GRD
in the tests 0.5 px of 200 m, root mean square); the spline meets every one of them. Between them relief stays uncorrected: a
pixel at height h above the surface that the points describe lies off by about h / tan(incidence angle), 1.0 to 1.7 h for
the incidence angles of 30 to 46 degrees of IW.

The spline costs too much to evaluate at every pixel, so GDAL interpolates it along rows, to within 0.05 of a source pixel. That
depends on the window warped, which is why such a source is read in fixed blocks.
"""

from math import ceil, hypot
from xml.sax.saxutils import escape

import numpy as np
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.transform import GCPTransformer
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from geocr.io.grid import SceneGrid

GCP_TOLERANCE_PX = 0.05
"""How far the interpolated spline may lie from the spline, in source pixels."""
GCP_BLOCK_PX = 256
"""Side of the fixed blocks that are warped at a time."""
_QUOTE = {'"': "&quot;"}


def gcp_crs(source: DatasetReader) -> CRS:
    """The CRS of a raster's control points; WGS 84 degrees where none is written."""
    crs = source.gcps[1]
    return CRS.from_epsg(4326) if crs is None else crs


def gcp_xml(source: DatasetReader) -> str:
    """A raster's control points as a VRT states them."""
    return f'<GCPList Projection="{escape(gcp_crs(source).to_wkt(), _QUOTE)}">{_points(source)}</GCPList>'


def _points(source: DatasetReader) -> str:
    return "".join(
        f'<GCP Id="{number}" Info="" Pixel="{float(point.col)!r}" Line="{float(point.row)!r}" X="{float(point.x)!r}" Y="{float(point.y)!r}"/>'
        for number, point in enumerate(source.gcps[0], start=1)
    )


def gcp_bounds(source: DatasetReader, crs: CRS) -> tuple[float, float, float, float]:
    """West, south, east and north of a raster's control points in a CRS."""
    xs, ys = [point.x for point in source.gcps[0]], [point.y for point in source.gcps[0]]
    west, south, east, north = transform_bounds(gcp_crs(source), crs, min(xs), min(ys), max(xs), max(ys))
    return west, south, east, north


def gcp_kernel_scale(source: DatasetReader, grid: SceneGrid) -> tuple[float, float]:
    """Scene pixels per source pixel down and across the source, at the scene's centre, at most 1; as `kernel_scale` of `sar.py`."""
    row, col = grid.shape[0] / 2, grid.shape[1] / 2
    corners = [grid.transform * point for point in ((col, row - 0.5), (col, row + 0.5), (col - 0.5, row), (col + 0.5, row))]
    xs, ys = transform_points(grid.crs, gcp_crs(source), [x for x, _ in corners], [y for _, y in corners])
    with GCPTransformer(source.gcps[0], tps=True) as spline:
        rows, cols = spline.rowcol(xs, ys, op=np.float64)
    down, across = (hypot(axis[1] - axis[0], axis[3] - axis[2]) for axis in (rows, cols))
    return (1 / down if down > 1.05 else 1.0), (1 / across if across > 1.05 else 1.0)


def gcp_warp_vrt(source: DatasetReader, grid: SceneGrid, vrt: str, bands: int) -> str:
    """XML of a VRT that warps another one by its control points.

    Args:
        source: The raster with the control points.
        grid: The grid to warp to.
        vrt: XML of the VRT with the values to warp, float32 with NaN for nodata, pixel by pixel as `source`.
        bands: How many it has.
    """
    scale_y, scale_x = gcp_kernel_scale(source, grid)
    rows, cols = grid.shape
    srs = escape(grid.crs.to_wkt())
    forward, back = (", ".join(repr(float(value)) for value in affine.to_gdal()) for affine in (grid.transform, ~grid.transform))
    options = {"INIT_DEST": "NO_DATA", "XSCALE": scale_x, "YSCALE": scale_y, "SOURCE_EXTRA": ceil(1 / min(scale_y, scale_x)) + 1}
    numbers = range(1, bands + 1)
    nodata = "<SrcNoDataReal>nan</SrcNoDataReal><SrcNoDataImag>0</SrcNoDataImag><DstNoDataReal>nan</DstNoDataReal><DstNoDataImag>0</DstNoDataImag>"
    return (
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}" subClass="VRTWarpedDataset"><SRS>{srs}</SRS><GeoTransform>{forward}</GeoTransform>'
        + "".join(
            f'<VRTRasterBand dataType="Float32" band="{n}" subClass="VRTWarpedRasterBand"><NoDataValue>nan</NoDataValue></VRTRasterBand>'
            for n in numbers
        )
        + f"<BlockXSize>{GCP_BLOCK_PX}</BlockXSize><BlockYSize>{GCP_BLOCK_PX}</BlockYSize>"
        "<GDALWarpOptions><ResampleAlg>Bilinear</ResampleAlg><WorkingDataType>Float32</WorkingDataType>"
        + "".join(f'<Option name="{name}">{value}</Option>' for name, value in options.items())
        + f'<SourceDataset relativeToVRT="0">{escape(vrt)}</SourceDataset>'
        f"<Transformer><ApproxTransformer><MaxError>{GCP_TOLERANCE_PX}</MaxError><BaseTransformer><GenImgProjTransformer>"
        f"<SrcTPSTransformer><TPSTransformer><Reversed>0</Reversed><GCPList>{_points(source)}</GCPList></TPSTransformer></SrcTPSTransformer>"
        f"<DstGeoTransform>{forward}</DstGeoTransform><DstInvGeoTransform>{back}</DstInvGeoTransform>"
        f"<ReprojectTransformer><ReprojectionTransformer><SourceSRS>{escape(gcp_crs(source).to_wkt())}</SourceSRS><TargetSRS>{srs}</TargetSRS>"
        "</ReprojectionTransformer></ReprojectTransformer></GenImgProjTransformer></BaseTransformer></ApproxTransformer></Transformer><BandList>"
        + "".join(f'<BandMapping src="{n}" dst="{n}">{nodata}</BandMapping>' for n in numbers)
        + "</BandList></GDALWarpOptions></VRTDataset>"
    )
