"""Files in an object store (`s3://bucket/key`) and on web servers: how GDAL is told of them, and how whole objects are moved.

GDAL reads windows by range requests through `/vsis3/` and `/vsicurl/`. Whole objects (products, status files) and the facts that tell
whether an input changed go through boto3, which is imported when the first `s3://` URL is met. Both follow the same endpoint:
`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or GDAL's `AWS_S3_ENDPOINT`, whichever is set first in this order.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from geocr.core.errors import InputError, OutputWriteError, RasterNotFoundError, RemoteReadError
from geocr.io.signing import signed

if TYPE_CHECKING:
    import requests

_GDAL_PREFIXES = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/", "http": "/vsicurl/", "https": "/vsicurl/"}
ATTEMPTS = 5
"""How often a request is made before its failure counts."""
BACKOFF_S = 0.5
"""Pause before the third attempt at a whole document; each further one is twice as long."""
_PROBE_BYTES = 1024
_TRANSIENT = (429, 500, 502, 503, 504)
"""Answers after which a request is made again: too many requests, and servers in trouble."""
_HTTP_OPTIONS: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # never list a bucket to look for side files
    "GDAL_HTTP_MAX_RETRY": ATTEMPTS - 1,  # after 429, 5xx and broken connections, each pause twice as long as the last
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_LOW_SPEED_TIME": 30,  # a connection that is silent for so long is given up and tried again
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",  # neighbouring blocks in one request
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,  # a COG's directories in one request
    "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsicurl/",  # a long-lived worker must not see yesterday's bytes of an object that was replaced
}


def is_remote(path: str) -> bool:
    """Whether a path is a URL (`scheme://...`) rather than a file of this machine or a name in GDAL's own form."""
    return "://" in path


def is_object(path: str | Path) -> bool:
    """Whether a path is an `s3://` URL."""
    return isinstance(path, str) and path.startswith("s3://")


def gdal_name(path: str) -> str:
    """A path as GDAL itself names it, so that it works inside a VRT too: `s3://b/k` is `/vsis3/b/k`; local paths stay as they are.

    Addresses of Planetary Computer are signed: the name then holds a token, which is good for less than an hour.

    Raises:
        InputError: When an address must be signed, and what signs it is not installed.
        RemoteReadError: When no token is given out.
    """
    scheme, separator, rest = path.partition("://")
    prefix = _GDAL_PREFIXES.get(scheme.lower()) if separator else None
    if prefix is None:
        return path
    return prefix + (signed(path) if prefix == "/vsicurl/" else rest)


def endpoint_url() -> str | None:
    """The object store to use instead of Amazon's, with its scheme; None when the environment names none."""
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_S3_ENDPOINT")
    if url and "://" not in url:
        secure = os.environ.get("AWS_HTTPS", "YES").upper() not in ("NO", "FALSE", "OFF", "0")
        url = f"{'https' if secure else 'http'}://{url}"
    return url or None


def gdal_options() -> dict[str, Any]:
    """GDAL settings to open a remote file with; they stay with the open file.

    Nothing here is for local files: those keep GDAL's defaults, side files included.
    """
    options = dict(_HTTP_OPTIONS)
    url = endpoint_url()
    if url is not None:
        parts = urlsplit(url)
        options["AWS_S3_ENDPOINT"] = parts.netloc + parts.path.rstrip("/")
        options["AWS_HTTPS"] = "YES" if parts.scheme == "https" else "NO"
        options["AWS_VIRTUAL_HOSTING"] = "TRUE" if _virtual_hosting() else "FALSE"
    return options


