"""Weights in the HDF5 files of Keras 2, read as plain arrays: no model description in them is interpreted."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocr.core.errors import CheckpointError

_MAGIC = b"\x89HDF\r\n\x1a\n"


def read_keras_weights(path: Path) -> dict[str, Tensor]:
    """Every weight by layer and name, as PyTorch lays it out.

    Args:
        path: What `model.save` or `model.save_weights` of Keras 2 wrote (`.h5`, `.hdf5`).

    Returns:
        Tensors by `layer.kernel` and `layer.bias`, float32; kernels of convolutions are `(out, in, rows, cols)`, where Keras
        stores `(rows, cols, in, out)` whatever the order of its images.

    Raises:
        CheckpointError: When the file is missing, damaged or of another kind, or h5py is not installed.
    """
    try:
        with path.open("rb") as opened:
            start = opened.read(len(_MAGIC))
    except OSError as error:
        raise CheckpointError(f"a weight file must be readable; {path} is not: {error.strerror}") from error
    if start != _MAGIC:
        raise CheckpointError(f"weights of Keras must be an HDF5 file (.h5, .hdf5); {path} is none")
    try:
        import h5py  # noqa: PLC0415 - optional: only this method needs it
    except ImportError as error:
        raise CheckpointError("weights of Keras need h5py, which is not installed; pip install 'geocr[keras]'") from error
    try:
        with h5py.File(path, "r") as file:
            return _weights(file, path)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"weights of Keras must be whole; {path} is damaged ({reason}); copy or download it again") from error


def _weights(file: Any, path: Path) -> dict[str, Tensor]:  # noqa: ANN401 - h5py ships no types
    group = file.get("model_weights", file)
    if "layer_names" not in group.attrs:
        raise CheckpointError(f"weights of Keras 2 list their layers; {path} does not: save them with `model.save_weights` of Keras 2")
    datasets: dict[str, Any] = {}
    for layer in map(_text, group.attrs["layer_names"]):
        names = [_text(name) for name in group[layer].attrs["weight_names"]]
        owners = {_owner(name) for name in names}
        for name in names:
            # a layer of layers, as training on several GPUs leaves it, names the inner ones itself
            owner = layer if len(owners) == 1 else _owner(name)
            leaf = name.rsplit("/", 1)[-1].split(":")[0]
            if f"{owner}.{leaf}" in datasets:
                raise CheckpointError(f"each weight of Keras must stand once; {path} holds {owner}.{leaf} twice")
            datasets[f"{owner}.{leaf}"] = group[layer][name]
    if sum(dataset.size * dataset.dtype.itemsize for dataset in datasets.values()) > path.stat().st_size:
        raise CheckpointError(f"weights of Keras must be whole; {path} declares more values than it holds; copy or download it again")
    return {name: _tensor(dataset[()]) for name, dataset in datasets.items()}


def _owner(name: str) -> str:
    return name.rsplit("/", 2)[-2] if "/" in name else name


def _text(value: Any) -> str:  # noqa: ANN401 - bytes or str, by the version that wrote it
    return value.decode() if isinstance(value, bytes) else str(value)


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    values = np.asarray(array, np.float32)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(3, 2, 0, 1) if values.ndim == 4 else values))


def numbered_layers(weights: dict[str, Tensor], kind: str, leaves: dict[str, str]) -> dict[str, Tensor]:
    """Layers of a kind by their place in the order in which they were made: `kind.0.weight` and so on.

    Keras numbers layers through a whole session (`conv2d_35`): the order is a fact of the network, the numbers are not.

    Args:
        weights: What `read_keras_weights` gave.
        kind: Of the layers, such as `conv2d`.
        leaves: Keras' names of weights to those wanted.

    Returns:
        The same tensors; names of other layers and weights stay as they are.
    """
    pattern = re.compile(rf"{kind}(?:_(\d+))?\.(\w+)")
    matches = {name: match for name in weights if (match := pattern.fullmatch(name)) and match[2] in leaves}
    order = {number: place for place, number in enumerate(sorted({int(match[1] or 0) for match in matches.values()}))}
    return {
        f"{kind}.{order[int(matches[name][1] or 0)]}.{leaves[matches[name][2]]}" if name in matches else name: tensor
        for name, tensor in weights.items()
    }
