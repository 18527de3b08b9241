"""Stochastic depth: a residual branch that is left out at random, sample by sample."""

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Leave a branch out with a probability while training, and scale it up otherwise (Huang et al., 2016, https://arxiv.org/abs/1603.09382).

    Args:
        probability: From 0 to below 1.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """`(B, ...)` to the same shape, whole samples set to 0."""
        if not self.training or self.probability == 0.0:
            return branch
        kept = 1.0 - self.probability
        draw = torch.empty((branch.shape[0],) + (1,) * (branch.ndim - 1), dtype=branch.dtype, device=branch.device)
        return branch * draw.bernoulli_(kept) / kept
