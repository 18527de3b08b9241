"""State dicts under published names: random, but with statistics that a trained network could have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocr.checkpoint import load_checkpoint
from geocr.importing.convert import ImportReport, import_checkpoint
from geocr.models.base import FusionModel

Shapes = dict[str, tuple[int, ...]]
State = dict[str, Tensor]


def norm_shapes(name: str, channels: int, *, batch: bool = False) -> Shapes:
    """Weight and bias, and with `batch` the running statistics and the counter."""
    shapes: Shapes = {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}
    if batch:
        shapes |= {f"{name}.running_mean": (channels,), f"{name}.running_var": (channels,), f"{name}.num_batches_tracked": ()}
    return shapes


def conv_shapes(name: str, inputs: int, outputs: int, kernel: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, kernel, kernel)} | ({f"{name}.bias": (outputs,)} if bias else {})


def random_state(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(17)
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=generator) + 0.5
        else:
            state[name] = torch.randn(shape, generator=generator) * 0.3
    return state


def meta_state(shapes: Mapping[str, tuple[int, ...]]) -> State:
    """Shapes without memory."""
    return {
        name: torch.empty(shape, device="meta", dtype=torch.int64 if name.endswith("tracked") else None) for name, shape in shapes.items()
    }


def learnt(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Number of parameters, without statistics and counters."""
    return sum(torch.Size(shape).numel() for name, shape in shapes.items() if not name.endswith(("running_mean", "running_var", "tracked")))


def imported(method: str, file: Path, **options: Any) -> tuple[FusionModel, ImportReport]:
    """The model of the checkpoint that a file becomes."""
    out = file.with_name("imported.safetensors")
    report = import_checkpoint(method, file, out, **options)
    return load_checkpoint(out).model, report
