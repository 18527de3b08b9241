"""How a network is run: tried within a budget, fixed for the run, used again after a stop."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from geocr.checkpoint import save_checkpoint
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.core.types import Reconstruction, TileInput, Window
from geocr.inference import prepare, tuning
from geocr.inference.checkpoint_method import CheckpointMethod
from geocr.inference.parts import Manifest, remembered_tuning
from geocr.inference.run import plan_run, predict_scene
from geocr.inference.tuning import DEFAULT_TUNING, TUNE_FROM_TILES, Bench, Trial, Tuning, Wishes, tune, within_tolerance
from geocr.models.base import FusionInput
from geocr.models.unet import FusionUNet
from tests.scenes import write_raster

MANY = 10_000
"""Tiles of a run that is worth any trial."""


def tile() -> TileInput:
    zeros = np.zeros((2, 8, 8), np.float32)
    flags = np.ones((8, 8), bool)
    return TileInput(window=Window(row=0, col=0, height=8, width=8), optical=zeros, sar=zeros, cloud_mask=flags, valid=flags)


@dataclass
class Machine:
    """A machine whose speed is a table: each forward pass moves the clock by what its tuning takes."""

    seconds: dict[str, float]
    """By precision, layout, batch and cores: factors of one second a tile."""
    bf16_error: float = 0.0
    too_large: int = 10**9
    now: float = 0.0
    runs: list[Tuning] = field(default_factory=list)

    def run(self, tuning: Tuning, tiles: Sequence[TileInput]) -> list[Reconstruction]:
        if tuning.batch > self.too_large:
            raise torch.OutOfMemoryError
        self.runs.append(tuning)
        factor = self.seconds.get(tuning.precision, 1.0) * self.seconds.get(f"batch {tuning.batch}", 1.0)
        factor *= 1.0 if tuning.channels_last else self.seconds.get("channels first", 1.0)
        factor *= self.seconds.get(f"cores {tuning.torch_threads}", 1.0)
        self.now += factor * len(tiles)
        error = self.bf16_error if tuning.precision == "bf16" else 0.0
        return [Reconstruction(mean=one.optical + np.float32(error)) for one in tiles]

    def tune(
        self, wishes: Wishes | None = None, *, gpu: bool = False, tiles: int = MANY, threads: int = 1
    ) -> tuple[Tuning, tuple[Trial, ...]]:
        bench = Bench(run=self.run, samples=[tile()], threads=threads, most_at_once=threads, clock=lambda: self.now)
        return tune(bench, wishes or Wishes(), gpu=gpu, tiles=tiles)


def test_what_is_faster_is_taken_and_what_is_not_is_left() -> None:
    machine = Machine({"bf16": 0.4, "channels first": 1.5, "batch 4": 0.99})
    choice, trials = machine.tune()
    assert choice == Tuning(precision="bf16")
    assert [trial.tuning for trial in trials] == [
        DEFAULT_TUNING,
        Tuning(precision="bf16"),
        Tuning(precision="bf16", channels_last=False),
        Tuning(precision="bf16", batch=4),
    ]
    assert trials[0].seconds_per_tile == pytest.approx(1.0)
    assert trials[1].seconds_per_tile == pytest.approx(0.4)


def test_a_gain_within_the_noise_is_not_taken() -> None:
    assert Machine({"bf16": 0.95, "channels first": 0.96, "batch 4": 0.94}).tune()[0] == DEFAULT_TUNING


@pytest.mark.parametrize(("error", "precision"), [(0.0019, "bf16"), (0.0021, "fp32")])
def test_bf16_is_taken_only_within_its_tolerance(error: float, precision: str) -> None:
    assert Machine({"bf16": 0.3}, bf16_error=error).tune()[0].precision == precision


def test_the_tolerance_is_of_999_in_1000_values_and_of_known_ones() -> None:
    reference = np.zeros((1, 100, 100), np.float32)
    off = reference.copy()
    off.ravel()[:10] = 1
    assert within_tolerance([reference], [off])
    off.ravel()[:11] = 1
    assert not within_tolerance([reference], [off])
    lost = reference.copy()
    lost.ravel()[0] = np.nan  # one is enough to stop a run
    assert not within_tolerance([reference], [lost])
    assert within_tolerance([lost], [lost])


def test_what_the_user_decided_is_never_changed() -> None:
    machine = Machine({"bf16": 0.1, "batch 4": 0.1, "channels first": 0.5})
    choice, _ = machine.tune(Wishes(precision="fp32", batch=2, compiled=True))
    assert choice == Tuning(precision="fp32", batch=2, channels_last=False, compiled=True)
    assert {(run.precision, run.batch, run.compiled) for run in machine.runs} == {("fp32", 2, True)}


def test_a_short_run_takes_the_defaults_untried() -> None:
    machine = Machine({"bf16": 0.1})
    assert machine.tune(tiles=TUNE_FROM_TILES - 1) == (DEFAULT_TUNING, ())
    assert machine.runs == []


def test_trials_end_when_their_share_of_the_run_is_spent() -> None:
    machine = Machine({"bf16": 0.9, "channels first": 0.1})
    choice, trials = machine.tune(tiles=TUNE_FROM_TILES)
    assert [trial.tuning for trial in trials] == [DEFAULT_TUNING]  # three rounds of one tile are more than 3 % of 64
    assert choice == DEFAULT_TUNING


def test_all_cores_for_one_tile_where_that_is_faster() -> None:
    assert (
        Machine({"cores 4": 0.2}).tune(threads=4)[0].torch_threads == 4
    )  # one at a time in a fifth of the time, against four side by side


def test_batches_on_a_gpu_grow_until_one_does_not_fit() -> None:
    machine = Machine({"batch 8": 1.0, "batch 16": 0.5, "batch 32": 0.25, "batch 64": 0.1}, too_large=32)
    assert machine.tune(gpu=True)[0].batch == 32
    assert Machine({}, too_large=4).tune(gpu=True) == (Tuning(batch=8), ())


def test_what_would_not_fit_into_the_memory_allowed_is_not_tried() -> None:
    machine = Machine({"batch 4": 0.1})
    bench = Bench(run=machine.run, samples=[tile()], threads=1, most_at_once=1, clock=lambda: machine.now)
    choice, _ = tune(bench, Wishes(), gpu=False, tiles=MANY, fits=lambda tuning: tuning.batch < 4)
    assert choice.batch == 1
    assert {run.batch for run in machine.runs} == {1}


def test_trials_have_no_more_tiles_in_work_than_the_run() -> None:
    machine = Machine({})
    bench = Bench(run=machine.run, samples=[tile()], threads=8, most_at_once=2, clock=lambda: machine.now)
    bench.time(DEFAULT_TUNING)
    assert len(machine.runs) == 3 * 2


# --- a whole run ---


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    kwargs: dict[str, Any] = {
        "optical_bands": ["B02", "B03", "B04", "B08"],
        "sar_bands": [],
        "widths": [4, 4],
        "tile_px": 32,
        "level": "L2A",
    }
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, FusionUNet(**kwargs), name="fusion_unet", kwargs=kwargs)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> tuple[str, str]:
    chance = np.random.default_rng(1)
    optical = chance.integers(1, 4000, (4, 300, 300), dtype=np.uint16)
    mask = (chance.uniform(size=(1, 300, 300)) < 0.1).astype(np.uint8)
    s2 = write_raster(tmp_path / "s2.tif", optical, nodata=0, descriptions=("B02", "B03", "B04", "B08"), block=64)
    return s2, write_raster(tmp_path / "mask.tif", mask)


def config_of(scene: tuple[str, str], checkpoint: Path, **changes: Any) -> PredictConfig:
    settings = {"cloud_mask": scene[1], "mask_buffer_px": 0, "checkpoint": str(checkpoint), "device": "cpu", "s2_scale": 1e-4}
    return PredictConfig(**(settings | changes))


def test_a_long_run_says_what_it_chose_and_writes_it_into_plan_and_tags(
    scene: tuple[str, str], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "MOST_SHARE", 100.0)
    plan = plan_run(None, scene[0], config=config_of(scene, checkpoint), threads=2)
    assert plan["tiles_computed"] >= TUNE_FROM_TILES
    assert any(note.startswith("Tried ") and "fixed for this run" in note for note in plan["notes"])
    assert plan["batch"] == plan["method"]["batch"]
    assert plan["threads"] == 2 // plan["torch_threads"]
    fixed = config_of(scene, checkpoint, precision="bf16", batch=3)
    monkeypatch.setattr(tuning, "tune", lambda *_, **__: (_ for _ in ()).throw(AssertionError))
    monkeypatch.setattr(CheckpointMethod, "tune", lambda *_, **__: (Tuning(precision="bf16", batch=3, channels_last=False), ()))
    result = predict_scene(None, scene[0], tmp_path / "out.tif", config=fixed)
    import rasterio

    with rasterio.open(result.scene) as dataset:
        facts = json.loads(dataset.tags()["GEOCR_METHOD"])
    assert (facts["precision"], facts["batch"], facts["channels_last"]) == ("bf16", 3, False)


def test_a_run_that_goes_on_runs_the_model_as_it_began(
    scene: tuple[str, str], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time another tuning would be faster, and is not even looked for."""
    monkeypatch.setattr("geocr.inference.plan.BAND_ROWS", 128)
    config = config_of(scene, checkpoint)
    first, second = Tuning(batch=3, channels_last=False), Tuning(precision="bf16")
    out = tmp_path / "out.tif"

    def whole(choice: Tuning, path: Path) -> NDArray[Any]:
        import rasterio

        monkeypatch.setattr(CheckpointMethod, "tune", lambda *_, **__: (choice, ()))
        with rasterio.open(predict_scene(None, scene[0], path, config=config).scene) as dataset:
            pixels: NDArray[Any] = dataset.read()
        return pixels

    expected = whole(first, tmp_path / "expected.tif")
    other = whole(second, tmp_path / "other.tif")
    assert (expected != other).any()
    monkeypatch.setattr(CheckpointMethod, "tune", lambda *_, **__: (first, ()))
    finished = Manifest.add
    monkeypatch.setattr(Manifest, "add", lambda self, record: finished(self, record) or stop(record.row))

    def stop(row: int) -> None:
        if row >= 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict_scene(None, scene[0], out, config=config)
    monkeypatch.setattr(Manifest, "add", finished)
    np.testing.assert_array_equal(whole(second, out), expected)


