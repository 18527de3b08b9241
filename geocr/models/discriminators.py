"""Discriminators of adversarial training: networks that tell a real image from a predicted one, patch by patch."""

from itertools import pairwise
from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.layers.initial_weights import start_normal, start_xavier
from geocr.models.layers.tile_norm import NormName, make_norm

DiscriminatorName: TypeAlias = Literal["patch", "pixel"]
"""`patch` judges overlapping squares, `pixel` each pixel by itself."""

LEAK = 0.2
"""Slope of the leaky ReLU for negative values."""


class PatchGAN(nn.Module):
    """A discriminator of overlapping patches (Isola et al., 2017, https://arxiv.org/abs/1611.07004, section 3.2.2).

    4 x 4 convolutions: `layers` of stride 2, then one of stride 1, then one of stride 1 to the logit; a norm
    behind all but the first and the last. Three layers judge patches of 70 px.

    Args:
        channels: Of the condition and the image together.
        width: Channels behind the first convolution; they double per layer, up to 8 times as many.
        layers: Convolutions of stride 2: 1 to 6 see 16, 34, 70, 142, 286 and 574 px.
        norm: Statistics of the batch, or of each image; convolutions before a norm have a bias with the latter only.

    Raises:
        InputError: When an argument is out of range.
    """

    def __init__(self, channels: int, *, width: int = 64, layers: int = 3, norm: NormName = "batch") -> None:
        super().__init__()
        if min(channels, width, layers) < 1:
            raise InputError(f"a PatchGAN has at least 1 channel, width and layer, got channels {channels}, width {width}, layers {layers}")
        self.strided = layers
        self.norm = norm
        widths = [width * min(2**step, 8) for step in range(layers + 1)]
        stack: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(LEAK)]
        for step, (a, b) in enumerate(pairwise(widths), 1):
            stride = 2 if step < layers else 1
            stack += [nn.Conv2d(a, b, 4, stride, 1, bias=norm == "instance"), make_norm(norm, b), nn.LeakyReLU(LEAK)]
        stack.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.layers = nn.Sequential(*stack)
        (start_xavier if norm == "instance" else start_normal)(self)

    @property
    def patch_px(self) -> int:
        """Side of the square that one logit judges: 2 x 4 x 4 of stride 1 behind `layers` of stride 2."""
        side = 7
        for _ in range(self.strided):
            side = 2 * side + 2
        return side

    def forward(self, pair: Tensor) -> Tensor:
        """Judge condition and image, stacked.

        Args:
            pair: `(B, channels, H, W)` float in network units, sides at least `3 * 2**layers`.

        Returns:
            Logits `(B, 1, h, w)`, high where the patch looks real; 30 x 30 for 256 px and three layers.

        Raises:
            InputError: When a side is too small for one patch.
        """
        if not torch.compiler.is_compiling() and min(pair.shape[-2:]) < 3 * 2**self.strided:
            raise InputError(
                f"a PatchGAN of {self.strided} layers needs sides of at least {3 * 2**self.strided} px, got {tuple(pair.shape[-2:])}; take fewer layers"
            )
        return cast("Tensor", self.layers(pair))


class PixelGAN(nn.Module):
    """A discriminator of single pixels: three 1 x 1 convolutions (Isola et al., 2017, appendix 6.1.2).

    Args:
        channels: Of the condition and the image together.
        width: Channels behind the first convolution, half of those behind the second.
        norm: As in `PatchGAN`.

    Raises:
        InputError: When an argument is out of range.
    """

    def __init__(self, channels: int, *, width: int = 64, norm: NormName = "batch") -> None:
        super().__init__()
        if min(channels, width) < 1:
            raise InputError(f"a PixelGAN has at least 1 channel and width, got channels {channels}, width {width}")
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 1),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(width, 2 * width, 1, bias=norm == "instance"),
            make_norm(norm, 2 * width),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(2 * width, 1, 1),
        )
        (start_xavier if norm == "instance" else start_normal)(self)

    def forward(self, pair: Tensor) -> Tensor:
        """Judge condition and image, stacked: `(B, channels, H, W)` to logits `(B, 1, H, W)`, high where real."""
        return cast("Tensor", self.layers(pair))


def make_discriminator(
    kind: DiscriminatorName, channels: int, *, width: int = 64, layers: int = 3, norm: NormName = "batch"
) -> PatchGAN | PixelGAN:
    """One discriminator.

    Args:
        kind: Which.
        channels: Of the condition and the image together.
        width: Channels behind the first convolution.
        layers: Strided convolutions of a PatchGAN; a PixelGAN has none.
        norm: Statistics of the batch, or of each image.

    Raises:
        InputError: When an argument is out of range.
    """
    if kind not in {"patch", "pixel"}:
        raise InputError(f"a discriminator is one of patch, pixel, got {kind!r}")
    if kind == "pixel":
        return PixelGAN(channels, width=width, norm=norm)
    return PatchGAN(channels, width=width, layers=layers, norm=norm)
