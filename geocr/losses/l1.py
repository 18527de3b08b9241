"""Mean absolute error."""

from torch import Tensor

from geocr.losses.base import LossInput, RegionLoss


class L1Loss(RegionLoss):
    r"""$\frac1N \sum |\hat y - y|$ over bands and counted pixels.

    The image term of pix2pix (Isola et al. 2017, arXiv:1611.07004), GLF-CR and U-TILISE. With `region="cloudy"` it is
    the term inside the mask of the simulation-fusion GAN (Gao et al. 2020, doi:10.3390/rs12010191).
    """

    def per_value(self, given: LossInput) -> Tensor:
        """Absolute error."""
        return (given.mean - given.target).abs()
