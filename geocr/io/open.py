"""`open_scene`: from two paths to one aligned scene, with every decision said aloud."""

import re
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader
from rasterio.warp import transform_bounds

from geocr.core.bands import L1C_BANDS, L2A_BANDS, S1_BANDS, canonical_s1_band, canonical_s2_band, names_other_polarisation, parse_s2_bands
from geocr.core.errors import BandError, GeoreferenceError, InputError, RasterReadError, UnitsError
from geocr.core.types import NumberArray, Window
from geocr.io.damage import OnError
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader
from geocr.io.sar import SarReader
from geocr.io.scene import Scene
from geocr.radiometry.optical import OpticalScale
from geocr.radiometry.sar import SAR_UNITS, SarUnits, detect_units

BASELINE_OFFSET = 4.0
"""Processing baseline from which products carry an offset of -1000 DN (04.00, ESA, January 2022)."""
MAX_NEGATIVE_SHARE = 0.01
"""Share of negative values above which a file holds neither power nor amplitude; resampling and noise removal leave a few."""
SCAN_ROWS = 256
"""Rows read at a time when looking for the first values of a nearly empty file."""
_BASELINE_TAGS = ("PROCESSING_BASELINE", "processing_baseline")
_BASELINE_FORM = re.compile(r"N?(\d{2})\.?(\d{2})", re.IGNORECASE)
_BAND_NUMBER = re.compile(r"BAND[ _-]?0*(\d+)", re.IGNORECASE)


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
    s2 = _absolute(s2)
    reader = RasterReader(s2)
    source = reader.handle
    grid = _grid_of(source, s2)
    bands, band_note = _name_s2_bands(source, s2, s2_bands)
    scale, scale_note = _optical_scale(reader, s2_scale, s2_offset, on_error)
    nodata_note = None
    if source.nodata is None and np.dtype(source.dtypes[0]).kind != "f":
        nodata_note = "Sentinel-2 names no nodata value: DN 0 is taken as nodata, as in the products, and stays as it is."
    notes = [note for note in (band_note, scale_note, nodata_note) if note]
    sar: SarReader | None = None
    sar_bands: tuple[str, ...] = ()
    if s1 is not None:
        sar, sar_bands, sar_notes = _open_sar(_absolute(s1), grid, s1_units, on_error)
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
    path = _absolute(path)
    reader, bands, notes = _open_sar(path, _grid_of(RasterReader(path).handle, path), units)
    return reader, bands, tuple(notes)


def _absolute(path: str) -> str:
    """The path as workers in other folders can open it."""
    return path if "://" in path or path.startswith("/vsi") else str(Path(path).absolute())


def _grid_of(source: DatasetReader, path: str) -> SceneGrid:
    if source.count == 0:
        raise RasterReadError(
            f"an input must be one raster; {path} is a container of {len(source.subdatasets)} rasters ({', '.join(source.subdatasets[:3])} ...); "
            f"convert the one with the bands to a GeoTIFF, for example with gdal_translate"
        )
    if source.crs is None or source.transform.is_identity:
        what = "only ground control points (a raw GRD in radar geometry)" if source.gcps[0] else "none"
        cure = (
            "terrain-correct it first, for example with SNAP or pyroSAR, or take a terrain-corrected (RTC) product"
            if source.gcps[0]
            else f"if you know where it lies, write it into the file: `gdal_edit.py -a_srs EPSG:… -a_ullr … {Path(path).name}`"
        )
        raise GeoreferenceError(f"a scene must have a CRS and a transform; {path} has {what}; {cure}")
    return SceneGrid(crs=source.crs, transform=source.transform, shape=source.shape)


def _name_s2_bands(source: DatasetReader, path: str, given: tuple[str, ...] | None) -> tuple[tuple[str, ...], str | None]:
    if given is not None:
        names = parse_s2_bands(given)
        if len(names) != source.count:
            raise BandError(
                f"--s2-bands must name every band of the file in its order: {path} has {source.count} bands, got {len(names)} names ({', '.join(names)})"
            )
        return names, None
    described = [canonical_s2_band(text) if text else None for text in source.descriptions]
    if (
        all(described)
        and not (source.count == len(L2A_BANDS) and _are_numbers(source.descriptions))
        and len(set(described)) == len(described)
    ):
        return tuple(name for name in described if name), None
    for level, names in (("L1C", L1C_BANDS), ("L2A", L2A_BANDS)):
        if source.count == len(names):
            return names, f"Sentinel-2 bands are not named in the file: its {source.count} bands are taken as {level} in product order."
    raise BandError(
        f"Sentinel-2 bands must be named by the file's band descriptions, or be the 13 of L1C or the 12 of L2A; {path} has {source.count} bands "
        f"described as {source.descriptions}; name them in file order, for example --s2-bands B02,B03,B04,B08"
    )


