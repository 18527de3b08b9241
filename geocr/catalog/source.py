"""Items of a catalogue: a STAC API that is asked page by page, or static files that are walked."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from geocr.catalog.area import SearchArea, SearchTime, geometry_of
from geocr.core.errors import InputError, RasterNotFoundError, RemoteReadError
from geocr.io.remote import ATTEMPTS, is_remote

if TYPE_CHECKING:
    import pystac
    from pystac_client import Client

Mission: TypeAlias = Literal["sentinel-1", "sentinel-2"]
PAGE = 100
"""Items asked for at a time."""
_CONNECT_S, _READ_S = 10, 60
BACKOFF_S = 0.5
"""Pause before the third attempt; each further one is twice as long."""
_NAMED: Mapping[str, re.Pattern[str]] = {
    "sentinel-1": re.compile(r"(?:sentinel[-_ ]?1|^s1)(?!\d)", re.IGNORECASE),
    "sentinel-2": re.compile(r"(?:sentinel[-_ ]?2|^s2)(?!\d)", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundItem:
    """An item as a catalogue gave it."""

    href: str
    """Its own address: a path or a URL."""
    acquired: datetime
    """UTC."""
    content: Mapping[str, Any]
    """The item as JSON."""

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.content["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is looked for."""

    mission: Mission
    collection: str | None
    """Id of the collection; the one whose name or items tell of the mission when None."""
    area: SearchArea
    time: SearchTime


def find_items(catalog: str, query: Query, *, timeout_s: float = _READ_S) -> Iterator[FoundItem]:
    """Items that touch an area in a time, each once, in the catalogue's order.

    Args:
        catalog: Address of a STAC API, or of a static catalogue's `catalog.json`: a URL or a path.
        query: What is looked for.
        timeout_s: How long the server may be silent.

    Raises:
        InputError: When pystac-client is missing, there is no such collection, or an item is malformed.
        RasterNotFoundError: When there is no such file.
        RemoteReadError: When the server does not answer.
    """
    seen: set[str] = set()
    for content, href in _candidates(catalog, query, timeout_s):
        found = _found(content, href)
        if found is None or found.href in seen or not query.time.holds(found.acquired):
            continue
        shape = geometry_of(dict(content))
        if shape is None or not shape.intersects(query.area.geometry):
            continue
        seen.add(found.href)
        yield found


