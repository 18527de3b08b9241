"""A Dask scheduler and two workers as programs of their own, as on a cluster."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORKERS = 2
BLIND = "import geocr.inference.schedule as schedule\nschedule.is_folder_of = lambda folder, fingerprint: False\n"
"""Runs in each worker at its start: the client's scratch folder is on a disk that it does not see."""


@contextmanager
def running_cluster(folder: Path, *, shared: bool = True) -> Iterator[str]:
    """Start them; gives the scheduler's file.

    Args:
        folder: For that file and the workers' own data.
        shared: Whether workers see the client's folders.
    """
    file = folder / "scheduler.json"
    program = [
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--dashboard-address",
        "127.0.0.1:0",
    ]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
    if not shared:
        preload = folder / "blind.py"
        preload.write_text(BLIND)
        worker += ["--preload", str(preload)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parent.parent), *sys.path])}
    log = (folder / "cluster.log").open("w")
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str]) -> None:
        started.append(subprocess.Popen([*command, "--scheduler-file", str(file)], stdout=log, stderr=log, env=environment))

    try:
        start(program)
        for _ in range(WORKERS):
            start(worker)
        wait_for_workers(file)
        yield str(file)
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


def wait_for_workers(file: Path) -> None:
    from distributed import Client

    until = time.monotonic() + 60
    while not file.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"no scheduler wrote {file}")
        time.sleep(0.1)
    with Client(scheduler_file=str(file), timeout=30) as client:
        client.wait_for_workers(WORKERS, timeout=60)
