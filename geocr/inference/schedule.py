"""Where bands of rows are computed: here, on threads, or on a Dask cluster. One plan and one engine for all.

A Dask task is a run of neighbouring bands. What it is sent is a few numbers; the job itself (paths, plan, method) goes to each
worker once, directly and not through the scheduler; pixels are read and written by the worker. Where workers share no disk with
the client, finished parts travel back as bytes, again past the scheduler.
"""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import rasterio
from dask.local import get_sync
from dask.threaded import get as get_threaded

from geocr._version import __version__
from geocr.core.errors import InputError
from geocr.inference.engine import stream_rows
from geocr.inference.inputs import SceneTiles
from geocr.inference.parts import BandRecord, BandWriter, Manifest, is_folder_of, part_path
from geocr.inference.plan import RowBand, ScenePlan
from geocr.inference.reconstructor import Reconstructor
from geocr.io.raster import GDAL_OPTIONS
from geocr.io.spec import RasterSpec

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

BANDS_AHEAD = 2
"""Tasks waiting per worker thread: enough that none idles, few enough that the scheduler holds little."""
ROUNDS = 3
"""How often a run is sent to a cluster whose workers were all lost, with the job that only they held."""
WORKERS_WITHIN_S = 10
"""How long a cluster may have no worker at all."""


ANY_PORT = "127.0.0.1:0"
"""Where a scheduler started here answers browsers; Dask's own choice, 8787, is taken when two runs share a machine."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneJob:
    """All that computing a band needs, apart from which band."""

    tiles: SceneTiles
    plan: ScenePlan
    reconstructor: Reconstructor | None
    specs: Mapping[str, RasterSpec]
    folder: Path
    """Scratch folder of the run."""
    fingerprint: str
    """Tells a worker whether the folder it sees is this run's."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """What a worker must have free for a band, in Dask's words: `{"GPU": 1}` for a network on a GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Asks a running span to end; a thread cannot be interrupted from outside."""

    _event: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask."""
        self._event.set()

    def check(self) -> None:
        """Raise KeyboardInterrupt when asked."""
        if self._event.is_set():
            raise KeyboardInterrupt


def write_span(
    job: SceneJob, span: Sequence[RowBand], folder: Path, commit: Callable[[BandRecord], None], on_tile: Callable[[bool], None]
) -> None:
    """Reconstruct neighbouring bands in one stream and write their parts into a folder."""
    with rasterio.Env(**GDAL_OPTIONS), BandWriter(folder, span, job.specs, job.plan.lattice, commit) as writer:
        rows = stream_rows(
            job.tiles,
            job.plan,
            job.reconstructor,
            row_start=span[0].row,
            row_stop=span[-1].stop,
            on_tile=on_tile,
            on_damage=writer.note_damage,
        )
        for finished in rows:
            writer.write(finished)
            del finished  # the writer alone holds them, until they are written


def spans_of(bands: Iterable[RowBand], finished: Iterable[int], *, most: int | None = None) -> list[tuple[RowBand, ...]]:
    """Runs of neighbouring bands that are still to be done, none longer than `most` bands."""
    done = set(finished)
    spans: list[list[RowBand]] = []
    for band in bands:
        if band.row in done:
            continue
        if spans and spans[-1][-1].stop == band.row and (most is None or len(spans[-1]) < most):
            spans[-1].append(band)
        else:
            spans.append([band])
    return [tuple(span) for span in spans]


