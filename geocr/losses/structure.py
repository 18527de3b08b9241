"""SSCR's loss: error of the image, and agreement of the structure mask with it."""

import torch
from torch import Tensor

from geocr.losses.base import Loss, LossInput, mean_where, present


class StructureLoss(Loss):
    r"""$w_1 \cdot L_1(\hat y, y) + w_2 \cdot (1 - r)$, called `ml` in SSCR, with weights 0.9 and 0.001 as there.

    $r$ is Pearson's correlation, over the valid pixels of a sample, between the structure mask and the mean of the
    target over its bands; the mean over samples counts. Where either is constant $r$ is 0 and has no gradient, and
    a sample with fewer than two valid pixels does not count.

    Args:
        image_weight: $w_1$.
        structure_weight: $w_2$.
    """

    needs = frozenset({"structure_mask"})

    def __init__(self, *, image_weight: float = 0.9, structure_weight: float = 0.001) -> None:
        super().__init__()
        self.image_weight = image_weight
        self.structure_weight = structure_weight

    def value(self, given: LossInput) -> Tensor:
        """Both terms."""
        image = mean_where((given.mean - given.target).abs(), given.valid)
        brightness = given.target.mean(dim=1, keepdim=True)
        correlation, known = pearson(present(given.structure_mask), brightness, given.valid)
        distance = torch.where(known, 1 - correlation, torch.zeros_like(correlation))
        return self.image_weight * image + self.structure_weight * distance.sum() / known.sum().clamp_min(1)


def pearson(a: Tensor, b: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Pearson's correlation of two images per sample, and where it is known.

    Args:
        a: `(B, 1, H, W)` float, finite.
        b: `(B, 1, H, W)` float, finite.
        counted: `(B, 1, H, W)` bool.

    Returns:
        `(B,)` float, -1 to 1, 0 where `a` or `b` is constant; `(B,)` bool, False with fewer than two counted pixels.
    """
    weights = counted.to(a.dtype).flatten(1)
    number = weights.sum(dim=1, keepdim=True)
    share = weights / number.clamp_min(1)
    left, right = (image.flatten(1) for image in (a, b))
    left = (left - (left * share).sum(dim=1, keepdim=True)) * weights
    right = (right - (right * share).sum(dim=1, keepdim=True)) * weights
    spread = (left.square() * share).sum(dim=1) * (right.square() * share).sum(dim=1)
    varies = spread > 1e-16  # the published eps of 1e-8, on the product of the two standard deviations
    bottom = torch.where(varies, spread, torch.ones_like(spread)).sqrt()
    correlation = (left * right * share).sum(dim=1) / bottom
    return torch.where(varies, correlation, torch.zeros_like(correlation)), number.squeeze(1) >= 2
