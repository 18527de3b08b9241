"""JSON documents and the addresses in them: read from a file, a web server or an object store; resolved against where they were read."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from geocr.core.errors import RasterNotFoundError, RasterReadError, RemoteReadError
from geocr.io.products.tree import MAX_TEXT_BYTES
from geocr.io.remote import is_object, is_remote, read_object, web_get


def read_json(path: str) -> Any:  # noqa: ANN401 - JSON of others
    """A JSON document.

    Args:
        path: A file, an `https://` or an `s3://` URL.

    Raises:
        RasterNotFoundError: When there is none.
        RasterReadError: When it is no JSON, or too large to be an item.
        RemoteReadError: When a URL cannot be fetched.
    """
    content = _fetch(path)
    if len(content) > MAX_TEXT_BYTES:
        raise RasterReadError(f"a STAC item has at most {MAX_TEXT_BYTES:,} bytes; {path} has {len(content):,}: it is something else")
    try:
        return json.loads(content)
    except ValueError as error:
        raise RasterReadError(
            f"a STAC item is JSON; {path} is not: {error}; it is truncated or something else: give the item itself, not a page about it"
        ) from error


def _fetch(path: str) -> bytes:
    if is_object(path):
        content = read_object(path)
        if content is None:
            raise RasterNotFoundError(f"a STAC item must exist; there is no object at {path}; check bucket and key")
        return content
    if is_remote(path):
        return _get(path)
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise RasterNotFoundError(f"a STAC item must exist; there is nothing at {path}; check the path") from None
    except OSError as error:
        raise RasterReadError(f"a STAC item must be readable; {path} is not: {error}") from error


def _get(url: str) -> bytes:
    import requests  # noqa: PLC0415 - a tenth of a second that runs on local files need not wait for

    try:
        answer = web_get(url)
    except requests.RequestException as error:
        raise RemoteReadError(f"a STAC item must be reachable; {url} is not: {error}; check the address and the connection") from error
    if answer.status_code == requests.codes.not_found:
        raise RasterNotFoundError(f"a STAC item must exist; the server knows nothing at {url}; check the address")
    if not answer.ok:
        raise RemoteReadError(
            f"a STAC item must be readable; {url} answers {answer.status_code} {answer.reason}; check address and permission"
        )
    return answer.content


def resolve_href(href: str, base: str) -> str:
    """An address in a document as an absolute path or URL.

    Args:
        href: Absolute or relative; `file://` becomes a path.
        base: Where the document was read.
    """
    if href.startswith("file://"):
        return unquote(urlsplit(href).path)
    if is_remote(href) or href.startswith("/vsi"):
        return href
    if base.startswith(("http://", "https://")):
        return urljoin(base, href)
    if is_remote(base):
        scheme, _, rest = base.partition("://")
        return f"{scheme}{urljoin(f'//{rest}', href).replace('//', '://', 1)}"
    return str((Path(base).absolute().parent / href).resolve()) if not Path(href).is_absolute() else href


def local_file(path: str) -> Path | None:
    """The file of this machine that a path names; None for URLs and names in GDAL's own form."""
    return None if is_remote(path) or path.startswith(("/vsi", "<")) else Path(path)
