"""SSCR's Sentinel-1 branch: edges by fixed Scharr kernels, an encoder, and a mask of where there is structure."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.models.layers.conv_norm import conv_norm
from geocr.models.layers.mbconv import MBConv

SCHARR = ((3.0, 0.0, -3.0), (10.0, 0.0, -10.0), (3.0, 0.0, -3.0))
"""Scharr's 3 x 3 derivative along x (Scharr, 2000, Optimale Operatoren in der digitalen Bildverarbeitung); its transpose is that along y."""


class ScharrEdges(nn.Module):
    """Sum of the derivatives along both axes of each channel, by kernels that are buffers and never trained.

    Args:
        channels: Of the input and the output.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        along_x = torch.tensor(SCHARR)
        # one convolution with the summed kernel is the sum of the two convolutions
        self.register_buffer("kernel", (along_x + along_x.T).expand(channels, 1, 3, 3).clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same; sides of at least 2, mirrored at the border."""
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.kernel.to(x.dtype), groups=x.shape[1])


class EdgePerception(nn.Module):
    """Edges of Sentinel-1 features and what is encoded of them.

    Derivatives, normalised, GELU, added to the features; a bottleneck to half the width (1 x 1, 3 x 3, 1 x 1);
    a 1 x 1 convolution; an inverted residual block.

    Args:
        channels: Of the input and the output, a multiple of 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = channels // 2
        self.edges = nn.Sequential(ScharrEdges(channels), nn.BatchNorm2d(channels), nn.GELU())
        self.bottleneck = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.GELU(),
            nn.Conv2d(narrow, narrow, 3, padding=1, padding_mode="reflect", bias=False),
            nn.BatchNorm2d(narrow),
            nn.GELU(),
            nn.Conv2d(narrow, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.mix = conv_norm(channels, channels, kernel=1, padding=0, norm="group")
        self.block = MBConv(channels, "group")

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same."""
        encoded: Tensor = self.block(self.mix(self.bottleneck(x + self.edges(x))))
        return encoded


class StructureMask(nn.Module):
    """Where Sentinel-1 features show structure: an inverted residual block, a 1 x 1 convolution to one channel, a sigmoid.

    Args:
        channels: Of the input, a multiple of 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = MBConv(channels, "group")
        self.to_one = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to `(N, 1, H, W)`, 0 to 1."""
        return torch.sigmoid(self.to_one(self.block(x)))
