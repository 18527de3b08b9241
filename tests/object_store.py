"""An object store on loopback that writes down what it is asked."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BUCKET = "scenes"


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    key: str
    query: str


@dataclass
class Store:
    """A running store."""

    url: str
    stop: Callable[[], None]
    requests: list[Request] = field(default_factory=list)

    @property
    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.url)

    def put(self, path: Path, key: str) -> str:
        self.client.upload_file(str(path), BUCKET, key)
        return f"s3://{BUCKET}/{key}"

    def contents(self, prefix: str = "") -> dict[str, bytes]:
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {item["Key"]: self.client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read() for item in found}

    def empty(self) -> None:
        for key in self.contents():
            self.client.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def running_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Start a store with an empty bucket, and point the environment of this process and of its children to it."""
    requests: list[Request] = []
    app = DomainDispatcherApplication(create_backend_app)

    def counting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        key = environ["PATH_INFO"].removeprefix(f"/{BUCKET}").removeprefix("/")
        requests.append(Request(method=environ["REQUEST_METHOD"], key=key, query=environ["QUERY_STRING"]))
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    server = make_server("127.0.0.1", 0, counting, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT", "AWS_HTTPS", "AWS_VIRTUAL_HOSTING", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    store = Store(url=f"http://127.0.0.1:{server.server_port}", stop=stop, requests=requests)
    settings = {"AWS_ENDPOINT_URL": store.url, "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    for name, value in {**settings, "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    store.client.create_bucket(Bucket=BUCKET)
    store.empty()
    requests.clear()
    try:
        yield store
    finally:
        if thread.is_alive():
            stop()
