"""One safetensors file that rebuilds a model: its weights, and a JSON header that says everything else.

Nothing is unpickled, and a name in the file is only ever looked up in the table of models. A model is
first built without memory and compared with the tensors that the file declares, so that a damaged or
hostile header is refused before anything of its size is allocated.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import safetensors.torch
import torch
from safetensors import SafetensorError

from geocr._version import __version__
from geocr.core.errors import CheckpointError, GeocrError, InputError, OutputWriteError
from geocr.core.fields import require_fields
from geocr.core.html import facts_table
from geocr.models import MODELS
from geocr.models.base import FusionModel
from geocr.models.meta import without_memory
from geocr.models.receptive import strip_reach_px
from geocr.models.spec import TRAINING_FACTS, ModelSpec
from geocr.radiometry.normalize import Normalizer

FORMAT_VERSION = 3
"""Raised when the header's keys change."""
READ_VERSIONS = (2, 3)
"""Formats that are read; 2 knows nothing of the training's radiometry and offset (`TRAINING_FACTS`)."""

_METADATA_KEY = "geocr"
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive, most likely a PyTorch .pt file"),
    (b"\x80", "a Python pickle, most likely a PyTorch .pt file"),
    (b"\x89HDF", "an HDF5 file, most likely of Keras"),
)
_CURE = "geocr reads only checkpoints that geocr wrote, and never unpickles: convert published weights with `geocr import-checkpoint`, or save your own with geocr.checkpoint.save_checkpoint"

_MEASURED: WeakKeyDictionary[FusionModel, int] = WeakKeyDictionary()
"""Reach of models that were saved, in pixels: it follows from a model's layers, so that saving every epoch measures once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointHeader:
    """What a checkpoint says about its weights."""

    format_version: int
    """`FORMAT_VERSION` of the geocr that wrote it."""
    geocr_version: str
    """That geocr."""
    model: str
    """Name in the table of models."""
    kwargs: dict[str, Any]
    """JSON-able keyword arguments of the model, without the normaliser."""
    spec: ModelSpec
    """The contract, with the normaliser."""
    config: dict[str, Any] | None
    """The resolved training configuration, if it was trained by one."""
    metrics: dict[str, float]
    """Figures of its evaluation, units in the names."""
    licence: str | None
    """Licence of the weights, if known."""

    def to_json(self) -> str:
        """The header as it is stored: one line, keys sorted."""
        stored = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({**stored, "spec": self.spec.to_dict()}, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` gave.

        Raises:
            CheckpointError: When the version is another, or anything in it is not as it must be.
        """
        try:
            stored = json.loads(text)
            version = stored["format_version"]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise CheckpointError(f"the geocr header of a checkpoint must be a JSON object with a format_version: {error!r}") from error
        if version not in READ_VERSIONS:
            formats = " and ".join(map(str, READ_VERSIONS))
            raise CheckpointError(
                f"this geocr ({__version__}) reads checkpoints of formats {formats}, got {version!r}; use the geocr that wrote it"
            )
        try:
            require_fields(cls, stored)
            return cls(**{**stored, "spec": ModelSpec.from_dict(stored["spec"])})
        except (GeocrError, ValueError, TypeError, LookupError) as error:
            raise CheckpointError(f"the geocr header of a checkpoint is damaged: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A loaded checkpoint."""

    path: str
    """Absolute path of the file."""
    sha256: str
    """Of the file's bytes, in hexadecimal: the identity of the weights and all that belongs to them."""
    header: CheckpointHeader
    """What it says."""
    model: FusionModel
    """The model with its weights, on the CPU, float32, in eval mode."""

    def _repr_html_(self) -> str:
        """What it is, for notebooks."""
        spec = self.header.spec
        rows = [
            ("model", self.header.model),
            ("file", self.path),
            ("parameters", f"{sum(tensor.numel() for tensor in self.model.parameters()):,}"),
            ("Sentinel-2", f"{spec.level}: {', '.join(spec.optical_in) or 'none'}"),
            ("Sentinel-1", f"{', '.join(spec.sar_bands)} in {spec.sar_units}" if spec.sar_bands else "none"),
            ("predicts", ", ".join(spec.optical_out)),
            ("SHA-256", self.sha256),
            ("written by", f"geocr {self.header.geocr_version}"),
        ]
        return facts_table("Checkpoint", rows)


def save_checkpoint(
    path: str | Path,
    model: FusionModel,
    *,
    name: str,
    kwargs: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    licence: str | None = None,
) -> None:
    """Write a model so that `load_checkpoint` rebuilds it; an existing file is replaced whole or not at all.

    A model that declares how far it sees is measured, once: tiles get their margin from that number, and a model that saw
    farther would leave seams that nothing announces.

    Args:
        path: Where to; `.safetensors` is customary.
        model: The model, on any device, in any mode.
        name: Its name in the table of models.
        kwargs: The JSON-able arguments it was built with, without the normaliser (which its spec holds).
        config: The resolved training configuration.
        metrics: Figures of its evaluation, finite.
        licence: Licence of the weights.

    Raises:
        CheckpointError: When these arguments do not rebuild this model, or are no JSON; when the model sees farther than it
            declares.
        OutputWriteError: When the file cannot be written.
    """
    try:
        header = CheckpointHeader(
            format_version=FORMAT_VERSION,
            geocr_version=__version__,
            model=name,
            kwargs=dict(kwargs),
            spec=model.spec,
            config=None if config is None else dict(config),
            metrics=dict(metrics or {}),
            licence=licence,
        )
        text = header.to_json()
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"kwargs, config and metrics of a checkpoint must be finite JSON values: {error}") from error
    _check_reach(model, name)
    weights = {key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for key, tensor in model.state_dict().items()}
    _check_rebuilds(CheckpointHeader.from_json(text), {key: tuple(tensor.shape) for key, tensor in weights.items()}, "the model to save")
    _write_whole(Path(path), safetensors.torch.save(weights, {_METADATA_KEY: text}))


