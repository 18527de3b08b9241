"""Lightweight temporal attention over the dates of each pixel (L-TAE), padding dates left out by mask."""

import math

import torch
from torch import Tensor, nn

PERIOD_DAYS = 1000
"""Longest period of the date encoding (Garnot and Landrieu, 2021, https://arxiv.org/abs/2107.07933)."""


class TemporalAttention(nn.Module):
    """L-TAE of Garnot and Landrieu (2020, https://arxiv.org/abs/2007.00586), each pixel a series of its own.

    Group normalisation over channels and dates, a linear layer to `d_model`, plus the date encoding; keys are
    linear in that, each head has one learnt query, and the softmax runs over the dates. Departs from the
    released code in the padding dates: they are given by mask and take part in nothing, neither in the
    softmax nor in the statistics of the normalisation. (There a date counts as padding when all its values
    are 0, and still enters the statistics.) Without padding dates the two agree.

    Args:
        channels: Of the features, a multiple of `heads`.
        heads: Attention heads.
        d_model: Width of the inner features, an even multiple of `heads`.
        d_k: Width of keys and queries.
        values: Also compute values by attention and an MLP (`v` in UnCRtainTS, always in U-TAE).
        dropout: Share of attention weights dropped in training.
    """

    def __init__(self, channels: int, *, heads: int = 16, d_model: int = 256, d_k: int = 4, values: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.in_norm = _MaskedGroupNorm(heads, channels)
        self.in_conv = nn.Conv1d(channels, d_model, 1)
        self.query = nn.Parameter(torch.empty(heads, d_k))
        self.key = nn.Linear(d_model, heads * d_k)
        self.dropout = nn.Dropout(dropout)
        self.mlp = nn.Sequential(nn.Linear(d_model, channels), nn.BatchNorm1d(channels), nn.ReLU(), nn.Dropout(0.2)) if values else None
        self.out_norm = nn.GroupNorm(heads, channels) if values else None
        for weight in (self.query, self.key.weight):
            nn.init.normal_(weight, std=math.sqrt(2.0 / d_k))

    def forward(self, features: Tensor, dates: Tensor, date_valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Attention, and values if it computes them.

        Args:
            features: `(B, T, C, h, w)` float.
            dates: `(B, T)` float, days.
            date_valid: `(B, T)` bool, False takes no part; None: all do.

        Returns:
            Attention `(B, T, heads, h, w)`, 0 to 1, sums to 1 over `T`; values `(B, C, h, w)` or None.
        """
        batch, times, channels, rows, cols = features.shape
        pixels = rows * cols
        series = features.permute(0, 3, 4, 2, 1).reshape(batch * pixels, channels, times)
        valid = None if date_valid is None else _per_pixel(date_valid, pixels)
        series = self.in_conv(self.in_norm(series, valid)).transpose(1, 2)
        series = series + _per_pixel(self._encoded(dates), pixels).to(series.dtype)
        keys: Tensor = self.key(series).view(batch * pixels, times, self.heads, -1)
        logits = torch.einsum("nthk,hk->nht", keys, self.query) / math.sqrt(self.query.shape[1])
        if valid is not None:
            logits = logits.masked_fill(~valid[:, None, :], -torch.inf)
        attention = self.dropout(torch.softmax(logits, dim=-1))
        maps = attention.view(batch, rows, cols, self.heads, times).permute(0, 4, 3, 1, 2)
        return maps, self._values(series, attention, (batch, rows, cols))

    def _values(self, series: Tensor, attention: Tensor, shape: tuple[int, int, int]) -> Tensor | None:
        """Each head's share of the channels, averaged over the dates by its attention, through the MLP."""
        if self.mlp is None or self.out_norm is None:
            return None
        shares = series.reshape(*series.shape[:2], self.heads, -1)
        joined = torch.einsum("nht,nthc->nhc", attention, shares).flatten(1)
        values: Tensor = self.out_norm(self.mlp(joined))
        return values.view(*shape, -1).permute(0, 3, 1, 2)

    def _encoded(self, dates: Tensor) -> Tensor:
        """`(B, T, d_model)` float32: sine and cosine of the days at falling frequencies, the same for each head."""
        width = self.in_conv.out_channels // self.heads
        place = torch.arange(width, device=dates.device)
        angle = dates.float()[..., None] / PERIOD_DAYS ** (2 * (place // 2) / width)
        return torch.where(place % 2 == 0, angle.sin(), angle.cos()).repeat(1, 1, self.heads)


class _MaskedGroupNorm(nn.Module):
    """Group normalisation of `(N, C, T)` over the channels of a group and the dates that count."""

    def __init__(self, groups: int, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """`valid` is `(N, T)` bool or None for all. Statistics are computed in float32."""
        grouped = x.float().view(x.shape[0], self.groups, -1, x.shape[2])
        count = torch.ones_like(grouped[:, :, :1]) if valid is None else valid[:, None, None, :].expand_as(grouped[:, :, :1]).float()
        total = count.sum(dim=(2, 3), keepdim=True) * grouped.shape[2]
        mean = (grouped * count).sum(dim=(2, 3), keepdim=True) / total
        spread = ((grouped - mean).square() * count).sum(dim=(2, 3), keepdim=True) / total
        normal = ((grouped - mean) * torch.rsqrt(spread + self.eps)).flatten(1, 2)
        scaled: Tensor = normal.to(x.dtype) * self.weight[:, None] + self.bias[:, None]
        return scaled


def _per_pixel(per_date: Tensor, pixels: int) -> Tensor:
    """`(B, T, ...)` repeated for each pixel of its sample: `(B * pixels, T, ...)`."""
    return per_date.repeat_interleave(pixels, dim=0)
