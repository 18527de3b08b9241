"""Squared error near zero, absolute error beyond."""

from torch import Tensor
from torch.nn import functional

from geocr.core.errors import InputError
from geocr.losses.base import LossInput, Region, RegionLoss


class SmoothL1Loss(RegionLoss):
    r"""With $e = \hat y - y$: $e^2 / 2\beta$ where $|e| < \beta$, else $|e| - \beta / 2$; the mean over bands and counted pixels.

    Girshick 2015, arXiv:1504.08083; HPN-CR uses it with MS-SSIM.

    Args:
        beta: Error at which the square gives way, above 0, in network units.
        region: As for every `RegionLoss`.
    """

    def __init__(self, *, beta: float = 1.0, region: Region = "all") -> None:
        super().__init__(region=region)
        if not beta > 0:
            raise InputError(f"smooth_l1 needs a beta above 0, got {beta!r}; for beta 0 take l1")
        self.beta = beta

    def per_value(self, given: LossInput) -> Tensor:
        """Smoothed absolute error."""
        return functional.smooth_l1_loss(given.mean, given.target, reduction="none", beta=self.beta)
