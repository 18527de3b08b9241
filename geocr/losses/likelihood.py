"""Negative log-likelihood of values under Gaussians whose variance is predicted."""

import math

from torch import Tensor

from geocr.core.errors import InputError


def gaussian_nll(error: Tensor, variance: Tensor, floor: float) -> Tensor:
    r"""$\frac12 (\log v + e^2 / v + \log 2\pi)$ per value, with $v$ = max(variance, floor).

    The floor is invisible to the gradient, which is that of the formula at $v$ (Nix and Weigend 1994,
    doi:10.1109/ICNN.1994.374138; the handling of the floor is that of `torch.nn.GaussianNLLLoss`).

    Args:
        error: Float, any shape.
        variance: Float, broadcastable to `error`.
        floor: Above 0.
    """
    clamped = variance + (variance.clamp_min(floor) - variance).detach()
    return 0.5 * (clamped.log() + error.square() / clamped + math.log(2 * math.pi))


def require_floor(floor: float) -> float:
    """The floor of a variance.

    Raises:
        InputError: When it is not above 0.
    """
    if not floor > 0:
        raise InputError(f"a Gaussian likelihood needs a variance_floor above 0, got {floor!r}; published is 1e-8")
    return floor
