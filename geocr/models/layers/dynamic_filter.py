"""Filters that differ from pixel to pixel and from channel to channel, in plain PyTorch."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

LEAK = 0.1
"""Slope of the leaky ReLU for negative values in GLF-CR's filter predictor."""


def dynamic_filter(features: Tensor, kernels: Tensor, size: int) -> Tensor:
    """Filter each value with its own kernel: `out[c, y, x] = sum_ij kernels[c, i, j, y, x] features[c, y + i - r, x + j - r]`, `r = size // 2`.

    The filter-adaptive convolution of Zhou et al. (2019, https://arxiv.org/abs/1904.12257). One tap after
    the other: nothing larger than `kernels` is ever held, where unfolding would hold it twice.

    Args:
        features: `(B, C, H, W)` float; beyond its margin the nearest value is repeated.
        kernels: `(B, C * size**2, H, W)` float, taps in row order, all of a channel together.
        size: Odd side of a kernel.

    Returns:
        `(B, C, H, W)`.
    """
    batch, channels, rows, cols = features.shape
    taps = kernels.reshape(batch, channels, size * size, rows, cols)
    padded = F.pad(features, (size // 2,) * 4, mode="replicate")
    out = torch.zeros_like(features)
    for tap in range(size * size):
        y, x = divmod(tap, size)
        out = out + taps[:, :, tap] * padded[:, :, y : y + rows, x : x + cols]
    return out


class FilterPredictor(nn.Module):
    """Kernels for `dynamic_filter` from two modalities: 3 x 3, two residual blocks, 1 x 1 of GLF-CR (Xu et al., 2022).

    Args:
        channels: Of each modality.
        size: Odd side of a kernel.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.entry = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(LEAK), nn.Conv2d(channels, channels, 3, padding=1))
            for _ in range(2)
        )
        self.exit = nn.Conv2d(channels, channels * size**2, 1)

    def forward(self, optical: Tensor, sar: Tensor) -> Tensor:
        """`(B, C, H, W)` of each modality to kernels `(B, C * size**2, H, W)`."""
        x = F.leaky_relu(self.entry(torch.cat((optical, sar), dim=1)), LEAK)
        for block in self.blocks:
            x = x + cast("Tensor", block(x))
        return F.leaky_relu(self.exit(x), LEAK)
