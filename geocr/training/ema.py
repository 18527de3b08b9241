"""A moving average of weights (Polyak and Juditsky, 1992, SIAM J. Control Optim. 30, with exponential weights)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """The average of a module's weights over its steps: `a <- d a + (1 - d) w`. Buffers and integers are copied.

    Args:
        module: Whose weights.
        decay: `d`, 0 to 1; the first steps count more: `d` is at most `(1 + n) / (10 + n)` at step `n`.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        self._weights = frozenset(name for name, _ in module.named_parameters())

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights behind a step.

        Args:
            module: The same module.
            step: Steps done, from 1.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, tensor in module.state_dict().items():
            if name in self._weights and tensor.is_floating_point():
                self.average[name].lerp_(tensor.detach(), 1 - decay)
            else:
                self.average[name].copy_(tensor)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Put the average into the module inside, and its own weights back behind."""
        own = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.average)
        try:
            yield
        finally:
            module.load_state_dict(own)
