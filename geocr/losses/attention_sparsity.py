"""Sparsity of the attention map of a compositing model."""

import torch
from torch import Tensor
from torch.nn import functional

from geocr.losses.base import Loss, LossInput, present


class AttentionSparsityLoss(Loss):
    r"""$\frac1N \sum |A|$ over valid pixels: replace no more of the cloudy image than needed.

    Attention-GAN (Chen et al. 2018) and the attention GAN for cloud removal (Zhang et al. 2023), weight 1. The mean is that of
    each sample, then over samples with a valid pixel. A map on a coarser grid counts where at least one pixel of its cell is valid.
    """

    needs = frozenset({"attention"})

    def value(self, given: LossInput) -> Tensor:
        """Mean over samples with a valid pixel."""
        attention = present(given.attention)
        maps = attention.reshape(attention.shape[0], -1, *attention.shape[-2:])
        counted = functional.adaptive_max_pool2d(given.valid.to(maps.dtype), maps.shape[-2:]) > 0
        sums = torch.where(counted, maps, torch.zeros_like(maps)).abs().sum(dim=(1, 2, 3))
        numbers = counted.sum(dim=(1, 2, 3)) * maps.shape[1]
        per_sample = sums / numbers.clamp_min(1)
        return per_sample.sum() / (numbers > 0).sum().clamp_min(1)
