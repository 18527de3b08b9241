"""Memory does not grow with the scene's height."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.accessor.tall_scene import ROW_BYTES
from tests.conftest import REPOSITORY


def bytes_per_row(how: str, low: int, high: int, folder: Path) -> float:
    """By which a scene of more rows takes more memory, in a process of its own."""
    command = [sys.executable, "-m", "tests.accessor.tall_scene", how, str(low), str(high)]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.slow
def test_memory_is_that_of_a_band_of_rows(tmp_path: Path) -> None:
    """Of a row nothing stays but what Dask's graph and the coordinates say of it: not a tenth of its pixels."""
    assert bytes_per_row("written", 4096, 16_384, tmp_path) < ROW_BYTES / 10


@pytest.mark.slow
def test_the_measure_sees_a_result_that_is_held(tmp_path: Path) -> None:
    """The same measure of a result that is wanted whole: every row is in it."""
    assert bytes_per_row("computed", 1024, 4096, tmp_path) > ROW_BYTES / 2
