"""A Sentinel-1 STAC item as a source: its polarisations, what it says of them, and whether it is terrain-corrected.

Understood: items of RTC collections as Planetary Computer (`sentinel-1-rtc`), ASF and OPERA (`OPERA_L2_RTC-S1`) and Indigo publish them:
assets by polarisation (`vv`, `VH`, `0_VV`, `gamma0_vv`), the extensions `sar` and `sat`. Items of GRD collections
(`sentinel-1-grd` of Planetary Computer and Earth Search) are known as such, because their pixels lie in radar geometry.
"""

from pathlib import Path
from typing import Any, get_args

from geocr.core.bands import S1_BANDS, canonical_s1_band
from geocr.core.errors import BandError
from geocr.io.facts import OrbitDirection, SarFacts
from geocr.io.sar_names import facts_of_names, orbit_in, radiometry_in
from geocr.io.sar_source import SarGeometry, SarSource, merged
from geocr.io.stac import StacItem, read_item

_CORRECTED_WORDS = ("rtc", "nrb", "terrain")
_RADAR_PRODUCTS = ("grd", "slc", "ocn", "raw")
_RASTER_ENDS = (".tif", ".tiff", ".vrt", ".img")


def item_source(place: str) -> SarSource:
    """The Sentinel-1 image that a STAC item describes.

    Raises:
        BandError: When it has no asset for VV or VH.
        GeocrError: Those of reading an item and of opening a pair.
    """
    item = read_item(place)
    hrefs = _by_polarisation(item)
    if not hrefs:
        raise BandError(
            f"a Sentinel-1 item has an asset for VV or VH, named by it; {place} has {', '.join(item.assets) or 'none'}; "
            f"give an item of a Sentinel-1 collection in which these are ({', '.join(S1_BANDS)}; HH and HV are not supported)"
        )
    places = tuple(hrefs.values())
    one = len(set(places)) == 1
    return SarSource(
        rasters=places[:1] if one else places,
        polarisations=() if one else tuple(hrefs),
        name=item.id,
        facts=_facts(item, places),
        geometry=geometry_of(item),
    )


def geometry_of(item: StacItem) -> SarGeometry | None:
    """Whether an item's pixels lie on a map grid, by collection, name and product type; None when they do not tell.

    The product type alone does not decide: RTC items carry that of the GRD they were made from.
    """
    names = f"{item.collection} {item.id}".lower()
    kind = str(
        item.properties.get("sar:product_type") or item.properties.get("s1:product_type") or item.properties.get("product:type") or ""
    ).lower()
    if any(word in names or word in kind for word in _CORRECTED_WORDS):
        return "ground"
    mapped = any(item.properties.get(key) for key in ("proj:code", "proj:epsg", "proj:wkt2", "proj:transform"))
    if not mapped and (any(word in item.collection.lower() for word in _RADAR_PRODUCTS) or kind in _RADAR_PRODUCTS):
        return "radar"
    return None


def _by_polarisation(item: StacItem) -> dict[str, str]:
    """Where VV and VH lie, in this order. Of several assets of one polarisation the first that is data counts."""
    found: dict[str, str] = {}
    for key, asset in item.assets.items():
        if not _is_raster(key, asset):
            continue
        for band in _polarisations(key, asset):
            found.setdefault(band, item.href(key))
    return {band: found[band] for band in S1_BANDS if band in found}


def _is_raster(key: str, asset: dict[str, Any]) -> bool:
    roles = asset.get("roles") or []
    kind = str(asset.get("type") or "")
    aside = any(word in key.lower() for word in ("schema", "thumbnail", "preview", "mask", "incidence", "metadata"))
    if aside or any(role in ("metadata", "thumbnail", "overview") for role in roles):
        return False
    return "tiff" in kind or "data" in roles or str(asset["href"]).split("?")[0].lower().endswith(_RASTER_ENDS)


def _polarisations(key: str, asset: dict[str, Any]) -> tuple[str, ...]:
    stated = asset.get("sar:polarizations")
    for text in (
        key.replace("_", " "),
        *(stated if isinstance(stated, list) and len(stated) == 1 else ()),
        Path(str(asset["href"]).split("?")[0]).stem.replace("_", " "),
    ):
        band = canonical_s1_band(str(text))
        if band:
            return (band,)
    return tuple(band for band in S1_BANDS if band in stated) if isinstance(stated, list) else ()


def _facts(item: StacItem, files: tuple[str, ...]) -> SarFacts:
    properties = item.properties
    state = str(properties.get("sat:orbit_state") or "").lower()
    relative = properties.get("sat:relative_orbit")
    texts = [str(properties[key]) for key in properties if "measurement_type" in key or "backscatter" in key]
    titles = [str(asset.get("title") or "") for asset in item.assets.values()]
    stated = SarFacts(
        product=item.id,
        acquired=item.acquired,
        radiometry=radiometry_in([*texts, item.collection, item.id, *titles, *files]),
        orbit=next((direction for direction in get_args(OrbitDirection) if direction == state), None) or orbit_in([item.id]),
        relative_orbit=int(relative) if isinstance(relative, int) else None,
        files=files,
    )
    return merged(stated, facts_of_names(item.id))
