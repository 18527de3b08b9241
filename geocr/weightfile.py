"""Tensors from a weight file that somebody else wrote: safetensors, or PyTorch's own format without running its code."""

import pickle
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from geocr.core.errors import CheckpointError

_DAMAGE = (
    SafetensorError,
    pickle.UnpicklingError,
    struct.error,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""What the two readers raise at bytes that are no weights: nothing else happens between opening such a file and the answer."""


def read_weights(path: str | Path, *, inside: Sequence[str] = ("state_dict",)) -> dict[str, Tensor]:
    """Read a state dict to the CPU. Nothing is unpickled but tensors and plain containers.

    Args:
        path: A `.safetensors` file, or a state dict saved by `torch.save`.
        inside: Names under which the state dict may lie in the file, beside optimisers and the like; the first that is there counts.

    Raises:
        CheckpointError: When the file is missing, is neither format, or holds anything but tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"a weight file must exist, got {path}; geocr downloads no weights: give the path of a file you have")
    try:
        found = safetensors.torch.load_file(path) if path.suffix == ".safetensors" else _load_restricted(path)
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"a weight file must be safetensors or a state dict by torch.save, holding tensors only; {path} is not ({reason}); "
            "load it where you trust it and save `model.state_dict()`"
        ) from error
    if isinstance(found, Mapping):
        found = next((found[name] for name in inside if isinstance(found.get(name), Mapping)), found)
    if not isinstance(found, Mapping) or not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()):
        raise CheckpointError(
            f"a weight file must hold tensors by name, {path} holds {type(found).__name__} of other things; save `model.state_dict()`"
        )
    return dict(found)


def require_shapes(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, source: str, cure: str) -> dict[str, Tensor]:
    """The tensors of `expected`'s names, after comparing their shapes; further tensors are left out.

    Args:
        weights: What was read.
        expected: State dict of the network that will take them.
        source: What the weights are of and where they came from, for the message.
        cure: What the user should give instead.

    Raises:
        CheckpointError: When one is missing or has another shape; all are listed.
    """
    wrong = []
    for name, tensor in expected.items():
        if name not in weights:
            wrong.append(f"{name} is missing")
        elif weights[name].shape != tensor.shape:
            wrong.append(f"{name} is {tuple(weights[name].shape)} instead of {tuple(tensor.shape)}")
    if wrong:
        listed = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise CheckpointError(f"{source} must hold the tensors of that network: {listed}; {cure}")
    return {name: weights[name] for name in expected}


def _load_restricted(path: Path) -> Any:  # noqa: ANN401 - whatever tensors and containers the file holds
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")  # what cannot be read is refused just below
        return torch.load(path, map_location="cpu", weights_only=True)
