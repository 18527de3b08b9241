"""Units of samples to those of a network, in torch: what `geocr.radiometry.normalize.Normalizer` does in numpy."""

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.radiometry.normalize import Normalizer


def sar_to_network(normalizer: Normalizer, sar: Tensor) -> Tensor:
    """Backscatter in network units, finite.

    Args:
        normalizer: The model's.
        sar: `(..., band, y, x)` float32, dB or picture values, bands as in its `sar_clip`; NaN is missing.

    Raises:
        InputError: When the bands are not as many as the clip ranges.
    """
    if sar.shape[-3] != len(normalizer.sar_clip):
        raise InputError(f"Expected backscatter (..., {len(normalizer.sar_clip)}, y, x) for as many clip ranges, got {tuple(sar.shape)}")
    clip = torch.tensor(normalizer.sar_clip, dtype=sar.dtype, device=sar.device).reshape(-1, 2, 1, 1)
    low, high = clip[:, 0:1], clip[:, 1:2]
    start, stop = normalizer.sar_range
    scaled = (torch.minimum(torch.maximum(sar, low[:, 0]), high[:, 0]) - low[:, 0]) / (high[:, 0] - low[:, 0]) * (stop - start) + start
    return torch.where(torch.isfinite(sar), scaled, scaled.new_tensor(normalizer.sar_fill))


def optical_to_network(normalizer: Normalizer, optical: Tensor) -> Tensor:
    """Reflectance in network units, clipped, finite.

    Args:
        normalizer: The model's.
        optical: `(..., band, y, x)` float32; NaN is missing.
    """
    clipped = optical if normalizer.optical_clip is None else optical.clamp(*normalizer.optical_clip)
    scaled = clipped * normalizer.optical_scale + normalizer.optical_offset
    return torch.where(torch.isfinite(optical), scaled, scaled.new_tensor(normalizer.optical_fill))


def mean_to_physical(normalizer: Normalizer, mean: Tensor) -> Tensor:
    """A prediction in reflectance or picture values; not clipped."""
    return (mean - normalizer.optical_offset) / normalizer.optical_scale
