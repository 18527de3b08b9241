"""`train`: from settings to a checkpoint that `predict-scene` takes."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies.ddp import DDPStrategy

from geocr.core.errors import OutputExistsError, OutputWriteError
from geocr.core.html import facts_table
from geocr.metrics.presets import find_preset
from geocr.models.base import FusionModel
from geocr.training.build import build_model, build_task, choose_device
from geocr.training.config import RunConfig, TrainConfig
from geocr.training.ema import MovingAverage
from geocr.training.logs import open_logs
from geocr.training.loop import BEST_FILE, LAST_FILE, RESUME_FILE, Loop, OnStep
from geocr.training.material import open_material, trained_radiometry
from geocr.training.resolve import TrainSettings, resolve_config
from geocr.training.resume import Progress, load_resume, require_same_run
from geocr.training.validation import Validator

CONFIG_FILE = "config.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a run left."""

    folder: Path
    """Where everything lies: config.yaml, log.csv, samples/, tensorboard/, resume.pt and both checkpoints."""
    best: Path
    """The checkpoint with the best monitored figure."""
    last: Path
    """That of the last validation."""
    steps: int
    """Steps done, those before it was resumed included."""
    best_step: int | None
    """The step of `best`; None when nothing was validated yet."""
    figures: Mapping[str, float]
    """Figures of the last validation of this session, units in the names."""
    finished: bool
    """False when a signal stopped it; the same run goes on with `resume`."""

    def _repr_html_(self) -> str:
        """Files, steps and the last figures, for notebooks."""
        rows = [("folder", str(self.folder)), ("best", f"{self.best.name}, step {self.best_step}"), ("last", self.last.name)]
        rows += [("steps", f"{self.steps:,}" if self.finished else f"{self.steps:,}, stopped: go on with resume=True")]
        return facts_table("Result of train", [*rows, *((name, f"{value:.5g}") for name, value in self.figures.items())])


def train(
    config: TrainSettings,
    folder: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_step: OnStep | None = None,
    note: Callable[[str], None] | None = None,
) -> TrainResult:
    """Train a model.

    Args:
        config: All settings: a `TrainConfig`, nested mappings, the path of a YAML file, or the name of a recipe (`geocr train` lists them).
        folder: Where to; made when missing.
        settings: Single ones by path, before those: `{"data.root": "SEN12MSCR", "optimizer.lr": 5e-4}`.
        resume: Go on from the folder's resume file, exactly as if the run had never stopped.
        overwrite: Begin again in a folder that holds a run.
        on_step: Hears of each logged step.
        note: Hears what was decided.

    Raises:
        OutputExistsError: When the folder holds a run and neither `resume` nor `overwrite` is given.
        InputError: When settings do not fit together, or are not those of the run to go on with.
        TrainingError: When a loss is no number.
        DeviceMemoryError: When a batch does not fit into memory.
    """
    config = resolve_config(config, settings)
    target, say = Path(folder), note or (lambda _: None)
    fabric = _fabric(config.run)
    stored = load_resume(target / RESUME_FILE) if resume else None
    if stored is None:
        _require_room(target, overwrite=overwrite)
    else:
        require_same_run(stored["config"], config)
    preset = find_preset(config.metrics)
    model = build_model(config.model, seed=config.run.seed)
    material = open_material(config.data, model.spec, seed=config.run.seed, pictures=config.run.pictures)
    model.spec = replace(model.spec, sar_radiometry=trained_radiometry(config.data, model.spec))
    say(f"{len(material.train)} training samples an epoch, {len(material.measured)} for validation, on {fabric.device}")
    with _determinism(enabled=config.run.deterministic):
        task = build_task(config, model, fabric)
        progress, average = Progress(), _average(config.run, model)
        if stored is not None:
            progress = Progress(**stored["progress"])
            task.load_state(stored["task"])
            if average is not None:
                average.average = {name: tensor.to(fabric.device) for name, tensor in stored["average"].items()}
            say(f"going on behind step {progress.steps}")
        if fabric.is_global_zero:
            _begin(target, config, fresh=stored is None)
        fabric.barrier()
        logs = (
            open_logs(target, step=progress.steps, tensorboard=config.run.tensorboard, wandb=config.run.wandb, config=config.to_dict())
            if fabric.is_global_zero
            else []
        )
        loop = Loop(
            fabric=fabric,
            task=task,
            config=config,
            material=material,
            validator=Validator(material, model.spec, preset, batch=config.data.batch, workers=config.data.workers),
            average=average,
            progress=progress,
            logs=logs,
            folder=target,
            on_step=on_step or (lambda *_: None),
        )
        try:
            if stored is None:
                loop.save()  # a run that fails at once can be gone on with, too
            figures, finished = loop.run()
        finally:
            for log in logs:
                log.close()
    return TrainResult(
        folder=target,
        best=target / BEST_FILE,
        last=target / LAST_FILE,
        steps=progress.steps,
        best_step=progress.best_step,
        figures=figures,
        finished=finished,
    )


def _fabric(run: RunConfig) -> Fabric:
    # buffers are not handed round: a discriminator runs twice before its backward, and each process keeps statistics of its own
    strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False) if run.devices > 1 else "auto"
    fabric = Fabric(
        accelerator=choose_device(run),
        devices=run.devices,
        strategy=strategy,
        precision="bf16-mixed" if run.precision == "bf16" else "32-true",
    )
    fabric.launch()
    return fabric


class _determinism:  # noqa: N801 - a context manager
    """Deterministic kernels inside, where torch has them; the process's own settings behind.

    Args:
        enabled: Change anything at all.
    """

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        self._before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        self._benchmark = torch.backends.cudnn.benchmark
        if self.enabled:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for, read when its first handle is made
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.benchmark = False

    def __exit__(self, *_: object) -> None:
        torch.use_deterministic_algorithms(self._before[0], warn_only=self._before[1])
        torch.backends.cudnn.benchmark = self._benchmark


def _average(run: RunConfig, model: FusionModel) -> MovingAverage | None:
    return None if run.ema is None else MovingAverage(model, run.ema)


def _require_room(folder: Path, *, overwrite: bool) -> None:
    if not overwrite and (folder / RESUME_FILE).exists():
        raise OutputExistsError(
            f"{folder} holds a run already; go on with --resume {folder}, choose another folder with -o, or begin again with --overwrite"
        )


def _begin(folder: Path, config: TrainConfig, *, fresh: bool) -> None:
    """Make the folder, drop the files of a run that is begun again, and write the settings."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            for pattern in (RESUME_FILE, BEST_FILE, LAST_FILE, "log.csv", "samples/step_*.png", "tensorboard/events.*"):
                for leftover in folder.glob(pattern):
                    leftover.unlink()
        (folder / CONFIG_FILE).write_text(config.to_yaml(), encoding="utf-8")
    except OSError as error:
        raise OutputWriteError(
            f"a run writes into its folder; {folder} cannot be written to: {error.strerror}; choose another with -o"
        ) from error
