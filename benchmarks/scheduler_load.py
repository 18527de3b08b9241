"""What a Dask scheduler is asked to do for geocr: bytes and processor time of a task, through a scheduler of its own process.

    python benchmarks/scheduler_load.py --tasks 3000

Two kinds of tasks go through, as `predict-scene` and `predict-batch` submit them, but without work in them: a band of rows of a full scene
(with the job scattered to the workers first), and a whole scene of a list. All connections to the scheduler go through a counter.
"""

import argparse
import asyncio
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import rasterio
from rasterio.transform import from_origin

from geocr.clouds.selection import make_cloud_mask
from geocr.config import PredictConfig
from geocr.core.bands import L1C_BANDS
from geocr.grid.spec import TileSpec
from geocr.inference.batch import SceneStatus
from geocr.inference.inputs import SceneTiles
from geocr.inference.pairs import ScenePair
from geocr.inference.parts import BandRecord
from geocr.inference.plan import RowBand, plan_scene
from geocr.inference.products import provenance_spec, scene_spec
from geocr.inference.schedule import BANDS_AHEAD, SceneJob, spans_of
from geocr.inference.seam import SeamSums
from geocr.io.open import open_scene

if TYPE_CHECKING:
    from distributed import Client, Future

SIZE = 10_980


def no_band(job: SceneJob, span: tuple[RowBand, ...]) -> tuple[BandRecord, dict[str, bytes], int]:
    """Answers as the task of a band does where the disk is shared."""
    record = BandRecord(row=span[0].row, height=span[0].height, pixels={"1": 8_000_000, "2": 3_000_000, "3": 243_520}, seam=SeamSums())
    return record, {}, len(job.plan.lattice.cols) * 5


def no_scene(pair: ScenePair, *_: PredictConfig, **__: object) -> SceneStatus:
    """Answers as the task of a scene does, with a summary of the usual size."""
    error = {"rmse": [0.0123] * 13, "rmse_overall": 0.0123, "held_out_px": 60_000, "within_one_std": 0.68, "within_two_std": 0.95}
    summary = {
        "method": "scenefit",
        "bands": list(L1C_BANDS),
        "pixels": {"observed": 9_999_999},
        "expected_error": error,
        "notes": ["a" * 80] * 5,
    }
    return SceneStatus(s2=pair.s2, out=str(pair.out), outcome="done", seconds=1.0, summary=summary)


def full_scene_job(folder: Path) -> SceneJob:
    """The job of a full scene with 13 bands and two polarisations, whose files hold nothing."""
    common = {"height": SIZE, "width": SIZE, "crs": "EPSG:32633", "transform": from_origin(300_000, 5_400_000, 10, 10)}
    common |= {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd", "sparse_ok": True}
    for name, count, dtype, nodata in (("s2", 13, "uint16", 0), ("s1", 2, "float32", np.nan), ("mask", 1, "uint8", None)):
        with rasterio.open(folder / f"{name}.tif", "w", **common, count=count, dtype=dtype, nodata=nodata) as dataset:
            dataset.descriptions = L1C_BANDS if name == "s2" else ("VV", "VH") if name == "s1" else ("mask",)
    scene = open_scene(str(folder / "s2.tif"), str(folder / "s1.tif"), s1_units="db", s2_scale=1e-4, s2_offset=-0.1)
    tiles = SceneTiles(scene=scene, mask=make_cloud_mask(scene, str(folder / "mask.tif"), buffer_m=0.0))
    plan = plan_scene(tiles, TileSpec(size_px=256, overlap_px=64), mode="replace-clouds", with_std=False, threads=1)
    tags = {f"GEOCR_{number}": "x" * 200 for number in range(8)}
    specs = {"scene": scene_spec(scene, tags), "provenance": provenance_spec(scene, tags)}
    return SceneJob(tiles=tiles, plan=plan, reconstructor=None, specs=specs, folder=folder / "scratch", fingerprint="0" * 64)


class Counter:
    """Passes bytes between whoever connects and the scheduler, and counts them."""

    def __init__(self, host: str, port: int) -> None:
        self.to_scheduler = self.from_scheduler = 0
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        threading.Thread(target=self._serve, args=(started,), daemon=True).start()
        started.wait()

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        self._loop.run_forever()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*self._target)
        await asyncio.gather(self._pass_on(reader, inner_writer, inward=True), self._pass_on(inner_reader, writer, inward=False))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, inward: bool) -> None:
        while data := await reader.read(2**16):
            if inward:
                self.to_scheduler += len(data)
            else:
                self.from_scheduler += len(data)
            writer.write(data)
            await writer.drain()
        writer.close()


