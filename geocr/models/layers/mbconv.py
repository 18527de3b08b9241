"""The two residual blocks that UnCRtainTS and SSCR are made of."""

from typing import Literal, TypeAlias

from torch import Tensor, nn

from geocr.models.layers.conv_norm import Norm, conv_norm, norm_layer

BlockType: TypeAlias = Literal["mbconv", "residual"]
"""`mbconv`: inverted bottleneck with squeeze and excitation; `residual`: three 3 x 3 convolutions."""

EXPANSION = 2
"""Widening inside the bottleneck."""


class SqueezeExcite(nn.Module):
    """Channels weighted by what the whole image holds of each (Hu et al., 2018, https://arxiv.org/abs/1709.01507).

    Args:
        channels: Of the input and the output.
        hidden: Between the two linear layers.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.weigh = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.GELU(), nn.Linear(hidden, channels, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same."""
        weight: Tensor = self.weigh(self.pool(x).flatten(1))
        return x * weight[:, :, None, None]


class MBConv(nn.Module):
    """Inverted residual block, normalised before the first convolution (Sandler et al., 2018, https://arxiv.org/abs/1801.04381).

    Narrow to wide (1 x 1), depthwise 3 x 3 that mirrors at the border, squeeze and excitation to a quarter of
    the narrow width, wide to narrow; no biases. Added to the input.

    Args:
        channels: Of the input and the output.
        norm: Of all three convolutions and before them.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        wide = EXPANSION * channels
        self.norm = norm_layer(norm, channels)
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 1, bias=False),
            norm_layer(norm, wide),
            nn.GELU(),
            nn.Conv2d(wide, wide, 3, padding=1, padding_mode="reflect", groups=wide, bias=False),
            norm_layer(norm, wide),
            nn.GELU(),
            SqueezeExcite(wide, channels // 4),
            nn.Conv2d(wide, channels, 1, bias=False),
            norm_layer(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same; sides of at least 2."""
        change: Tensor = self.body(self.norm(x))
        return x + change


class ResidualConvs(nn.Module):
    """Three 3 x 3 convolutions, each with normalisation and ReLU, added to the input.

    Args:
        channels: Of the input and the output.
        norm: Behind each convolution.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = conv_norm(channels, channels, norm=norm)
        self.conv2 = conv_norm(channels, channels, norm=norm)
        self.conv3 = conv_norm(channels, channels, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same; sides of at least 2."""
        change: Tensor = self.conv3(self.conv2(self.conv1(x)))
        return x + change


def residual_block(block_type: BlockType, channels: int, norm: Norm) -> nn.Module:
    """One block of the chosen kind."""
    return MBConv(channels, norm) if block_type == "mbconv" else ResidualConvs(channels, norm)
