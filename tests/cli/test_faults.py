"""Faults put into real runs: kills at random moments, changed inputs and weights, damaged blocks, NaN. Never silent, never half."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.shutil import copy

from geocr.checkpoint import load_checkpoint, save_checkpoint
from geocr.core.errors import ReconstructionError
from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.parts import Manifest
from geocr.inference.run import predict_scene
from geocr.inference.tuning import TUNE_FROM_TILES
from tests.cli.conftest import RGBN, Command, Files, make_checkpoint, make_files
from tests.scenes import write_raster

KILLS = 10
ROWS, BAND = 8 * 1024 + 300, 1024


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("net") / "net.safetensors", tile_px=256)


# --- the main process, killed at random moments ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """A command in a process of its own, and what it leaves."""

    files: Files
    net: Path

    def start(self, *more: str) -> subprocess.Popen[str]:
        arguments = [*map(str, self.files.arguments("--checkpoint", self.net, "--mode", "full", "--threads", "1", "--json")), *more]
        return subprocess.Popen([sys.executable, "-m", "geocr", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @property
    def outputs(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.files.folder.glob("s2_cloudfree*")}

    @property
    def scratch(self) -> Path:
        return self.files.folder / ".s2_cloudfree.tif.geocr"

    @property
    def finished(self) -> int:
        try:
            return len(json.loads((self.scratch / "manifest.json").read_text())["bands"])
        except (OSError, ValueError):
            return 0

    def parts(self) -> dict[str, int]:
        """Finished part files and when they were written."""
        return {path.name: path.stat().st_mtime_ns for path in self.scratch.glob("scene_*.tif")}


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not condition() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_ten_kills_at_random_moments_and_then_the_identical_file(net: Path, tmp_path: Path) -> None:
    """Some kills come at any time at all, some soon after a band, some while the COGs are put together."""
    run = Run(make_files(tmp_path / "tall", (ROWS, 200), scale=1e-4, offset=-0.1), net)
    began = time.monotonic()
    undisturbed = run.start()
    _, err = undisturbed.communicate()
    assert undisturbed.returncode == 0, err
    whole = time.monotonic() - began
    expected = run.outputs
    assert len(expected) == 5  # scene, provenance with its names and style, item
    for name in expected:
        (run.files.folder / name).unlink()

    rng = np.random.default_rng(20260801)
    killed, reused, stages = 0, 0, set()
    while killed < KILLS:
        before, kept = run.finished, run.parts()
        process = run.start(*(["--overwrite"] if run.outputs else []))
        kind = ("any time", "after a band", "after a band", "assembling")[killed % 4]
        if kind == "any time":
            time.sleep(float(rng.uniform(0.05, 0.95)) * whole)
        elif kind == "after a band" and before < ROWS // BAND:
            wait_until(lambda enough=before + 1: run.finished >= enough, process)  # type: ignore[misc]
            time.sleep(float(rng.uniform(0, 0.1)))
        else:
            wait_until(lambda: any(run.scratch.glob("final_*.tif")), process)
            time.sleep(float(rng.uniform(0, 0.05)))
        process.kill()
        _, err = process.communicate()
        for name, content in run.outputs.items():
            assert content == expected[name], f"{name} is half written after kill {killed}, {kind}"
        if process.returncode == 0:  # it was faster than the kill
            assert run.outputs == expected
            for name in expected:
                (run.files.folder / name).unlink()
            continue
        assert process.returncode == -signal.SIGKILL, err
        killed += 1
        stages.add(kind if run.finished else "before the first band")
        after = run.parts()
        if kept and run.finished:
            assert {name: after.get(name) for name in kept} == kept, "a finished band was written again"
            reused += 1
    last = run.start("--overwrite")
    out, err = last.communicate()
    assert last.returncode == 0, err
    assert run.outputs == expected
    assert not run.scratch.exists()
    assert reused >= 1
    assert len(stages) >= 2
    facts = json.loads(out)
    assert sum(facts["pixels"].values()) == ROWS * 200
    assert facts["tiles"] < TUNE_FROM_TILES  # else the undisturbed run might have found another way of running the network fastest


# --- what a run goes on from, and what it does not ---------------------------------------------------------------------------------


@pytest.fixture
def tall(tmp_path: Path) -> Files:
    """Three bands of rows."""
    return make_files(tmp_path / "tall", (2200, 120), scale=1e-4, offset=-0.1)


class PowerCutError(Exception):
    """Stands for the end of the process."""


def stop_after_one_band(geocr: Command, files: Files, patch: pytest.MonkeyPatch, *more: object) -> None:
    add = Manifest.add

    def once(self: Manifest, record: Any) -> None:
        add(self, record)
        raise PowerCutError

    with patch.context() as context:
        context.setattr(Manifest, "add", once)
        with pytest.raises(PowerCutError):
            geocr(*files.arguments(*more))
    assert len(list(files.folder.glob(".*.geocr/scene_*.tif"))) == 1


def touch_later(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def change_pixels(path: Path) -> None:
    with rasterio.open(path, "r+") as dataset:
        pixels = dataset.read()
        pixels[pixels != dataset.nodata] += 1
        dataset.write(pixels)
    touch_later(path)


def retrain(path: Path) -> None:
    """The same network with other weights, under the same name and of the same size."""
    old = load_checkpoint(path)
    torch.manual_seed(1)
    for weight in old.model.parameters():
        weight.data += 0.01 * torch.randn_like(weight)
    save_checkpoint(path, old.model, name=old.header.model, kwargs=old.header.kwargs)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("nothing", None),
        ("s2", change_pixels),
        ("s1", change_pixels),
        ("mask", touch_later),
        ("net", retrain),
    ],
)
def test_changed_inputs_and_weights_start_the_run_over(  # noqa: PLR0917 - fixtures
    geocr: Command,
    tall: Files,
    net: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    change: Callable[[Path], None] | None,
) -> None:
    own = Path(shutil.copy(net, tmp_path / "own.safetensors"))
    stop_after_one_band(geocr, tall, monkeypatch, "--checkpoint", own)
    places = {"s1": tall.s1, "s2": tall.s2, "mask": tall.mask, "net": own}
    if change is not None:
        change(places[what])
    done = geocr(*tall.arguments("--checkpoint", own, "--json"))
    assert done.code == 0, done.err
    clean = tmp_path / "clean.tif"
    fresh = geocr(*tall.arguments("--checkpoint", own, "-o", clean, "--json"))
    assert (done.json["tiles_computed"] == fresh.json["tiles_computed"]) is (change is not None)
    assert tall.out.read_bytes() == clean.read_bytes()
    assert not list(tall.folder.glob(".*.geocr"))


def test_another_version_does_not_go_on(geocr: Command, tall: Files, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop_after_one_band(geocr, tall, monkeypatch, "--checkpoint", net)
    monkeypatch.setattr("geocr.inference.record.__version__", "0.0.0.other")
    done = geocr(*tall.arguments("--checkpoint", net, "--json"))
    assert done.json["tiles_computed"] == done.json["tiles"]


# --- damaged blocks ------------------------------------------------------------------------------------------------------------------


def write_jp2(path: Path, source: Path, *, block: int = 128) -> Path:
    """The pixels of a raster as lossless JPEG 2000 in tiles, each tile a part of its own in the file."""
    with rasterio.open(source) as dataset:
        profile = {
            "driver": "JP2OpenJPEG", "count": dataset.count, "height": dataset.height, "width": dataset.width, "dtype": dataset.dtypes[0],
            "crs": dataset.crs, "transform": dataset.transform, "QUALITY": 100, "REVERSIBLE": "YES", "tiled": True, "blockxsize": block, "blockysize": block,
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as target:
            target.write(dataset.read())
    return path


def cut_off(path: Path, share: float) -> None:
    """What a broken download leaves: the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def blank_middle(path: Path) -> None:
    """The file has its size, and zeros where one block lay: a hole in a sparse copy."""
    with rasterio.open(path) as dataset:
        rows = dataset.height // dataset.block_shapes[0][0]
        offset, size = (int(dataset.get_tag_item(f"BLOCK_{what}_0_{rows // 2}", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = bytes(size)
    path.write_bytes(data)


def as_cog(path: Path) -> Path:
    """The same raster with its directories before its pixels, so that a cut file still opens."""
    copy(path, path.with_suffix(".cog"), driver="COG", BLOCKSIZE=128, COMPRESS="DEFLATE")
    return path.with_suffix(".cog").replace(path)


def smooth_files(folder: Path, shape: tuple[int, int] = (600, 200)) -> Files:
    """A scene on which the default method has something to learn."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    wave = np.sin(rows / 23) + np.cos(cols / 17)
    dn = np.stack([1500 + 300 * k + 200 * wave + rng.normal(0, 20, shape) for k in range(4)]).astype(np.uint16)
    db = np.stack([-12 + 2 * wave, -18 + 2 * wave]).astype(np.float32) + rng.normal(0, 0.5, (2, *shape)).astype(np.float32)
    cloud = ((rows // 40 + cols // 40) % 5 == 0) & (rows % 40 < 25)
    dn[:, cloud] = 7000
    return Files(
        folder=folder,
        s1=as_cog(Path(write_raster(folder / "s1.tif", db, nodata=np.nan, descriptions=("VV", "VH")))),
        s2=as_cog(Path(write_raster(folder / "s2.tif", dn, nodata=0, descriptions=RGBN, scale=1e-4))),
        mask=Path(write_raster(folder / "mask.tif", cloud[None].astype(np.uint8))),
        dn=dn,
        cloud=cloud,
    )


BROKEN: dict[str, Callable[[Path], None]] = {"cut off": lambda path: cut_off(path, 0.55), "a hole": blank_middle}


@pytest.fixture
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Files, Path]:
    """A scene with a damaged file, and that file."""
    kind, which = request.param
    files = smooth_files(tmp_path / "data")
    if kind == "jp2":
        path = write_jp2(files.folder / "s2.jp2", files.s2)
        cut_off(path, 0.55)
        return Files(folder=files.folder, s1=files.s1, s2=path, mask=files.mask, dn=files.dn, cloud=files.cloud), path
    path = files.s2 if which == "s2" else files.s1
    BROKEN[kind](path)
    return files, path


CASES = [("jp2", "s2"), ("cut off", "s2"), ("a hole", "s2"), ("a hole", "s1"), ("cut off", "s1")]
IDS = [" ".join(case) for case in CASES]
BANDS = ("--s2-bands", ",".join(RGBN))


@pytest.mark.parametrize("damaged", CASES, ids=IDS, indirect=True)
def test_damage_in_the_middle_stops_the_run_with_the_file_and_the_rows(geocr: Command, damaged: tuple[Files, Path], net: Path) -> None:
    files, path = damaged
    done = geocr(*files.arguments("--checkpoint", net, *BANDS))
    assert done.code == 2
    assert f"{path} fails in rows" in done.err
    assert "fetch it again" in done.err
    assert not files.out.exists()
    assert not files.provenance.exists()


@pytest.mark.parametrize("damaged", CASES, ids=IDS, indirect=True)
@pytest.mark.parametrize(
    "method", ["net", pytest.param("fit", marks=pytest.mark.slow), pytest.param("found clouds", marks=pytest.mark.slow)]
)
def test_damage_becomes_nodata_when_asked_and_every_block_is_told(
    geocr: Command, damaged: tuple[Files, Path], net: Path, method: str
) -> None:
    files, path = damaged
    arguments = files.arguments(*BANDS, "--on-error", "nodata", "--json")
    if method == "net":
        arguments += ["--checkpoint", net]
    elif method == "found clouds":
        arguments = [
            "predict-scene",
            files.s1,
            files.s2,
            "--cloud-mask",
            "rule",
            "--checkpoint",
            net,
            *BANDS,
            "--on-error",
            "nodata",
            "--json",
        ]
    done = geocr(*arguments)
    assert done.code == 0, done.err
    told = done.json["damaged_blocks"]
    assert told
    assert all(str(path) in sentence and "rows" in sentence for sentence in told)
    with rasterio.open(files.out) as result, rasterio.open(files.provenance) as provenance:
        scene, classes = result.read(), provenance.read(1)
    if path == files.s1:
        assert (classes == 0).sum() == 0
        assert (classes == 3).any()
    else:
        lost = (scene == 0).all(axis=0)
        assert 128 * 100 <= lost.sum() < 0.7 * lost.size
        assert (classes[lost] == 0).all()
        seen = classes == 1
        np.testing.assert_array_equal(scene[:, seen], np.where(scene[:, seen] == 0, 0, files.dn[:, seen]))


def test_damage_is_said_in_the_summary_for_people(geocr: Command, tmp_path: Path, net: Path) -> None:
    files = smooth_files(tmp_path / "data")
    blank_middle(files.s2)
    done = geocr(*files.arguments("--checkpoint", net, "--on-error", "nodata"))
    assert done.code == 0, done.err
    assert "blocks were taken as nodata; first: " in done.out


# --- a model that gives NaN ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NanInTheMiddle:
    """Right at first, and not a number from some row on."""

    from_row: int
    tile: TileSpec = field(default_factory=lambda: TileSpec(size_px=256))
    has_std: bool = False

    def describe(self) -> dict[str, Any]:
        return {"name": "identity"}

    def __call__(self, tile: TileInput) -> Reconstruction:
        mean = np.full_like(tile.optical, 0.2)
        if tile.window.row >= self.from_row:
            mean[1, tile.cloud_mask] = np.nan
        return Reconstruction(mean=mean)


def test_nan_from_a_method_stops_the_run_and_keeps_what_was_finished(tall: Files) -> None:
    from geocr.config import PredictConfig

    config = PredictConfig(cloud_mask=str(tall.mask), mask_buffer_px=0)
    out = tall.folder / "own.tif"
    with pytest.raises(ReconstructionError, match=r"finite"):
        predict_scene(str(tall.s1), str(tall.s2), out, config=config, reconstructor=NanInTheMiddle(1500))
    assert not out.exists()
    assert (tall.folder / ".own.tif.geocr" / "scene_000000.tif").exists()
    healed = predict_scene(str(tall.s1), str(tall.s2), out, config=config, reconstructor=NanInTheMiddle(9999))
    assert 0 < healed.summary["tiles_computed"] < healed.summary["tiles"]
    with rasterio.open(out) as result:
        assert (result.read(2) != 0).any()
    assert not (tall.folder / ".own.tif.geocr").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_checkpoint_of_broken_weights_writes_nothing(geocr: Command, files: Files, tmp_path: Path, value: float) -> None:
    broken = make_checkpoint(tmp_path / "broken.safetensors")
    old = load_checkpoint(broken)
    next(old.model.parameters()).data.fill_(value)
    save_checkpoint(broken, old.model, name=old.header.model, kwargs=old.header.kwargs)
    done = geocr(*files.arguments("--checkpoint", broken))
    assert done.code == 2
    assert "finite" in done.err
    assert not files.out.exists()
    assert not files.provenance.exists()
