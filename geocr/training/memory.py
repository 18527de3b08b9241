"""When a batch does not fit into the device's memory: which one would."""

from collections.abc import Callable

import torch

from geocr.training.network_batch import NetworkBatch
from geocr.training.task import Task

Attempt = Callable[[int], None]
"""Tries a size; raises `torch.OutOfMemoryError` when it does not fit."""


def fits(attempt: Attempt, size: int) -> bool:
    """Whether an attempt stays within memory; what it left behind is freed."""
    try:
        attempt(size)
    except torch.OutOfMemoryError:
        failed = True
    else:
        failed = False
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return not failed


def largest_fitting(attempt: Attempt, failed: int) -> int:
    """The largest size below one that failed, by bisection; 0 when not even 1 fits."""
    low, high = 0, failed
    while high - low > 1:
        middle = (low + high) // 2
        if fits(attempt, middle):
            low = middle
        else:
            high = middle
    return low


def rehearse(task: Task, batch: NetworkBatch, size: int) -> None:
    """Forward and backward for some samples, with room for what the optimisers keep; nothing is stepped.

    Args:
        task: Its weights stay; statistics of normalising layers do not, so that it is of no use afterwards.
        batch: At least as many samples.
        size: How many.
    """
    task.clear_gradients()
    room = [
        torch.empty_like(parameter)
        for optimizer in task.optimizers()
        for group in optimizer.param_groups
        for parameter in group["params"]
        if not optimizer.state.get(parameter)
        for _ in range(2)  # the two moments of Adam
    ]
    try:
        task.micro_step(batch.part(size), share=1.0, last=False)
    finally:
        task.clear_gradients()
        del room


def advice(found: int, batch: int) -> str:
    """What to do about it, in words."""
    if found == 0:
        return "not even one sample fits: cut smaller windows (data.crop_px), make the model narrower, or use run.precision=bf16"
    return f"data.batch={found} fits (tried); with run.accumulate={-(-batch // found)} a step sees as many samples as before"