def read_header(path: str | Path) -> CheckpointHeader:
    """Read what a checkpoint says, without its weights.

    Raises:
        CheckpointError: When the file is missing, truncated, or no checkpoint of geocr.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(_LENGTH_BYTES)
            start += file.read(min(int.from_bytes(start, "little"), _MAX_HEADER_BYTES))
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise CheckpointError(f"a checkpoint must be a readable file; {path} is not: {error.strerror}") from error
    return _parse(start, size, str(path))[0]


def describe_checkpoint(path: str | Path) -> dict[str, Any]:
    """All that a checkpoint says, as JSON keeps it, without building its weights: the header's fields, and facts about the file.

    `parameters` counts those of the model, None where `problem`, which else is None, says why `load_checkpoint` would refuse the file.

    Raises:
        CheckpointError: When the file is missing, truncated, or no checkpoint of geocr.
    """
    header = read_header(path)
    with Path(path).open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        start = file.read(_LENGTH_BYTES)
        start += file.read(int.from_bytes(start, "little"))
        size = os.fstat(file.fileno()).st_size
    shapes = _parse(start, size, str(path))[1]
    parameters, problem = None, None
    try:
        parameters = sum(tensor.numel() for tensor in _check_rebuilds(header, shapes, str(path)).parameters())
    except CheckpointError as error:
        problem = str(error)
    return {
        **json.loads(header.to_json()),
        "path": str(Path(path).absolute()),
        "sha256": sha256,
        "bytes": size,
        "tensors": len(shapes),
        "parameters": parameters,
        "halo_px": header.spec.halo_px,
        "problem": problem,
    }


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Rebuild the model of a checkpoint, on the CPU, in eval mode.

    Raises:
        CheckpointError: When the file is missing, truncated, or no checkpoint of geocr; when its model is not
            in the table; when its weights are not exactly those of its model.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"a checkpoint must be a readable file; {path} is not: {error.strerror}") from error
    header, shapes = _parse(data, len(data), str(path))
    _check_rebuilds(header, shapes, str(path))
    try:
        weights = safetensors.torch.load(data)
    except SafetensorError as error:
        raise CheckpointError(f"a checkpoint must hold readable tensors; {path} does not: {error}") from error
    with torch.random.fork_rng(devices=[]):
        model = _build(header, str(path))
    model.load_state_dict(weights)
    return Checkpoint(path=str(Path(path).absolute()), sha256=hashlib.sha256(data).hexdigest(), header=header, model=model.eval())


def _parse(data: bytes, size: int, path: str) -> tuple[CheckpointHeader, dict[str, tuple[int, ...]]]:
    """Header and declared tensor shapes from a file's first bytes (`data`) and its whole size."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    body = data[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if not body.startswith(b"{") or length > _MAX_HEADER_BYTES:
        what = next(
            (what for magic, what in _FOREIGN if data.startswith(magic)), "empty" if size == 0 else "another kind of file, or cut off"
        )
        raise CheckpointError(f"a checkpoint must be a safetensors file; {path} is {what}; {_CURE}")
    if len(body) < length:
        raise CheckpointError(f"a checkpoint must be whole; {path} ends inside its header, after {size} bytes; copy or download it again")
    try:
        layout = json.loads(body)
        text = layout.pop("__metadata__", {}).get(_METADATA_KEY)
        shapes = {str(key): tuple(int(side) for side in entry["shape"]) for key, entry in layout.items()}
        end = _LENGTH_BYTES + length + max((int(entry["data_offsets"][1]) for entry in layout.values()), default=0)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"a checkpoint must be a safetensors file; the list of tensors in {path} is damaged: {error!r}") from error
    if size != end:
        raise CheckpointError(
            f"a checkpoint must be whole; {path} has {size} bytes where its header asks for {end}; copy or download it again"
        )
    if text is None:
        raise CheckpointError(
            f"a checkpoint of geocr carries a header that says how to rebuild its model; {path} is safetensors without one; {_CURE}"
        )
    return CheckpointHeader.from_json(text), shapes


