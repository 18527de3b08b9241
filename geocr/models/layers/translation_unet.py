"""The U-Net of SAR2Optical: U-Net-256 with a convolution as its head, and enlargement as an alternative way up."""

from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.layers.reach import Reach, before_conv, before_transposed

Upsampling: TypeAlias = Literal["nearest", "bilinear", "bicubic"]
"""How an image is enlarged where no transposed convolution does it."""

LEAK = 0.2
"""Slope of the leaky ReLU for negative values, on the way down."""


class TranslationUNet(nn.Module):
    """The generator of SAR2Optical (https://github.com/yuuIind/SAR2Optical), a pix2pix U-Net with three changes.

    The innermost convolution is normalised as well; activations stand behind the norm, so that the skips
    carry activated values; a 3 x 3 convolution and tanh follow the last step up, where pix2pix has tanh alone.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        depth: Halvings; sides must be multiples of `2**depth`.
        width: Channels behind the first convolution; they double per step, up to 8 times as many.
        upsampling: Enlarge and convolve (3 x 3) on the way up; None is a 4 x 4 transposed convolution.

    Raises:
        InputError: When there are fewer than two halvings.
    """

    def __init__(self, inputs: int, outputs: int, *, depth: int = 8, width: int = 64, upsampling: Upsampling | None = None) -> None:
        super().__init__()
        if depth < 2 or width < 1:
            raise InputError(f"a U-Net-256 halves its image at least twice and has a width of at least 1, got depth {depth}, width {width}")
        widths = [width * min(2**step, 8) for step in range(depth)]
        sources, targets = [inputs, *widths[:-1]], [width, *widths[:-1]]
        self.down = nn.ModuleList(_down(a, b, normalised=step > 0) for step, (a, b) in enumerate(zip(sources, widths, strict=True)))
        self.up = nn.ModuleList(
            _up(a if step == depth - 1 else 2 * a, b, dropout=step >= max(1, depth - 3), upsampling=upsampling)
            for step, (a, b) in enumerate(zip(widths, targets, strict=True))
        )
        self.head = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        """Translate `(B, inputs, H, W)` into `(B, outputs, H, W)`, from -1 to 1.

        Raises:
            InputError: When it trains on a single image of the least size, which batch normalisation cannot.
        """
        if self.training and not torch.compiler.is_compiling() and image.shape[0] * image.shape[2] * image.shape[3] == 4 ** len(self.down):
            side = 2 ** len(self.down)
            raise InputError(f"training needs more than one value per channel at the innermost step: 2 images of {side} px, or larger ones")
        seen: list[Tensor] = []
        x = image
        for down in self.down:
            x = down(x)
            seen.append(x)
        x = seen.pop()
        for step in reversed(range(len(self.up))):
            x = self.up[step](x)
            if step > 0:
                x = torch.cat((seen.pop(), x), dim=1)
        return torch.tanh(self.head(x))


def _down(inputs: int, outputs: int, *, normalised: bool) -> nn.Sequential:
    """Convolution, norm, leaky ReLU; a bias only where no norm follows."""
    norm = [nn.BatchNorm2d(outputs)] if normalised else []
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normalised), *norm, nn.LeakyReLU(LEAK))


def _up(inputs: int, outputs: int, *, dropout: bool, upsampling: Upsampling | None) -> nn.Sequential:
    """Enlarging, norm, dropout if any, ReLU."""
    enlarge: nn.Module
    if upsampling is None:
        enlarge = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    else:
        enlarge = nn.Sequential(nn.Upsample(scale_factor=2.0, mode=upsampling), nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
    return nn.Sequential(enlarge, nn.BatchNorm2d(outputs), *([nn.Dropout(0.5)] if dropout else []), nn.ReLU())


def before_translation_unet(reach: Reach, depth: int, upsampling: Upsampling | None) -> Reach:
    """Inputs that these outputs of a `TranslationUNet` are made of: its longest path."""
    reach = before_conv(reach, 3)
    for _ in range(depth):
        reach = _before_up(reach, upsampling)
    for _ in range(depth):
        reach = before_conv(reach, 4, stride=2, padding=1)
    return reach


def _before_up(reach: Reach, upsampling: Upsampling | None) -> Reach:
    """Output `y` lies at `(y - 0.5) / 2` of the smaller image: one, two or four of its pixels make it."""
    if upsampling is None:
        return before_transposed(reach, 4, stride=2, padding=1)
    first, last = before_conv(reach, 3)
    if upsampling == "nearest":
        return first // 2, last // 2
    further = 1 if upsampling == "bicubic" else 0
    return (first - 1) // 2 - further, (last + 1) // 2 + further
