"""Spectral angle."""

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.losses.base import Loss, LossInput, mean_where


class SamLoss(Loss):
    r"""Mean angle in radians between the spectra of prediction and target, over valid pixels.

    Kruse et al. 1993, doi:10.1016/0034-4257(93)90013-N. HPN-CR weights it 0.005. Written as
    $2\,\mathrm{atan2}(|u - v|, |u + v|)$ of the unit vectors $u, v$: the same angle as the arc cosine of their product,
    whose slope is infinite where they agree. A pixel whose prediction or target is the zero vector has no angle and
    does not count.
    """

    def value(self, given: LossInput) -> Tensor:
        """Mean over pixels with an angle."""
        if given.mean.shape[1] < 2:
            raise InputError(f"a spectral angle needs at least two bands, got {given.mean.shape[1]}; take l1 for one band")
        lengths = [safe_norm(image) for image in (given.mean, given.target)]
        known = given.valid & (lengths[0] > 0) & (lengths[1] > 0)
        u, v = (
            image / torch.where(known, length, torch.ones_like(length))
            for image, length in zip((given.mean, given.target), lengths, strict=True)
        )
        angle = 2 * torch.atan2(safe_norm(u - v), torch.where(known, safe_norm(u + v), torch.ones_like(lengths[0])))
        return mean_where(torch.where(known, angle, torch.zeros_like(angle)), known)


def safe_norm(image: Tensor) -> Tensor:
    """`(B, 1, H, W)`: Euclidean length over bands, with gradient 0 instead of NaN at length 0."""
    square = image.square().sum(dim=1, keepdim=True)
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, torch.ones_like(square)).sqrt(), torch.zeros_like(square))
