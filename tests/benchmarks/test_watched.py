"""What a benchmark says of a command is so: memory, disk, time and how it ended."""

import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.benchmarks.conftest import Script


def run(script: Script, tmp_path: Path, code: str, **limits: float) -> Any:
    return script("watched").watch([sys.executable, "-c", code], folder=tmp_path, **{"cap_bytes": 2**30, **limits})


def test_memory_disk_and_output_are_seen(script: Script, tmp_path: Path) -> None:
    code = (
        "import pathlib, time\n"
        "held = b'x' * (200 << 20)\n"
        "pathlib.Path('temporary').write_bytes(b'y' * (30 << 20)); pathlib.Path('kept').write_bytes(b'z' * (10 << 20))\n"
        "time.sleep(2.5); pathlib.Path('temporary').unlink(); print('the end')"
    )
    watched = run(script, tmp_path, code)
    assert watched.done, watched.output
    assert 200 << 20 < watched.peak_bytes < 300 << 20
    assert 29 << 20 < watched.disk_bytes < 31 << 20  # what is left at the end is not temporary
    assert watched.output.endswith("the end\n")
    assert watched.wall_s > 2.5 > watched.cpu_s > 0


def test_memory_of_children_counts_and_the_whole_tree_is_killed(script: Script, tmp_path: Path) -> None:
    child = "import os, pathlib, time; pathlib.Path('child').write_text(str(os.getpid())); held = b'x' * (300 << 20); time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    watched = run(script, tmp_path, code, cap_bytes=150 << 20)
    assert watched.end == "killed: above the cap"
    assert watched.peak_bytes > 150 << 20
    assert watched.wall_s < 30
    pid = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("code", "limits", "end"),
    [
        ("raise SystemExit(3)", {}, "failed (exit 3)"),
        ("import time; time.sleep(60)", {"limit_s": 0.3}, "killed: out of time"),
    ],
)
def test_ends_are_told_apart(script: Script, tmp_path: Path, code: str, limits: dict[str, float], end: str) -> None:
    assert run(script, tmp_path, code, **limits).end == end
