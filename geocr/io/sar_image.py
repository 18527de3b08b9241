"""One Sentinel-1 image opened: its polarisations, its units, and whether it lies over the scene."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.warp import transform_bounds

from geocr.core.bands import S1_BANDS, canonical_s1_band, names_other_polarisation
from geocr.core.errors import BandError, GeoreferenceError, NoOverlapError, UnitsError
from geocr.core.types import NumberArray, Window
from geocr.io.damage import OnError
from geocr.io.facts import SarFacts
from geocr.io.grid import SceneGrid, grid_of
from geocr.io.raster import RasterReader, spoken_path
from geocr.io.sar import SarReader
from geocr.io.sar_gcps import gcp_bounds, gcp_crs
from geocr.io.sar_names import facts_of_names, units_in
from geocr.io.sar_options import SarOptions
from geocr.io.sar_pair import pair_vrt
from geocr.io.sar_source import SarSource
from geocr.radiometry.sar import SarUnits, detect_units

MAX_NEGATIVE_SHARE = 0.01
"""Share of negative values above which a file holds neither power nor amplitude; resampling and noise removal leave a few."""
SCAN_ROWS = 256
"""Rows read at a time when looking for the first values of a nearly empty file."""
Bounds = tuple[float, float, float, float]
"""West, south, east, north."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SarImage:
    """One Sentinel-1 image on the grid of a scene."""

    name: str
    reader: SarReader
    bands: tuple[str, ...]
    facts: SarFacts
    notes: tuple[str, ...]
    """What was decided, a sentence each."""


def open_image(source: SarSource, grid: SceneGrid | None, options: SarOptions, on_error: OnError) -> SarImage:
    """Open one image on the grid of a scene, or on its own when that is None.

    Raises:
        RasterNotFoundError: When a file is missing.
        RasterReadError: When it is no raster or is truncated.
        GeoreferenceError: When it has no usable georeference, or does not overlap the scene.
        BandError: When its bands cannot be named.
        UnitsError: When its units cannot be told.
    """
    if source.geometry == "radar" and not options.gcps:
        raise _radar_geometry(source.name)
    path = source.rasters[0] if len(source.rasters) == 1 else pair_vrt(source.rasters, source.polarisations)
    raw = RasterReader(path)
    opened = raw.handle
    by_gcps = _needs_gcps(opened, source.name)
    notes: list[str] = []
    if by_gcps:
        if not options.gcps:
            raise _radar_geometry(source.name)
        _require_one_side(opened, source.name)
        bounds, crs = gcp_bounds(opened, CRS.from_epsg(4326)), CRS.from_epsg(4326)
        notes.append(_gcp_note(source.name))
    else:
        own = grid_of(opened, spoken_path(path))
        bounds, crs = bounds_of(own), own.crs
    if grid is None:
        grid = grid_of(opened, spoken_path(path))
    require_overlap(bounds, crs, grid, spoken_path(path))
    indexes, bands, band_notes = _name_s1_bands(opened, spoken_path(path))
    units, unit_notes = _units(raw, indexes, options.units, on_error, counts_are_amplitude=by_gcps)
    facts = source.knowing(facts_of_names(spoken_path(path), opened.descriptions, opened.tags())).facts
    if options.radiometry is not None:
        facts = replace(facts, radiometry=options.radiometry)
    reader = SarReader(path, indexes=indexes, units=units, grid=grid, by_gcps=by_gcps, without_border_noise=options.border_noise == "mask")
    return SarImage(name=source.name, reader=reader, bands=bands, facts=facts, notes=(*notes, *band_notes, *unit_notes))


def _needs_gcps(source: DatasetReader, name: str) -> bool:
    """Whether control points are the only georeference."""
    lies_on_a_grid = source.crs is not None and not source.transform.is_identity
    if not lies_on_a_grid and source.gcps[0] and len(source.gcps[0]) < 4:
        raise GeoreferenceError(
            f"a warp by ground control points takes four or more; {name} has {len(source.gcps[0])}; take an RTC product"
        )
    return not lies_on_a_grid and bool(source.gcps[0])


def _require_one_side(source: DatasetReader, name: str) -> None:
    """Refuse control points on both sides of the antimeridian: a spline through them would run round the Earth the other way."""
    lons = [point.x for point in source.gcps[0]]
    if gcp_crs(source).is_geographic and max(lons) - min(lons) > 180:
        raise GeoreferenceError(
            f"a warp by ground control points takes them from one side of the antimeridian; those of {spoken_path(name)} reach from {min(lons):.6g} to "
            f"{max(lons):.6g} degrees of longitude; take a terrain-corrected product"
        )


