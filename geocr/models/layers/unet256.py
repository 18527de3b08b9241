"""The U-Net of pix2pix, known as U-Net-256: eight strided convolutions down to one pixel, and as many back."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.core.errors import InputError
from geocr.models.layers.reach import Reach, before_conv, before_transposed
from geocr.models.layers.tile_norm import NormName, make_norm

LEAK = 0.2
"""Slope of the leaky ReLU for negative values, on the way down."""


class UNet256(nn.Module):
    """The generator of pix2pix (Isola et al., 2017, https://arxiv.org/abs/1611.07004, appendix 6.1.1).

    Down: 4 x 4 convolutions of stride 2, leaky ReLU before each but the first, a norm behind each but the
    first and the last. Up: ReLU, a 4 x 4 transposed convolution of stride 2, a norm; each step takes what
    the mirrored one on the way down gave. No convolution has a bias but the last, which tanh follows.
    At depth 8 and width 64: 64, 128, 256 and five times 512 channels.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        depth: Halvings; sides must be multiples of `2**depth`.
        width: Channels behind the first convolution; they double per step, up to 8 times as many.
        norm: Statistics of the batch (frozen in eval mode), or of each image.
        dropout: Drop half of the channels' values behind the steps of the way up that are widest.
        activated: Whether tanh follows the last convolution.

    Raises:
        InputError: When there are fewer than two halvings.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        depth: int = 8,
        width: int = 64,
        norm: NormName = "batch",
        dropout: bool = False,
        activated: bool = True,
    ) -> None:
        super().__init__()
        if depth < 2 or width < 1:
            raise InputError(f"a U-Net-256 halves its image at least twice and has a width of at least 1, got depth {depth}, width {width}")
        widths = [width * min(2**step, 8) for step in range(depth)]
        sources, targets = [inputs, *widths[:-1]], [outputs, *widths[:-1]]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=False) for a, b in zip(sources, widths, strict=True))
        self.down_norm = nn.ModuleList(make_norm(norm, b) if 0 < step < depth - 1 else nn.Identity() for step, b in enumerate(widths))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a if step == depth - 1 else 2 * a, b, 4, 2, 1, bias=step == 0)
            for step, (a, b) in enumerate(zip(widths, targets, strict=True))
        )
        self.up_norm = nn.ModuleList(make_norm(norm, b) if step > 0 else nn.Identity() for step, b in enumerate(targets))
        self.up_drop = nn.ModuleList(nn.Dropout(0.5) if dropout and 4 <= step < depth - 1 else nn.Identity() for step in range(depth))
        self.activated = activated

    def forward(self, image: Tensor) -> Tensor:
        """Translate `(B, inputs, H, W)` into `(B, outputs, H, W)`, from -1 to 1 where `activated`."""
        seen: list[Tensor] = []
        x = image
        for step, (convolve, norm) in enumerate(zip(self.down, self.down_norm, strict=True)):
            x = norm(convolve(x if step == 0 else F.leaky_relu(x, LEAK)))
            seen.append(x)
        x = seen.pop()
        for step in reversed(range(len(self.up))):
            x = self.up_drop[step](self.up_norm[step](self.up[step](F.relu(x))))
            if step > 0:
                x = torch.cat((seen.pop(), x), dim=1)
        return torch.tanh(x) if self.activated else x


def before_unet256(reach: Reach, depth: int) -> Reach:
    """Inputs that these outputs of a `UNet256` are made of, when no norm sees the whole image: its longest path."""
    for _ in range(depth):
        reach = before_transposed(reach, 4, stride=2, padding=1)
    for _ in range(depth):
        reach = before_conv(reach, 4, stride=2, padding=1)
    return reach
