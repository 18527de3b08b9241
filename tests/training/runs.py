"""Runs small enough for a test: settings, and what can be read from what they leave."""

import csv
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocr.training.config import TrainConfig
from geocr.training.loop import OnStep
from tests.data_makers.sen12mscr import make_sen12mscr
from tests.training.small import TRAIN_AND_VAL

BANDS = ["B02", "B03", "B04"]


def settings(root: Path, **changes: Any) -> TrainConfig:
    """A supervised run on six samples; changes are by section, as in `run={"epochs": 2}`."""
    if not root.exists():
        make_sen12mscr(root, TRAIN_AND_VAL, patches=(1, 2, 3, 4, 5))
    base: dict[str, Any] = {
        "model": {"name": "fusion_unet", "args": {"optical_bands": BANDS, "widths": [4, 6], "use_mask": False, "tile_px": 64}},
        "data": {"dataset": "sen12mscr", "root": str(root), "batch": 2, "crop_px": 16},
        "run": {"epochs": 2, "device": "cpu", "pictures": 0, "tensorboard": False},
    }
    for section, values in changes.items():
        base[section] = {**base.get(section, {}), **values} if isinstance(values, dict) and section != "loss" else values
    return TrainConfig.from_dict(base)


def adversarial(root: Path, **changes: Any) -> TrainConfig:
    """A run against a discriminator, with dropout, a pool and a model that normalises over the batch."""
    model = {"name": "sar_opt_cgan", "args": {"optical_bands": BANDS, "width": 4, "depth": 2, "tile_px": 32, "dropout": True}}
    gan = {"loss": "bce", "width": 4, "layers": 1, "pool": 3, "optimizer": {"lr": 0.01}}
    base = settings(root).model_dump(mode="json") | {"model": model, "adversarial": gan}
    for section, values in changes.items():
        base[section] = {**(base.get(section) or {}), **values}
    return TrainConfig.from_dict(base)


def figures(folder: Path) -> dict[tuple[int, str, str], str]:
    """Every figure of a run's log as it was written, by step, split and name."""
    with (folder / "log.csv").open(newline="") as file:
        return {(int(row["step"]), row["split"], row["name"]): row["value"] for row in csv.DictReader(file)}


def losses(folder: Path) -> list[str]:
    """The training loss of each step."""
    return [value for (_, split, name), value in sorted(figures(folder).items()) if (split, name) == ("train", "loss")]


def signal_at(step: int, number: int = signal.SIGINT) -> OnStep:
    """Sends this process a signal behind a step."""

    def on_step(done: int, total: int, values: Mapping[str, float]) -> None:
        if done == step:
            os.kill(os.getpid(), number)

    return on_step
