"""A worker of a real cluster, killed while it works: its bands are done again, and the bytes are the same."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from geocr.inference import tuning
from tests.cli.conftest import Command, make_checkpoint, make_files
from tests.cluster import running_cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::ResourceWarning"),
]


def kill_a_worker(scheduler: str, manifest: Path, killed: list[int]) -> None:
    """End one worker's process once the first band is finished."""
    from distributed import Client

    until = time.monotonic() + 120
    with Client(scheduler_file=scheduler, timeout=30) as client:
        processes = client.run(os.getpid)
        while time.monotonic() < until and not (manifest.exists() and '"row"' in manifest.read_text()):
            time.sleep(0.005)
        victim = next(iter(processes.values()))
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)


@pytest.mark.parametrize("shared", [True, False], ids=["shared scratch", "no shared scratch"])
def test_a_worker_killed_in_the_middle_costs_nothing_but_time(
    geocr: Command, tmp_path: Path, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "TUNE_FROM_TILES", 10**9)  # two runs may find different ways of running the network fastest
    net = make_checkpoint(tmp_path / "net.safetensors", tile_px=64)
    files = make_files(tmp_path / "tall", (4 * 1024 + 100, 120), scale=1e-4, offset=-0.1)
    command = files.arguments("--checkpoint", net, "--mode", "full", "--json")
    assert geocr(*command).code == 0
    expected = {path.name: path.read_bytes() for path in files.folder.glob("s2_cloudfree*")}
    for name in expected:
        (files.folder / name).unlink()
    killed: list[int] = []
    with running_cluster(tmp_path, shared=shared) as scheduler:
        manifest = files.folder / ".s2_cloudfree.tif.geocr" / "manifest.json"
        killer = threading.Thread(target=kill_a_worker, args=(scheduler, manifest, killed))
        killer.start()
        done = geocr(*command, "--scheduler", scheduler)
        killer.join()
    assert done.code == 0, done.err
    assert killed
    assert {path.name: path.read_bytes() for path in files.folder.glob("s2_cloudfree*")} == expected
    assert not manifest.parent.exists()
