"""Open Sentinel-1: its polarisations, its units, and whether it lies over the scene."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader
from rasterio.warp import transform_bounds

from geocr.core.bands import S1_BANDS, canonical_s1_band, names_other_polarisation
from geocr.core.errors import BandError, GeoreferenceError, InputError, UnitsError
from geocr.core.types import NumberArray, Window
from geocr.io.damage import OnError
from geocr.io.grid import SceneGrid, grid_of
from geocr.io.raster import RasterReader, absolute_path
from geocr.io.sar import SarReader
from geocr.radiometry.sar import SAR_UNITS, SarUnits, detect_units

MAX_NEGATIVE_SHARE = 0.01
"""Share of negative values above which a file holds neither power nor amplitude; resampling and noise removal leave a few."""
SCAN_ROWS = 256
"""Rows read at a time when looking for the first values of a nearly empty file."""


def open_sar(path: str, *, units: SarUnits | None = None) -> tuple[SarReader, tuple[str, ...], tuple[str, ...]]:
    """Open a Sentinel-1 raster by itself, on its own grid.

    Args:
        path: Raster with VV and VH, or one of them.
        units: What it holds; told from its values when None.

    Returns:
        The reader, the polarisations in the order it reads them, and what was decided, a sentence each.

    Raises:
        RasterNotFoundError: When the file is missing.
        RasterReadError: When it is no raster or is truncated.
        GeoreferenceError: When it has no CRS.
        BandError: When its bands cannot be named.
        UnitsError: When its units cannot be told.
    """
    path = absolute_path(path)
    reader, bands, notes = open_sar_on(path, grid_of(RasterReader(path).handle, path), units)
    return reader, bands, tuple(notes)


def open_sar_on(
    path: str, grid: SceneGrid, units: SarUnits | None, on_error: OnError = "stop"
) -> tuple[SarReader, tuple[str, ...], list[str]]:
    """Open a Sentinel-1 raster on the grid of a scene; arguments and errors as of `open_sar`.

    Raises:
        GeoreferenceError: Also when it does not overlap the scene.
    """
    raw = RasterReader(path)
    source = raw.handle
    sar_grid = grid_of(source, path)
    _check_overlap(sar_grid, grid, path)
    indexes, bands, notes = _name_s1_bands(source, path)
    if np.dtype(source.dtypes[0]).kind == "c":
        raise UnitsError(
            f"Sentinel-1 must be detected backscatter; {path} is {source.dtypes[0]}, a single-look complex product; "
            f"take a terrain-corrected GRD or RTC product"
        )
    if units is None:
        units = detect_units(_observed_sample(raw, indexes, on_error), path)
        why = "some values are negative" if units == "db" else "no value is negative"
        notes.append(f"Sentinel-1 is taken as {'dB' if units == 'db' else units}: {why} (--s1-units says otherwise).")
    elif units not in SAR_UNITS:
        raise InputError(f"--s1-units must be one of auto, {', '.join(SAR_UNITS)}, got {units!r}")
    elif units in ("power", "amplitude"):
        _refuse_negative(_observed_sample(raw, indexes, on_error), units, path)
    return SarReader(path, indexes=indexes, units=units, grid=grid), bands, notes


def _name_s1_bands(source: DatasetReader, path: str) -> tuple[tuple[int, ...], tuple[str, ...], list[str]]:
    if source.count not in (1, 2):
        raise BandError(
            f"Sentinel-1 must have two bands (VV, VH) or one; {path} has {source.count}; the order is Sentinel-1, then Sentinel-2; else "
            f"write a copy with the two, for example `rio stack {Path(path).name} --bidx 1,2 -o s1.tif`"
        )
    described = [canonical_s1_band(text) if text else None for text in source.descriptions]
    texts = [text for text in source.descriptions if text] or [Path(path).stem.replace("_", " ")] * (source.count == 1)
    if any(map(names_other_polarisation, texts)):
        raise _wrong_polarisation(source, path)
    if source.count == 1:
        name = described[0] or canonical_s1_band(Path(path).stem.replace("_", " ")) or "VV"
        return (1,), (name,), [] if described[0] else [f"The one Sentinel-1 band is taken as {name}."]
    if set(described) == set(S1_BANDS):
        return tuple(described.index(name) + 1 for name in S1_BANDS), S1_BANDS, []
    if any(described):
        raise _wrong_polarisation(source, path)
    return (1, 2), S1_BANDS, ["Sentinel-1 bands are not named in the file: taken as VV, VH."]


def _wrong_polarisation(source: DatasetReader, path: str) -> BandError:
    return BandError(
        f"Sentinel-1 bands must be VV and VH, or one of them, got {source.descriptions} in {path}; HH and HV are not supported; "
        f"correct the band descriptions if they are wrong"
    )


def _refuse_negative(sample: NumberArray, units: SarUnits, path: str) -> None:
    finite = sample[np.isfinite(sample)]
    if finite.size and float((finite < 0).mean()) > MAX_NEGATIVE_SHARE:
        raise UnitsError(
            f"{units} is never negative, and {(finite < 0).mean():.0%} of a sample of {path} is (down to {finite.min():.4g}): "
            f"these look like dB; give --s1-units db, or leave it out"
        )


def _observed_sample(raw: RasterReader, indexes: tuple[int, ...], on_error: OnError) -> NumberArray:
    """Observed values from all over the file, by its scale tags; of a file that is nearly empty, the first that there are."""
    source = raw.handle

    def observed(bands: NumberArray) -> NumberArray:
        parts = []
        for index, values in zip(indexes, bands, strict=True):
            nodata, scale, offset = source.nodatavals[index - 1], source.scales[index - 1], source.offsets[index - 1]
            seen = values if nodata is None or np.isnan(nodata) else values[values != nodata]
            parts.append(seen if (scale, offset) == (1.0, 0.0) else seen * np.float32(scale) + np.float32(offset))
        return np.concatenate(parts)

    sample = observed(raw.sample(indexes, on_error=on_error))
    rows, cols = source.shape
    for row in range(0, rows, SCAN_ROWS):
        if sample.dtype.kind != "f" or np.isfinite(sample).any():
            break
        window = Window(row=row, col=0, height=min(SCAN_ROWS, rows - row), width=cols)
        sample = observed(raw.read(window, indexes).reshape(len(indexes), -1))
    return sample


def _check_overlap(sar: SceneGrid, scene: SceneGrid, path: str) -> None:
    target = _bounds(scene)
    try:
        west, south, east, north = transform_bounds(sar.crs, scene.crs, *_bounds(sar))
    except rasterio.errors.RasterioError as error:
        raise GeoreferenceError(f"Sentinel-1 must be transformable into the scene's CRS; {path} is not: {error}") from error
    if not (west < target[2] and east > target[0] and south < target[3] and north > target[1]):
        raise GeoreferenceError(
            f"Sentinel-1 must overlap Sentinel-2; in {scene.crs.to_string()} {path} spans x {west:.6g} to {east:.6g}, y {south:.6g} to {north:.6g} and "
            f"the scene x {target[0]:.6g} to {target[2]:.6g}, y {target[1]:.6g} to {target[3]:.6g}; "
            f"choose a Sentinel-1 scene of this place, or go on without one: --no-s1"
        )


def _bounds(grid: SceneGrid) -> tuple[float, float, float, float]:
    """West, south, east, north; also of grids that are rotated or whose rows go north."""
    rows, cols = grid.shape
    xs, ys = zip(*(grid.transform * corner for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows))), strict=True)
    return min(xs), min(ys), max(xs), max(ys)