def _radar_geometry(name: str) -> GeoreferenceError:
    return GeoreferenceError(
        f"Sentinel-1 must be terrain-corrected; {spoken_path(name)} lies in radar geometry, tied to the ground by control points only (a raw GRD or SLC). "
        f"geocr corrects no terrain: make a terrain-corrected product of it with SNAP, pyroSAR or ASF HyP3, or take one that is ready, as OPERA RTC-S1 "
        f"(ASF) or sentinel-1-rtc (Planetary Computer). To warp it by its control points all the same, shifted wherever there is relief: --s1-gcps"
    )


def _gcp_note(name: str) -> str:
    return (
        f"Warning: {Path(spoken_path(name)).name} is warped by its ground control points, without terrain correction: hills are shifted towards the radar, "
        f"by 1.0 to 1.7 times their height above the surface that the points describe."
    )


def _units(
    raw: RasterReader, indexes: tuple[int, ...], units: SarUnits | None, on_error: OnError, *, counts_are_amplitude: bool
) -> tuple[SarUnits, list[str]]:
    path, dtype = spoken_path(raw.path), np.dtype(raw.handle.dtypes[0])
    if dtype.kind == "c":
        raise UnitsError(
            f"Sentinel-1 must be detected backscatter; {path} is {dtype}, a single-look complex product; "
            f"take a terrain-corrected GRD or RTC product"
        )
    if units is None and counts_are_amplitude and dtype.kind in "ui":
        said = "Warning: Sentinel-1 counts in radar geometry are taken as amplitude and are not calibrated: their dB are neither sigma0 nor gamma0."
        return "amplitude", [said]
    if units is None:
        sample = _observed_sample(raw, indexes, on_error)
        units = detect_units(sample, path)
        named = units_in([*(text for text in raw.handle.descriptions if text), Path(path).name])
        if named in ("power", "amplitude") and _negative_share(sample) <= MAX_NEGATIVE_SHARE:
            return named, [f"Sentinel-1 is taken as {named}: its name tells (--s1-units says otherwise)."]
        why = "some values are negative" if units == "db" else "no value is negative"
        return units, [f"Sentinel-1 is taken as {'dB' if units == 'db' else units}: {why} (--s1-units says otherwise)."]
    if units in ("power", "amplitude"):
        _refuse_negative(_observed_sample(raw, indexes, on_error), units, path)
    return units, []


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
    share = _negative_share(sample)
    if share > MAX_NEGATIVE_SHARE:
        raise UnitsError(
            f"{units} is never negative, and {share:.0%} of a sample of {path} is (down to {sample[np.isfinite(sample)].min():.4g}): "
            f"these look like dB; give --s1-units db, or leave it out"
        )


def _negative_share(sample: NumberArray) -> float:
    """Share of negative values among those that are finite; 0 where none is."""
    finite = sample[np.isfinite(sample)]
    return float((finite < 0).mean()) if finite.size else 0.0


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


def require_overlap(bounds: Bounds, crs: CRS, scene: SceneGrid, path: str) -> None:
    """Refuse an image that lies elsewhere.

    Args:
        bounds: Of the image in its CRS.
        crs: That CRS.
        scene: The scene's grid.
        path: How to call the image.

    Raises:
        NoOverlapError: When both do not overlap.
        GeoreferenceError: When the CRS cannot be transformed.
    """
    target = bounds_of(scene)
    try:
        west, south, east, north = transform_bounds(crs, scene.crs, *bounds)
    except rasterio.errors.RasterioError as error:
        raise GeoreferenceError(f"Sentinel-1 must be transformable into the scene's CRS; {path} is not: {error}") from error
    turns: tuple[float, ...] = (0.0,)
    if scene.crs.is_geographic:  # degrees of longitude mean the same a turn further
        east += 360.0 * (west > east)
        turns = (-360.0, 0.0, 360.0)
    across = any(west + turn < target[2] and east + turn > target[0] for turn in turns)
    if not (across and south < target[3] and north > target[1]):
        raise NoOverlapError(
            f"Sentinel-1 must overlap Sentinel-2; in {scene.crs.to_string()} {path} spans x {west:.6g} to {east:.6g}, y {south:.6g} to {north:.6g} and "
            f"the scene x {target[0]:.6g} to {target[2]:.6g}, y {target[1]:.6g} to {target[3]:.6g}; "
            f"choose a Sentinel-1 scene of this place, or go on without one: --no-s1"
        )


def bounds_of(grid: SceneGrid) -> Bounds:
    """West, south, east, north; also of grids that are rotated or whose rows go north."""
    rows, cols = grid.shape
    xs, ys = zip(*(grid.transform * corner for corner in ((0, 0), (cols, 0), (0, rows), (cols, rows))), strict=True)
    return min(xs), min(ys), max(xs), max(ys)
