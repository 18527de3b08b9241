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
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(CHANNELS, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, BANDS, 3, padding=1)
    )
    last = net[-1]
    with torch.no_grad():
        last.bias += 0.4  # into the range of reflectance
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
