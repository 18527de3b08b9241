"""One copy of each model per process: workers load weights once, however many tiles they are given."""

import copy
import threading
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch

from geocr.checkpoint import Checkpoint, load_checkpoint
from geocr.core.errors import CheckpointError
from geocr.inference.tuning import Precision
from geocr.models.base import FusionModel

MAX_MODELS = 4
"""Models kept; the one used longest ago goes first."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_models: "OrderedDict[ModelKey, FusionModel]" = OrderedDict()
_lock = threading.Lock()
_streams = threading.local()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKey:
    """Which weights, and how they lie in memory."""

    sha256: str
    """Of the checkpoint's bytes."""
    device: str
    """Torch's name of the device, for example `cpu` or `cuda:0`."""
    precision: Precision
    """Of the weights."""
    channels_last: bool
    """Whether the weights lie channels last, which is faster on most CPUs and on tensor cores."""
    compiled: bool = False
    """Whether the model goes through `torch.compile`."""


def placed_model(key: ModelKey, path: str) -> FusionModel:
    """The model of a checkpoint as `key` asks, loaded at most once per process; ready for `inference_mode`.

    Args:
        key: Weights and placement.
        path: Where the checkpoint lies for this process.

    Raises:
        CheckpointError: When the file is missing or damaged, or is no longer the one that was planned with.
    """
    with _lock:
        if key not in _models:
            checkpoint = load_checkpoint(path)
            if checkpoint.sha256 != key.sha256:
                raise CheckpointError(
                    f"a checkpoint must not change during a run; {path} had sha256 {key.sha256[:12]}… and has {checkpoint.sha256[:12]}…; "
                    f"start the run again"
                )
            _keep(key, checkpoint.model)
        _models.move_to_end(key)
        return _models[key]


def remember(key: ModelKey, checkpoint: Checkpoint) -> None:
    """Keep a copy of an already loaded model, so that this process does not read its file again."""
    with _lock:
        if key not in _models:
            _keep(key, copy.deepcopy(checkpoint.model))


def keep_only(key: ModelKey) -> None:
    """Let all other copies go: those that trials were made with."""
    with _lock:
        for other in [other for other in _models if other != key]:
            del _models[other]


def _keep(key: ModelKey, model: FusionModel) -> None:
    model = model.to(device=key.device, dtype=_DTYPES[key.precision])
    if key.channels_last:
        for parameter in model.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    model.eval()
    _models[key] = cast("FusionModel", torch.compile(model, dynamic=False)) if key.compiled else model
    while len(_models) > MAX_MODELS:
        _models.popitem(last=False)


def own_stream(device: str) -> AbstractContextManager[None]:
    """This thread's own CUDA stream, so that the copies of one tile overlap the work of another; nothing on a CPU."""
    if not device.startswith("cuda"):
        return nullcontext()
    streams: dict[str, Any] = _streams.__dict__.setdefault("by_device", {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        torch.backends.cudnn.deterministic = True  # the same bytes on every run
    context: AbstractContextManager[None] = torch.cuda.stream(streams[device])
    return context
