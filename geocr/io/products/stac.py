"""A Sentinel-2 scene as a STAC item: assets named by band, and scaling that catalogues tell in different words.

Offsets come from the item, in this order: a property that ends in `boa_offset_applied` and is true (the values are harmonised already: 0,
whatever the bands carry), the asset's own `raster:bands` or `raster:offset`, the processing baseline. Never from a date.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geocr.core.bands import canonical_s2_band
from geocr.core.errors import InputError, RasterNotFoundError
from geocr.io.facts import OpticalFacts
from geocr.io.products.document import local_file, resolve_href
from geocr.io.products.names import Level, level_of, parse_time, product_parts, tile_in
from geocr.io.products.offset import baseline_offset
from geocr.io.products.product import QUANTIFICATION, BandFile, OpticalProduct, in_order
from geocr.io.products.safe import said_of

_RED_EDGE = {"rededge1": "B05", "rededge2": "B06", "rededge3": "B07"}
"""Keys of Earth Search; its common name `rededge` stands for all three and names none."""
_NOT_BANDS = re.compile(
    r"visual|tci|thumbnail|overview|preview|metadata|scl|aot|wvp|snow|cloud|datastrip|product|tilejson|rendered", re.IGNORECASE
)
_SCL_KEYS, _CLOUD_KEYS = (
    re.compile(r"scl(?:[_-]?(\d+)m)?", re.IGNORECASE),
    re.compile(r"(?:cloud|cldprb|cld)(?:[_-]?(\d+)m)?", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """An asset that holds a band."""

    key: str
    href: str
    metres: float | None
    asset: Mapping[str, Any]

    @property
    def rank(self) -> tuple[float, bool]:
        """Least is best: finest, then a (cloud-optimised) GeoTIFF before JPEG 2000, which decodes slower."""
        return self.metres if self.metres is not None else float("inf"), self.href.lower().partition("?")[0].endswith(".jp2")


def open_item(item: Mapping[str, Any], path: str) -> OpticalProduct:
    """Read an item and find its band assets; no raster is opened.

    Args:
        item: The item.
        path: Where it was read: relative addresses begin there.

    Raises:
        InputError: When it has no asset that is a Sentinel-2 band.
        UnitsError: When its processing baseline is none.
    """
    assets: Mapping[str, Any] = item.get("assets") or {}
    properties: Mapping[str, Any] = item.get("properties") or {}
    best: dict[str, _Candidate] = {}
    for key, asset in assets.items():
        band = _band_of(key, asset)
        if band is None:
            continue
        found = _Candidate(key=key, href=resolve_href(str(asset.get("href", "")), path), metres=_metres(key, asset), asset=asset)
        if band not in best or found.rank < best[band].rank:
            best[band] = found
    if not best:
        raise InputError(
            f"a Sentinel-2 item has assets that are bands (B02, blue, ...); {path} has {', '.join(list(assets)[:8]) or 'no asset'}; "
            f"choose an item of a Sentinel-2 L1C or L2A collection"
        )
    facts = _facts(item, properties, assets, path)
    scalings = {band: _scaling(candidate, properties, facts.baseline, path) for band, candidate in best.items()}
    bands = {
        band: BandFile(band=band, path=candidate.href, scale=scalings[band][0], offset=scalings[band][1])
        for band, candidate in best.items()
        if _is_there(candidate.href)
    }
    missing = {band: candidate.href for band, candidate in best.items() if band not in bands}
    notes = (said_of(facts), *dict.fromkeys(note for *_, note in scalings.values() if note))
    return OpticalProduct(path=path, bands=in_order(bands), facts=facts, missing=missing, notes=notes)


def _is_there(href: str) -> bool:
    file = local_file(href)
    return file is None or file.exists()


def _band_of(key: str, asset: Any) -> str | None:  # noqa: ANN401 - JSON of others
    """The one band an asset holds, by its key, else by its band metadata; None when it holds none or several."""
    if not isinstance(asset, Mapping) or "href" not in asset or _NOT_BANDS.search(key):
        return None
    described = asset.get("eo:bands") or asset.get("bands") or []
    if len(described) > 1:
        return None
    plain = re.sub(r"[-_](?:jp2|tiff?|cog)$", "", key, flags=re.IGNORECASE)
    band = canonical_s2_band(plain) or _RED_EDGE.get(plain.lower())
    if band is not None or not described:
        return band
    names = (described[0].get("name"), described[0].get("eo:common_name"), described[0].get("common_name"))
    return next((found for name in names if name and (found := canonical_s2_band(str(name)) or _RED_EDGE.get(str(name).lower()))), None)


def _metres(key: str, asset: Mapping[str, Any]) -> float | None:
    """Pixel size as the asset tells it; only to choose among several assets of one band."""
    named = re.search(r"_(\d+)m$", key)
    rasters = asset.get("raster:bands") or asset.get("bands") or [{}]
    transform = asset.get("proj:transform")
    for value in (
        named.group(1) if named else None,
        asset.get("gsd"),
        asset.get("raster:spatial_resolution"),
        rasters[0].get("spatial_resolution"),
        rasters[0].get("raster:spatial_resolution"),
        transform[0] if transform else None,
    ):
        if value is not None:
            return float(value)
    return None


def _scaling(candidate: _Candidate, properties: Mapping[str, Any], baseline: str | None, path: str) -> tuple[float, float, str | None]:
    """Scale, offset, and why it is this offset where there is something to say."""
    raster = (candidate.asset.get("raster:bands") or candidate.asset.get("bands") or [{}])[0]
    scale = raster.get("scale", raster.get("raster:scale", candidate.asset.get("raster:scale")))
    offset = raster.get("offset", raster.get("raster:offset", candidate.asset.get("raster:offset")))
    used = 1 / QUANTIFICATION if scale is None else float(scale)
    applied = next((value for key, value in properties.items() if key.endswith("boa_offset_applied")), None)
    if applied is True or str(applied).lower() == "true":
        contradicted = "" if not offset else f", although its bands carry offset {float(offset):g}"
        return (
            used,
            0.0,
            f"The item says that its offset is applied already{contradicted}: offset 0 is taken (--s2-offset to say otherwise).",
        )
    if offset is not None:
        return used, float(offset), None
    implied = baseline_offset(baseline, path)
    if baseline is None:
        return used, implied, "The item tells neither offset nor processing baseline: offset 0 is assumed (--s2-offset to say otherwise)."
    return used, implied, f"The item tells no offset: {implied:g} by processing baseline {baseline} (--s2-offset to say otherwise)."


def _facts(item: Mapping[str, Any], properties: Mapping[str, Any], assets: Mapping[str, Any], path: str) -> OpticalFacts:
    uri = properties.get("s2:product_uri") or item.get("id")
    name = None if uri is None else str(uri).removesuffix(".SAFE")
    parts = product_parts(name or "")
    baseline = properties.get("s2:processing_baseline") or properties.get("processing:version") or parts.get("baseline")
    orbit = properties.get("sat:relative_orbit") or parts.get("orbit")
    elevation, zenith = properties.get("view:sun_elevation"), properties.get("s2:mean_solar_zenith")
    if zenith is None and elevation is not None:
        zenith = 90.0 - float(elevation)
    azimuth = properties.get("view:sun_azimuth", properties.get("s2:mean_solar_azimuth"))
    scl, cloud_probability = (_side(assets, pattern, path) for pattern in (_SCL_KEYS, _CLOUD_KEYS))
    grid_code = str(properties.get("s2:mgrs_tile") or properties.get("grid:code") or "").removeprefix("MGRS-")
    return OpticalFacts(
        product=name,
        level=_level(item, properties, parts),
        baseline=None if baseline is None else str(baseline),
        acquired=parse_time(properties.get("datetime") or properties.get("start_datetime")),
        tile=parts.get("tile") or tile_in(grid_code),
        relative_orbit=None if orbit is None else int(orbit),
        sun_zenith_deg=None if zenith is None else float(zenith),
        sun_azimuth_deg=None if azimuth is None else float(azimuth),
        scl=scl,
        cloud_probability=cloud_probability,
        files=(path, *(side for side in (scl, cloud_probability) if side is not None and local_file(side) is not None)),
    )


def _level(item: Mapping[str, Any], properties: Mapping[str, Any], parts: Mapping[str, str]) -> Level | None:
    for text in (properties.get("processing:level"), properties.get("s2:product_type"), parts.get("level"), item.get("collection")):
        level = level_of(None if text is None else str(text))
        if level is not None:
            return level
    return None


def _side(assets: Mapping[str, Any], pattern: re.Pattern[str], path: str) -> str | None:
    """The finest asset of this kind whose file is there; a (cloud-optimised) GeoTIFF before JPEG 2000."""
    found = []
    for key, asset in assets.items():
        match = pattern.fullmatch(re.sub(r"[-_](?:jp2|tiff?|cog)$", "", key, flags=re.IGNORECASE))
        if match is not None and isinstance(asset, Mapping) and "href" in asset:
            href = resolve_href(str(asset["href"]), path)
            if _is_there(href):
                found.append((int(match.group(1) or 0), href.lower().partition("?")[0].endswith(".jp2"), href))
    return min(found)[2] if found else None


def require_item(document: Any, path: str) -> Mapping[str, Any]:  # noqa: ANN401 - JSON of others
    """The document, if it is one STAC item.

    Raises:
        InputError: When it is something else, naming what.
        RasterNotFoundError: When it is a collection of no items.
    """
    if not isinstance(document, Mapping):
        raise InputError(f"a scene in JSON is a STAC item; {path} is a {type(document).__name__}; give the item's own file or URL")
    kind = document.get("type")
    if kind == "Feature" and "assets" in document:
        return document
    if kind == "FeatureCollection":
        count = len(document.get("features") or ())
        if not count:
            raise RasterNotFoundError(f"a scene is one STAC item; {path} is a collection of none; search again")
        raise InputError(f"a scene is one STAC item; {path} is a list of {count}; give them one by one, or to predict-batch")
    raise InputError(
        f"a scene in JSON is a STAC item (type Feature, with assets); {path} has type {kind!r}; give the item's own file or URL"
    )