def _virtual_hosting() -> bool:
    """Whether an endpoint of one's own takes the bucket as part of the host name; few do."""
    return os.environ.get("AWS_VIRTUAL_HOSTING", "FALSE").upper() in ("YES", "TRUE", "ON", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectUrl:
    """A place in an object store."""

    bucket: str
    """Name of the bucket."""
    key: str
    """Name of the object in it; not empty."""

    @classmethod
    def parse(cls, url: str) -> "ObjectUrl":
        """Split `s3://bucket/key`.

        Raises:
            InputError: When it is no such URL.
        """
        bucket, _, key = url.removeprefix("s3://").partition("/")
        if not is_object(url) or not bucket or not key or key.endswith("/"):
            raise InputError(f"an object is named s3://BUCKET/KEY, got {url!r}")
        return cls(bucket=bucket, key=key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rsplit("/", 1)[-1]

    def with_name(self, name: str) -> "ObjectUrl":
        """Another object in the same place."""
        folder = self.key.rpartition("/")[0]
        return ObjectUrl(bucket=self.bucket, key=f"{folder}/{name}" if folder else name)


def remote_facts(url: str) -> list[str | int]:
    """What tells one version of a remote file from another: size, ETag and time of change, as far as the server says.

    Args:
        url: An `s3://` or `http(s)://` URL. Of other schemes nothing is known, and the list is empty.

    Raises:
        RasterNotFoundError: When there is nothing at the URL.
        RemoteReadError: When the server does not answer or refuses.
    """
    if is_object(url):
        head = object_head(url)
        if head is None:
            raise RasterNotFoundError(f"input rasters must exist; there is no object at {url}; check bucket and key")
        return [int(head["ContentLength"]), str(head.get("ETag", "")), str(head.get("LastModified", ""))]
    if url.startswith(("http://", "https://")):
        return _web_facts(url)
    return []


def remote_change(url: str) -> datetime | None:
    """When a remote file was last changed, UTC, as far as its server says; arguments and errors as of `remote_facts`."""
    changed = str((remote_facts(url) or [""])[-1])
    try:
        return datetime.fromtimestamp(int(changed), UTC) if changed.isdigit() and int(changed) else datetime.fromisoformat(changed)
    except ValueError:
        return None


def web_get(url: str, *, timeout_s: float = 60.0, head: bool = False, headers: Mapping[str, str] | None = None) -> "requests.Response":
    """A whole document of a web server, asked for again after broken connections, 429 and 5xx, with growing pauses.

    Args:
        url: An `http(s)://` URL.
        timeout_s: How long the server may be silent.
        head: Ask for the headers alone.
        headers: Headers of the request.

    Returns:
        The last answer, whatever its status.

    Raises:
        requests.RequestException: When there is none.
    """
    import requests  # noqa: PLC0415 - a tenth of a second that runs on local files need not wait for
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - as above
    from urllib3.util.retry import Retry  # noqa: PLC0415 - as above

    retry = Retry(total=ATTEMPTS - 1, backoff_factor=BACKOFF_S, status_forcelist=_TRANSIENT, allowed_methods=None, raise_on_status=False)
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session.request("HEAD" if head else "GET", url, headers=headers, allow_redirects=True, timeout=(10, timeout_s))


def require_readable(url: str) -> None:
    """Raise when a server does not give the first bytes of a file: what GDAL says of such a file is that it is damaged, or no raster.

    Raises:
        RasterNotFoundError: When there is nothing at the URL.
        RemoteReadError: When the server does not answer, refuses, or breaks off.
    """
    if not url.startswith(("http://", "https://")):
        remote_facts(url)
        return
    import requests  # noqa: PLC0415 - a tenth of a second that runs on local files need not wait for

    try:
        answer = web_get(signed(url), timeout_s=30.0, headers={"Range": f"bytes=0-{_PROBE_BYTES - 1}"})
    except requests.RequestException as error:
        raise RemoteReadError(f"a remote input must be reachable; {url} is not: {error}; check the address and the connection") from error
    if answer.status_code == requests.codes.not_found:
        raise RasterNotFoundError(f"input rasters must exist; the server knows nothing at {url}; check the address")
    if not answer.ok and answer.status_code != requests.codes.requested_range_not_satisfiable:  # that is an empty file
        raise RemoteReadError(
            f"a remote input must be readable; {url} answers {answer.status_code} {answer.reason}; check address, permission and signature, or try again later"
        )


def _web_facts(url: str) -> list[str | int]:
    import requests  # noqa: PLC0415 - a tenth of a second that runs on local files need not wait for

    try:
        answer = web_get(signed(url), timeout_s=30.0, head=True)
    except requests.RequestException as error:
        raise RemoteReadError(f"a remote input must be reachable; {url} is not: {error}; check the address and the connection") from error
    if answer.status_code == requests.codes.not_found:
        raise RasterNotFoundError(f"input rasters must exist; the server knows nothing at {url}; check the address")
    if not answer.ok:  # some servers refuse HEAD and answer GET (signed URLs): then the address is all that is known
        return []
    changed = answer.headers.get("Last-Modified")
    seconds = int(parsedate_to_datetime(changed).timestamp()) if changed else 0
    return [int(answer.headers.get("Content-Length", 0)), answer.headers.get("ETag", ""), seconds]


def object_head(url: str) -> dict[str, Any] | None:
    """Size, ETag and time of change of an object; None when there is none.

    Raises:
        InputError: When boto3 is not installed.
        RemoteReadError: When the store does not answer or refuses.
    """
    place = ObjectUrl.parse(url)
    with _naming(url, "read"):
        client, errors = _client()
        try:
            head: dict[str, Any] = client.head_object(Bucket=place.bucket, Key=place.key)
        except errors.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
    return head


def require_bucket(url: str) -> None:
    """Raise when the bucket of a URL does not exist. One that may not be asked about passes: rights to write need not include it.

    Raises:
        OutputWriteError: When there is no such bucket, or the store does not answer.
    """
    bucket = ObjectUrl.parse(url).bucket
    with _naming(url, "write"):
        client, errors = _client()
        try:
            client.head_bucket(Bucket=bucket)
        except errors.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
                raise OutputWriteError(
                    f"the output's bucket must exist, and there is no {bucket}; make it, or choose another with -o"
                ) from error


def read_object(url: str) -> bytes | None:
    """A whole small object; None when there is none.

    Raises:
        RemoteReadError: When the store does not answer or refuses.
    """
    place = ObjectUrl.parse(url)
    with _naming(url, "read"):
        client, errors = _client()
        try:
            content: bytes = client.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
        except errors.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NotFound"):
                return None
            raise
    return content


def write_object(url: str, content: bytes) -> None:
    """Write a small object in one request; it is there whole or not at all.

    Raises:
        OutputWriteError: When the store does not take it.
    """
    place = ObjectUrl.parse(url)
    with _naming(url, "write"):
        _client()[0].put_object(Bucket=place.bucket, Key=place.key, Body=content)


def upload(path: Path, url: str) -> None:
    """Copy a local file into the store. Large files go in parts; the object appears when the last part is there, never half.

    Raises:
        OutputWriteError: When the store does not take it, or holds another size afterwards.
    """
    place = ObjectUrl.parse(url)
    with _naming(url, "write"):
        client, _ = _client()
        client.upload_file(str(path), place.bucket, place.key)
        there = client.head_object(Bucket=place.bucket, Key=place.key)["ContentLength"]
    if there != path.stat().st_size:
        raise OutputWriteError(f"an uploaded output must be whole; {url} has {there} bytes, {path} has {path.stat().st_size}; run it again")


def _client() -> tuple[Any, Any]:
    """A boto3 client for this call, and botocore's exceptions. Clients may not be shared with forked processes, so none is kept."""
    try:
        import boto3  # noqa: PLC0415 - an extra, and half a second
        from botocore import config, exceptions  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InputError("s3:// URLs need boto3, which is not installed; pip install 'geocr[s3]'") from error
    url = endpoint_url()
    options: dict[str, Any] = {"retries": {"max_attempts": ATTEMPTS, "mode": "standard"}, "connect_timeout": 10, "read_timeout": 60}
    if url is not None:
        options["s3"] = {"addressing_style": "virtual" if _virtual_hosting() else "path"}
    if os.environ.get("AWS_NO_SIGN_REQUEST", "NO").upper() in ("YES", "TRUE", "ON", "1"):  # GDAL's switch for public buckets
        from botocore import UNSIGNED  # noqa: PLC0415 - as above

        options["signature_version"] = UNSIGNED
    return boto3.session.Session().client("s3", endpoint_url=url, config=config.Config(**options)), exceptions


@contextmanager
def _naming(url: str, verb: str) -> Iterator[None]:
    """Turns boto3's errors into ours, naming the URL."""
    try:
        yield
    except (RemoteReadError, OutputWriteError, InputError):
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("boto3", "botocore", "s3transfer") and not isinstance(error, OSError):
            raise
        where = f" at {endpoint_url()}" if endpoint_url() else ""
        cure = "check bucket, key, credentials (AWS_PROFILE or AWS_ACCESS_KEY_ID) and AWS_ENDPOINT_URL"
        if verb == "read":
            raise RemoteReadError(f"a remote file must be readable; {url}{where} is not: {error}; {cure}") from error
        raise OutputWriteError(
            f"an output URL must be writable; {url}{where} is not: {error}; {cure}, then run the same command again to go on from here"
        ) from error
