"""A sum of losses, each with its weight."""

from collections.abc import Mapping

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.losses.base import Loss, LossInput


class WeightedSum(Loss):
    """`sum(weight x loss)`, with the parts at hand for a log.

    Args:
        terms: Name to `(weight, loss)`, in the order they are added; at least one, weights finite.
    """

    def __init__(self, terms: Mapping[str, tuple[float, Loss]]) -> None:
        super().__init__()
        if not terms:
            raise InputError("a weighted sum of losses needs at least one term, got none; give for example {'l1': (1.0, L1Loss())}")
        self.weights = {name: float(weight) for name, (weight, _) in terms.items()}
        wrong = {name: weight for name, weight in self.weights.items() if not torch.tensor(weight).isfinite()}
        if wrong:
            raise InputError(f"weights of losses must be finite numbers, got {wrong}")
        self.losses = torch.nn.ModuleDict({name: loss for name, (_, loss) in terms.items()})

    def required(self) -> frozenset[str]:
        """What any of its terms needs."""
        return frozenset().union(*(loss.required() for loss in self._terms().values()))

    def parts(self, given: LossInput) -> dict[str, Tensor]:
        """Each loss by name, scalar, not weighted."""
        return {name: loss(given) for name, loss in self._terms().items()}

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of what `parts` returned."""
        return torch.stack([self.weights[name] * parts[name] for name in self.weights]).sum()

    def value(self, given: LossInput) -> Tensor:
        """The weighted sum."""
        return self.total(self.parts(given))

    def _terms(self) -> dict[str, Loss]:
        return {name: loss for name, loss in self.losses.items() if isinstance(loss, Loss)}
