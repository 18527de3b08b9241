"""Mean squared error."""

from torch import Tensor

from geocr.losses.base import LossInput, RegionLoss


class L2Loss(RegionLoss):
    r"""$\frac1N \sum (\hat y - y)^2$ over bands and counted pixels.

    Trains U-TAE and the mono-temporal U-Net in UnCRtainTS (Ebel et al. 2023, arXiv:2304.05464).
    """

    def per_value(self, given: LossInput) -> Tensor:
        """Squared error."""
        return (given.mean - given.target).square()