def run_here(job: SceneJob, manifest: Manifest, *, workers: int, on_tile: Callable[[bool], None]) -> None:
    """Compute all unfinished bands in this process, as a Dask graph of spans.

    With one worker the spans are as long as can be, so that every tile is computed once; with more, neighbouring spans share
    their edge rows of tiles.

    Args:
        job: The scene.
        manifest: Told of finished bands.
        workers: Spans computed at the same time.
        on_tile: Told of each tile, from any thread.
    """
    left = sum(band.row not in manifest.records for band in job.plan.bands)
    most = None if workers == 1 else max(1, -(-left // workers))
    stop = Stop()

    def counted(done: bool) -> None:
        stop.check()
        on_tile(done)

    tasks = [
        dask.delayed(write_span, pure=False)(job, span, manifest.folder, manifest.add, counted)
        for span in spans_of(job.plan.bands, manifest.records, most=most)
    ]
    try:
        # by name Dask would import distributed first, a tenth of a second, to see whether a cluster goes by that name
        dask.compute(*tasks, scheduler=get_sync if workers == 1 else get_threaded, num_workers=workers, optimize_graph=False)
    except BaseException:
        stop.ask()
        raise


def require_scheduler(scheduler: str, *, device: str = "auto") -> None:
    """Refuse what can be no scheduler, and a device that its workers would not have, before anything is computed.

    Raises:
        InputError: With what can be one.
    """
    if scheduler not in ("threads", "processes") and "://" not in scheduler and not scheduler.endswith(".json"):
        raise InputError(
            f"--scheduler must be threads, processes, the address of a running Dask scheduler (tcp://host:8786) or its .json file, got {scheduler!r}"
        )
    if scheduler != "threads" and device.startswith("cuda:"):
        raise InputError(
            f"workers have one GPU each, which is their first: with --scheduler {scheduler} give --device cuda, got {device}; "
            f"to choose among GPUs set CUDA_VISIBLE_DEVICES"
        )


def gpus_here(device: str) -> int:
    """GPUs of this machine that a network may use by its setting of a device (`auto`, `cpu`, `cuda`, `cuda:N`)."""
    if device == "cpu":
        return 0
    import torch  # noqa: PLC0415 - only for a network, which needs it

    return torch.cuda.device_count()


ONE_GPU: Mapping[str, float] = {"GPU": 1}
"""The resource that a worker with a GPU offers, and that a band on a GPU asks for."""


def worker_processes(workers: int, *, gpus: int = 0) -> "SpecCluster":
    """Worker processes on this machine, one thread each: `workers` of them, or with `gpus` one for each GPU, which sees no other."""
    from distributed import LocalCluster, Nanny, Scheduler, SpecCluster  # noqa: PLC0415 - as in run_on_cluster

    if not gpus:
        return LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=ANY_PORT)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(gpus)))
    return SpecCluster(
        scheduler={"cls": Scheduler, "options": {"dashboard_address": ANY_PORT, "host": "127.0.0.1"}},
        workers={
            number: {"cls": Nanny, "options": {"nthreads": 1, "resources": dict(ONE_GPU), "env": {"CUDA_VISIBLE_DEVICES": gpu}}}
            for number, gpu in enumerate(visible.split(",")[:gpus])
        },
    )


@contextmanager
def cluster_client(scheduler: str, workers: int, *, gpus: int = 0) -> "Iterator[Client]":
    """Connect to a cluster, or start one of worker processes on this machine.

    Args:
        scheduler: `processes`, an address such as `tcp://host:8786`, or the path of a scheduler file ending in .json.
        workers: Processes to start with `processes`; else the cluster has its own.
        gpus: With `processes`: GPUs of this machine, when the work is for them; one process is started for each.

    Raises:
        InputError: When there is no cluster at the address.
    """
    from distributed import Client  # noqa: PLC0415 - as in run_on_cluster

    if scheduler == "processes":
        with worker_processes(workers, gpus=gpus) as cluster, Client(cluster) as client:
            yield client
        return
    try:
        client = Client(_address_of(scheduler), timeout=10)
    except (OSError, ValueError) as error:
        raise InputError(
            f"--scheduler must be threads, processes, the address of a running Dask scheduler (tcp://host:8786) or its .json file; "
            f"{scheduler} does not answer: {error}; start one with `dask scheduler` and `dask worker`"
        ) from error
    with client:
        _require_workers(client)
        _require_this_version(client, scheduler)
        yield client


