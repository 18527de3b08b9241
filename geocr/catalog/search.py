"""Search: pairs of Sentinel-1 and Sentinel-2 images of an area and a time."""

from collections.abc import Callable
from dataclasses import dataclass

from geocr.catalog.area import SearchArea, SearchTime
from geocr.catalog.pairing import FoundPair, cloud_percent, match
from geocr.catalog.presets import PRESETS
from geocr.catalog.source import Query, find_items
from geocr.core.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChoice:
    """Where one mission is searched."""

    url: str
    """URL or path."""
    collection: str | None
    """None leaves it to the catalogue's own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What is searched."""

    area: SearchArea
    time: SearchTime
    s2: CatalogChoice
    s1: CatalogChoice | None
    """None for Sentinel-2 alone."""
    max_days: float = 6.0
    """Sentinel-1 images further away in time are not taken; Sentinel-1 passes again after 6 or 12 days."""
    max_cloud_percent: float = 100.0
    """Sentinel-2 images with more cloud by the catalogue's word are left out."""
    min_overlap: float = 0.5
    """Pairs whose Sentinel-1 covers less of the scene in the area are left out."""
    limit: int | None = None
    """At most so many pairs, the earliest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What was found."""

    pairs: tuple[FoundPair, ...]
    """By date, then id."""
    s2_found: int
    """Sentinel-2 images in area and time."""
    s1_found: int
    """Sentinel-1 images in the area and near in time."""
    too_cloudy: int
    """Sentinel-2 images left out for their clouds."""
    without_s1: int
    """Sentinel-2 images left out because Sentinel-1 covers too little of them."""


def choose_catalogs(
    catalog: str, *, s1_catalog: str | None, s2_collection: str | None, s1_collection: str | None, with_s1: bool
) -> tuple[CatalogChoice, CatalogChoice | None]:
    """Where Sentinel-2 and Sentinel-1 are searched.

    Args:
        catalog: Name of a preset, URL or path.
        s1_catalog: The same for Sentinel-1; where the preset says, else `catalog`, when None.
        s2_collection: Id of the collection of Sentinel-2; the preset's when None.
        s1_collection: The same for Sentinel-1.
        with_s1: Whether Sentinel-1 is wanted.

    Raises:
        InputError: When a name is none, or the catalogue has no terrain-corrected Sentinel-1.
    """
    preset = PRESETS.get(catalog)
    _require_place(catalog)
    s2 = (
        CatalogChoice(url=preset.url, collection=s2_collection or preset.s2)
        if preset
        else CatalogChoice(url=catalog, collection=s2_collection)
    )
    if not with_s1:
        return s2, None
    name = s1_catalog or (preset.s1_from if preset is not None and preset.s1_from is not None and s1_collection is None else catalog)
    _require_place(name)
    other = PRESETS.get(name)
    if other is None:
        return s2, CatalogChoice(url=name, collection=s1_collection)
    if other.s1 is None and s1_collection is None:
        usable = ", ".join(key for key, value in PRESETS.items() if value.s1 is not None)
        raise InputError(f"Sentinel-1 must be terrain-corrected, and {name} has raw GRD alone; give --s1-catalog {usable}")
    return s2, CatalogChoice(url=other.url, collection=s1_collection or other.s1)


def _require_place(name: str) -> None:
    """Raise for what looks like a preset's name and is none."""
    if name not in PRESETS and "/" not in name and "\\" not in name and not name.endswith(".json"):
        raise InputError(f"--catalog is {', '.join(PRESETS)}, a URL, or the catalog.json of a static catalogue, got {name!r}")


def find_pairs(request: SearchRequest, *, tell: Callable[[str], object] = lambda _: None) -> SearchResult:
    """Search both missions and match them.

    Args:
        request: What is searched.
        tell: Told of each step.

    Raises:
        GeocrError: As `find_items`.
    """
    tell(f"Sentinel-2 in {request.s2.url}")
    query = Query(mission="sentinel-2", collection=request.s2.collection, area=request.area, time=request.time)
    scenes = sorted(find_items(request.s2.url, query), key=lambda item: (item.acquired, item.id))
    clear = [item for item in scenes if (cloud_percent(item) or 0.0) <= request.max_cloud_percent]
    radar = []
    if request.s1 is not None and clear:
        tell(f"Sentinel-1 in {request.s1.url}")
        near = SearchTime(start=clear[0].acquired, end=clear[-1].acquired).widened(request.max_days)
        radar = list(
            find_items(request.s1.url, Query(mission="sentinel-1", collection=request.s1.collection, area=request.area, time=near))
        )
    pairs = [match(item, radar, request.area, max_days=request.max_days) for item in clear]
    good = [pair for pair in pairs if request.s1 is None or (pair.s1 and pair.overlap >= request.min_overlap)]
    return SearchResult(
        pairs=tuple(good[: request.limit]),
        s2_found=len(scenes),
        s1_found=len(radar),
        too_cloudy=len(scenes) - len(clear),
        without_s1=len(clear) - len(good),
    )