@contextmanager
def cluster(folder: Path, workers: int) -> "Iterator[tuple[Client, Counter, psutil.Process]]":
    """A scheduler and workers as processes, a client connected through the counter, and the scheduler's process."""
    from distributed import Client

    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    log = (folder / "log").open("w")

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *arguments]
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    started = [start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))]
    try:
        while not file.exists():
            time.sleep(0.1)
        host, port = json.loads(file.read_text())["address"].removeprefix("tcp://").split(":")
        counter = Counter(host, int(port))
        started.append(
            start("dask_worker", counter.address, "--nworkers", str(workers), "--nthreads", "1", "--local-directory", str(folder))
        )
        with Client(counter.address, timeout=60) as client:
            client.wait_for_workers(workers, timeout=120)
            yield client, counter, psutil.Process(started[0].pid)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()
        log.close()


def push_through(
    client: "Client", counter: Counter, scheduler: psutil.Process, submit: "Callable[[int], Future]", tasks: int
) -> dict[str, float]:
    """Send tasks through with the window that a run keeps, and say what one cost."""
    from distributed import as_completed

    window = max(1, BANDS_AHEAD * sum(client.nthreads().values()))
    began, cpu = time.monotonic(), sum(scheduler.cpu_times()[:2])
    sent, received = counter.to_scheduler, counter.from_scheduler
    left = iter(range(tasks))
    pool = as_completed([submit(number) for number in islice(left, window)])
    for future in pool:
        client.gather(future, direct=True)
        number = next(left, None)
        if number is not None:
            pool.add(submit(number))
    seconds = time.monotonic() - began
    return {
        "tasks": tasks,
        "window": window,
        "tasks_per_s": round(tasks / seconds, 1),
        "scheduler_cpu_ms_per_task": round(1000 * (sum(scheduler.cpu_times()[:2]) - cpu) / tasks, 3),
        "bytes_to_scheduler_per_task": round((counter.to_scheduler - sent) / tasks),
        "bytes_from_scheduler_per_task": round((counter.from_scheduler - received) / tasks),
        "scheduler_rss_mb": round(scheduler.memory_info().rss / 2**20, 1),
    }


def main() -> None:
    """Measure and print as JSON."""
    import scheduler_load as here  # by name, so that functions travel as a name and not as code

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = full_scene_job(folder)
        spans = spans_of(job.plan.bands, (), most=1)
        pair = ScenePair(
            s1="s3://bucket/2024-05-03/T33UUP_s1.tif", s2="s3://bucket/2024-05-03/T33UUP_s2.tif", out="s3://bucket/out/T33UUP.tif"
        )
        config = PredictConfig()
        figures: dict[str, Any] = {
            "tasks_of_a_full_scene": len(spans),
            "bytes_of_a_band": len(pickle.dumps(spans[0])),
            "bytes_of_the_job": len(pickle.dumps(job)),
            "bytes_of_a_pair_and_settings": len(pickle.dumps((pair, config))),
            "bytes_of_a_record": len(pickle.dumps(no_band(job, spans[0]))),
            "bytes_of_a_status": len(json.dumps(asdict(no_scene(pair, config)))),
        }
        with cluster(folder, arguments.workers) as (client, counter, scheduler):
            figures["scheduler_rss_mb_idle"] = round(scheduler.memory_info().rss / 2**20, 1)
            before = counter.to_scheduler + counter.from_scheduler
            shared = client.scatter(job, broadcast=True, direct=True, hash=False)
            figures["bytes_through_the_scheduler_to_scatter_the_job"] = counter.to_scheduler + counter.from_scheduler - before

            def band(number: int) -> "Future":
                return client.submit(here.no_band, shared, spans[number % len(spans)], pure=False)

            def scene(_: int) -> "Future":
                return client.submit(here.no_scene, pair, config, overwrite=False, threads=1, scratch=None, pure=False)

            push_through(client, counter, scheduler, band, 50)  # imports
            push_through(client, counter, scheduler, scene, 50)
            figures["bands"] = push_through(client, counter, scheduler, band, arguments.tasks)
            figures["scenes"] = push_through(client, counter, scheduler, scene, arguments.tasks)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
