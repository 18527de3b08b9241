"""`geocr view`: an address is printed, tiles come, and a signal ends it in good order."""

import os
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.report.runs import make_run


def start(scene: str, *more: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"BROWSER": "false", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "geocr", "view", scene, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize("kind", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, kind: signal.Signals) -> None:
    run = make_run(tmp_path)
    with start(run.scene, "--no-browser") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving http://127\.0\.0\.1:(\d+)/ \(Ctrl-C stops\)\n", line)
        assert found, (line, process.stderr.read() if process.stderr is not None else "")
        connection = HTTPConnection("127.0.0.1", int(found.group(1)), timeout=60)
        connection.request("GET", "/")
        assert b"clear.tif" in connection.getresponse().read()  # the connection stays open, as a browser's does
        process.send_signal(kind)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "", "stopped\n")
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        HTTPConnection("127.0.0.1", int(found.group(1)), timeout=5).request("GET", "/")


def test_what_cannot_be_shown_is_refused(tmp_path: Path, geocr: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = geocr("view", tmp_path / "absent.tif", "--no-browser")
    assert (done.code, "nothing at" in done.err) == (2, True)
    monkeypatch.setitem(sys.modules, "rio_tiler.io.rasterio", None)
    done = geocr("view", make_run(tmp_path).scene, "--no-browser")
    assert done.code == 2
    assert "pip install 'geocr[view]'" in done.err


def test_a_taken_port_is_named(tmp_path: Path, geocr: Command) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = geocr("view", make_run(tmp_path).scene, "--no-browser", "--port", port)
    assert done.code == 2
    assert f"free port on 127.0.0.1, and {port} is none" in done.err
    assert geocr("view", "x.tif", "--port", 70000).code == 2
