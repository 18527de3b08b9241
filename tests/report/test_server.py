"""The viewer's server: loopback alone, its own address alone, its own files alone."""

import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from geocr.core.errors import InputError, RasterReadError
from geocr.report.result import find_result
from geocr.report.server import ViewServer
from geocr.report.tiles import SceneTiles
from tests.report.runs import make_run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewServer]:
    folder = tmp_path_factory.mktemp("run")
    run = make_run(folder, overviews=True)
    (folder / "secret.txt").write_text("secret")
    with ViewServer(SceneTiles(find_result(run.scene)), name="<b>clear.tif") as server:
        yield server


def ask(server: ViewServer, path: str, *, method: str = "GET", host: str | None = None) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host if host is not None else f"127.0.0.1:{server.port}")
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_the_page_and_what_it_needs(server: ViewServer) -> None:
    response, body = ask(server, "/")
    text = body.decode()
    assert response.status == 200
    assert "&lt;b&gt;clear.tif" in text
    assert "<b>" not in text
    assert 'data-layers="after before provenance std"' in text
    assert 'data-rows="150"' in text
    assert "http:" not in text
    assert "https:" not in text
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert ask(server, "/view.js")[0].headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert ask(server, "/view.css")[0].headers["Content-Type"] == "text/css; charset=utf-8"


def test_tiles(server: ViewServer) -> None:
    for layer in ("after", "before", "provenance", "std"):
        response, body = ask(server, f"/tile/{server.token}/{layer}/0/0/0.png")
        assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
        assert Image.open(BytesIO(body)).size == (200, 150)
    assert ask(server, f"/tile/{server.token}/after/0/5/0.png")[0].status == 404
    assert ask(server, "/tile/0123456789abcdef/after/0/0/0.png")[0].status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/secret.txt",
        "/clear.tif",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "//etc/passwd",
        "/view.js/../secret.txt",
        "/tile/TOKEN/../../secret.txt",
        "/tile/TOKEN/..%2f..%2fsecret.txt/0/0/0.png",
        "/tile/TOKEN/after/0/0/../0.png",
        "/tile/TOKEN/after/0/0/0.png?x=/etc/passwd",
        "/tile/TOKEN/after/0/0/0.png%00",
        "/tile/TOKEN/after/-1/0/0.png",
        "/tile/TOKEN/after/0/0/9999999999999999.png",
        "http://example.org/",
    ],
)
def test_nothing_else_has_an_address(server: ViewServer, path: str) -> None:
    response, body = ask(server, path.replace("TOKEN", server.token))
    assert response.status == 404
    assert body == b"there is nothing here\n"


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1", "localhost:1", "", "127.0.0.1.example.org:80"])
def test_other_names_of_this_machine_are_refused(server: ViewServer, host: str) -> None:
    assert ask(server, "/", host=host)[0].status == 403
    assert ask(server, f"/tile/{server.token}/after/0/0/0.png", host=host)[0].status == 403
    assert ask(server, "/", host=f"localhost:{server.port}")[0].status == 200


def test_only_reading(server: ViewServer) -> None:
    response, body = ask(server, "/", method="HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) > 500
    for method in ("POST", "PUT", "DELETE"):
        assert ask(server, "/", method=method)[0].status == 501


def test_it_listens_on_loopback_and_stops(tmp_path: Path) -> None:
    tiles = SceneTiles(find_result(make_run(tmp_path).scene))
    with ViewServer(tiles, name="clear") as server:
        port = server.port
        assert server.url == f"http://127.0.0.1:{port}/"
        with socket.create_connection(("127.0.0.1", port)):  # idle, as browsers keep them: does not hold up the end
            pass
        with pytest.raises(InputError, match=rf"free port on 127\.0\.0\.1, and {port} is none: .*--port"):
            ViewServer(tiles, name="clear", port=port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with ViewServer(tiles, name="clear", port=port) as again:
        assert again.port == port


def test_a_raster_that_is_damaged_meanwhile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = SceneTiles(find_result(make_run(tmp_path).scene))

    def fail(*_: object) -> bytes:
        raise RasterReadError("a block of clear.tif does not decode")

    monkeypatch.setattr(tiles, "tile", fail)
    with ViewServer(tiles, name="clear") as server:
        response, body = ask(server, f"/tile/{server.token}/after/0/0/0.png")
        assert (response.status, body) == (500, b"a block of clear.tif does not decode\n")
        assert ask(server, "/")[0].status == 200
