"""Open Sentinel-2, a raster or a product of many files: the names of its bands, how reflectance is stored, and what is known of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from geocr.core.bands import L1C_BANDS, L2A_BANDS, canonical_s1_band, canonical_s2_band, parse_s2_bands
from geocr.core.errors import BandError, InputError, RasterReadError, UnitsError
from geocr.io.damage import OnError
from geocr.io.facts import OpticalFacts
from geocr.io.grid import SceneGrid, grid_of
from geocr.io.products.find import find_product
from geocr.io.products.names import level_of, parse_time, product_parts
from geocr.io.products.offset import baseline_offset
from geocr.io.products.product import BandFile, OpticalProduct
from geocr.io.products.reader import StackReader
from geocr.io.products.stack import BandSource, S2Resampling, full_block_rows, how_resampled, open_bands, stack_grid, stack_vrt
from geocr.io.raster import RasterReader, absolute_path, open_raster
from geocr.radiometry.optical import OpticalScale

MAX_NEGATIVE_SHARE = 0.2
"""Share of negative values above which an offset is taken to have been applied before."""
_BASELINE_TAGS = ("PROCESSING_BASELINE", "processing_baseline")
_BAND_NUMBER = re.compile(r"BAND[ _-]?0*(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedOptical:
    """Sentinel-2 as a scene takes it."""

    reader: RasterReader
    """All bands on one grid, read by window."""
    bands: tuple[str, ...]
    """Canonical names of the reader's bands, in its order."""
    scale: OpticalScale
    """How reflectance is stored."""
    grid: SceneGrid
    """Where its pixels lie."""
    facts: OpticalFacts
    """What it says of itself."""
    notes: tuple[str, ...]
    """What was decided, a sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """The arguments of `open_optical` apart from the path."""

    bands: tuple[str, ...] | None
    scale: float | None
    offset: float | None
    resolution_m: float | None
    resampling: S2Resampling
    on_error: OnError


def open_optical(
    path: str,
    *,
    bands: tuple[str, ...] | None = None,
    scale: float | None = None,
    offset: float | None = None,
    resolution_m: float | None = None,
    resampling: S2Resampling = "bilinear",
    on_error: OnError = "stop",
) -> OpenedOptical:
    """Open a Sentinel-2 raster or product.

    Args:
        path: A raster; or a product: a `.SAFE` folder or zip, a tile in the layout of AWS, a folder of band files, a STAC item. Absolute.
        bands: Of a raster the names of its bands in their order; of a product, whose bands have names, those to take.
        scale: Reflectance per DN; by the metadata when None.
        offset: Reflectance at DN 0; by the metadata when None.
        resolution_m: Side of the pixels in metres, coarser than the finest band's; that one's own when None.
        resampling: How coarser bands of a product are brought onto the grid.
        on_error: What becomes of blocks that do not decode.

    Raises:
        RasterNotFoundError: When a file is missing.
        RasterReadError: When a file is no raster, or metadata is damaged.
        RemoteReadError: When a URL cannot be fetched.
        GeoreferenceError: When a file has no CRS.
        BandError: When bands cannot be named or are not there.
        UnitsError: When bands are stored in different ways, or an offset seems to have been applied before.
        InputError: When the path names no product, or more than one; when the resolution is finer than the bands.
    """
    if resampling not in ("bilinear", "cubic"):
        raise InputError(f"--s2-resampling must be bilinear or cubic, got {resampling!r}")
    if resolution_m is not None and not resolution_m > 0:
        raise InputError(f"--resolution is a positive number of metres, got {resolution_m!r}")
    wanted = _Wanted(bands=bands, scale=scale, offset=offset, resolution_m=resolution_m, resampling=resampling, on_error=on_error)
    product = find_product(path)
    opened = _open_raster(path, wanted) if product is None else _open_product(product, wanted)
    if offset is None:
        _refuse_offset_applied_twice(opened)
    return opened


def open_optical_dataset(path: str, bands: Iterable[str | None]) -> DatasetReader:
    """A raster or a product as one open dataset, to be shown beside a result.

    Args:
        path: As of `open_optical`.
        bands: Names of the bands to show; of a product those are taken, of a raster all.

    Raises:
        GeocrError: As `open_optical`.
    """
    path = absolute_path(path)
    if find_product(path) is None:
        return open_raster(path)
    names = tuple(band for band in bands if band is not None)
    return open_optical(path, bands=names or None, scale=1.0, offset=0.0).reader.handle  # pixels as they are stored


def _open_raster(path: str, wanted: _Wanted) -> OpenedOptical:
    """A single raster: read as it is, or averaged to coarser pixels."""
    reader = RasterReader(path)
    source = reader.handle
    grid = grid_of(source, path)
    bands, band_note = name_s2_bands(source, path, wanted.bands)
    used, scale_note = optical_scale(reader, wanted.scale, wanted.offset, wanted.on_error)
    nodata_note = None
    if source.nodata is None and np.dtype(source.dtypes[0]).kind != "f":
        nodata_note = "Sentinel-2 names no nodata value: DN 0 is taken as nodata, as in the products, and stays as it is."
    notes = tuple(note for note in (band_note, scale_note, nodata_note) if note)
    tags = source.tags()
    opened = OpenedOptical(reader=reader, bands=bands, scale=used, grid=grid, facts=facts_of_tags(tags), notes=notes)
    if wanted.resolution_m is None:
        return opened
    files = tuple(BandFile(band=band, path=path, index=number) for number, band in enumerate(bands, start=1))
    scaling = (source.scales[0], source.offsets[0])
    return _stacked(opened, open_bands(files), wanted, scaling=scaling, tags=_own_tags(tags), files=(path,))


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags that stay true on another grid."""
    return {key: value for key, value in tags.items() if not key.startswith(("STATISTICS_", "OVR_"))}


