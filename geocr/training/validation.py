"""Measuring a model between steps: the loss, the metrics of a preset, and pictures."""

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any

import torch
from lightning.fabric import Fabric
from PIL import Image
from torch.utils.data import DataLoader, Subset

from geocr.core.errors import InputError
from geocr.data.collate import FusionBatch, collate_samples
from geocr.data.worker import prepare_worker
from geocr.metrics.base import MetricInput
from geocr.metrics.presets import MetricPreset
from geocr.metrics.suite import MetricSuite, build_suite
from geocr.models.base import FusionOutput
from geocr.models.spec import ModelSpec
from geocr.radiometry.normalize import DISPLAY_RANGE
from geocr.training.material import Material
from geocr.training.network_batch import NetworkBatch, to_network
from geocr.training.pictures import draw_predictions
from geocr.training.task import Task
from geocr.training.units import mean_to_physical


class Validator:
    """Measures a task on the same samples each time.

    Args:
        material: Samples.
        spec: The model's contract.
        preset: What to measure.
        batch: Samples in a batch.
        workers: Processes that read.
    """

    def __init__(self, material: Material, spec: ModelSpec, preset: MetricPreset, *, batch: int, workers: int) -> None:
        self.material, self.spec, self.preset = material, spec, preset
        self.batch, self.workers = batch, workers

    def measure(self, task: Task, fabric: Fabric, *, stopped: Callable[[], bool]) -> dict[str, float] | None:
        """Mean loss and metrics over the validation samples; None when it was asked to stop.

        Processes share the samples; the figures are of all of them. NaN where nothing counted.

        Raises:
            InputError: When there are fewer samples than processes.
        """
        if len(self.material.measured) < fabric.world_size:
            raise InputError(
                f"each of {fabric.world_size} processes validates at least one sample; there are {len(self.material.measured)}"
            )
        task.eval_mode()
        suite: MetricSuite | None = None
        total = torch.zeros(2, dtype=torch.float64, device=fabric.device)
        for given in self._batches(self.material.measured[fabric.global_rank :: fabric.world_size]):
            if stopped():
                return None
            batch = to_network(given, self.spec, fabric.device)
            judged = task.judge(batch)
            total += torch.tensor([float(judged.total) * len(batch.ids), len(batch.ids)], dtype=torch.float64, device=fabric.device)
            if suite is None:
                suite = self._suite(batch).to(fabric.device)
            suite.update(metric_input(batch, judged.out, self.spec))
        summed: Any = fabric.all_reduce(total, reduce_op="sum")
        figures = {"loss": float(summed[0] / summed[1])}
        if suite is not None:
            figures |= {name: float(value) for name, value in suite.compute().items()}
        return figures

    def draw(self, task: Task, fabric: Fabric) -> Image.Image | None:
        """The samples to be pictured with their predictions; None when there are none."""
        task.eval_mode()
        rows = []
        for number in self.material.pictured:
            batch = to_network(collate_samples([self.material.val[number]]), self.spec, fabric.device)
            rows.append((batch, task.judge(batch).out))
        return draw_predictions(rows, self.spec) if rows else None

    def _batches(self, numbers: Sequence[int]) -> Iterator[FusionBatch]:
        samples: Any = Subset(self.material.val, list(numbers))
        loader: DataLoader[FusionBatch] = DataLoader(
            samples,
            batch_size=self.batch,
            num_workers=self.workers,
            collate_fn=collate_samples,
            worker_init_fn=prepare_worker,
            generator=torch.Generator(),
        )
        yield from loader

    def _suite(self, batch: NetworkBatch) -> MetricSuite:
        """Whole images only, where no mask tells cloudy from clear."""
        return build_suite(self.preset, self.spec.optical_out, regions=None if batch.cloud_mask is not None else ("all",))


def metric_input(batch: NetworkBatch, out: FusionOutput, spec: ModelSpec) -> MetricInput:
    """A prediction in reflectance, or in picture values of 0 to 1, as metrics take it."""
    white = DISPLAY_RANGE[1] if spec.optical_units == "display" else 1.0
    normalizer = spec.normalizer
    return MetricInput(
        prediction=mean_to_physical(normalizer, out.mean.float()) / white,
        target=mean_to_physical(normalizer, batch.target) / white,
        cloudy=None if batch.cloudy_out is None else mean_to_physical(normalizer, batch.cloudy_out) / white,
        variance=None if out.variance is None else out.variance.float() / (normalizer.optical_scale * white) ** 2,
        cloud_mask=batch.any_mask,
        valid_mask=batch.valid,
    )


def finite_only(figures: dict[str, float]) -> dict[str, float]:
    """Figures that are numbers: what a checkpoint keeps."""
    return {name: value for name, value in figures.items() if isfinite(value)}
