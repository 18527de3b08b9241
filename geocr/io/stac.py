"""STAC items read from a file or a URL: the JSON, and where its assets lie."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from geocr.core.errors import InputError
from geocr.io.products.document import read_json, resolve_href
from geocr.io.remote import is_remote


@dataclass(frozen=True, slots=True, kw_only=True)
class StacItem:
    """A STAC item and where it was read."""

    place: str
    """File or URL of the item."""
    content: dict[str, Any]
    """The GeoJSON feature."""

    @property
    def id(self) -> str:
        """The item's name; that of its file when it has none."""
        return str(self.content.get("id") or Path(urlsplit(self.place).path).stem)

    @property
    def collection(self) -> str:
        """Name of its collection, or an empty text."""
        return str(self.content.get("collection") or "")

    @property
    def properties(self) -> dict[str, Any]:
        """Its properties; empty when it has none."""
        found = self.content.get("properties")
        return found if isinstance(found, dict) else {}

    @property
    def assets(self) -> dict[str, dict[str, Any]]:
        """Its assets by key, those that name a file."""
        return {key: asset for key, asset in self.content["assets"].items() if isinstance(asset, dict) and asset.get("href")}

    @property
    def acquired(self) -> datetime | None:
        """Its `datetime`, else its `start_datetime`, in UTC; None when neither is a time."""
        for key in ("datetime", "start_datetime"):
            value = self.properties.get(key)
            if isinstance(value, str):
                try:
                    time = datetime.fromisoformat(value.strip())
                except ValueError:
                    continue
                return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        return None

    def href(self, key: str) -> str:
        """Where an asset lies: a relative one beside the item, as the STAC specification wants it."""
        return resolve_href(str(self.assets[key]["href"]), self.place)


def names_item(path: str) -> bool:
    """Whether a path or URL is that of a STAC item rather than of a raster: it ends in .json or .geojson, or is an API's `.../items/ID`."""
    if path.startswith("<"):
        return False
    bare = urlsplit(path).path if is_remote(path) else path
    folder, _, name = bare.rstrip("/").rpartition("/")
    return name.lower().endswith((".json", ".geojson")) or (is_remote(path) and folder.endswith("/items"))


def read_item(place: str) -> StacItem:
    """Read a STAC item.

    Args:
        place: File, `s3://` or `http(s)://` URL.

    Raises:
        RasterNotFoundError: When there is nothing.
        RemoteReadError: When a server does not answer or refuses.
        RasterReadError: When it is no JSON.
        InputError: When it is JSON and no item.
    """
    content = read_json(place)
    if not isinstance(content, dict) or content.get("type") != "Feature" or not isinstance(content.get("assets"), dict):
        kind = content.get("type") if isinstance(content, dict) else type(content).__name__
        raise InputError(
            f"a STAC item is a GeoJSON Feature with assets; {place} is {kind!r}; of a collection or a search result give one item by itself"
        )
    return StacItem(place=place, content=content)