def _open_product(product: OpticalProduct, wanted: _Wanted) -> OpenedOptical:
    """Bands of several files as one raster."""
    sources = open_bands(product.chosen(None if wanted.bands is None else parse_s2_bands(wanted.bands)))
    first = sources[0]
    is_float = np.issubdtype(np.dtype(first.dtype), np.floating)
    nodata = first.nodata if first.nodata is not None else (float("nan") if is_float else 0.0)
    found, note = _product_scaling(product, sources, wanted.scale, wanted.offset)
    used = OpticalScale(scale=found[0], offset=found[1], nodata=nodata, dtype=first.dtype)
    opened = OpenedOptical(
        reader=RasterReader(product.path),  # replaced by the stack
        bands=tuple(source.file.band for source in sources),
        scale=used,
        grid=first.grid,
        facts=product.facts,
        notes=(*product.notes, *note),
    )
    files = tuple(source.file.path for source in sources)
    facts = replace(product.facts, files=tuple(dict.fromkeys((*product.facts.files, *files))))
    return _stacked(replace(opened, facts=facts), sources, wanted, scaling=found, tags=_product_tags(facts), files=files)


def _product_scaling(
    product: OpticalProduct, sources: tuple[BandSource, ...], scale: float | None, offset: float | None
) -> tuple[tuple[float, float], tuple[str, ...]]:
    """Scale and offset that all bands share, and what was assumed."""
    if scale is not None and offset is not None:
        return (scale, offset), ()
    own = {(source.scale, source.offset) for source in sources}
    if own == {(1.0, 0.0)} and np.dtype(sources[0].dtype).kind != "f":
        implied = (1e-4, baseline_offset(product.facts.baseline, product.path))
        found = (implied[0] if scale is None else scale, implied[1] if offset is None else offset)
        why = f"Processing baseline {product.facts.baseline}:" if product.facts.baseline else "Neither metadata nor scale tags; assumed:"
        return found, (f"{why} scale {found[0]:g} and offset {found[1]:g} (--s2-scale, --s2-offset to say otherwise).",)
    pairs = {(own_scale if scale is None else scale, own_offset if offset is None else offset) for own_scale, own_offset in own}
    if len(pairs) > 1:
        each = ", ".join(f"{source.file.band} {source.scale:g} and {source.offset:g}" for source in sources)
        raise UnitsError(
            f"all bands of a scene share one scale and offset, since a GeoTIFF's reader applies one; {product.path} has {each}; "
            f"choose bands that agree with --s2-bands, or give --s2-scale and --s2-offset to override"
        )
    return pairs.pop(), ()


