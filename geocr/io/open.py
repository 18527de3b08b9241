"""`open_scene`: from two paths to one aligned scene, with every decision said aloud."""

import numpy as np

from geocr.io.damage import OnError
from geocr.io.grid import grid_of
from geocr.io.open_optical import name_s2_bands, optical_scale
from geocr.io.open_sar import open_sar_on
from geocr.io.raster import RasterReader, absolute_path
from geocr.io.sar import SarReader
from geocr.io.scene import Scene
from geocr.radiometry.sar import SarUnits


def open_scene(
    s2: str,
    s1: str | None = None,
    *,
    s2_bands: tuple[str, ...] | None = None,
    s2_scale: float | None = None,
    s2_offset: float | None = None,
    s1_units: SarUnits | None = None,
    on_error: OnError = "stop",
) -> Scene:
    """Open a Sentinel-2 raster and, if given, a Sentinel-1 raster as one scene on the Sentinel-2 grid.

    Args:
        s2: Sentinel-2 raster: 13 bands (L1C), 12 (L2A), or a subset named by band descriptions or `s2_bands`.
        s1: Sentinel-1 raster with VV and VH (or one of them), in any CRS, resolution and extent that overlaps.
        s2_bands: Names of the file's bands, in its order.
        s2_scale: Reflectance per DN; from the file's tags when None.
        s2_offset: Reflectance at DN 0; from the file's tags when None.
        s1_units: What the Sentinel-1 file holds; told from its values when None.
        on_error: What becomes of blocks that do not decode: `stop`, or `nodata`.

    Raises:
        RasterNotFoundError: When a file is missing.
        RasterReadError: When a file is no raster or is truncated.
        GeoreferenceError: When a file has no CRS, or the two do not overlap.
        BandError: When bands cannot be named.
        UnitsError: When units cannot be told.
    """
    s2 = absolute_path(s2)
    reader = RasterReader(s2)
    source = reader.handle
    grid = grid_of(source, s2)
    bands, band_note = name_s2_bands(source, s2, s2_bands)
    scale, scale_note = optical_scale(reader, s2_scale, s2_offset, on_error)
    nodata_note = None
    if source.nodata is None and np.dtype(source.dtypes[0]).kind != "f":
        nodata_note = "Sentinel-2 names no nodata value: DN 0 is taken as nodata, as in the products, and stays as it is."
    notes = [note for note in (band_note, scale_note, nodata_note) if note]
    sar: SarReader | None = None
    sar_bands: tuple[str, ...] = ()
    if s1 is not None:
        sar, sar_bands, sar_notes = open_sar_on(absolute_path(s1), grid, s1_units, on_error)
        notes.extend(sar_notes)
    return Scene(
        optical=reader,
        indexes=tuple(range(1, source.count + 1)),
        bands=bands,
        scale=scale,
        grid=grid,
        sar=sar,
        sar_bands=sar_bands,
        notes=tuple(notes),
        on_error=on_error,
    )
