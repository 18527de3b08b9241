"""A web server on loopback that answers as it is told: files by range, JSON by path, and faults in an order."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Fault = int | str
"""A status code to answer with once, or `silence` (no answer), `cut` (half of what was asked for) or `reset` (connection closed)."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, list[str]]
    range: str | None


@dataclass
class WebServer:
    """A running server."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Content by path."""
    answers: dict[str, Callable[[Asked, bytes], Any]] = field(default_factory=dict)
    """JSON by path, made for each request from it and its body."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """What goes wrong with the next GET requests for a path, in order; the last goes on for ever when it is followed by `...`."""
    asked: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def put(self, name: str, content: bytes | Path) -> str:
        self.files[f"/{name}"] = content.read_bytes() if isinstance(content, Path) else content
        return f"{self.url}/{name}"

    def gets(self, path: str) -> list[Asked]:
        return [request for request in self.asked if request.method == "GET" and request.path == path]

    def fault(self, path: str) -> Fault | None:
        waiting = self.faults.get(path) or []
        if not waiting:
            return None
        return waiting[0] if waiting[1:] == ["..."] else waiting.pop(0)


def _handler(server: WebServer) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one class, which the server knows how to make
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def do_POST(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            parts = urlsplit(self.path)
            asked = Asked(self.command, unquote(parts.path), parse_qs(parts.query), self.headers.get("Range"))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server.asked.append(asked)
            fault = server.fault(asked.path) if asked.method != "HEAD" else None
            if fault == "silence":
                server.closing.wait(30)
                self.close_connection = True
            elif fault == "reset":
                self.close_connection = True
            elif isinstance(fault, int):
                self.send(fault, b"no", "text/plain", with_body=with_body)
            elif asked.path in server.answers:
                self.send(200, json.dumps(server.answers[asked.path](asked, body)).encode(), "application/json", with_body=with_body)
            elif asked.path in server.files:
                self.send_file(server.files[asked.path], asked.range, cut=fault == "cut", with_body=with_body)
            else:
                self.send(404, b"nothing here", "text/plain", with_body=with_body)

        def send(self, status: int, content: bytes, kind: str, *, with_body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)

        def send_file(self, content: bytes, span: str | None, *, cut: bool, with_body: bool) -> None:
            start, stop = 0, len(content)
            if span:
                first, _, last = span.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(int(last) + 1, stop) if last else stop
            self.send_response(206 if span else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(stop - start))
            self.send_header("ETag", f'"{hash(content) & 0xFFFFFFFF:08x}"')
            if span:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
            self.end_headers()
            if with_body:
                part = content[start:stop]
                self.wfile.write(part[: len(part) // 2] if cut else part)
                self.close_connection = self.close_connection or cut

    return Handler


@contextmanager
def running_web_server() -> Iterator[WebServer]:
    """Start a server on a free port of loopback."""
    server = WebServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()
