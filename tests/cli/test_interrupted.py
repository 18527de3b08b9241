"""Runs that are killed, interrupted, or run out of disk: nothing half-written at the final name, and the next run goes on."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Files, make_checkpoint, make_files

SETUP = """
import os, signal, sys, resource
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background with SIGINT ignored
from geocr.cli.app import main
"""
KILL_AFTER_FIRST_BAND = """
from geocr.inference.parts import Manifest
add = Manifest.add
def once(self, record):
    add(self, record)
    os.kill(os.getpid(), signal.{signal})
Manifest.add = once
"""
KILL_AT_CALL = """
from geocr.inference import run
call, count = run.{name}, 0
def counted(*args):
    global count
    count += 1
    if count == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
    return call(*args)
run.{name} = counted
"""
LIMIT = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
"""


def start(arguments: list[object], setup: str = "") -> subprocess.CompletedProcess[str]:
    code = f"{SETUP}{setup}\nsys.argv = ['geocr', *{list(map(str, arguments))!r}]\nmain()\n"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("net") / "net.safetensors", tile_px=256)


@dataclass(frozen=True)
class Tall:
    """A scene of three bands of rows, and what a run makes of it that nothing disturbs."""

    files: Files
    expected: dict[str, bytes]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory, net: Path) -> Tall:
    files = make_files(tmp_path_factory.mktemp("tall"), (2200, 120), scale=1e-4, offset=-0.1)
    done = start(files.arguments("--checkpoint", net))
    assert done.returncode == 0, done.stderr
    return Tall(files=files, expected=outputs(files))


@pytest.fixture
def tall(made_once: Tall) -> Tall:
    """Always in the same folder: tags name the mask's path, and bytes are compared."""
    for path in (*made_once.files.folder.glob("s2_cloudfree*"), *scratch(made_once.files)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return made_once


def outputs(files: Files) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in files.folder.iterdir() if path.name.startswith("s2_cloudfree")}


def scratch(files: Files) -> list[Path]:
    return list(files.folder.glob(".*.geocr"))


SLOW = pytest.mark.slow


@pytest.mark.parametrize("signal", ["SIGKILL", pytest.param("SIGTERM", marks=SLOW), pytest.param("SIGINT", marks=SLOW)])
def test_a_killed_run_goes_on(tall: Tall, net: Path, signal: str) -> None:
    files = tall.files
    command = files.arguments("--checkpoint", net)
    killed = start(command, KILL_AFTER_FIRST_BAND.format(signal=signal))
    assert killed.returncode == (130 if signal == "SIGINT" else -9 if signal == "SIGKILL" else -15)
    assert "Traceback" not in killed.stderr
    if signal == "SIGINT":
        assert "error: stopped; finished rows are kept, and the same command goes on from there" in killed.stderr
    assert outputs(files) == {}
    assert len(scratch(files)) == 1
    done = start([*command, "--json"])
    assert done.returncode == 0, done.stderr
    assert outputs(files) == tall.expected
    assert scratch(files) == []
    facts = json.loads(done.stdout)
    assert facts["tiles_computed"] < facts["tiles"]
    assert sum(facts["pixels"].values()) == 2200 * 120


@SLOW
@pytest.mark.parametrize(("name", "number"), [("assemble_cog", 1), ("assemble_cog", 2), ("sync_rename", 1)])
def test_a_run_killed_while_it_finishes_goes_on(tall: Tall, net: Path, name: str, number: int) -> None:
    files = tall.files
    command = files.arguments("--checkpoint", net)
    assert start(command, KILL_AT_CALL.format(name=name, number=number)).returncode == -9
    assert outputs(files) == {}
    done = start([*command, "--json"])
    assert done.returncode == 0, done.stderr
    assert outputs(files) == tall.expected
    assert json.loads(done.stdout)["tiles_computed"] == 0
    assert scratch(files) == []


@SLOW
def test_a_run_killed_between_two_names_goes_on_when_asked_to_overwrite(tall: Tall, net: Path) -> None:
    files = tall.files
    command = files.arguments("--checkpoint", net)
    start(command, KILL_AT_CALL.format(name="sync_rename", number=2))
    assert outputs(files) == {files.out.name: tall.expected[files.out.name]}
    again = start(command)
    assert again.returncode == 2
    assert "add --overwrite" in again.stderr
    assert start([*command, "--overwrite"]).returncode == 0
    assert outputs(files) == tall.expected
    assert scratch(files) == []


@SLOW
def test_other_settings_do_not_go_on_from_here(tall: Tall, net: Path) -> None:
    files = tall.files
    start(files.arguments("--checkpoint", net, "--mode", "full"), KILL_AFTER_FIRST_BAND.format(signal="SIGKILL"))
    assert len(scratch(files)) == 1
    assert start(files.arguments("--checkpoint", net)).returncode == 0
    assert outputs(files) == tall.expected
    assert scratch(files) == []


@pytest.mark.parametrize("share", [pytest.param(0.0, marks=SLOW), pytest.param(0.1, marks=SLOW), 0.6, pytest.param(0.999, marks=SLOW)])
def test_a_full_disk_is_said_and_the_next_run_goes_on(tall: Tall, net: Path, share: float) -> None:
    files = tall.files
    command = files.arguments("--checkpoint", net)
    done = start(command, LIMIT.format(limit=int(share * len(tall.expected[files.out.name]))))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert "free space or choose another folder with -o" in done.stderr
    assert outputs(files) == {}
    assert start(command).returncode == 0
    assert outputs(files) == tall.expected
    assert scratch(files) == []


@SLOW
def test_a_disk_without_room_is_said_before_the_work(tmp_path: Path, net: Path) -> None:
    files = make_files(tmp_path)
    tiny = "import shutil\nshutil.disk_usage = lambda path: type('U', (), {'free': 1000})()\n"
    done = start(files.arguments("--checkpoint", net), tiny)
    assert done.returncode == 2
    assert "must have room for the run" in done.stderr
    assert outputs(files) == {}
    assert scratch(files) == []


def test_standard_error_of_a_bad_file_is_one_line(tmp_path: Path, net: Path) -> None:
    """Libraries warn of files without georeference; the cure is what should be read."""
    files = make_files(tmp_path, crs=None)
    done = start(["predict-scene", files.s1, files.s2, "--checkpoint", net])
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: a scene must have a CRS and a transform")
    shown = start(["predict-scene", files.s1, files.s2, "--checkpoint", net, "--verbose"])
    assert shown.returncode != 0
    assert "Traceback" in shown.stderr
    assert "GeoreferenceError" in shown.stderr
