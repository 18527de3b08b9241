"""Names of tensors in published files, translated by plain tables: every name is accounted for, or the file is refused."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from geocr.core.errors import CheckpointError

COUNTERS = {r".*num_batches_tracked": (0.0, "counts training steps; prediction does not read it")}
"""Filled where a file lacks them: versions of PyTorch before 0.4.1 had no such counter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTable:
    """How the names of a published file become those of a model. Patterns are regular expressions over the whole name."""

    renames: Mapping[str, str]
    """Pattern of a published name to geocr's (`\\1` and so on insert groups). Names that end in `#0`, `#1` and so on are
    the parts of one tensor, in this order along its first axis."""
    dropped: Mapping[str, str] = field(default_factory=dict)
    """Pattern of a published name to the reason why nothing is lost without it."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Pattern of a published name to the reason why such a file cannot be imported."""
    filled: Mapping[str, tuple[float, str]] = field(default_factory=lambda: COUNTERS)
    """Pattern of geocr's name to the value that it takes where a file lacks it, and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What a table made of a file."""

    weights: dict[str, Tensor]
    """Tensors by geocr's names, of exactly the model's names, shapes and dtypes."""
    dropped: dict[str, str]
    """Published names that were left out, with the reason."""
    filled: dict[str, str]
    """geocr's names that were not in the file, with the reason."""


def translate(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], table: KeyTable, *, source: str) -> Translation:
    """Tensors of a published file as the state dict of a model, or a refusal that lists what does not fit.

    Args:
        found: Tensors by published names.
        expected: State dict of the model; only names, shapes and dtypes are read.
        table: The method's.
        source: The file, for messages.

    Raises:
        CheckpointError: When a name is unknown or missing, a shape is another, or the table refuses.
    """
    _refuse(found, table, source)
    dropped, unknown = {}, []
    parts: dict[str, dict[int, tuple[str, Tensor]]] = {}
    for name, tensor in found.items():
        own = _renamed(name, table.renames)
        if own is not None:
            target, _, part = own.partition("#")
            place = parts.setdefault(target, {})
            if int(part or 0) in place:  # a second tensor for the same place
                unknown.append(name)
            else:
                place[int(part or 0)] = (name, tensor)
            continue
        reason = _reason(name, table.dropped)
        if reason is None:
            unknown.append(name)
        else:
            dropped[name] = reason
    unknown += [name for target in parts.keys() - expected.keys() for name, _ in parts[target].values()]
    filled = {name: _filling(name, table) for name in expected if name not in parts}
    missing = [name for name, filling in filled.items() if filling is None]
    joined = {target: _joined(tensors) for target, tensors in parts.items() if target in expected}
    wrong = [
        f"{' and '.join(name for name, _ in parts[target].values())} {_shape(tensor)} for {tuple(expected[target].shape)}"
        for target, tensor in joined.items()
        if tensor is None or tensor.shape != expected[target].shape
    ]
    misfits = (("unknown", sorted(unknown)), ("missing, by geocr's names", missing), ("of another shape", wrong))
    if any(names for _, names in misfits):
        listed = "; ".join(f"{kind}: {listing(names)}" for kind, names in misfits if names)
        raise CheckpointError(
            f"every tensor of a published file must have its place and every place its tensor; in {source}, {listed}; "
            "take the method, and the settings if it has any, with which the file was trained"
        )
    weights = {target: tensor.to(expected[target].dtype) for target, tensor in joined.items() if tensor is not None}
    for name, filling in filled.items():
        if filling is not None:
            weights[name] = torch.full_like(expected[name], filling[0], device="cpu")
    return Translation(
        weights=weights, dropped=dropped, filled={name: filling[1] for name, filling in filled.items() if filling is not None}
    )


def without_prefixes(found: Mapping[str, Tensor], prefixes: Iterable[str] = ("module.",)) -> dict[str, Tensor]:
    """Names without a wrapper's prefix that all of them share, such as `module.` of DataParallel."""
    stripped = dict(found)
    changed = True
    while changed and stripped:
        changed = False
        for prefix in prefixes:
            if all(name.startswith(prefix) for name in stripped):
                stripped = {name.removeprefix(prefix): tensor for name, tensor in stripped.items()}
                changed = True
    return stripped


def listing(names: list[str], most: int = 8) -> str:
    """The first names, and how many more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _refuse(found: Mapping[str, Tensor], table: KeyTable, source: str) -> None:
    for name in found:
        reason = _reason(name, table.refused)
        if reason is not None:
            raise CheckpointError(f"a file must be of a network that geocr has; {source} holds {name}: {reason}")


def _renamed(name: str, renames: Mapping[str, str]) -> str | None:
    for pattern, own in renames.items():
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(own)
    return None


def _reason(name: str, reasons: Mapping[str, str]) -> str | None:
    return next((reason for pattern, reason in reasons.items() if re.fullmatch(pattern, name)), None)


def _filling(name: str, table: KeyTable) -> tuple[float, str] | None:
    return next((filling for pattern, filling in table.filled.items() if re.fullmatch(pattern, name)), None)


def _joined(tensors: Mapping[int, tuple[str, Tensor]]) -> Tensor | None:
    """Parts one after the other along the first axis; None where they do not fit together."""
    ordered = [tensor for _, (_, tensor) in sorted(tensors.items())]
    if len(ordered) == 1:
        return ordered[0]
    if any(tensor.ndim == 0 or tensor.shape[1:] != ordered[0].shape[1:] for tensor in ordered):
        return None
    return torch.cat(ordered)


def _shape(tensor: Tensor | None) -> str:
    return "of shapes that do not join" if tensor is None else str(tuple(tensor.shape))
