"""A stopped evaluation goes on and gives the tables of one that was never stopped, byte for byte."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geocr.core.errors import OutputExistsError
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.sample import FusionSample
from geocr.evaluation import partial
from geocr.evaluation.cogs import CogFolder
from geocr.evaluation.outputs import EvaluationFolder, write_evaluation
from geocr.evaluation.run import plan_evaluation, run_plan
from geocr.evaluation.settings import EvaluateSettings
from tests.evaluation.conftest import BANDS

SETTINGS = EvaluateSettings(baselines=("input",), device="cpu", resamples=100, batch=2, gallery=False)


class Stopping(Synthetic):
    """Four patches; asked for one of them it is interrupted, as by Ctrl-C."""

    def __init__(self, stop_at: int | None = None, **options: Any) -> None:
        super().__init__(split="test", length=4, size_px=64, optical_bands=BANDS, cloud_cover=(0.2, 0.6), **options)
        self.stop_at, self.read = stop_at, 0

    def __getitem__(self, index: int) -> FusionSample:
        if index == self.stop_at:
            raise KeyboardInterrupt
        self.read += 1
        return super().__getitem__(index)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "SAVE_SECONDS", 0.0)


def run(folder: Path, checkpoints: list[Path], stop_at: int | None = None, settings: EvaluateSettings = SETTINGS) -> int:
    """Evaluate into a folder as the command does; how many samples were read for it, the plan's own apart."""
    target, samples = EvaluationFolder(folder), Stopping(stop_at)
    target.require_free(overwrite=False)
    plan = plan_evaluation(samples, checkpoints, settings)
    sink = CogFolder(target.predictions) if settings.export else None
    write_evaluation(run_plan(plan, sink=sink, part_file=target.part), target)
    read: int = plan.dataset.read - 1  # type: ignore[attr-defined]  # of `Stopping`
    return read


def tables(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("samples.parquet", "table.md", "coverage.png")}


@pytest.mark.parametrize("stop_at", [1, 3])
def test_what_was_measured_is_not_measured_again(stop_at: int, nets: list[Path], tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(whole, nets[:1]) == 4
    with pytest.raises(KeyboardInterrupt):
        run(stopped, nets[:1], stop_at)
    assert not (stopped / "summary.json").exists()
    done = stop_at // 2 * 2  # batches of two
    assert (stopped / ".evaluation.part").exists() == (done > 0)
    assert run(stopped, nets[:1]) == 4 - done
    assert tables(stopped) == tables(whole)
    assert sorted(path.name for path in stopped.iterdir()) == sorted(path.name for path in whole.iterdir())


@pytest.mark.slow
def test_another_evaluation_does_not_go_on_with_it(nets: list[Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", nets[:1], 3)
    for number, (checkpoints, settings) in enumerate(((nets[1:], SETTINGS), (nets[:1], replace(SETTINGS, preset="allclear")))):
        part = tmp_path / "one" / ".evaluation.part"
        kept = part.read_bytes()
        fresh = tmp_path / f"fresh{number}"
        run(fresh, checkpoints, settings=settings)
        (tmp_path / f"used{number}").mkdir()
        (tmp_path / f"used{number}" / part.name).write_bytes(kept)
        assert run(tmp_path / f"used{number}", checkpoints, settings=settings) == 4
        assert tables(tmp_path / f"used{number}") == tables(fresh)


def test_a_damaged_file_is_begun_anew(nets: list[Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", nets[:1], 3)
    part = tmp_path / "one" / ".evaluation.part"
    part.write_bytes(part.read_bytes()[:300])
    assert run(tmp_path / "one", nets[:1]) == 4


def test_settings_that_change_no_figure_may_differ(nets: list[Path], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", nets[:1], 3)
    assert run(tmp_path / "one", nets[:1], settings=replace(SETTINGS, workers=0, resamples=120)) == 2


def test_predictions_of_before_stay_and_a_missing_one_is_made_again(nets: list[Path], tmp_path: Path) -> None:
    settings, folder = replace(SETTINGS, export=True), tmp_path / "one"
    with pytest.raises(KeyboardInterrupt):
        run(folder, nets[:1], 3, settings)
    first = folder / "predictions" / "net0" / "test-0.tif"
    made = first.stat().st_mtime_ns
    assert run(folder, nets[:1], settings=settings) == 2
    assert first.stat().st_mtime_ns == made
    assert len(list((folder / "predictions" / "input").glob("*.tif"))) == 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "two", nets[:1], 3, settings)
    (tmp_path / "two" / "predictions" / "net0" / "test-1.tif").unlink()
    assert run(tmp_path / "two", nets[:1], settings=settings) == 4


def test_a_whole_evaluation_is_not_replaced_unasked(nets: list[Path], tmp_path: Path) -> None:
    run(tmp_path, nets[:1])
    with pytest.raises(OutputExistsError, match=r"summary.json does; give --overwrite"):
        run(tmp_path, nets[:1])
    (tmp_path / ".evaluation.part").write_bytes(b"of a stopped one")
    with pytest.raises(OutputExistsError, match=r"summary.json does; give --overwrite"):
        run(tmp_path, nets[:1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_command_goes_on(nets: list[Path], tmp_path: Path) -> None:
    arguments = [
        "evaluate", str(nets[0]), "--data", "synthetic=.", "--set", "length=12", "--set", "size_px=64",
        "--set", 'optical_bands=["B02","B03","B04","B08"]', "--baseline", "interpolation", "--device", "cpu", "--resamples", "100", "--quiet",
    ]  # fmt: skip
    start = "from geocr.evaluation import partial; partial.SAVE_SECONDS = 0.0; from geocr.cli.app import main; main()"
    folder = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", start, *arguments, "-o", str(folder)])
    while not (folder / ".evaluation.part").exists():
        assert child.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not (folder / "summary.json").exists()
    again = subprocess.run([sys.executable, "-m", "geocr", *arguments[:-1], "-o", str(folder)], check=True, capture_output=True, text=True)
    assert "going on behind" in again.stderr
    subprocess.run([sys.executable, "-m", "geocr", *arguments, "-o", str(tmp_path / "whole")], check=True)
    assert tables(folder) == tables(tmp_path / "whole")
