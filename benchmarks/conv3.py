"""The network that every contestant runs: three 3 x 3 convolutions, 15-32-32-13, the same weights everywhere.

Small enough that everything around the model shows. It takes 13 reflectances and 2 scaled backscatters, all about 0 to 1,
and answers 13 values that lie inside 0 to 1, so that no tool's clipping changes them. Needs torch and nothing else, since
it is imported in the environments of the peers too.
"""

import torch
from torch import Tensor, nn

BANDS = 13
CHANNELS = 15
RADIUS_PX = 3
"""How far a pixel of the output sees."""
TILE_PX = 256
OVERLAP_PX = 64
SAR_FLOOR_DB = -30.0
SAR_RANGE_DB = 30.0
"""Backscatter enters as `(dB - SAR_FLOOR_DB) / SAR_RANGE_DB`."""
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def make_conv3(device: str = "cpu", precision: str = "fp32") -> nn.Sequential:
    """The network, channels last, ready for inference: `(B, 15, H, W)` to `(B, 13, H, W)` in its own precision."""
    generator = torch.Generator().manual_seed(0)  # of its own: threads that make it at the same time must not share draws
    convolutions = [nn.Conv2d(inputs, outputs, 3, padding=1) for inputs, outputs in ((CHANNELS, 32), (32, 32), (32, BANDS))]
    with torch.no_grad():
        for convolution in convolutions:
            reach = (9 * convolution.in_channels) ** -0.5
            convolution.weight.uniform_(-reach, reach, generator=generator)
            convolution.bias.uniform_(-reach, reach, generator=generator)
        convolutions[-1].bias += 0.4  # into the range of reflectance
    net = nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), convolutions[2])
    return net.to(device, _DTYPES[precision], memory_format=torch.channels_last).eval().requires_grad_(False)


class Conv3Model(nn.Module):
    """`make_conv3` for a tool that feeds float32 and expects float32: lays out and casts what it is given."""

    def __init__(self, precision: str = "fp32", device: str = "cpu") -> None:
        super().__init__()
        self.net = make_conv3(device, precision)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, 15, H, W)` float32 to `(B, 13, H, W)` float32."""
        weight = self.net[0].weight
        out: Tensor = self.net(x.to(dtype=weight.dtype, memory_format=torch.channels_last))
        return out.float()
