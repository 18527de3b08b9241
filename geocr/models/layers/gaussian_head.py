"""The last layer of UnCRtainTS and its relatives: means, and variances if asked for."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

Covariance: TypeAlias = Literal["uni", "iso", "diag"]
"""`uni`: a variance per band, each band with a likelihood of its own; `diag`: the same numbers as the diagonal of
one covariance matrix per pixel; `iso`: one variance for all bands of a pixel."""
Positive: TypeAlias = Literal["softplus", "elu", "relu"]
"""What makes a variance positive."""


class GaussianHead(nn.Module):
    """A 1 x 1 convolution to means and variances (Ebel et al., 2023, https://arxiv.org/abs/2304.05464, section 3).

    `mean = scale_by * sigmoid(x)`; `variance = softplus(x) + floor`, with a floor of 1e-3 where data are
    scaled and 1e-9 where they are not, as released.

    Args:
        inputs: Channels of the features.
        bands: Bands to predict.
        covariance: Structure of the variance, or None for none.
        scale_by: Network units per reflectance, the greatest mean.
        bounded: Put means through the sigmoid; otherwise they are taken as they come.
        positive: What makes a variance positive.
    """

    def __init__(
        self,
        inputs: int,
        bands: int,
        *,
        covariance: Covariance | None = None,
        scale_by: float = 1.0,
        bounded: bool = True,
        positive: Positive = "softplus",
    ) -> None:
        super().__init__()
        self.bands, self.scale_by, self.bounded, self.positive = bands, scale_by, bounded, positive
        self.floor = 1e-9 if scale_by == 1 else 1e-3
        variances = 0 if covariance is None else 1 if covariance == "iso" else bands
        self.conv = nn.Conv2d(inputs, bands + variances, 1)

    def forward(self, features: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """`(B, bands, H, W)` of means and of variances, computed in `dtype`; features are `(B, inputs, H, W)`."""
        out = self.conv(features).to(dtype)
        mean = out[:, : self.bands]
        if self.bounded:
            mean = self.scale_by * torch.sigmoid(mean)
        if out.shape[1] == self.bands:
            return mean, None
        return mean, (_positive(out[:, self.bands :], self.positive) + self.floor).expand_as(mean)


def _positive(x: Tensor, kind: Positive) -> Tensor:
    if kind == "elu":
        return F.elu(x) + 1
    return F.relu(x) if kind == "relu" else F.softplus(x)
