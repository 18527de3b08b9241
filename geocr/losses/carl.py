"""The cloud-adaptive regularised loss of DSen2-CR."""

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.losses.base import Loss, LossInput, mean_where, present


class CarlLoss(Loss):
    r"""Keep what was clear, learn what was not.

    With $m = 1$ under cloud or shadow, cloudy input $x$, target $y$ and prediction $\hat y$:

    $$\frac1N \sum \left[(1 - m)\,|\hat y - x| + m\,|\hat y - y|\right] + \lambda\,\frac1N \sum |\hat y - y|$$

    over bands and valid pixels (Meraner et al. 2020, doi:10.1016/j.isprsjprs.2020.05.013, equation 3; $\lambda = 1$ there).

    Args:
        weight: $\lambda$, not negative.
    """

    needs = frozenset({"cloudy", "cloud_mask"})

    def __init__(self, *, weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise InputError(f"carl needs a weight of 0 or more for its second term, got {weight!r}")
        self.weight = weight

    def value(self, given: LossInput) -> Tensor:
        """Both terms."""
        error = (given.mean - given.target).abs()
        kept = torch.where(present(given.cloud_mask).unsqueeze(1), error, (given.mean - present(given.cloudy)).abs())
        return mean_where(kept, given.valid) + self.weight * mean_where(error, given.valid)
