"""Servers that fail: asked again while there is hope, named when there is none; never taken for damage, which may become nodata."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests

from geocr.core.errors import InputError, RasterNotFoundError, RasterReadError, RemoteReadError
from geocr.core.types import Window
from geocr.io import remote
from geocr.io.products.document import read_json
from geocr.io.raster import RasterReader, open_raster
from geocr.io.remote import gdal_name, remote_facts, require_readable, web_get
from geocr.io.signing import needs_signature, signed
from geocr.io.stac import read_item
from tests.io.test_remote import make_raster
from tests.web_server import Fault, WebServer, running_web_server

FAR = Window(row=700, col=700, height=30, width=30)
SIGNED = "https://sentinel1euwestrtc.blob.core.windows.net/sentinel1-grd-rtc/a.tif"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A server, and a client that does not wait long."""
    monkeypatch.setattr(remote, "BACKOFF_S", 0.01)
    for name, value in (("GDAL_HTTP_RETRY_DELAY", 0.02), ("GDAL_HTTP_LOW_SPEED_TIME", 1)):
        monkeypatch.setitem(remote._HTTP_OPTIONS, name, value)
    request = remote.web_get
    monkeypatch.setattr(remote, "web_get", lambda url, *, timeout_s=1.0, **more: request(url, timeout_s=min(timeout_s, 0.3), **more))
    with running_web_server() as server:
        yield server


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    return make_raster(tmp_path / "local.tif", size=900)


@pytest.mark.parametrize("faults", [[503, 503], [429], [500, 502, 504], ["reset"], ["cut"]], ids=str)
@pytest.mark.parametrize("when", ["open", "read"])
def test_a_server_that_recovers_gives_the_same_pixels(server: WebServer, raster: Path, faults: list[Fault], when: str) -> None:
    url = server.put("scene.tif", raster)
    if when == "open":
        server.faults["/scene.tif"] = list(faults)
    reader = RasterReader(url)
    assert reader.handle.count == 2
    if when == "read":
        server.faults["/scene.tif"] = list(faults)
    np.testing.assert_array_equal(reader.read(FAR), RasterReader(str(raster)).read(FAR))
    assert server.faults["/scene.tif"] == []


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (503, RemoteReadError, "answers 503"),
        (403, RemoteReadError, "answers 403"),
        (404, RasterNotFoundError, "knows nothing at"),
        ("silence", RemoteReadError, "must be reachable"),
        ("reset", RemoteReadError, "must be reachable"),
    ],
)
def test_a_server_that_goes_on_failing_is_named(  # noqa: PLR0917 - fixtures
    server: WebServer, raster: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault, error: type[Exception], said: str
) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 2)
    monkeypatch.setitem(remote._HTTP_OPTIONS, "GDAL_HTTP_MAX_RETRY", 1)
    url = server.put("open.tif", raster)
    server.faults["/open.tif"] = [fault, "..."]
    with pytest.raises(error, match=rf"{said}.*|.*{url}.*{said}"):
        open_raster(url)
    reader = RasterReader(server.put("read.tif", raster))
    assert reader.handle.count == 2
    server.faults["/read.tif"] = [fault, "..."]
    with pytest.raises(RemoteReadError, match=rf"stay readable during a run; reading {reader.path} .*{said}.*go on from the finished rows"):
        reader.read(FAR)


def test_answers_that_break_off_are_no_damage(server: WebServer, raster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(remote._HTTP_OPTIONS, "GDAL_HTTP_MAX_RETRY", 1)
    reader = RasterReader(server.put("scene.tif", raster))
    assert reader.handle.count == 2
    server.faults["/scene.tif"] = ["cut", "..."]
    with pytest.raises(RemoteReadError, match="stay readable during a run"):
        reader.read(FAR)


def test_damage_on_a_healthy_server_is_damage(server: WebServer, raster: Path) -> None:
    content = bytearray(raster.read_bytes())
    content[2000:-2000] = bytes(len(content) - 4000)
    reader = RasterReader(server.put("damaged.tif", bytes(content)))
    with pytest.raises(RasterReadError):
        reader.read(FAR)
    with pytest.raises(RasterReadError, match="must be rasters"):
        open_raster(server.put("page.tif", b"<html>no raster</html>" * 100))


def test_documents_are_asked_for_again(server: WebServer) -> None:
    url = server.put("item.json", b'{"type": "Feature", "id": "a", "assets": {}}')
    for read in (read_json, read_item):
        server.faults["/item.json"] = [503, "reset", 429]
        assert read(url)
    server.faults["/item.json"] = [403]
    with pytest.raises(RemoteReadError, match="403"):
        read_item(url)
    with pytest.raises(RasterNotFoundError, match="knows nothing"):
        read_json(f"{server.url}/none.json")
    assert web_get(url).json()["id"] == "a"
    assert remote_facts(url)[0] == len(server.files["/item.json"])
    require_readable(server.put("empty", b""))


def test_only_files_of_planetary_computer_are_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def sign_url(url: str) -> str:
        asked.append(url)
        return f"{url}?sig=token"

    monkeypatch.setitem(sys.modules, "planetary_computer", SimpleNamespace(sign_url=sign_url))
    others = ("https://host/a.tif", "https://mine.blob.core.windows.net/c/a.tif", f"{SIGNED}?sig=old", "s3://bucket/a.tif")
    for url in others:
        assert not needs_signature(url)
        assert signed(url) == url
    assert asked == []
    assert gdal_name(SIGNED) == f"/vsicurl/{SIGNED}?sig=token"
    assert asked == [SIGNED]


def test_without_its_library_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "planetary_computer", None)
    with pytest.raises(InputError, match=r"pip install 'geocr\[stac\]'.*sentinel1euwestrtc"):
        signed(SIGNED)

    def sign_url(_: str) -> str:
        raise requests.ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "planetary_computer", SimpleNamespace(sign_url=sign_url))
    with pytest.raises(RemoteReadError, match=f"token for {SIGNED}.*no route"):
        signed(SIGNED)
