"""Two processes with half a batch each take the steps of one with the whole."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from geocr.checkpoint import load_checkpoint
from tests.training.runs import figures, losses, settings


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    """Of a model without batch statistics; sums over processes are rounded in another order."""
    for name, devices, batch in (("one", 1, 2), ("two", 2, 1)):
        config = settings(tmp_path / "data", data={"batch": batch}, run={"devices": devices, "epochs": 2})
        (tmp_path / f"{name}.yaml").write_text(config.to_yaml())
        command = [sys.executable, "-m", "geocr", "train", str(tmp_path / f"{name}.yaml"), "-o", str(tmp_path / name), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    one, two = ([float(value) for value in losses(tmp_path / name)] for name in ("one", "two"))
    assert len(one) == 4
    assert two == pytest.approx(one, rel=1e-4)
    alone, shared = figures(tmp_path / "one"), figures(tmp_path / "two")
    assert set(alone) == set(shared)
    for key in ((4, "val", "loss"), (4, "val", "psnr_db"), (4, "val", "ssim")):
        assert float(shared[key]) == pytest.approx(float(alone[key]), rel=1e-3)
    left, right = (load_checkpoint(tmp_path / name / "last.safetensors").model.state_dict() for name in ("one", "two"))
    for weight in left:
        torch.testing.assert_close(left[weight], right[weight], rtol=0, atol=1e-3)