def _are_numbers(descriptions: tuple[str | None, ...]) -> bool:
    """True for `Band 1`, `Band 2` and so on, which many writers put where they know no names: they would read as B01, B02."""
    found = [_BAND_NUMBER.fullmatch(text.strip()) if text else None for text in descriptions]
    return [int(match.group(1)) if match else 0 for match in found] == list(range(1, len(found) + 1))


def _optical_scale(reader: RasterReader, scale: float | None, offset: float | None, on_error: OnError) -> tuple[OpticalScale, str | None]:
    source = reader.handle
    dtypes, nodatas = set(source.dtypes), set(map(str, source.nodatavals))
    if len(dtypes) > 1 or len(nodatas) > 1:
        raise UnitsError(
            f"all bands of a scene must share one dtype and one nodata value; {reader.path} has {', '.join(sorted(dtypes))} "
            f"and {', '.join(sorted(nodatas))}; rewrite it with one of each"
        )
    dtype = source.dtypes[0]
    if np.dtype(dtype).kind not in "uif":
        raise UnitsError(f"a scene must hold integers or floats, got {dtype} in {reader.path}")
    is_float = np.issubdtype(np.dtype(dtype), np.floating)
    nodata = source.nodata if source.nodata is not None else (float("nan") if is_float else 0.0)
    if scale is not None and offset is not None:
        return OpticalScale(scale=scale, offset=offset, nodata=nodata, dtype=dtype), None
    tagged_scale, tagged_offset, why = _tagged_scale(reader, nodata, on_error)
    used = OpticalScale(
        scale=tagged_scale if scale is None else scale, offset=tagged_offset if offset is None else offset, nodata=nodata, dtype=dtype
    )
    if why is None:
        return used, None
    found = [("scale", used.scale)] * (scale is None) + [("offset", used.offset)] * (offset is None)
    facts, flags = (" and ".join(texts) for texts in zip(*((f"{name} {value:g}", f"--s2-{name}") for name, value in found), strict=True))
    return used, f"{why} {facts} ({flags} to say otherwise)."


def _tagged_scale(reader: RasterReader, nodata: float, on_error: OnError) -> tuple[float, float, str | None]:
    """Scale and offset by the file's own word, or with the reason why these are taken."""
    source = reader.handle
    pairs = set(zip(source.scales, source.offsets, strict=True))
    if len(pairs) > 1:
        raise UnitsError(
            f"all bands of a scene must share one scale and offset; {reader.path} has {sorted(pairs)}; give --s2-scale and --s2-offset to override"
        )
    (pair,) = pairs
    if pair != (1.0, 0.0):
        return pair[0], pair[1], None
    tags = source.tags()
    baseline = next((tags[tag] for tag in _BASELINE_TAGS if tag in tags), None)
    if baseline is not None:
        number = _BASELINE_FORM.fullmatch(baseline.strip())
        if number is None:
            raise UnitsError(
                f"a processing baseline is a number such as 04.00 or N0400; {reader.path} is tagged {baseline!r}; give --s2-scale and --s2-offset"
            )
        after = float(f"{number.group(1)}.{number.group(2)}") >= BASELINE_OFFSET
        return 1e-4, -0.1 if after else 0.0, f"Processing baseline {baseline}:"
    if np.issubdtype(np.dtype(source.dtypes[0]), np.floating):
        values = reader.sample(range(1, source.count + 1), chips=9, on_error=on_error)
        finite = values[np.isfinite(values) & (values != nodata)]
        if finite.size and float(np.abs(finite).max()) <= 2.0:
            return 1.0, 0.0, "Sentinel-2 floats of at most 2 without scale tags are taken as reflectance:"
    return 1e-4, 0.0, "Sentinel-2 has no scale tags; assumed:"


def _open_sar(
    path: str, grid: SceneGrid, units: SarUnits | None, on_error: OnError = "stop"
) -> tuple[SarReader, tuple[str, ...], list[str]]:
    raw = RasterReader(path)
    source = raw.handle
    sar_grid = _grid_of(source, path)
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
