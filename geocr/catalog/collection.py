"""A STAC collection of the items of many runs, in a folder or under a prefix of an object store."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geocr._version import __version__
from geocr.catalog.items import FIRST_SENTINEL_2, STAC_VERSION, stac_time
from geocr.catalog.places import relative_href
from geocr.core.errors import OutputExistsError
from geocr.io.remote import is_object, read_object
from geocr.io.whole import write_json

COLLECTION_NAME = "collection.json"
_MARK = "geocr:software"
_LEGAL_NOTICE = "https://sentinels.copernicus.eu/documents/247904/690755/Sentinel_Data_Legal_Notice"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFacts:
    """What a collection needs of an item."""

    href: str
    """Relative to the collection where both lie in one tree."""
    title: str
    bbox: tuple[float, float, float, float]
    start: str
    """RFC 3339."""
    end: str


def require_own(place: Path | str, *, overwrite: bool) -> None:
    """Raise when there is something at the place of a collection that geocr did not write.

    Raises:
        OutputExistsError: When there is, and it may not be overwritten.
        RemoteReadError: When an object store does not tell.
    """
    text = _read(place)
    if text is not None and not overwrite and not _is_own(text):
        raise OutputExistsError(
            f"a collection is never written over another one's file, and {place} is none that geocr wrote; add --overwrite, choose another folder with -o, or leave items and collection out with --no-stac"
        )


def write_collection(place: Path | str, items: Sequence[Path | str], *, identity: str) -> None:
    """Write a collection that links to items; links of an earlier one to items that are still there are kept. Without any item nothing is written.

    Args:
        place: Path or `s3://` URL of the collection file.
        items: Where its items are.
        identity: Its id, as the items name it.

    Raises:
        OutputWriteError: When it cannot be written.
    """
    earlier = [] if (text := _read(place)) is None or not _is_own(text) else _linked(text, place)
    facts = {}
    for item in [*earlier, *items]:
        found = _facts(item, place, identity)
        if found is not None:
            facts[found.href] = found
    if not facts:  # results kept from a batch that was to make no items
        return
    write_json(place, collection_json([facts[href] for href in sorted(facts)], identity=identity))


def collection_json(items: Sequence[ItemFacts], *, identity: str) -> dict[str, Any]:
    """The collection as JSON."""
    return {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "id": identity,
        "title": f"Cloud-free Sentinel-2 scenes: {identity}",
        "description": "Sentinel-2 scenes whose clouds geocr replaced by estimates. The asset `provenance` of each item tells which pixels were observed.",
        "license": "other",
        "keywords": ["sentinel-2", "cloud removal"],
        _MARK: __version__,
        "extent": {
            "spatial": {"bbox": [list(_hull([item.bbox for item in items]))]},
            "temporal": {"interval": [[min(item.start for item in items), max(item.end for item in items)]]},
        },
        "links": [
            {"rel": "root", "href": f"./{COLLECTION_NAME}", "type": "application/json"},
            {"rel": "license", "href": _LEGAL_NOTICE, "title": "Legal notice on the use of Copernicus Sentinel data"},
            *({"rel": "item", "href": item.href, "type": "application/geo+json", "title": item.title} for item in items),
        ],
    }


def _hull(boxes: Iterable[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """The box round boxes. Where one crosses the antimeridian all longitudes count from 0 to 360, so that the hull does too."""
    found = list(boxes)
    turn = any(west > east for west, _, east, _ in found)
    west = min(box[0] + 360 * (turn and box[0] < 0) for box in found)
    east = max(box[2] + 360 * (turn and box[2] < 0) for box in found)
    return (
        west - 360 * (west > 180),
        min(box[1] for box in found),
        east - 360 * (east > 180),
        max(box[3] for box in found),
    )


def _facts(item: Path | str, place: Path | str, identity: str) -> ItemFacts | None:
    """None when there is no item, or it belongs to another collection."""
    text = _read(item)
    href = relative_href(item, place)
    if text is None or href is None:
        return None
    try:
        content = json.loads(text)
        if content.get("collection") != identity:
            return None
        times = content["properties"]
        start, end = (times.get(name) or times["datetime"] for name in ("start_datetime", "end_datetime"))
        return ItemFacts(
            href=href if href.startswith((".", "/")) or "://" in href else f"./{href}",
            title=content["id"],
            bbox=tuple(content["bbox"]),
            start=start or stac_time(FIRST_SENTINEL_2),
            end=end,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _linked(text: bytes, place: Path | str) -> list[Path | str]:
    """Where the items of an earlier collection are."""
    found: list[Path | str] = []
    links: list[Mapping[str, Any]] = json.loads(text).get("links", [])
    for href in (str(link["href"]) for link in links if link.get("rel") == "item"):
        if is_object(place):
            found.append(f"{str(place).rpartition('/')[0]}/{href.removeprefix('./')}")
        else:
            found.append(Path(place).absolute().parent / href)
    return found


def _is_own(text: bytes) -> bool:
    try:
        return _MARK in json.loads(text)
    except (ValueError, TypeError):
        return False


def _read(place: Path | str) -> bytes | None:
    if isinstance(place, str) and is_object(place):
        return read_object(place)
    try:
        return Path(place).read_bytes()
    except OSError:
        return None
