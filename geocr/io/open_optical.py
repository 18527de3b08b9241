"""What a Sentinel-2 raster holds: the names of its bands, and how reflectance is stored."""

import re

import numpy as np
from rasterio.io import DatasetReader

from geocr.core.bands import L1C_BANDS, L2A_BANDS, canonical_s2_band, parse_s2_bands
from geocr.core.errors import BandError, UnitsError
from geocr.io.damage import OnError
from geocr.io.raster import RasterReader
from geocr.radiometry.optical import OpticalScale

BASELINE_OFFSET = 4.0
"""Processing baseline from which products carry an offset of -1000 DN (04.00, ESA, January 2022)."""
_BASELINE_TAGS = ("PROCESSING_BASELINE", "processing_baseline")
_BASELINE_FORM = re.compile(r"N?(\d{2})\.?(\d{2})", re.IGNORECASE)
_BAND_NUMBER = re.compile(r"BAND[ _-]?0*(\d+)", re.IGNORECASE)


def name_s2_bands(source: DatasetReader, path: str, given: tuple[str, ...] | None) -> tuple[tuple[str, ...], str | None]:
    """Canonical names of the file's bands in its order, and what was assumed.

    Raises:
        BandError: When bands cannot be named.
    """
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