def _build(header: CheckpointHeader, source: str) -> FusionModel:
    """A fresh model by the header; the one place where stored arguments are passed on."""
    known = sorted(MODELS)
    if header.model not in known:
        raise CheckpointError(
            f"the model of {source} must be one of {', '.join(known)}, got {header.model!r}; install the package that provides it"
        )
    kind = MODELS.load(header.model)
    normalizer: Normalizer = header.spec.normalizer
    try:
        model = kind(**header.kwargs, normalizer=normalizer)
    except (GeocrError, TypeError, ValueError) as error:
        raise CheckpointError(f"{header.model} cannot be built with the arguments in {source}: {error}") from error
    if not isinstance(model, FusionModel):
        raise CheckpointError(
            f"{header.model} must be a FusionModel, got {type(model).__name__}; tell the author of the package that provides it"
        )
    model.spec = replace(model.spec, **{name: getattr(header.spec, name) for name in TRAINING_FACTS})
    return model


def _check_rebuilds(header: CheckpointHeader, shapes: dict[str, tuple[int, ...]], source: str) -> FusionModel:
    """The model without memory; refuses weights that are not exactly those of the header's model, and a model whose contract is another."""
    with without_memory():
        model = _build(header, source)
    if model.spec != header.spec:
        names = [field.name for field in fields(ModelSpec) if getattr(model.spec, field.name) != getattr(header.spec, field.name)]
        raise CheckpointError(
            f"{header.model} built with the arguments of {source} must have the stored contract; it differs in {', '.join(names)}: "
            f"the arguments are others, or geocr {header.geocr_version} built it differently from {__version__}"
        )
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    misfits = (
        ("missing", sorted(expected.keys() - shapes.keys())),
        ("unknown", sorted(shapes.keys() - expected.keys())),
        (
            "of another shape",
            [f"{k} {shapes[k]} for {expected[k]}" for k in sorted(expected.keys() & shapes.keys()) if shapes[k] != expected[k]],
        ),
    )
    if any(names for _, names in misfits):
        listed = "; ".join(f"{kind}: {_listed(names)}" for kind, names in misfits if names)
        raise CheckpointError(f"the weights in {source} must be exactly those of {header.model}; {listed}")
    return model


def _check_reach(model: FusionModel, name: str) -> None:
    """Refuse a model that sees farther than the radius from which its tiles get their margin."""
    declared = model.spec.receptive_radius_px
    if declared is None:
        return
    if model not in _MEASURED:
        try:
            _MEASURED[model] = strip_reach_px(model, within_px=declared)
        except InputError:  # weights that give NaN hide the reach; a diverged model may be kept all the same, and is refused when it is run
            return
    if _MEASURED[model] > declared:
        raise CheckpointError(
            f"a model must not see farther than it declares, since tiles get their margin from that; {name} declares a radius of {declared} px "
            f"and sees at least {_MEASURED[model]} px: correct receptive_radius_px of its spec, or declare None for the whole tile"
        )


def _listed(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _write_whole(path: Path, data: bytes) -> None:
    """Write under a temporary name beside the target, then rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OutputWriteError(f"a checkpoint could not be written to {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
