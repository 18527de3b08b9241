"""Optimisers from their settings, and the learning rate as a function of the epochs done."""

from collections.abc import Iterable
from math import cos, floor, pi

import torch
from torch import nn

from geocr.core.errors import InputError
from geocr.training.config import OptimizerConfig, ScheduleConfig

_KINDS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "sgd": torch.optim.SGD,
}


def build_optimizer(config: OptimizerConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """An optimiser over the parameters that are not frozen.

    Raises:
        InputError: When all are frozen, or the arguments do not fit.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        raise InputError("training needs at least one parameter that is not frozen; relax model.freeze")
    try:
        return _KINDS[config.name](trained, lr=config.lr, **config.args)  # type: ignore[call-arg]  # of the subclass
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer.args must be arguments of {config.name}; {error}") from error


def rate_factor(config: ScheduleConfig, epoch: float, epochs: int) -> float:
    """What the learning rate is multiplied by.

    Args:
        config: The schedule.
        epoch: Epochs done, with fraction.
        epochs: Of the whole run.

    Returns:
        0 to 1, or above where `gamma` is.
    """
    rising = min(1.0, epoch / config.warmup) if config.warmup else 1.0
    if config.name == "exponential":
        return rising * config.gamma ** floor(epoch)
    if config.name == "step":
        return rising * config.gamma ** floor(epoch / config.every)
    falling = max(0.0, epoch - config.start) / max(1e-9, epochs - config.start)
    if config.name == "linear":
        return rising * max(0.0, 1 - falling)
    if config.name == "cosine":
        return rising * 0.5 * (1 + cos(pi * min(1.0, falling)))
    return rising


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all groups one learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
