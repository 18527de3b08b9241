"""The networks that speed is measured with, as reconstructors."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from conv3 import BANDS, CHANNELS, OVERLAP_PX, SAR_FLOOR_DB, SAR_RANGE_DB, TILE_PX, make_conv3
from torch import nn

from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec


@cache
def conv3(device: str, precision: str) -> nn.Module:
    """The network of `make_conv3`, once per process."""
    return make_conv3(device, precision)


@dataclass(frozen=True)
class Conv3:
    """`conv3` over reflectance and backscatter; says nothing meaningful about clouds."""

    device: str = "cpu"
    precision: str = "fp32"
    tile: TileSpec = field(default_factory=lambda: TileSpec(size_px=TILE_PX, overlap_px=OVERLAP_PX))
    has_std: bool = False

    def describe(self) -> dict[str, Any]:
        """What it is."""
        return {"name": "conv3", "device": self.device, "precision": self.precision}

    def __call__(self, tile: TileInput) -> Reconstruction:
        """One forward pass."""
        return self.many([tile])[0]

    def many(self, tiles: Sequence[TileInput]) -> list[Reconstruction]:
        """One forward pass over several tiles."""
        net = conv3(self.device, self.precision)
        height, width = tiles[0].window.shape
        stacked = torch.empty((len(tiles), CHANNELS, height, width), memory_format=torch.channels_last)
        for held, tile in zip(stacked, tiles, strict=True):
            held[:BANDS] = torch.from_numpy(tile.optical)
            held[BANDS:] = (torch.from_numpy(tile.sar) - SAR_FLOOR_DB) / SAR_RANGE_DB
        with torch.inference_mode():
            weight = next(net.parameters())
            stacked.nan_to_num_(0.0)
            out = net(stacked.to(weight.device, weight.dtype, memory_format=torch.channels_last))
        return [Reconstruction(mean=mean) for mean in out.float().contiguous().cpu().numpy()]


@dataclass(frozen=True)
class Identity:
    """Gives back what it sees: what a run costs without a model."""

    tile: TileSpec = field(default_factory=lambda: TileSpec(size_px=TILE_PX, overlap_px=OVERLAP_PX))
    has_std: bool = False

    def describe(self) -> dict[str, Any]:
        """What it is."""
        return {"name": "identity"}

    def __call__(self, tile: TileInput) -> Reconstruction:
        """The observation."""
        return Reconstruction(mean=tile.optical)