def test_only_the_same_request_remembers_its_tuning(tmp_path: Path) -> None:
    Manifest(tmp_path / "run", "fingerprint", request="this", tuning=Tuning(batch=7))
    assert remembered_tuning(tmp_path / "run", "this") == Tuning(batch=7)
    assert remembered_tuning(tmp_path / "run", "that") is None
    assert remembered_tuning(tmp_path / "nowhere", "this") is None


def test_the_model_runs_on_as_many_cores_as_the_plan_says(
    scene: tuple[str, str], checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch keeps the number per thread: it is asked for in the thread that computes."""
    seen: set[int] = set()
    forward = FusionUNet.fuse

    def watched(self: FusionUNet, given: FusionInput) -> Any:
        if threading.current_thread().name.startswith("geocr-tile"):  # elsewhere memory is counted
            seen.add(torch.get_num_threads())
        return forward(self, given)

    monkeypatch.setattr(FusionUNet, "fuse", watched)
    for cores in (1, 2):
        seen.clear()
        monkeypatch.setattr(CheckpointMethod, "tune", lambda *_, cores=cores, **__: (Tuning(torch_threads=cores), ()))
        predict_scene(None, scene[0], tmp_path / f"out{cores}.tif", config=config_of(scene, checkpoint), threads=2)
        assert seen == {cores}


# --- memory ---


def test_a_run_is_planned_within_the_memory_allowed(scene: tuple[str, str], checkpoint: Path) -> None:
    free = plan_run(None, scene[0], config=config_of(scene, checkpoint, batch=64), threads=8)
    limit = free["memory_bytes"] - 20 * 2**20
    kept = plan_run(None, scene[0], config=config_of(scene, checkpoint, batch=64, max_memory=limit), threads=8)
    assert kept["memory_bytes"] <= limit < free["memory_bytes"]
    assert 1 <= kept["threads"] < 8
    with pytest.raises(InputError, match=r"--max-memory must leave room for the run: 1,000,000 bytes are too few.*needs about"):
        plan_run(None, scene[0], config=config_of(scene, checkpoint, max_memory="1MB"))


def test_memory_changes_neither_bytes_nor_fingerprint(scene: tuple[str, str], checkpoint: Path) -> None:
    config = config_of(scene, checkpoint)
    prepared = prepare.prepare_scene(scene[0], None, config, threads=8)
    plan = prepared.plan
    assert plan.within(0).threads == 1
    assert plan.within(0).read_rows == 128
    assert plan.within(0).fingerprint() == plan.fingerprint()
    assert replace(plan, batch=2).fingerprint() != plan.fingerprint()
    assert replace(plan, torch_threads=2).fingerprint() != plan.fingerprint()


def test_every_span_in_work_has_its_share_of_the_memory(scene: tuple[str, str], checkpoint: Path) -> None:
    plan = prepare.prepare_scene(scene[0], None, config_of(scene, checkpoint), threads=2).plan
    one, four = plan.memory_bytes, replace(plan, streams=4).memory_bytes
    assert four > one
    assert replace(plan, streams=4).within(one).streams == 1
    assert replace(plan, streams=4).within(four) == replace(plan, streams=4)
    assert replace(plan, streams=4).fingerprint() == plan.fingerprint()


def test_a_batch_that_was_tuned_never_makes_the_memory_too_small(
    scene: tuple[str, str], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four tiles at a time would be faster, and would not fit where one does."""

    def four(_: CheckpointMethod, *__: Any, fits: Callable[[Tuning], bool], **___: Any) -> tuple[Tuning, tuple[Trial, ...]]:
        return (Tuning(batch=4) if fits(Tuning(batch=4)) else DEFAULT_TUNING), ()

    monkeypatch.setattr(CheckpointMethod, "tune", four)
    free = plan_run(None, scene[0], config=config_of(scene, checkpoint), threads=1)
    least = prepare.prepare_scene(scene[0], None, config_of(scene, checkpoint), threads=1).plan.within(0).memory_bytes
    tight = plan_run(None, scene[0], config=config_of(scene, checkpoint, max_memory=least), threads=1)
    assert (free["batch"], tight["batch"]) == (4, 1)
    assert tight["memory_bytes"] <= least


@pytest.mark.slow
def test_a_compiled_model_answers_as_the_plain_one(scene: tuple[str, str], checkpoint: Path, tmp_path: Path) -> None:
    import rasterio

    pixels = []
    for compiled in (False, True):
        config = config_of(scene, checkpoint, compiled=compiled, precision="fp32", batch=3)
        with rasterio.open(predict_scene(None, scene[0], tmp_path / f"{compiled}.tif", config=config).scene) as dataset:
            pixels.append(dataset.read().astype(int))
    assert np.abs(pixels[0] - pixels[1]).max() <= 1  # counts of 1e-4 reflectance