def _candidates(catalog: str, query: Query, timeout_s: float) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Items and their addresses, more than those wanted where the catalogue cannot tell."""
    with _naming(catalog):
        if not is_remote(catalog):
            yield from _walk(_open_static(Path(catalog)), query)
            return
        client = _open_client(catalog, timeout_s)
        if not client.conforms_to("ITEM_SEARCH"):
            yield from _walk(client, query)
            return
        collection = query.collection or _collection_of(client, query.mission, catalog)
        for box in query.area.boxes:
            search = client.search(method="GET", collections=[collection], bbox=box, datetime=str(query.time), limit=PAGE)
            for content in search.items_as_dicts():
                yield content, _self_href(content)


def _open_client(url: str, timeout_s: float) -> "Client":
    try:
        from pystac_client import Client  # noqa: PLC0415 - an extra
        from pystac_client.stac_api_io import StacApiIO  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InputError("searching catalogues needs pystac-client, which is not installed; pip install 'geocr[stac]'") from error
    from urllib3.util.retry import Retry  # noqa: PLC0415 - comes with requests

    retry = Retry(total=ATTEMPTS - 1, backoff_factor=BACKOFF_S, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)
    timeout = (_CONNECT_S, timeout_s)
    return Client.open(url, stac_io=StacApiIO(max_retries=retry), timeout=timeout)


def _open_static(path: Path) -> "pystac.Catalog":
    try:
        import pystac  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError("reading catalogues needs pystac, which is not installed; pip install 'geocr[stac]'") from error
    if not path.is_file():
        raise RasterNotFoundError(
            f"--catalog is a name, a URL or the file of a static catalogue; there is no file {path} (working directory: {Path.cwd()})"
        )
    found = pystac.read_file(path)
    if not isinstance(found, pystac.Catalog):
        raise InputError(f"--catalog is a STAC catalogue or collection; {path} is an item; give the catalog.json above it")
    return found


def _collection_of(client: "Client", mission: Mission, url: str) -> str:
    """The collection of an API whose id tells of the mission; of Sentinel-1 the terrain-corrected one."""
    named = [collection.id for collection in client.get_collections() if _NAMED[mission].search(collection.id)]
    if mission == "sentinel-1":
        named = [name for name in named if "rtc" in name.lower()] or named
    if len(named) > 1:
        named = [name for name in named if "l2a" in name.lower() and "pre" not in name.lower()] or named
    if len(named) == 1:
        return named[0]
    option = f"--s{mission[-1]}-collection"
    raise InputError(f"one collection of {mission} is searched; {url} has {', '.join(named) or 'none by that name'}; name it with {option}")


def _walk(catalog: "pystac.Catalog", query: Query) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """All items of a static catalogue that belong to the mission, leaving out collections that lie elsewhere or in other times."""
    import pystac  # noqa: PLC0415 - an extra

    if isinstance(catalog, pystac.Collection) and not _reaches(catalog, query):
        return
    for item in catalog.get_items():
        content = item.to_dict(include_self_link=False, transform_hrefs=False)
        if _is_of(content, query):
            yield content, item.get_self_href()
    for child in catalog.get_children():
        yield from _walk(child, query)


def _reaches(collection: "pystac.Collection", query: Query) -> bool:
    """Whether a collection's extent leaves room for items that are looked for; what it leaves open counts as room."""
    spans = collection.extent.temporal.intervals
    in_time = not spans or any(
        (start is None or _utc(start) <= query.time.end) and (end is None or _utc(end) >= query.time.start) for start, end in spans
    )
    return in_time and (query.collection is None or collection.id == query.collection or any(True for _ in collection.get_children()))


def _is_of(content: Mapping[str, Any], query: Query) -> bool:
    collection = content.get("collection")
    if query.collection is not None:
        return bool(collection == query.collection)
    properties = content.get("properties") or {}
    texts = (properties.get("constellation"), properties.get("platform"), collection, content.get("id"))
    told = [text for text in texts if text and any(pattern.search(str(text)) for pattern in _NAMED.values())]
    return bool(told) and bool(_NAMED[query.mission].search(str(told[0])))


def _self_href(content: Mapping[str, Any]) -> str | None:
    return next((str(link["href"]) for link in content.get("links") or () if link.get("rel") == "self"), None)


def _found(content: Mapping[str, Any], href: str | None) -> FoundItem | None:
    """None for an item without time or address: nothing can be done with it."""
    properties = content.get("properties") or {}
    text = properties.get("datetime") or properties.get("start_datetime")
    if not text or not href:
        return None
    try:
        acquired = _utc(datetime.fromisoformat(str(text)))
    except ValueError as error:
        raise InputError(f"an item's datetime is RFC 3339, got {text!r} in {href}; leave the item out of the catalogue") from error
    return FoundItem(href=href, acquired=acquired, content=content)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@contextmanager
def _naming(catalog: str) -> Iterator[None]:
    """Turns errors of the connection and of malformed catalogues into ours, naming the address."""
    import requests  # noqa: PLC0415 - a tenth of a second

    broken: Sequence[type[Exception]] = (json.JSONDecodeError, KeyError, TypeError, AttributeError)
    try:
        yield
    except (InputError, RasterNotFoundError, RemoteReadError):
        raise
    except requests.RequestException as error:
        raise _unreachable(catalog, error) from error
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package == "pystac_client" or (isinstance(error, OSError) and is_remote(catalog)):
            raise _unreachable(catalog, error) from error
        if package == "pystac" or isinstance(error, tuple(broken)):
            raise InputError(
                f"--catalog is a STAC catalogue or API; {catalog} cannot be read as one ({error!r}); check the address"
            ) from error
        raise


def _unreachable(catalog: str, error: Exception) -> RemoteReadError:
    return RemoteReadError(
        f"a catalogue must answer; {catalog} did not after {ATTEMPTS} attempts: {error}; check the address and the connection, and try again"
    )
