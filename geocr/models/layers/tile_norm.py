"""Normalisation that generators and discriminators choose by name."""

from typing import Literal, TypeAlias

from torch import nn

NormName: TypeAlias = Literal["batch", "instance"]
"""`batch`: by statistics of the training set, once frozen in eval mode. `instance`: by those of each image,
at prediction as well, so that a pixel depends on its whole tile."""


def make_norm(name: NormName, channels: int) -> nn.Module:
    """One normalisation layer.

    Instance normalisation has no weights and keeps no statistics: the networks that use it were trained and
    tested on those of each image.
    """
    return nn.BatchNorm2d(channels) if name == "batch" else nn.InstanceNorm2d(channels)
