"""A run that was stopped anywhere goes on as if it had not been: the same losses, the same weights, to the last bit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from geocr.checkpoint import load_checkpoint
from geocr.core.errors import CheckpointError, InputError, OutputExistsError
from geocr.training.config import TrainConfig
from geocr.training.loop import BEST_FILE, LAST_FILE, RESUME_FILE
from geocr.training.resume import load_resume
from geocr.training.run import train
from tests.training.runs import adversarial, figures, losses, settings, signal_at


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training") / "sen12mscr"


def same_weights(one: Path, other: Path) -> bool:
    left, right = load_checkpoint(one).model.state_dict(), load_checkpoint(other).model.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


def stopped_and_resumed(config: TrainConfig, folder: Path, step: int, number: int = signal.SIGINT) -> None:
    first = train(config, folder, on_step=signal_at(step, number))
    assert not first.finished
    assert first.steps == step
    assert train(config, folder, resume=True).finished


KINDS: dict[str, Callable[[Path], TrainConfig]] = {
    "plain": settings,
    "averaged": lambda root: settings(root, run={"ema": 0.9, "accumulate": 2, "epochs": 4, "clip_norm": 0.1}, schedule={"name": "cosine"}),
    "adversarial": adversarial,
}


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("plain", 1),
        ("adversarial", 3),
        pytest.param("plain", 3, marks=pytest.mark.slow),
        pytest.param("adversarial", 1, marks=pytest.mark.slow),
        pytest.param("averaged", 1, marks=pytest.mark.slow),
        pytest.param("averaged", 3, marks=pytest.mark.slow),
    ],
)
def test_stopped_in_the_middle_of_an_epoch_it_gives_the_same_curve_and_weights(kind: str, step: int, data: Path, tmp_path: Path) -> None:
    """Two steps make an epoch: behind the first and the third a run stands in the middle of one."""
    config = KINDS[kind](data)
    assert train(config, tmp_path / "whole").finished
    stopped_and_resumed(config, tmp_path / "parts", step)
    assert len(losses(tmp_path / "whole")) == 4
    assert figures(tmp_path / "parts") == figures(tmp_path / "whole")
    for name in (LAST_FILE, BEST_FILE):
        assert same_weights(tmp_path / "whole" / name, tmp_path / "parts" / name)


def test_stopped_where_a_validation_was_due_it_validates_first(data: Path, tmp_path: Path) -> None:
    """The signal behind step 2 comes before the validation of the first epoch."""
    config = settings(data)
    train(config, tmp_path / "whole")
    first = train(config, tmp_path / "parts", on_step=signal_at(2))
    assert not first.finished
    assert not any(split == "val" for _, split, _ in figures(tmp_path / "parts"))
    train(config, tmp_path / "parts", resume=True)
    assert figures(tmp_path / "parts") == figures(tmp_path / "whole")


@pytest.mark.slow
def test_stopped_after_every_step_it_gives_the_same_curve(data: Path, tmp_path: Path) -> None:
    config = settings(data, run={"validate_every": 3})
    train(config, tmp_path / "whole")
    train(config, tmp_path / "parts", on_step=signal_at(1, signal.SIGTERM))
    for step in (2, 3):
        train(config, tmp_path / "parts", resume=True, on_step=signal_at(step, signal.SIGTERM))
    assert train(config, tmp_path / "parts", resume=True).finished
    assert figures(tmp_path / "parts") == figures(tmp_path / "whole")


@pytest.mark.slow
def test_workers_change_nothing(data: Path, tmp_path: Path) -> None:
    config = settings(data)
    train(config, tmp_path / "here")
    with_workers = config.model_copy(update={"data": config.data.model_copy(update={"workers": 2})})
    train(with_workers, tmp_path / "workers", on_step=signal_at(3))
    train(with_workers, tmp_path / "workers", resume=True)
    assert figures(tmp_path / "workers") == figures(tmp_path / "here")


def test_the_same_seed_gives_the_same_run_and_another_seed_another(data: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        torch.manual_seed(len(name))  # whatever drew before
        train(settings(data, run={"seed": seed}), tmp_path / name)
    assert figures(tmp_path / "one") == figures(tmp_path / "same")
    assert losses(tmp_path / "one") != losses(tmp_path / "other")


def test_figures_behind_the_step_it_goes_on_from_are_dropped(data: Path, tmp_path: Path) -> None:
    """A run that was killed has logged steps that its resume file does not know."""
    config = settings(data, run={"save_every": 1})
    train(config, tmp_path / "whole")
    train(config, tmp_path / "killed", on_step=signal_at(3))
    with (tmp_path / "killed" / "log.csv").open("a") as file:
        file.write("4,2,train,loss,99.0\n")
    train(config, tmp_path / "killed", resume=True)
    assert figures(tmp_path / "killed") == figures(tmp_path / "whole")


def test_resume_files_hold_tensors_numbers_and_text_only(data: Path, tmp_path: Path) -> None:
    train(adversarial(data), tmp_path / "run", on_step=signal_at(1))
    content = torch.load(tmp_path / "run" / RESUME_FILE, weights_only=True)
    assert content["progress"]["steps"] == 1
    assert set(content["task"]) == {"model", "optimizer", "discriminator", "discriminator_optimizer", "pool"}


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("/tmp/geocr_should_never_run",)  # noqa: S108


def test_a_hostile_resume_file_runs_nothing(tmp_path: Path) -> None:
    torch.save({"format": 1, "progress": Evil()}, tmp_path / RESUME_FILE)
    with pytest.raises(CheckpointError, match="a resume file must be whole"):
        load_resume(tmp_path / RESUME_FILE)
    assert not Path("/tmp/geocr_should_never_run").exists()  # noqa: S108


def test_a_run_in_a_folder_is_not_overwritten_unasked_and_no_run_is_not_resumed(data: Path, tmp_path: Path) -> None:
    config = settings(data, run={"max_steps": 1})
    train(config, tmp_path / "run")
    with pytest.raises(OutputExistsError, match="holds a run already; go on with --resume"):
        train(config, tmp_path / "run")
    assert train(config, tmp_path / "run", overwrite=True).steps == 1
    with pytest.raises(CheckpointError, match="there is none at"):
        train(config, tmp_path / "elsewhere", resume=True)


def test_going_on_with_other_settings_is_refused_but_for_longer_is_not(data: Path, tmp_path: Path) -> None:
    train(settings(data, run={"epochs": 1}), tmp_path / "run")
    with pytest.raises(InputError, match=r"data.batch was 2 and is 1; optimizer.lr was 0.001 and is 0.1"):
        train(settings(data, data={"batch": 1}, optimizer={"lr": 0.1}), tmp_path / "run", resume=True)
    train(settings(data, run={"epochs": 2}), tmp_path / "whole")
    assert train(settings(data, run={"epochs": 2}), tmp_path / "run", resume=True).steps == 4
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_command_leaves_a_run_that_can_be_resumed(number: int, data: Path, tmp_path: Path) -> None:
    config = settings(data, run={"epochs": 5000, "log_every": 1})
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    command = [sys.executable, "-m", "geocr", "train", str(tmp_path / "config.yaml"), "-o", str(tmp_path / "run")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if (tmp_path / "run" / "log.csv").exists() and ",train," in (tmp_path / "run" / "log.csv").read_text():
            break
        time.sleep(0.1)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "goes on from there" in told
    steps = load_resume(tmp_path / "run" / RESUME_FILE)["progress"]["steps"]
    assert steps >= 1
    resumed = train(TrainConfig.from_yaml(tmp_path / "run" / "config.yaml"), tmp_path / "run", resume=True, on_step=signal_at(steps + 1))
    assert resumed.steps == steps + 1
