"""Attentive contextual attention: every place of an image drawn from the places that resemble it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

SHORTEST = 1e-4
"""Least length by which a key is divided: keeps an empty one finite."""

LEAST_WEIGHT = 1e-8
"""Weight of a place that does not pass the threshold."""

LEAK = 0.2
"""Slope of the leaky ReLU for negative values."""

PLACES_AT_ONCE = 1024
"""Queries that are compared with all places in one go: bounds memory at this many times the places."""


class ContextualAttention(nn.Module):
    """Attention of ACA-CRNet (Huang et al., 2024, https://arxiv.org/abs/2411.13042) over patches of 1 x 1.

    The similarity of a place `p` to a place `k` is `s = q_p . q_k / |q_k|`. A threshold of its own decides for `p` what
    is alike: `r = relu(s - w_p mean_k(s) + b_p)`, with `w` and `b` predicted from the features. Weights are the softmax
    of `s r` over all `k`, set to next to nothing where `r` is 0 and not scaled up again; the weighted sum of values
    passes a 3 x 3 convolution and is added to the input.

    Args:
        channels: Of input and output, at least 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.threshold = _to_one(channels)
        self.offset = _to_one(channels)
        self.exit = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to the same shape; time grows with the square of `H W`, memory with `H W` (its square where gradients are kept)."""
        batch, channels, rows, cols = x.shape
        query = self.query(x)
        value = self.value(x).flatten(2).transpose(1, 2)
        threshold, offset = self.threshold(query).flatten(2).transpose(1, 2), self.offset(query).flatten(2).transpose(1, 2)
        query = query.flatten(2).transpose(1, 2)
        # the least length is set before the root, whose slope at 0 is infinite
        key = query / query.square().sum(dim=-1, keepdim=True).clamp(min=SHORTEST**2).sqrt()
        parts = [
            _attend(query[:, first:last], key, value, threshold[:, first:last], offset[:, first:last])
            for first in range(0, rows * cols, PLACES_AT_ONCE)
            for last in [first + PLACES_AT_ONCE]
        ]
        drawn = torch.cat(parts, dim=1).transpose(1, 2).reshape(batch, channels, rows, cols)
        return x + F.leaky_relu(self.exit(drawn), LEAK)


def _attend(query: Tensor, key: Tensor, value: Tensor, threshold: Tensor, offset: Tensor) -> Tensor:
    """`(B, queries, C)` for queries `(B, queries, C)` over keys and values `(B, places, C)`."""
    likeness = query @ key.transpose(1, 2)
    passed = F.relu(likeness - likeness.mean(dim=-1, keepdim=True) * threshold + offset)
    weights = (likeness * passed).softmax(dim=-1) * (passed != 0).to(likeness.dtype)
    return weights.clamp(min=LEAST_WEIGHT) @ value


def _to_one(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels // 4, 1), nn.LeakyReLU(LEAK), nn.Conv2d(channels // 4, 1, 1))
