"""Multivariate Gaussian negative log-likelihood, each spectrum as one vector."""

from typing import Literal

from torch import Tensor

from geocr.core.errors import InputError
from geocr.losses.base import Loss, LossInput, mean_where, present
from geocr.losses.likelihood import gaussian_nll, require_floor


class MultivariateGaussianNllLoss(Loss):
    r"""Mean over valid pixels of $\frac12 \left(\log|\Sigma| + e^\top \Sigma^{-1} e + C \log 2\pi\right)$, $e = \hat y - y$ of C bands.

    `MGNLL` in UnCRtainTS (Ebel et al. 2023, arXiv:2304.05464, equation 2). $\Sigma$ is diagonal, so that $\log|\Sigma|$ is a
    sum over bands and the quadratic form another: no matrix is built, and memory grows with the pixels, not with
    $C^2$. It sums over bands where `gnll` averages: with a diagonal covariance it is C times as large.

    Args:
        covariance: `diag`, one variance per band; `iso`, $\Sigma = v I$ with one variance per pixel (given as one band,
            or spread over all; were they to differ, their mean counts).
        variance_floor: Least variance, above 0, in squared network units.
    """

    needs = frozenset({"variance"})

    def __init__(self, *, covariance: Literal["diag", "iso"] = "diag", variance_floor: float = 1e-8) -> None:
        super().__init__()
        if covariance not in ("diag", "iso"):
            raise InputError(f"the covariance of mgnll is diag or iso, got {covariance!r}")
        self.covariance = covariance
        self.variance_floor = require_floor(variance_floor)

    def value(self, given: LossInput) -> Tensor:
        """Mean over pixels of sums over bands."""
        variance = present(given.variance).mean(dim=1, keepdim=True) if self.covariance == "iso" else present(given.variance)
        per_value = gaussian_nll(given.mean - given.target, variance, self.variance_floor)
        return mean_where(per_value.sum(dim=1, keepdim=True), given.valid)