def _address_of(scheduler: str) -> str:
    """The address in a scheduler's file; an address itself is returned as it is. Dask would wait for ever for a file that never comes."""
    if not scheduler.endswith(".json"):
        return scheduler
    try:
        return str(json.loads(Path(scheduler).read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"--scheduler FILE.json must be the file that a running Dask scheduler wrote; {scheduler} is not: {error!r}; "
            f"start one with `dask scheduler --scheduler-file {scheduler}`"
        ) from error


def _require_workers(client: "Client") -> None:
    """Raise unless the cluster has a worker, or soon gets one."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_WITHIN_S)
    except (TimeoutError, OSError) as error:
        raise InputError(
            f"a cluster needs at least one worker, and the one at {client.scheduler.address} has none; start some with "
            f"`dask worker {client.scheduler.address}`, then give the same command again"
        ) from error


def worker_version() -> str:
    """The geocr of the process that is asked."""
    return __version__


def _require_this_version(client: "Client", scheduler: str) -> None:
    """Raise unless every worker runs this geocr: another one may compute other bytes, or not understand its job."""
    try:
        found: dict[str, str] = client.run(worker_version)
    except ImportError as error:
        raise InputError(f"every worker needs geocr {__version__} installed; at {scheduler} one does not have it: {error}") from error
    others = {address: version for address, version in found.items() if version != __version__}
    if others:
        listed = ", ".join(f"{address} has {version}" for address, version in sorted(others.items())[:3])
        raise InputError(
            f"every worker must run the geocr of this command, {__version__}; {listed}; install it there and start the workers again"
        )


def run_on_cluster(job: SceneJob, manifest: Manifest, client: "Client", *, on_band: Callable[[RowBand, int], None]) -> None:
    """Compute all unfinished bands on the workers of a Dask cluster.

    Args:
        job: The scene; every worker must be able to open its paths.
        manifest: Told of finished bands.
        client: Connected to the scheduler.
        on_band: Told of each finished band and how many of its tiles were computed.

    Raises:
        InputError: When no worker offers a resource that the job asks for (its tasks would wait for ever), or workers die and die again.
    """
    missing = sorted(set(job.resources) - offered_resources(client))
    if missing:
        raise InputError(
            f"a network on a GPU needs workers that offer one, and none of the cluster's {len(client.nthreads())} offers {', '.join(missing)}; "
            f'start one worker per GPU with `dask worker --nthreads 1 --resources "GPU=1"` and CUDA_VISIBLE_DEVICES, or use --device cpu'
        )
    for _ in range(ROUNDS):
        try:
            _run_unfinished(job, manifest, client, on_band)
        except CancelledError:  # every worker that held the job is gone: nobody can be given it by another
            _require_workers(client)
        else:
            return
    raise InputError(
        f"a cluster must keep a worker alive, and {ROUNDS} times none was left; give workers more memory, or take smaller tiles; "
        f"the same command goes on from the finished bands"
    )


def _run_unfinished(job: SceneJob, manifest: Manifest, client: "Client", on_band: Callable[[RowBand, int], None]) -> None:
    """Send the job to all workers, then the bands that are not finished, a few at a time."""
    from distributed import KilledWorker, as_completed  # noqa: PLC0415 - half a second that a run on this machine need not wait for

    shared = client.scatter(job, broadcast=True, direct=True, hash=False)
    left = iter(spans_of(job.plan.bands, manifest.records, most=1))

    def submit(span: tuple[RowBand, ...]) -> Any:  # noqa: ANN401 - a distributed Future has no annotations
        return client.submit(_span_on_worker, shared, span, pure=False, resources=dict(job.resources))

    window = max(1, BANDS_AHEAD * sum(client.nthreads().values()))
    pool = as_completed([submit(span) for span in islice(left, window)])
    for future in pool:
        try:
            record, parts, computed = client.gather(future, direct=True)
        except KilledWorker as error:
            raise InputError(
                f"a worker must survive a band of rows, and {error.allowed_failures + 1} died one after the other with the same; mostly memory is "
                f"short: give workers more, or take smaller tiles; the same command goes on from the finished bands"
            ) from error
        for name, content in parts.items():
            path = part_path(manifest.folder, name, record.row)
            temporary = path.with_name(path.name + ".partial")
            temporary.write_bytes(content)
            temporary.replace(path)
        manifest.add(record)
        on_band(RowBand(row=record.row, height=record.height), computed)
        following = next(left, None)
        if following is not None:
            pool.add(submit(following))


def offered_resources(client: "Client") -> set[str]:
    """Names of all resources that a cluster's workers offer."""
    offered: set[str] = client.run_on_scheduler(_offered_resources)
    return offered


def _offered_resources(dask_scheduler: Any) -> set[str]:  # noqa: ANN401 - distributed passes its scheduler under this name
    return {name for name, workers in dask_scheduler.resources.items() if workers}


def _span_on_worker(job: SceneJob, span: tuple[RowBand, ...]) -> tuple[BandRecord, dict[str, bytes], int]:
    """One band on a worker: its record, its parts where the disk is not shared (else none), and how many tiles were computed."""
    records: list[BandRecord] = []
    computed = 0

    def count(done: bool) -> None:
        nonlocal computed
        computed += done

    if is_folder_of(job.folder, job.fingerprint):
        write_span(job, span, job.folder, records.append, count)
        return records[0], {}, computed
    with tempfile.TemporaryDirectory(prefix="geocr-") as local:
        write_span(job, span, Path(local), records.append, count)
        parts = {name: part_path(Path(local), name, span[0].row).read_bytes() for name in job.specs}
    return records[0], parts, computed
