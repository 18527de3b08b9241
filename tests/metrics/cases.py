"""Batches to measure."""

from dataclasses import fields

import torch
from torch import Tensor

from geocr.core.bands import L1C_BANDS
from geocr.metrics.base import MetricInput

BANDS = L1C_BANDS


def make_batch(images: int = 3, *, bands: int = 13, size: tuple[int, int] = (131, 134), masks: bool = True, seed: int = 0) -> MetricInput:
    """Noisy pictures around a smooth one, float64; with invalid pixels and clouds when asked."""
    make = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=make, dtype=torch.float64)

    rows, cols = size
    coarse = uniform(images, bands, rows // 8 + 1, cols // 8 + 1)
    target = 0.05 + 0.4 * torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    variance = 0.0005 + 0.004 * uniform(images, bands, rows, cols)
    noise = torch.randn(images, bands, rows, cols, generator=make, dtype=torch.float64)
    cloud = torch.nn.functional.interpolate(coarse[:, :1], size, mode="bilinear")[:, 0] > 0.5
    valid = uniform(images, rows, cols) > 0.1
    valid[0, 20:40, 30:60] = False
    return MetricInput(
        prediction=target + noise * variance.sqrt(),
        target=target,
        cloudy=torch.where(cloud.unsqueeze(1), 0.7, target) + 0.02 * uniform(images, bands, rows, cols),
        variance=variance,
        cloud_mask=cloud,
        valid_mask=valid if masks else None,
    )


def part(given: MetricInput, start: int, stop: int) -> MetricInput:
    """Some images of a batch."""
    named = {field.name: getattr(given, field.name) for field in fields(given)}
    return MetricInput(**{name: None if image is None else image[start:stop] for name, image in named.items()})
