"""What a run would take, before anything is trained: sizes, and an estimate of time and memory."""

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from geocr.data.collate import collate_samples
from geocr.models.base import FusionModel
from geocr.training.build import build_model, choose_device
from geocr.training.config import TrainConfig
from geocr.training.loop import total_steps
from geocr.training.material import Material, open_material
from geocr.training.network_batch import to_network
from geocr.training.order import BatchStream, SampleKey, SeededSamples

_BYTES = 4
_BACKWARD = 3.0
"""A step's work in forward passes: the backward pass costs about two (Kaplan et al., 2020, arXiv:2001.08361, section 2.1)."""
_PROBE = (2, 64, 128, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Sizes of a run, counted; time and memory, estimated."""

    parameters: int
    """Of the model."""
    trained: int
    """Of these, not frozen."""
    train_samples: int
    """In an epoch."""
    val_samples: int
    """Measured at each validation."""
    image_px: tuple[int, int]
    """Rows and columns of a training sample."""
    steps_per_epoch: float
    """Steps of the optimiser."""
    steps: int
    """Of the whole run."""
    forward_gflop: float
    """Work of one sample's forward pass, counted in its layers, 1e9 floating-point operations."""
    memory_bytes: int
    """Weights, gradients, Adam's moments and what a batch's forward pass keeps for the backward one."""
    hours: float
    """At the speed that a convolution reaches on this device now. Reading, validation and a discriminator come on top."""
    device: str
    """For which time is estimated."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields as JSON keeps them."""
        return asdict(self) | {"image_px": list(self.image_px)}


def estimate(config: TrainConfig) -> Estimate:
    """Open the data, read one sample, build the model, and train nothing.

    Raises:
        InputError: When settings do not fit together, as `train` would raise it.
        MissingDataError: When the data are not there.
    """
    model = build_model(config.model, seed=config.run.seed, device="meta")  # counted, not computed
    material = open_material(config.data, model.spec, seed=config.run.seed, pictures=0)
    device = choose_device(config.run)
    stream = BatchStream(material.train, size=config.data.batch, world=config.run.devices)
    steps = total_steps(config, stream.per_epoch)
    rows, cols, flop, kept = weigh(model, material, config)
    weights = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    work = flop * _BACKWARD * stream.size * config.run.accumulate * steps
    return Estimate(
        parameters=weights,
        trained=trained,
        train_samples=len(material.train),
        val_samples=len(material.measured),
        image_px=(rows, cols),
        steps_per_epoch=stream.per_epoch / config.run.accumulate,
        steps=steps,
        forward_gflop=flop / 1e9,
        memory_bytes=_BYTES * (weights + 3 * trained) + kept * stream.size,
        hours=work / _speed(device) / 3600,
        device=device,
    )


def weigh(model: FusionModel, material: Material, config: TrainConfig) -> tuple[int, int, int, int]:
    """Count what a model's forward pass takes for one sample.

    Args:
        model: Built on the meta device, where nothing is computed.
        material: Of which one sample is read.
        config: For its seed.

    Returns:
        Rows and columns of the sample; operations of the forward pass; bytes it keeps for the backward one.
    """
    samples = SeededSamples(material.train, seed=config.run.seed)
    batch = to_network(collate_samples([samples[SampleKey(0, 0, next(material.train.order(0)))]]), model.spec, torch.device("cpu"))
    sar, cloudy, mask, dates = (
        None if field is None else field.to("meta") for field in (batch.sar, batch.cloudy, batch.cloud_mask, batch.dates)
    )
    kept = [0]

    def keep(tensor: Tensor) -> Tensor:
        kept[0] += tensor.numel() * tensor.element_size()
        return tensor

    model.eval()  # a batch of one: layers that normalise over the batch have nothing to go by
    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        model(sar, cloudy, mask if model.spec.needs_mask else None, dates)
    rows, cols = batch.target.shape[-2:]
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters() if parameter.requires_grad)
    return rows, cols, counter.get_total_flops(), max(0, kept[0] - weights)


def _speed(device: str) -> float:
    """Floating-point operations a second of a 3 x 3 convolution."""
    image = torch.ones(_PROBE, device=device)
    kernel = torch.ones((_PROBE[1], _PROBE[1], 3, 3), device=device)
    work = 2 * _PROBE[0] * _PROBE[1] ** 2 * 9 * _PROBE[2] * _PROBE[3]
    best = float("inf")
    with torch.inference_mode():
        for _ in range(3):
            started = time.perf_counter()
            functional.conv2d(image, kernel, padding=1)
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - started)
    return work / best
