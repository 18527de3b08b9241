"""The residual block of DSen2-CR and ACA-CRNet: two convolutions whose sum is scaled down before it is added."""

from typing import cast

from torch import Tensor, nn


class ScaledResidual(nn.Module):
    """`x + scale * conv(relu(conv(x)))`, 3 x 3, the margin filled with zeros (Lim et al., 2017, EDSR, https://arxiv.org/abs/1707.02921).

    Args:
        channels: Of input and output.
        scale: Factor of the residual; small ones keep deep stacks stable.
        bias: Whether the convolutions have one.
    """

    def __init__(self, channels: int, *, scale: float, bias: bool) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=bias),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine `(B, C, H, W)`."""
        return x + self.scale * cast("Tensor", self.layers(x))
