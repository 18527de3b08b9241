"""`geocr evaluate` and `geocr export` from the command line."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command, make_checkpoint

SET = ["--data", "synthetic=.", "--set", "length=2", "--set", "size_px=64", "--set", 'optical_bands=["B02","B03","B04","B08"]']
QUICK = ["--resamples", 100, "--device", "cpu"]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("net") / "net.safetensors", level="L1C")


def test_checkpoints_and_baselines_in_one_run(geocr: Command, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = geocr("evaluate", net, net, *SET, "--baseline", "input", "--ensemble", "both", *QUICK, "-o", out, "--json", "--export")
    assert (done.code, done.err) == (0, "")
    report = done.json
    assert list(report["results"]) == sorted(["net", "net-2", "ensemble both", "input"])
    assert report == json.loads((out / "summary.json").read_text())
    assert report["comparisons"][0]["difference"] == 0
    assert len(list((out / "predictions").glob("*/*.tif"))) == 2 * (3 * 2 + 1)  # the input has no std
    again = geocr("evaluate", net, *SET, *QUICK, "-o", out)
    assert again.code == 2
    assert "give --overwrite to replace the evaluation" in again.err


def test_tables_for_people(geocr: Command, net: Path, tmp_path: Path) -> None:
    done = geocr("evaluate", net, *SET, "--limit", 1, *QUICK, "-o", tmp_path / "out", "--no-gallery")
    assert done.code == 0
    assert "cloudy pixels" in done.out
    assert "PSNR" in done.out
    assert not list((tmp_path / "out").glob("gallery*"))


def test_a_dry_run_predicts_nothing(geocr: Command, net: Path, tmp_path: Path) -> None:
    done = geocr("evaluate", net, *SET, *QUICK, "-o", tmp_path / "out", "--dry-run", "--json", "--tta", "flips", "--preset", "uncrtaints")
    assert done.code == 0
    assert done.json["samples"] == 2
    assert list(done.json["methods"]) == ["net", "net+flips"]
    assert done.json["tests"] == [["net", "net+flips"]]
    assert not (tmp_path / "out").exists()
    assert "nothing was predicted" in geocr("evaluate", net, *SET, *QUICK, "--dry-run").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "synthetic"], "--data takes NAME=PATH"),
        (["--data", "nosuch=."], "geocr.datasets knows"),
        ([*SET], "give checkpoints, or --baseline"),
        ([*SET, "--baseline", "kriging"], "baselines are input"),
        ([*SET, "--baseline", "input", "--preset", "best"], "presets are"),
        ([*SET, "--baseline", "input", "--ensemble", "all"], "--ensemble takes aleatoric, epistemic, both"),
        ([*SET, "--baseline", "input", "--split", "holdout"], "splits train, val, test"),
        (["--data", "sen12mscr=/nowhere", "--baseline", "input"], "To get it"),
    ],
)
def test_errors_say_the_cure(geocr: Command, arguments: list[str], said: str, tmp_path: Path) -> None:
    done = geocr("evaluate", *arguments, "-o", tmp_path / "out")
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_pictures_are_measured_with_white_at_one(geocr: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for letter, shape in (("A", (32, 32, 3)), ("B", (32, 32, 3)), ("C", (32, 32))):
        (tmp_path / f"test{letter}").mkdir()
        Image.fromarray(rng.integers(1, 256, shape, dtype=np.uint8)).save(tmp_path / f"test{letter}" / "1.png")
    done = geocr("evaluate", "--data", f"triplets={tmp_path}", "--baseline", "input", *QUICK, "-o", tmp_path / "out", "--json")
    assert done.code == 0
    cloudy, clear = (np.asarray(Image.open(tmp_path / f"test{letter}" / "1.png"), np.float64) / 255 for letter in "AB")
    assert done.json["results"]["input"]["values"]["mae"] == pytest.approx(np.abs(cloudy - clear).mean(), rel=1e-5)
    assert done.json["regions"] == ["all"]


def test_export(geocr: Command, net: Path, tmp_path: Path) -> None:
    target = tmp_path / "net.pt2"
    plan = geocr("export", net, "--format", "torch-export", *SET, "-o", target, "--dry-run", "--json")
    assert plan.json["inputs"] == ["sar", "cloudy", "cloud_mask"]
    assert not target.exists()
    done = geocr("export", net, "--format", "torch-export", *SET, "-o", target, "--patches", 2, "--json")
    assert done.code == 0
    assert done.json["patches"] == ["test-0", "test-1"]
    assert done.json["greatest_difference"] <= done.json["tolerance"]
    assert target.stat().st_size > 1000
    assert geocr("export", net, "--format", "torch-export", *SET, "-o", target).code == 2
    wrong = geocr("export", net, "--format", "tflite")
    assert (wrong.code, "--format is onnx or torch-export" in wrong.err) == (2, True)


def test_a_folder_that_cannot_be_written_to_is_told_before_the_work(
    geocr: Command, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr("geocr.evaluation.study.evaluate_into", never)
    monkeypatch.setattr("geocr.evaluation.portable.PortableModel", never)
    (tmp_path / "file").touch()
    for writable, said in (
        (True, "is a file; choose another with -o"),
        (False, "can be written to, and .* cannot; choose another with -o"),
    ):
        monkeypatch.setattr("geocr.io.failure.os.access", lambda _, mode, answer=writable: answer or not mode & os.W_OK)
        place = tmp_path / "file" if writable else tmp_path / "new"
        told = (
            geocr("evaluate", "--data", "synthetic=.", "--baseline", "input", "-o", place / "a"),
            geocr("export", net, "--format", "torch-export", "-o", place / "net.pt2"),
        )
        for done in told:
            assert done.code == 2
            assert re.search(said, done.err), done.err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_export_names_another_format_or_an_existing_file_first(geocr: Command, net: Path, tmp_path: Path) -> None:
    wrong = geocr("export", net, "--format", "torch-export", "-o", tmp_path / "net.onnx")
    assert (wrong.code, "is written as .pt2; got" in wrong.err) == (2, True)
    (tmp_path / "net.pt2").touch()
    there = geocr("export", net, "--format", "torch-export", "-o", tmp_path / "net.pt2")
    assert (there.code, "give --overwrite" in there.err, "invented" in there.err) == (2, True, False)


def test_export_without_data_says_that_patches_are_invented(geocr: Command, net: Path, tmp_path: Path) -> None:
    done = geocr("export", net, "--format", "torch-export", "-o", tmp_path / "net.pt2", "--patches", 1)
    assert done.code == 0
    assert "checked on invented patches" in done.err
