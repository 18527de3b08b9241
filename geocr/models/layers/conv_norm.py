"""Convolution, normalisation and ReLU in a row, as U-TAE and what was built on it chain them."""

from typing import Literal, TypeAlias

from torch import nn

Norm: TypeAlias = Literal["group", "batch", "none"]
"""`group`: by statistics of each image, in groups of channels; `batch`: by those of the training set; `none`."""
GROUPS = 4
"""Groups of group normalisation in U-TAE and UnCRtainTS."""


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """The normalisation itself; `channels` is a multiple of `GROUPS` for `group`."""
    if norm == "group":
        return nn.GroupNorm(GROUPS, channels)
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.Identity()


def conv_norm(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, padding: int = 1, norm: Norm = "batch", relu: bool = True
) -> nn.Sequential:
    """A convolution that mirrors at the border, its normalisation (`none`: no layer), and a ReLU if asked for."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding, padding_mode="reflect" if padding else "zeros")]
    if norm != "none":
        layers.append(norm_layer(norm, outputs))
    if relu:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)
