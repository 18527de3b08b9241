"""The comparison compares the same work, and notices when it does not."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from geocr.core.types import TileInput, Window
from geocr.inference.reconstructor import BatchReconstructor
from tests.benchmarks.conftest import Script
from tests.conftest import REPOSITORY


@pytest.fixture
def files(script: Script, tmp_path: Path) -> Any:
    return script("peers").prepare_files(tmp_path, 192)


def test_the_stack_holds_the_bands_of_both_rasters(script: Script, files: Any) -> None:
    conv3 = script("conv3")
    with rasterio.open(files.stack) as stack, rasterio.open(files.s2) as optical, rasterio.open(files.s1) as sar:
        assert (stack.count, stack.dtypes[0], stack.transform, stack.crs) == (15, "uint16", optical.transform, optical.crs)
        np.testing.assert_array_equal(stack.read(list(range(1, 14))), np.clip(optical.read(), 1, 10_000))
        backscatter = stack.read([14, 15]) / 1e4 * conv3.SAR_RANGE_DB + conv3.SAR_FLOOR_DB
        assert np.abs(backscatter - np.clip(sar.read(), -30 + 3e-3, 0)).max() < 2e-3  # a DN is 3 mdB


def test_the_network_answers_inside_the_range_that_no_tool_clips(script: Script) -> None:
    conv3 = script("conv3")
    x = torch.rand((1, 15, 64, 64), generator=torch.Generator().manual_seed(1))
    answer = conv3.Conv3Model()(x)
    assert answer.shape == (1, 13, 64, 64)
    assert 0.05 < answer.min() < answer.max() < 0.95
    assert torch.abs(conv3.Conv3Model("bf16")(x) - answer).max() < 5e-3


def test_threads_that_make_the_network_together_get_the_same(script: Script) -> None:
    conv3 = script("conv3")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: conv3.make_conv3().state_dict(), range(64)))
    assert all(torch.equal(one[name], made[0][name]) for one in made for name in made[0])


def test_geocr_runs_the_same_network_and_leaves_its_input_alone(script: Script) -> None:
    conv3, networks = script("conv3"), script("networks")
    rng = np.random.default_rng(0)
    optical, sar = rng.random((13, 40, 40), np.float32), rng.uniform(-25, 0, (2, 40, 40)).astype(np.float32)
    before = sar.copy()
    tile = TileInput(
        window=Window(row=0, col=0, height=40, width=40),
        optical=optical,
        sar=sar,
        cloud_mask=np.ones((40, 40), bool),
        valid=np.ones((40, 40), bool),
    )
    reconstructor = networks.Conv3()
    assert isinstance(reconstructor, BatchReconstructor)
    stacked = np.concatenate([optical, (sar + 30) / 30])[None]
    with torch.inference_mode():
        wanted = conv3.Conv3Model()(torch.from_numpy(stacked))[0].numpy()
    np.testing.assert_allclose(reconstructor(tile).mean, wanted, atol=1e-6)
    np.testing.assert_array_equal(sar, before)


def test_a_raster_that_is_not_the_networks_answer_is_noticed(
    script: Script, files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks" / "contestants"))
    peers, conv3, stack = script("peers"), script("conv3"), script("stack")
    with torch.inference_mode():
        answer = conv3.Conv3Model()(stack.read_stack(files.stack))
    stack.write_like(tmp_path / "right.tif", answer, files.stack)
    stack.write_like(tmp_path / "wrong.tif", answer + 3e-4, files.stack)
    right = peers.agreement("monai", tmp_path / "right.tif", files, "fp32")
    assert right["same_work"]
    assert right["max_dn"] <= 1
    wrong = peers.agreement("monai", tmp_path / "wrong.tif", files, "fp32")
    assert not wrong["same_work"]
    assert wrong["median_dn"] == 3


def test_a_contestant_that_died_is_a_result_and_ratios_are_to_geocr(script: Script) -> None:
    peers = script("peers")
    run = {"end": "done", "wall_s": 4.0, "work_s": 2.0, "cpu_s": 6.0, "peak_gib": 1.0, "temporary_disk_gib": 0.0}
    dead = {**run, "end": "killed: above the cap", "wall_s": 9.0, "peak_gib": 17.2}
    results = {
        "geocr": {"version": "1", "batch": 0, "agreement": {"same_work": True}, "best": run, "runs": [run]},
        "monai": {"version": "2", "batch": 4, "agreement": {"same_work": False}, "best": {**run, "wall_s": 12.0}, "runs": [run]},
        "terratorch": {"version": "3", "batch": 4, "best": None, "runs": [dead]},
    }
    lines = list(peers.table(results))
    assert len({line.count("|") for line in lines}) == 1
    assert "| 3.00 |" in lines[3]
    assert lines[3].endswith("| NO |")
    assert "killed: above the cap after 9 s, 17.2 GiB" in lines[4]
    assert next(peers.verdicts(results)) == "geocr: wall is 0.33 of the best peer's (monai)."


@pytest.mark.slow
def test_the_script_runs_and_geocr_does_the_same_work(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(REPOSITORY / "benchmarks" / "peers.py"),
        "--peers",
        "",
        "--size",
        "512",
        "--batch",
        "1",
        "--cap-gib",
        "6",
    ]
    command += ["--precision", "fp32,bf16", "--folder", str(tmp_path / "bench"), "--out", str(tmp_path / "figures.json")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    results = json.loads((tmp_path / "figures.json").read_text())["results"]
    for key in ("512 fp32", "512 bf16"):
        geocr = results[key]["geocr"]
        assert geocr["agreement"]["same_work"], geocr
        assert geocr["raster"] == {"mb": geocr["raster"]["mb"], "compression": "zstd", "overviews": geocr["raster"]["overviews"]}
        assert results[key]["bare"]["best"]["work_s"] > 0
