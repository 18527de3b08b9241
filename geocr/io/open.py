"""`open_scene`: from two paths to one aligned scene, with every decision said aloud."""

import os

from geocr.io.damage import OnError
from geocr.io.facts import SarFacts
from geocr.io.open_optical import open_optical
from geocr.io.open_sar import open_sar_on
from geocr.io.products.stack import S2Resampling
from geocr.io.raster import absolute_path
from geocr.io.sar import SarReader
from geocr.io.sar_mosaic import SarMosaic
from geocr.io.sar_options import SarOptions
from geocr.io.scene import Scene
from geocr.io.times import acquisition_time
from geocr.radiometry.sar import SarUnits


def open_scene(
    s2: str | os.PathLike[str],
    s1: str | os.PathLike[str] | None = None,
    *,
    s2_bands: tuple[str, ...] | None = None,
    s2_scale: float | None = None,
    s2_offset: float | None = None,
    s2_resampling: S2Resampling = "bilinear",
    resolution_m: float | None = None,
    s1_units: SarUnits | None = None,
    sar: SarOptions | None = None,
    on_error: OnError = "stop",
) -> Scene:
    """Open Sentinel-2 and, if given, Sentinel-1 as one scene on the Sentinel-2 grid.

    Args:
        s2: Sentinel-2 raster: 13 bands (L1C), 12 (L2A), or a subset named by band descriptions or `s2_bands`. Or a product: a `.SAFE`
            folder or zip, a tile in the layout of AWS, a folder of band files, a STAC item.
        s1: Sentinel-1 raster with VV and VH (or one of them), in any CRS, resolution and extent that overlaps; or a pair of files, a
            folder, a STAC item, or several images separated by commas (`find_sources`).
        s2_bands: Of a raster the names of its bands, in their order; of a product the bands to take.
        s2_scale: Reflectance per DN; from the file's tags when None.
        s2_offset: Reflectance at DN 0; from the file's tags when None.
        s2_resampling: How coarser bands of a product come onto the grid of its finest, bilinear or cubic.
        resolution_m: Side of the scene's pixels in metres where it shall be coarser than the finest band.
        s1_units: What the Sentinel-1 file holds; told from its values when None. Short for the same word in `sar`.
        sar: What else is said of Sentinel-1.
        on_error: What becomes of blocks that do not decode: `stop`, or `nodata`.

    Raises:
        RasterNotFoundError: When a file is missing.
        RasterReadError: When a file is no raster or is truncated.
        GeoreferenceError: When a file has no CRS, or the two do not overlap.
        BandError: When bands cannot be named.
        UnitsError: When units cannot be told.
    """
    opened = open_optical(
        absolute_path(os.fspath(s2)),
        bands=s2_bands,
        scale=s2_scale,
        offset=s2_offset,
        resolution_m=resolution_m,
        resampling=s2_resampling,
        on_error=on_error,
    )
    grid, notes = opened.grid, list(opened.notes)
    reader: SarReader | SarMosaic | None = None
    sar_bands: tuple[str, ...] = ()
    sar_facts = SarFacts()
    if s1 is not None:
        taken = opened.facts.acquired or acquisition_time(opened.reader.path, opened.reader.handle.tags())
        radar = open_sar_on(os.fspath(s1), grid, sar or SarOptions(units=s1_units), optical_time=taken, on_error=on_error)
        reader, sar_bands, sar_facts = radar.reader, radar.bands, radar.facts
        notes.extend(radar.notes)
    return Scene(
        optical=opened.reader,
        indexes=tuple(range(1, len(opened.bands) + 1)),
        bands=opened.bands,
        scale=opened.scale,
        grid=grid,
        sar=reader,
        sar_bands=sar_bands,
        notes=tuple(notes),
        on_error=on_error,
        optical_facts=opened.facts,
        sar_facts=sar_facts,
    )
