"""Features of several dates to one image, weighted by attention."""

from typing import Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

Aggregation: TypeAlias = Literal["att_group", "att_mean", "mean"]
"""`att_group`: each head weighs its share of the channels; `att_mean`: the heads' average weighs all; `mean`: no attention."""


class DateMean(nn.Module):
    """Average over dates (Garnot and Landrieu, 2021, https://arxiv.org/abs/2107.07933, section 3.3).

    Attention on a coarser grid is enlarged bilinearly to that of the features.

    Args:
        mode: How attention becomes weights.
        dropout: Share of enlarged weights dropped in training.
    """

    def __init__(self, mode: Aggregation, dropout: float = 0.0) -> None:
        super().__init__()
        self.mode = mode
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, attention: Tensor, date_valid: Tensor | None) -> Tensor:
        """`(B, C, H, W)`.

        Args:
            features: `(B, T, C, H, W)` float; `C` is a multiple of the heads.
            attention: `(B, T, heads, h, w)` float, 0 where a date does not count.
            date_valid: `(B, T)` bool; None: all dates count.
        """
        if self.mode == "mean":
            if date_valid is None:
                return features.mean(dim=1)
            count = date_valid[:, :, None, None, None].to(features.dtype)
            return (features * count).sum(dim=1) / count.sum(dim=1)
        weights = attention if self.mode == "att_group" else attention.mean(dim=2, keepdim=True)
        size = features.shape[-2:]
        if weights.shape[-2:] != size:
            flat = F.interpolate(weights.flatten(0, 1), size=tuple(size), mode="bilinear", align_corners=False)
            weights = self.dropout(flat.view(*weights.shape[:3], *size))
        shares = features.reshape(*features.shape[:2], weights.shape[2], -1, *size)
        weighted: Tensor = (shares * weights[:, :, :, None]).sum(dim=1)
        return weighted.flatten(1, 2)
