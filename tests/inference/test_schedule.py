"""Bands of rows here and on a real Dask cluster: the same bytes, whatever dies on the way."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from geocr._version import __version__
from geocr.core.errors import InputError, ReconstructionError
from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference import plan as plan_module
from geocr.inference import schedule as schedule_module
from geocr.inference.parts import Manifest, part_path
from geocr.inference.plan import RowBand, plan_scene
from geocr.inference.products import provenance_spec, scene_spec
from geocr.inference.schedule import (
    ONE_GPU,
    SceneJob,
    _require_this_version,
    cluster_client,
    require_scheduler,
    run_here,
    run_on_cluster,
    spans_of,
)
from geocr.io.raster import open_raster
from tests.inference.test_engine import Box, World, make_world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::ResourceWarning")

SPEC = TileSpec(size_px=48, overlap_px=8, halo_px=4)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(plan_module, "BAND_ROWS", 64)
    return make_world(tmp_path, shape=(300, 90), seed=3, block=16)


def job_of(world: World, folder: Path, reconstructor: Any) -> tuple[SceneJob, Manifest]:
    manifest = Manifest(folder, "fingerprint")
    plan = plan_scene(world.tiles, reconstructor.tile, mode="replace-clouds", with_std=False, threads=1)
    assert len(plan.bands) == 5
    specs = {"scene": scene_spec(world.tiles.scene, {}), "provenance": provenance_spec(world.tiles.scene, {})}
    job = SceneJob(tiles=world.tiles, plan=plan, reconstructor=reconstructor, specs=specs, folder=folder, fingerprint=manifest.fingerprint)
    return job, manifest


def pixels_of(job: SceneJob, folder: Path) -> dict[str, NDArray[Any]]:
    out = {}
    for name in job.specs:
        parts = []
        for band in job.plan.bands:
            with open_raster(str(part_path(folder, name, band.row))) as part:
                parts.append(part.read())
        out[name] = np.concatenate(parts, axis=1)
    return out


@pytest.fixture
def expected(world: World, tmp_path: Path) -> dict[str, NDArray[Any]]:
    job, manifest = job_of(world, tmp_path / "here", Box(SPEC))
    run_here(job, manifest, workers=1, on_tile=lambda _: None)
    return pixels_of(job, tmp_path / "here")


def assert_same(found: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_spans_leave_out_what_is_finished_and_keep_neighbours_together() -> None:
    bands = [RowBand(row=row, height=10) for row in range(0, 60, 10)]
    assert [[band.row for band in span] for span in spans_of(bands, {20})] == [[0, 10], [30, 40, 50]]
    assert [[band.row for band in span] for span in spans_of(bands, {0}, most=2)] == [[10, 20], [30, 40], [50]]
    assert spans_of(bands, set(range(0, 60, 10))) == []


@pytest.mark.parametrize("workers", [2, 3, 9])
def test_several_spans_on_threads_give_the_same_bytes(
    world: World, tmp_path: Path, expected: dict[str, NDArray[Any]], workers: int
) -> None:
    job, manifest = job_of(world, tmp_path / "threads", Box(SPEC))
    run_here(job, manifest, workers=workers, on_tile=lambda _: None)
    assert_same(pixels_of(job, tmp_path / "threads"), expected)


def test_a_run_goes_on_from_finished_bands_and_does_not_touch_them(world: World, tmp_path: Path, expected: dict[str, NDArray[Any]]) -> None:
    @dataclass(frozen=True)
    class Failing(Box):
        def __call__(self, tile: TileInput) -> Reconstruction:
            if tile.window.row > 150:
                raise RuntimeError("power cut")
            return super().__call__(tile)

    folder = tmp_path / "resumed"
    job, manifest = job_of(world, folder, Failing(SPEC))
    with pytest.raises(RuntimeError, match="power cut"):
        run_here(job, manifest, workers=1, on_tile=lambda _: None)
    assert 0 < len(manifest.records) < 5
    assert not list(folder.glob("*.partial"))
    kept = {row: part_path(folder, "scene", row).stat().st_mtime_ns for row in manifest.records}
    job, again = job_of(world, folder, Box(SPEC))
    assert again.records == manifest.records
    run_here(job, again, workers=1, on_tile=lambda _: None)
    assert {row: part_path(folder, "scene", row).stat().st_mtime_ns for row in kept} == kept
    assert_same(pixels_of(job, folder), expected)
    assert again.pixels().total() == 300 * 90


def test_another_fingerprint_throws_old_bands_away(world: World, tmp_path: Path) -> None:
    job, manifest = job_of(world, tmp_path / "old", Box(SPEC))
    run_here(job, manifest, workers=1, on_tile=lambda _: None)
    assert Manifest(tmp_path / "old", "other").records == {}
    assert not part_path(tmp_path / "old", "scene", 0).exists()


def test_an_interrupt_stops_every_thread(world: World, tmp_path: Path) -> None:
    job, manifest = job_of(world, tmp_path / "stopped", Box(SPEC))
    calls = 0

    def interrupt(_: bool) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_here(job, manifest, workers=2, on_tile=interrupt)
    assert len(manifest.records) < 5


def test_no_scheduler_at_the_address_is_an_error_that_says_so() -> None:
    with pytest.raises(InputError, match="does not answer"), cluster_client("tcp://127.0.0.1:9", 1):
        pass


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_a_file_that_no_scheduler_wrote_is_refused_at_once(tmp_path: Path, content: str | None) -> None:
    """Dask itself waits for ever for one that is not there."""
    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_text(content)
    with (
        pytest.raises(InputError, match=r"must be the file that a running Dask scheduler wrote.*start one with"),
        cluster_client(str(file), 1),
    ):
        pass


def test_a_cluster_without_workers_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(schedule_module, "WORKERS_WITHIN_S", 0.2)
    with (
        LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as cluster,
        pytest.raises(InputError, match=r"has none; start some with `dask worker tcp://"),
        cluster_client(cluster.scheduler_address, 1),
    ):
        pass


class Workers:
    """Stands for a client whose workers answer."""

    def __init__(self, answers: dict[str, str] | ImportError) -> None:
        self._answers = answers

    def run(self, function: Any) -> dict[str, str]:
        assert function() == __version__
        if isinstance(self._answers, ImportError):
            raise self._answers
        return self._answers


def test_workers_of_another_version_are_refused() -> None:
    _require_this_version(Workers({}), "tcp://a")  # type: ignore[arg-type]
    _require_this_version(Workers({"tcp://w1": __version__, "tcp://w2": __version__}), "tcp://a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"tcp://w2 has 0\.0\.1; install it there"):
        _require_this_version(Workers({"tcp://w1": __version__, "tcp://w2": "0.0.1"}), "tcp://a")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"needs geocr .* installed; at tcp://a"):
        _require_this_version(Workers(ImportError("No module named 'geocr'")), "tcp://a")  # type: ignore[arg-type]


@pytest.mark.slow
def test_two_runs_with_processes_do_not_meet() -> None:
    """Dask would warn of a port that is taken, and warnings are errors here."""
    with cluster_client("processes", 1) as first, cluster_client("processes", 1) as second:
        assert first.submit(os.getpid).result() != second.submit(os.getpid).result()


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster_client("processes", 2) as client:
        yield client


@dataclass(frozen=True)
class KillsItsWorkerOnce(Box):
    """Ends the process it runs in, the first time it sees the middle of the scene."""

    sentinel: str = ""

    def __call__(self, tile: TileInput) -> Reconstruction:
        if tile.window.row > 100 and not Path(self.sentinel).exists():
            Path(self.sentinel).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(tile)


@pytest.mark.slow
def test_a_cluster_gives_the_same_bytes(world: World, tmp_path: Path, expected: dict[str, NDArray[Any]], client: Any) -> None:
    job, manifest = job_of(world, tmp_path / "cluster", Box(SPEC))
    told: list[int] = []
    run_on_cluster(job, manifest, client, on_band=lambda band, _: told.append(band.row))
    assert sorted(told) == [band.row for band in job.plan.bands]
    assert_same(pixels_of(job, tmp_path / "cluster"), expected)


@pytest.mark.slow
def test_workers_without_a_shared_folder_send_their_parts(
    world: World, tmp_path: Path, expected: dict[str, NDArray[Any]], client: Any
) -> None:
    job, manifest = job_of(world, tmp_path / "sent", Box(SPEC))
    run_on_cluster(replace(job, fingerprint="not the folder's"), manifest, client, on_band=lambda *_: None)
    assert_same(pixels_of(job, tmp_path / "sent"), expected)


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_band(world: World, tmp_path: Path, expected: dict[str, NDArray[Any]], client: Any) -> None:
    job, manifest = job_of(world, tmp_path / "killed", KillsItsWorkerOnce(SPEC, sentinel=str(tmp_path / "sentinel")))
    run_on_cluster(job, manifest, client, on_band=lambda *_: None)
    assert (tmp_path / "sentinel").exists()
    assert_same(pixels_of(job, tmp_path / "killed"), expected)


@pytest.mark.slow
def test_the_only_worker_killed_costs_only_its_band(world: World, tmp_path: Path, expected: dict[str, NDArray[Any]]) -> None:
    """With it goes the job, which the client sends again."""
    job, manifest = job_of(world, tmp_path / "only", KillsItsWorkerOnce(SPEC, sentinel=str(tmp_path / "sentinel")))
    with cluster_client("processes", 1) as client:
        run_on_cluster(job, manifest, client, on_band=lambda *_: None)
    assert (tmp_path / "sentinel").exists()
    assert_same(pixels_of(job, tmp_path / "only"), expected)


@dataclass(frozen=True)
class KillsEveryWorker(Box):
    def __call__(self, tile: TileInput) -> Reconstruction:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(tile)


@pytest.mark.slow
def test_a_band_that_no_worker_survives_ends_the_run_with_a_reason(world: World, tmp_path: Path, client: Any) -> None:
    job, manifest = job_of(world, tmp_path / "deadly", KillsEveryWorker(SPEC))
    with pytest.raises(InputError, match=r"must (survive a band of rows|keep a worker alive).*the same command goes on"):
        run_on_cluster(job, manifest, client, on_band=lambda *_: None)


@pytest.mark.slow
def test_what_is_wrong_is_not_tried_again(world: World, tmp_path: Path) -> None:
    """A damaged block is as damaged on the next worker."""
    log = tmp_path / "log"

    @dataclass(frozen=True)
    class Wrong(Box):
        def __call__(self, tile: TileInput) -> Reconstruction:
            with log.open("a") as stream:
                stream.write(f"{tile.window.row} {tile.window.col}\n")
            raise ReconstructionError("wrong")

    job, manifest = job_of(world, tmp_path / "wrong", Wrong(SPEC))
    with cluster_client("processes", 1) as client, pytest.raises(ReconstructionError, match="wrong"):
        run_on_cluster(job, manifest, client, on_band=lambda *_: None)
    seen = log.read_text().splitlines()
    assert len(seen) <= 2 * len(job.plan.bands)  # the first tiles of each band, begun side by side, and its edge


# --- GPUs: the resource is Dask's, so that placement can be tested without one ---


def _visible(dask_worker: Any) -> tuple[str | None, float]:
    return os.environ.get("CUDA_VISIBLE_DEVICES"), dask_worker.state.available_resources["GPU"]


def test_a_gpu_each_for_processes_started_here(
    world: World, tmp_path: Path, expected: dict[str, NDArray[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    job, manifest = job_of(world, tmp_path / "gpus", Box(SPEC))
    job = replace(job, resources=ONE_GPU)
    with cluster_client("processes", 4, gpus=2) as client:
        assert sorted(client.run(_visible).values()) == [("5", 1), ("7", 1)]
        run_on_cluster(job, manifest, client, on_band=lambda *_: None)
    assert_same(pixels_of(job, tmp_path / "gpus"), expected)


def test_a_cluster_without_gpus_is_refused_instead_of_waited_for(world: World, tmp_path: Path, client: Any) -> None:
    job, manifest = job_of(world, tmp_path / "none", Box(SPEC))
    with pytest.raises(InputError, match=r'offers GPU; start one worker per GPU with `dask worker --nthreads 1 --resources "GPU=1"`'):
        run_on_cluster(replace(job, resources=ONE_GPU), manifest, client, on_band=lambda *_: None)


@dataclass(frozen=True)
class SaysWhere(Box):
    """Leaves the number of its process in a folder."""

    folder: str = ""

    def __call__(self, tile: TileInput) -> Reconstruction:
        (Path(self.folder) / str(os.getpid())).touch()
        return super().__call__(tile)


@pytest.mark.slow
def test_bands_for_a_gpu_go_only_to_workers_that_offer_one(world: World, tmp_path: Path) -> None:
    from distributed import Client, Nanny, Scheduler, SpecCluster

    places = tmp_path / "places"
    places.mkdir()
    job, manifest = job_of(world, tmp_path / "mixed", SaysWhere(SPEC, folder=str(places)))
    workers = {
        name: {"cls": Nanny, "options": {"nthreads": 1, "resources": offers}} for name, offers in (("with", {"GPU": 1}), ("without", {}))
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}}
    with SpecCluster(scheduler=scheduler, workers=workers) as cluster, Client(cluster) as client:
        client.wait_for_workers(2, timeout=60)
        run_on_cluster(replace(job, resources=ONE_GPU), manifest, client, on_band=lambda *_: None)
        info = client.scheduler_info()["workers"]
        with_one = {str(client.run(os.getpid, workers=[address])[address]) for address, facts in info.items() if facts["resources"]}
    assert {path.name for path in places.iterdir()} == with_one


def test_a_gpu_by_number_is_refused_where_each_worker_has_its_own() -> None:
    require_scheduler("threads", device="cuda:1")
    with pytest.raises(InputError, match=r"with --scheduler processes give --device cuda, got cuda:1; .*CUDA_VISIBLE_DEVICES"):
        require_scheduler("processes", device="cuda:1")
