"""Gaussian negative log-likelihood, each value by itself."""

from torch import Tensor

from geocr.losses.base import Loss, LossInput, mean_where, present
from geocr.losses.likelihood import gaussian_nll, require_floor


class GaussianNllLoss(Loss):
    r"""$\frac1N \sum \frac12 \left(\log v + (\hat y - y)^2 / v + \log 2\pi\right)$ over bands and valid pixels.

    Nix and Weigend 1994, doi:10.1109/ICNN.1994.374138; `GNLL` in UnCRtainTS (Ebel et al. 2023, arXiv:2304.05464).

    Args:
        variance_floor: Least variance, above 0, in squared network units.
    """

    needs = frozenset({"variance"})

    def __init__(self, *, variance_floor: float = 1e-8) -> None:
        super().__init__()
        self.variance_floor = require_floor(variance_floor)

    def value(self, given: LossInput) -> Tensor:
        """Mean over values."""
        return mean_where(gaussian_nll(given.mean - given.target, present(given.variance), self.variance_floor), given.valid)
