"""What a training loop asks of a task: one batch forward and backward, and its state."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import inf
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from geocr.core.errors import TrainingError
from geocr.models.base import FusionModel
from geocr.training.network_batch import NetworkBatch
from geocr.training.objective import Judged, Objective
from geocr.training.optimizers import set_rate


class Task(ABC):
    """A model in training: what it minimises, and by which optimisers.

    Args:
        fabric: Places modules and runs them in the run's precision.
        objective: The model and its losses.
        optimizer: Of the model.
        clip_norm: Greatest norm of a step's gradient, or None.
    """

    def __init__(self, fabric: Fabric, objective: Objective, optimizer: torch.optim.Optimizer, *, clip_norm: float | None) -> None:
        self.fabric, self.objective, self.clip_norm = fabric, objective, clip_norm
        self.base_rate = float(optimizer.defaults["lr"])
        self.net, self.optimizer = fabric.setup(objective, optimizer)

    @property
    def model(self) -> FusionModel:
        """What is trained, as it is saved."""
        return self.objective.model

    @abstractmethod
    def micro_step(self, batch: NetworkBatch, *, share: float, last: bool) -> dict[str, Tensor]:
        """Forward and backward for one batch; step behind the last of several.

        Args:
            batch: The batch.
            share: Its share in the step's gradient, 1 / number of batches.
            last: Whether the step follows.

        Returns:
            Scalars for the log, without gradient; `loss` among them.

        Raises:
            TrainingError: When a loss or the gradient is no finite number; nothing has then been stepped by it.
        """

    def judge(self, batch: NetworkBatch) -> Judged:
        """Predict and judge without training; put the task into eval mode first."""
        with torch.no_grad():
            judged: Judged = self.net(batch)
        return judged

    def set_rates(self, factor: float) -> None:
        """Multiply the learning rates of the settings."""
        set_rate(self.optimizer, self.base_rate * factor)

    def train_mode(self) -> None:
        """Train, apart from layers all of whose parameters are frozen: their statistics stay, too."""
        for module in self.modules():
            module.train()
            for layer in module.modules():
                own = list(layer.parameters())
                if own and not any(parameter.requires_grad for parameter in own):
                    layer.eval()

    def eval_mode(self) -> None:
        """Predict as a finished model does."""
        for module in self.modules():
            module.eval()

    def modules(self) -> tuple[nn.Module, ...]:
        """What is trained, discriminators included."""
        return (self.objective,)

    def optimizers(self) -> tuple[Any, ...]:
        """Every optimiser."""
        return (self.optimizer,)

    def clear_gradients(self) -> None:
        """Forget what was accumulated."""
        for optimizer in self.optimizers():
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Weights and optimisers: all that a step changes."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _step(self, net: Any, optimizer: Any, batch: NetworkBatch) -> None:  # noqa: ANN401 - Fabric's wrappers
        """Clip, check and step: a gradient that is no number would spoil every weight, and show only in the loss of the next batch."""
        greatest = inf if self.clip_norm is None else self.clip_norm
        norm: Any = self.fabric.clip_gradients(net, optimizer, max_norm=greatest, error_if_nonfinite=False)
        require_finite({"norm of the gradient": norm}, batch, what="a gradient")
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def require_finite(losses: Mapping[str, Tensor], batch: NetworkBatch, *, what: str = "a loss") -> None:
    """Stop at a loss, or another figure of a step, that is no number.

    Raises:
        TrainingError: With the losses and the samples.
    """
    wrong = {name: loss.item() for name, loss in losses.items() if not bool(torch.isfinite(loss))}
    if wrong:
        raise TrainingError(
            f"{what} must be a finite number; got {', '.join(f'{name} = {value}' for name, value in wrong.items())} on the samples "
            f"{', '.join(batch.ids)}; look at them with geocr data show, lower optimizer.lr, or clip gradients with run.clip_norm; "
            "the last resume file is from before"
        )