def _product_tags(facts: OpticalFacts) -> dict[str, str]:
    """The product's metadata under the names that GDAL gives it."""
    values = {
        "PRODUCT_URI": facts.product,
        "PROCESSING_LEVEL": None if facts.level is None else f"Level-{facts.level[1:]}",
        "PROCESSING_BASELINE": facts.baseline,
        "PRODUCT_START_TIME": None if facts.acquired is None else f"{facts.acquired:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        "MGRS_TILE": facts.tile,
        "SENSING_ORBIT_NUMBER": facts.relative_orbit,
        "MEAN_SUN_ZENITH_ANGLE": facts.sun_zenith_deg,
        "MEAN_SUN_AZIMUTH_ANGLE": facts.sun_azimuth_deg,
        "DETECTORS": ",".join(map(str, facts.detectors)) or None,
    }
    return {key: str(value) for key, value in values.items() if value is not None}


def _stacked(
    opened: OpenedOptical,
    sources: tuple[BandSource, ...],
    wanted: _Wanted,
    *,
    scaling: tuple[float, float],
    tags: Mapping[str, str],
    files: tuple[str, ...],
) -> OpenedOptical:
    """The same scene, read through a VRT over its files."""
    grid, resampling = stack_grid(sources, wanted.resolution_m), wanted.resampling
    nodata = opened.scale.nodata if opened.scale.nodata is not None else 0.0
    ways = {source.file.band: how_resampled(source, grid, resampling) for source in sources}
    said = []
    for way, verb in (("average", "finer, and averaged"), (resampling, f"coarser or shifted, and interpolated ({resampling})")):
        names = [band for band, used in ways.items() if used == way]
        if names:
            said.append(f"On the grid of {grid.pixel_size_m:g} m, {', '.join(names)} {'are' if len(names) > 1 else 'is'} {verb}.")
    vrt = stack_vrt(sources, grid, resampling=resampling, nodata=nodata, scaling=scaling, tags=tags)
    path = opened.reader.path
    reader = StackReader(path, vrt=vrt, files=files, block_rows=full_block_rows(sources, grid))
    return replace(opened, reader=reader, grid=grid, notes=(*opened.notes, *said))


def facts_of_tags(tags: Mapping[str, str]) -> OpticalFacts:
    """What the tags of a raster say, under the names that GDAL gives the metadata of a product."""
    uri = tags.get("PRODUCT_URI") or tags.get("PRODUCT_URI_2A") or ""
    parts = product_parts(uri)
    orbit = tags.get("SENSING_ORBIT_NUMBER") or tags.get("DATATAKE_1_SENSING_ORBIT_NUMBER") or parts.get("orbit")
    zenith, azimuth = _number(tags, "MEAN_SUN_ZENITH_ANGLE"), _number(tags, "MEAN_SUN_AZIMUTH_ANGLE")
    return OpticalFacts(
        product=uri.removesuffix(".SAFE") or None,
        level=level_of(tags.get("PROCESSING_LEVEL") or parts.get("level")),
        baseline=next((tags[tag] for tag in _BASELINE_TAGS if tag in tags), None),
        acquired=parse_time(tags.get("PRODUCT_START_TIME") or tags.get("DATATAKE_1_DATATAKE_SENSING_START")),
        tile=tags.get("MGRS_TILE") or parts.get("tile"),
        relative_orbit=int(orbit) if orbit and orbit.isdigit() else None,
        sun_zenith_deg=zenith,
        sun_azimuth_deg=azimuth,
    )


