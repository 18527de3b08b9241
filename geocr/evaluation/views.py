"""Flips and quarter turns of a patch: what a network says of a scene should not depend on how it is held."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Tta: TypeAlias = Literal["none", "flips", "all"]
"""Test-time views: the patch as it is, its four flips, or all eight flips and quarter turns."""


@dataclass(frozen=True, slots=True)
class View:
    """A symmetry of the square: mirrored left to right or not, then turned."""

    mirrored: bool
    """Columns reversed first."""
    turns: int
    """Then so many quarter turns counter-clockwise, 0 to 3."""

    def apply(self, images: Tensor) -> Tensor:
        """The images `(..., H, W)` seen so; odd turns swap the sides."""
        return torch.rot90(images.flip(-1) if self.mirrored else images, self.turns, (-2, -1))

    def undo(self, images: Tensor) -> Tensor:
        """Back from `apply`."""
        turned = torch.rot90(images, -self.turns, (-2, -1))
        return turned.flip(-1) if self.mirrored else turned


VIEWS: dict[Tta, tuple[View, ...]] = {
    "none": (View(False, 0),),
    "flips": (View(False, 0), View(True, 0), View(True, 2), View(False, 2)),
    "all": tuple(View(mirrored, turns) for mirrored in (False, True) for turns in range(4)),
}
"""Views by name, the patch as it is first. A flip of both axes is a half turn."""
