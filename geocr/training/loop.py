"""The training loop: steps, validations, and the files from which a run goes on exactly where it was.

Order, augmentations, dropout and learning rate are functions of the seed and of how far the run has come
(`geocr.training.draws`, `order`, `optimizers`), so that weights, optimisers and a few counters are its whole state.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from geocr.checkpoint import save_checkpoint
from geocr.core.errors import DeviceMemoryError, InputError
from geocr.data.collate import FusionBatch, collate_samples
from geocr.data.worker import prepare_worker
from geocr.training.config import TrainConfig
from geocr.training.draws import seed_of
from geocr.training.ema import MovingAverage
from geocr.training.logs import RunLog
from geocr.training.material import Material
from geocr.training.memory import advice, largest_fitting, rehearse
from geocr.training.network_batch import NetworkBatch, to_network
from geocr.training.optimizers import rate_factor
from geocr.training.order import BatchStream, SeededSamples
from geocr.training.resume import Progress, save_resume
from geocr.training.stop import StopRequest
from geocr.training.task import Task
from geocr.training.validation import Validator, finite_only

RESUME_FILE, BEST_FILE, LAST_FILE = "resume.pt", "best.safetensors", "last.safetensors"
OnStep = Callable[[int, int, Mapping[str, float]], None]
"""Hears of each step: its number, how many there will be, and its losses."""


@dataclass(slots=True, kw_only=True)
class Loop:
    """A run under way."""

    fabric: Fabric
    """Devices and precision."""
    task: Task
    """What is trained."""
    config: TrainConfig
    """Settings, resolved."""
    material: Material
    """Samples."""
    validator: Validator
    """Measures."""
    average: MovingAverage | None
    """Of the model's weights."""
    progress: Progress
    """How far it has come."""
    logs: Sequence[RunLog]
    """Where figures go; empty in all processes but the first."""
    folder: Path
    """Where files go."""
    on_step: OnStep
    """Hears of each step."""

    def run(self) -> tuple[dict[str, float], bool]:
        """Train to the end, or until a signal comes.

        Returns:
            Figures of the last validation, and whether the run is finished; if not, its resume file is there.

        Raises:
            TrainingError: When a loss is no number.
            DeviceMemoryError: When a batch does not fit.
        """
        config, progress = self.config.run, self.progress
        stream = BatchStream(
            self.material.train,
            size=self.config.data.batch,
            start=progress.batches,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
        )
        total = total_steps(self.config, stream.per_epoch)
        figures: dict[str, float] = {}
        with StopRequest() as stop:
            if progress.due:
                figures = self._validate(stream.per_epoch, stop) or figures
            batches = self._batches(stream)
            while progress.steps < total and not self._early() and not self._stopped(stop):
                epoch_before = progress.batches // stream.per_epoch
                losses = self._step(batches, stream.per_epoch)
                self._tell(losses, stream.per_epoch, total)
                every = config.validate_every
                progress.due = (
                    progress.steps == total
                    or (every is not None and progress.steps % every == 0)
                    or (every is None and progress.batches // stream.per_epoch > epoch_before)
                )
                if progress.due and not self._stopped(stop):
                    figures = self._validate(stream.per_epoch, stop) or figures
                elif config.save_every is not None and progress.steps % config.save_every == 0:
                    self.save()
            if self._stopped(stop):
                self.save()
                return figures, False
        return figures, True

    def save(self) -> None:
        """Write the resume file."""
        if self.fabric.is_global_zero:
            average = None if self.average is None else self.average.average
            save_resume(self.folder / RESUME_FILE, self.config, self.progress, self.task.state(), average)

    def _batches(self, stream: BatchStream) -> Iterator[FusionBatch]:
        data = self.config.data
        samples: Any = SeededSamples(self.material.train, seed=self.config.run.seed)  # a DataLoader names samples and batches alike
        loader: DataLoader[FusionBatch] = DataLoader(
            samples,
            batch_sampler=stream,
            num_workers=data.workers,
            collate_fn=collate_samples,
            worker_init_fn=prepare_worker,
            pin_memory=self.fabric.device.type == "cuda",
            generator=torch.Generator(),
        )
        return iter(loader)

    def _step(self, batches: Iterator[FusionBatch], per_epoch: int) -> dict[str, Tensor]:
        """One step of the optimiser: its losses, averaged over its batches."""
        config, progress = self.config.run, self.progress
        factor = rate_factor(self.config.schedule, progress.batches / per_epoch, config.epochs)
        self.task.train_mode()
        self.task.set_rates(factor)
        summed: dict[str, Tensor] = {}
        for number in range(config.accumulate):
            batch = to_network(next(batches), self.task.model.spec, self.fabric.device)
            torch.manual_seed(seed_of(config.seed, "step", progress.batches + number, self.fabric.global_rank))
            for name, value in self._micro_step(batch, last=number + 1 == config.accumulate).items():
                summed[name] = summed[name] + value if name in summed else value
        progress.batches += config.accumulate
        progress.steps += 1
        if self.average is not None:
            self.average.update(self.task.model, progress.steps)
        return {name: value / config.accumulate for name, value in summed.items()}

    def _micro_step(self, batch: NetworkBatch, *, last: bool) -> dict[str, Tensor]:
        try:
            return self.task.micro_step(batch, share=1 / self.config.run.accumulate, last=last)
        except torch.OutOfMemoryError:
            pass  # the error holds on to the very tensors that do not fit: leave it before looking for what does
        size = len(batch.ids)
        found = largest_fitting(lambda count: rehearse(self.task, batch, count), size)
        raise DeviceMemoryError(
            f"a batch must fit into the memory of {self.fabric.device}; {size} samples of {tuple(batch.target.shape[-2:])} pixels do not; {advice(found, size)}"
        )

    def _tell(self, losses: dict[str, Tensor], per_epoch: int, total: int) -> None:
        progress = self.progress
        if progress.steps % self.config.run.log_every and progress.steps != total:
            return
        means: Any = self.fabric.all_reduce(torch.stack([value.detach().double() for value in losses.values()]), reduce_op="mean")
        values = dict(zip(losses, map(float, means), strict=True))
        rate = self.task.optimizer.param_groups[0]["lr"]
        for log in self.logs:
            log.figures(progress.steps, progress.batches / per_epoch, "train", {**values, "lr": float(rate)})
        self.on_step(progress.steps, total, values)

    def _validate(self, per_epoch: int, stop: StopRequest) -> dict[str, float] | None:
        """Measure, draw, keep what is best and last; None when it was stopped, which leaves it due."""
        progress, task = self.progress, self.task
        task.clear_gradients()
        with nullcontext() if self.average is None else self.average.applied(task.model):
            # several processes have unequal numbers of batches and cannot agree between them: they stop behind the validation
            alone = self.fabric.world_size == 1
            figures = self.validator.measure(task, self.fabric, stopped=lambda: alone and stop.requested)
            if figures is None:
                return None
            better = self._count(figures)
            picture = self.validator.draw(task, self.fabric) if self.fabric.is_global_zero else None
            if self.fabric.is_global_zero:
                self._keep(figures, better=better)
        progress.due = False
        self._publish(figures, picture, progress.batches / per_epoch)
        self.save()
        return figures

    def _count(self, figures: Mapping[str, float]) -> bool:
        """Whether these are the best weights so far."""
        monitor, mode = self.config.run.monitor, self.config.run.mode
        if monitor not in figures:
            raise InputError(f"run.monitor must be a figure of the validation: {', '.join(figures)}; got {monitor!r}")
        value, progress = figures[monitor], self.progress
        better = not isnan(value) and (progress.best is None or (value < progress.best if mode == "min" else value > progress.best))
        if better:
            progress.best, progress.best_step, progress.stale = value, progress.steps, 0
        else:
            progress.stale += 1
        return better

    def _keep(self, figures: dict[str, float], *, better: bool) -> None:
        for name in (LAST_FILE, *((BEST_FILE,) if better else ())):
            save_checkpoint(
                self.folder / name,
                self.task.model,
                name=self.config.model.name,
                kwargs=self.config.model.args,
                config=self.config.to_dict() | {"steps": self.progress.steps},
                metrics={f"val_{key}": value for key, value in finite_only(figures).items()},
            )

    def _publish(self, figures: dict[str, float], picture: Image.Image | None, epoch: float) -> None:
        for log in self.logs:
            log.figures(self.progress.steps, epoch, "val", figures)
            if picture is not None:
                log.picture(self.progress.steps, picture)
        if picture is not None:
            target = self.folder / "samples" / f"step_{self.progress.steps:07d}.png"
            target.parent.mkdir(exist_ok=True)
            picture.save(target, format="PNG")

    def _early(self) -> bool:
        patience = self.config.run.patience
        return patience is not None and self.progress.stale >= patience

    def _stopped(self, stop: StopRequest) -> bool:
        """Whether any process was asked to stop: they must agree on the step."""
        if self.fabric.world_size == 1:
            return stop.requested
        asked: Any = self.fabric.all_reduce(torch.tensor(float(stop.requested), device=self.fabric.device), reduce_op="sum")
        return bool(asked > 0)


def total_steps(config: TrainConfig, per_epoch: int) -> int:
    """Steps of the whole run, for so many batches in an epoch of one process."""
    steps = max(1, config.run.epochs * per_epoch // config.run.accumulate)
    return steps if config.run.max_steps is None else min(steps, config.run.max_steps)
