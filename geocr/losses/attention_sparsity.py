"""Sparsity of the attention map of a compositing model."""

from torch import Tensor

from geocr.losses.base import Loss, LossInput, present


class AttentionSparsityLoss(Loss):
    r"""$\frac1N \sum |A|$: replace no more of the cloudy image than needed.

    Attention-GAN (Chen et al. 2018) and the attention GAN for cloud removal (Zhang et al. 2023), weight 1. The map has
    a grid of its own and is the model's, not the data's: all its values count, unless no pixel of the sample is valid.
    """

    needs = frozenset({"attention"})

    def value(self, given: LossInput) -> Tensor:
        """Mean over samples with a valid pixel."""
        known = given.valid.flatten(1).any(dim=1).to(present(given.attention).dtype)
        per_sample = present(given.attention).abs().flatten(1).mean(dim=1)
        return (per_sample * known).sum() / known.sum().clamp_min(1)
