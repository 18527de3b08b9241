"""The residual generator of CycleGAN and pix2pix: a quarter of the resolution, nine residual blocks, and back."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.layers.reach import Reach, before_conv, before_transposed
from geocr.models.layers.tile_norm import NormName, make_norm

HALVINGS = 2
"""Strided convolutions between the input and the residual blocks."""

MIN_SIDE_PX = 8
"""Least side: mirroring by one pixel at a quarter of the resolution needs two pixels there."""


class ResNetGenerator(nn.Module):
    """The ResNet generator of Zhu et al. (2017, https://arxiv.org/abs/1703.10593, appendix), after Johnson et al. (2016).

    A 7 x 7 convolution, two 3 x 3 of stride 2, residual blocks of two 3 x 3, two transposed 3 x 3, a 7 x 7
    and tanh; margins are mirrored, except at the strided ones; a norm and ReLU behind all but the last.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        width: Channels at full resolution; four times as many in the residual blocks.
        blocks: Residual blocks; the papers use 6 at 128 px and 9 at 256 px.
        norm: Statistics of the batch (frozen in eval mode), or of each image. Convolutions have a bias with the latter.
        dropout: Drop half of the values inside each residual block.

    Raises:
        InputError: When width or blocks are less than 1.
    """

    def __init__(
        self, inputs: int, outputs: int, *, width: int = 64, blocks: int = 9, norm: NormName = "batch", dropout: bool = False
    ) -> None:
        super().__init__()
        if width < 1 or blocks < 1:
            raise InputError(f"a residual generator has a width and a number of blocks of at least 1, got width {width}, blocks {blocks}")
        bias = norm == "instance"
        widths = [width * 2**step for step in range(HALVINGS + 1)]
        layers: list[nn.Module] = [_mirrored(inputs, width, 7, bias=bias), make_norm(norm, width), nn.ReLU()]
        for a, b in pairwise(widths):
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=bias), make_norm(norm, b), nn.ReLU()]
        layers += [MirroredBlock(widths[-1], norm=norm, dropout=dropout) for _ in range(blocks)]
        for a, b in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(a, b, 3, 2, 1, output_padding=1, bias=bias), make_norm(norm, b), nn.ReLU()]
        layers.append(_mirrored(width, outputs, 7, bias=True))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Translate `(B, inputs, H, W)` into `(B, outputs, H, W)`, from -1 to 1; sides are multiples of 4, at least 8."""
        return torch.tanh(cast("Tensor", self.layers(image)))


class MirroredBlock(nn.Module):
    """Two 3 x 3 convolutions with mirrored margins, added to their input.

    Args:
        channels: Of input and output.
        norm: As in `ResNetGenerator`.
        dropout: As in `ResNetGenerator`.
    """

    def __init__(self, channels: int, *, norm: NormName, dropout: bool) -> None:
        super().__init__()
        bias = norm == "instance"
        self.layers = nn.Sequential(
            _mirrored(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
            nn.ReLU(),
            *([nn.Dropout(0.5)] if dropout else []),
            _mirrored(channels, channels, 3, bias=bias),
            make_norm(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine `(B, C, H, W)`."""
        return x + cast("Tensor", self.layers(x))


def before_resnet(reach: Reach, blocks: int) -> Reach:
    """Inputs that these outputs of a `ResNetGenerator` are made of, when no norm sees the whole image."""
    reach = before_conv(reach, 7)
    for _ in range(HALVINGS):
        reach = before_transposed(reach, 3, stride=2, padding=1)
    for _ in range(2 * blocks):
        reach = before_conv(reach, 3)
    for _ in range(HALVINGS):
        reach = before_conv(reach, 3, stride=2, padding=1)
    return before_conv(reach, 7)


def _mirrored(inputs: int, outputs: int, kernel: int, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="reflect", bias=bias)