def _number(tags: Mapping[str, str], name: str) -> float | None:
    try:
        return float(tags[name])
    except (KeyError, ValueError):
        return None


def _refuse_offset_applied_twice(opened: OpenedOptical) -> None:
    """Raise when the offset turns so many pixels negative that it seems to be in the values already.

    A block of the sample that does not decode is left out: damage is for the run that meets it, under its `on_error`.

    Raises:
        UnitsError: With both answers.
    """
    scale = opened.scale
    if scale.offset >= 0:
        return
    chips = 4 if isinstance(opened.reader, StackReader) else 9  # a chip of a product decodes a block of JPEG 2000 in each band
    try:
        dn = opened.reader.sample(range(1, len(opened.bands) + 1), chips=chips, on_error="nodata")
    except RasterReadError:  # no chip decodes
        return
    seen = scale.observed(dn)
    if not seen.any():
        return
    share = float((scale.to_reflectance(dn)[seen] < 0).mean())
    if share > MAX_NEGATIVE_SHARE:
        raise UnitsError(
            f"an offset is applied once: {scale.offset:g}, as the metadata of {opened.reader.path} has it, turns {share:.0%} of a sample of valid "
            f"pixels negative (at most {MAX_NEGATIVE_SHARE:.0%} are expected), so that the values look harmonised already; say which it is: "
            f"--s2-offset 0 (it is in the values) or --s2-offset {scale.offset:g} (they are dark)"
        )


def name_s2_bands(source: DatasetReader, path: str, given: tuple[str, ...] | None) -> tuple[tuple[str, ...], str | None]:
    """Canonical names of the file's bands in its order, and what was assumed.

    Raises:
        BandError: When bands cannot be named.
    """
    if given is not None:
        names = parse_s2_bands(given)
        if len(names) != source.count:
            raise BandError(
                f"--s2-bands must name every band of the file in its order: {path} has {source.count} bands, got {len(names)} names ({', '.join(names)}); "
                f"name all of them, or write a copy with the wanted ones, for example `rio stack {Path(path).name} --bidx 2,3,4 -o s2.tif`"
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
    swapped = source.count > 0 and all(text and canonical_s1_band(text) for text in source.descriptions)
    cure = (
        "that is Sentinel-1: give S1 first, then S2 (with --no-s1 S2 alone)"
        if swapped
        else "name them in file order, for example --s2-bands B02,B03,B04,B08"
    )
    raise BandError(
        f"Sentinel-2 bands must be named by the file's band descriptions, or be the 13 of L1C or the 12 of L2A; {path} has {source.count} bands "
        f"described as {source.descriptions}; {cure}"
    )


def _are_numbers(descriptions: tuple[str | None, ...]) -> bool:
    """True for `Band 1`, `Band 2` and so on, which many writers put where they know no names: they would read as B01, B02."""
    found = [_BAND_NUMBER.fullmatch(text.strip()) if text else None for text in descriptions]
    return [int(match.group(1)) if match else 0 for match in found] == list(range(1, len(found) + 1))


def optical_scale(reader: RasterReader, scale: float | None, offset: float | None, on_error: OnError) -> tuple[OpticalScale, str | None]:
    """How the file stores reflectance, and what was assumed; given values come before the file's own.

    Raises:
        UnitsError: When bands differ in dtype, nodata or scale, or what is tagged cannot be read.
    """
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
        return 1e-4, baseline_offset(baseline, reader.path), f"Processing baseline {baseline}:"
    if np.issubdtype(np.dtype(source.dtypes[0]), np.floating):
        values = reader.sample(range(1, source.count + 1), chips=9, on_error=on_error)
        finite = values[np.isfinite(values) & (values != nodata)]
        if finite.size and float(np.abs(finite).max()) <= 2.0:
            return 1.0, 0.0, "Sentinel-2 floats of at most 2 without scale tags are taken as reflectance:"
    return 1e-4, 0.0, "Sentinel-2 has no scale tags; assumed:"
