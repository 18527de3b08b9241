"""A tile server on loopback for one run: a page, its style and script, and tiles of the run's own rasters; nothing else has an address.

Requests never become file names: a path is compared with a table and with one pattern of numbers, so there is nothing to climb out of. A
request whose `Host` is not this machine is refused, so that no page of another site can read the scene through a name that it points here.
"""

import re
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from geocr.core.errors import GeocrError, InputError
from geocr.report.page import page_file
from geocr.report.tiles import LAYERS, SceneTiles
from geocr.report.viewer import viewer_page

LOOPBACK = "127.0.0.1"
_POLICY = "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; base-uri 'none'; form-action 'none'"
_TILE = re.compile(rf"/tile/([0-9a-f]{{16}})/({'|'.join(LAYERS)})/(\d{{1,2}})/(\d{{1,6}})/(\d{{1,6}})\.png")


class ViewServer:
    """Serves one run until it is closed. A context manager: it listens inside the block, and the port is free behind it.

    Args:
        tiles: The run.
        name: How the page calls it.
        port: Port on loopback; 0 takes a free one.

    Raises:
        InputError: When the port cannot be had.
    """

    def __init__(self, tiles: SceneTiles, *, name: str, port: int = 0) -> None:
        self.tiles = tiles
        self.token = secrets.token_hex(8)
        """Part of every tile's address, so that a browser never shows the tiles of another run that it has kept."""
        self.texts = {
            "/": ("text/html; charset=utf-8", viewer_page(tiles, name=name, token=self.token)),
            "/view.css": ("text/css; charset=utf-8", page_file("view.css")),
            "/view.js": ("text/javascript; charset=utf-8", page_file("view.js")),
        }
        try:
            self._http = _HttpServer((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"the viewer needs a free port on {LOOPBACK}, and {port} is none: {error}; choose another with --port, or 0 for any"
            ) from error
        self._http.view = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.1}, name="geocr-view", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Where a browser finds the page."""
        return f"http://{LOOPBACK}:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True  # a browser's idle connection does not hold up the end
    view: ViewServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "geocr"
    sys_version = ""
    timeout = 60
    server: _HttpServer

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Say nothing: a map asks for hundreds of tiles."""

    def _answer(self, *, with_body: bool) -> None:
        status, kind, body = self._content()
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "private, max-age=3600" if kind == "image/png" else "no-store")
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.end_headers()
            if with_body:
                self.wfile.write(body)
        except ConnectionError:  # the browser has moved on: it asks for tiles that it then no longer needs
            self.close_connection = True

    def _content(self) -> tuple[HTTPStatus, str, bytes]:
        view = self.server.view
        plain = "text/plain; charset=utf-8"
        if self.headers.get("Host") not in (f"{LOOPBACK}:{view.port}", f"localhost:{view.port}"):
            return HTTPStatus.FORBIDDEN, plain, b"this server answers to its own address only\n"
        if self.path in view.texts:
            kind, text = view.texts[self.path]
            return HTTPStatus.OK, kind, text.encode()
        match = _TILE.fullmatch(self.path)
        if match is None or match.group(1) != view.token:
            return HTTPStatus.NOT_FOUND, plain, b"there is nothing here\n"
        try:
            tile = view.tiles.tile(match.group(2), *(int(match.group(number)) for number in (3, 4, 5)))
        except GeocrError as error:
            return HTTPStatus.INTERNAL_SERVER_ERROR, plain, f"{error}\n".encode()
        if tile is None:
            return HTTPStatus.NOT_FOUND, plain, b"there is no such tile\n"
        return HTTPStatus.OK, "image/png", tile
