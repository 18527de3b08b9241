"""A checkpoint as a file that runs without geocr: ONNX, or a program of `torch.export`. Physical units in and out."""

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from geocr._version import __version__
from geocr.checkpoint import Checkpoint
from geocr.core.errors import CheckpointError, GeocrError, InputError, OutputExistsError
from geocr.core.types import NumberArray
from geocr.data.sample import FusionSample
from geocr.evaluation.network import NetworkPredictor, require_fit
from geocr.evaluation.prediction import Prediction
from geocr.io.failure import naming_failure, require_writable_folder
from geocr.models.base import FusionModel, FusionOutput
from geocr.models.spec import ModelSpec
from geocr.radiometry.normalize import Normalizer

Format: TypeAlias = Literal["onnx", "torch-export"]
"""What is written."""
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch-export": ".pt2"}
"""Endings of the files."""
TOLERANCES: dict[Format, float] = {"onnx": 1e-4, "torch-export": 1e-5}
"""Greatest difference from the checkpoint, times the greater of 1 and the greatest value: other kernels add in another order."""
_OUTPUTS = ("predicted_mean", "predicted_variance")
METADATA_KEY = "geocr"
"""Under which both formats carry the contract as JSON."""


class PortableModel(nn.Module):
    """A network between its normalisations, so that the file takes dB and reflectance with NaN for missing, and gives reflectance.

    Args:
        model: The network.
    """

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        self.model = model
        normalizer = model.spec.reflectance_normalizer
        low, high = torch.tensor(normalizer.sar_clip, dtype=torch.float32).reshape(-1, 2, 1, 1).unbind(1)
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.low: Tensor
        self.high: Tensor

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Mean and, where the model has one, variance.

        Args:
            *given: Those of `input_names`, in that order.
        """
        spec = self.model.spec
        by_name = dict(zip(input_names(spec), given, strict=True))
        one = given[0]
        empty = one.new_zeros(*one.shape[:2], 0, *one.shape[3:])
        sar = self._sar(by_name["sar"]) if "sar" in by_name else empty
        cloudy = _optical(by_name["cloudy"], spec.reflectance_normalizer) if "cloudy" in by_name else empty
        out: FusionOutput = self.model(sar, cloudy, by_name.get("cloud_mask"), by_name.get("dates"))
        mean = (out.mean - spec.reflectance_normalizer.optical_offset) / spec.reflectance_normalizer.optical_scale
        return (mean,) if out.variance is None else (mean, out.variance / spec.reflectance_normalizer.optical_scale**2)

    def _sar(self, sar: Tensor) -> Tensor:
        """As `Normalizer.sar_to_network`."""
        normalizer = self.model.spec.reflectance_normalizer
        start, stop = normalizer.sar_range
        scaled = (torch.minimum(torch.maximum(sar, self.low), self.high) - self.low) / (self.high - self.low) * (stop - start) + start
        return torch.where(_finite(sar), scaled, normalizer.sar_fill)


def _optical(cloudy: Tensor, normalizer: Normalizer) -> Tensor:
    """As `Normalizer.optical_to_network`."""
    clipped = cloudy if normalizer.optical_clip is None else cloudy.clamp(*normalizer.optical_clip)
    return torch.where(_finite(cloudy), clipped * normalizer.optical_scale + normalizer.optical_offset, normalizer.optical_fill)


def _finite(values: Tensor) -> Tensor:
    return ~(torch.isnan(values) | torch.isinf(values))  # ONNX has both, and no `isfinite`


def input_names(spec: ModelSpec) -> tuple[str, ...]:
    """What the file takes, in order: `sar` and `cloudy` `(1, T, C, H, W)`, `cloud_mask` `(1, T, H, W)`, `dates` `(1, T)`, those that are used."""
    used = {"sar": bool(spec.sar_bands), "cloudy": bool(spec.optical_in), "cloud_mask": spec.needs_mask, "dates": spec.needs_dates}
    return tuple(name for name, is_used in used.items() if is_used)


def output_names(spec: ModelSpec) -> tuple[str, ...]:
    """What it gives: `predicted_mean` and, where the model has one, `predicted_variance`, `(1, C, H, W)`.

    Long names, because ONNX wants every name of a graph once, and torch calls nodes inside `mean`.
    """
    return _OUTPUTS if spec.has_std else _OUTPUTS[:1]


def portable_input(spec: ModelSpec, sample: FusionSample) -> tuple[Tensor, ...]:
    """A sample as the file takes it."""
    meta = sample["meta"]
    found = {"sar": sample["sar"][None, :, [meta["sar_bands"].index(band) for band in spec.sar_bands]]}
    if spec.optical_in:
        found["cloudy"] = sample["cloudy"][None, :, [meta["optical_bands"].index(band) for band in spec.optical_in]]
    if spec.needs_mask:
        found["cloud_mask"] = sample["cloud_mask"][None]
    if spec.needs_dates:
        found["dates"] = torch.tensor([meta["days"]], dtype=torch.float32)
    return tuple(found[name].contiguous() for name in input_names(spec))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written, and how near it is to the checkpoint."""

    path: Path
    """The file."""
    format: Format
    """Its format."""
    inputs: dict[str, list[int]]
    """Name to shape."""
    outputs: list[str]
    """Names."""
    patches: list[str]
    """Samples on which it was checked."""
    greatest_difference: float
    """From the checkpoint, in optical units (variance: their square)."""
    tolerance: float
    """What was allowed of it, times the greater of 1 and the greatest value."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "path": str(self.path)}


def require_exportable(checkpoint: Checkpoint, kind: Format) -> None:
    """Refuse what cannot be exported, with the reason of the model's card.

    Raises:
        CheckpointError: When the card says that it cannot.
        InputError: When the format is none.
    """
    if kind not in SUFFIXES:
        raise InputError(f"formats of an export are {', '.join(SUFFIXES)}; got {kind!r}")
    card = checkpoint.model.card
    reason = card.not_onnx if kind == "onnx" else card.not_exportable
    if reason is not None:
        raise CheckpointError(
            f"{checkpoint.header.model} cannot be exported as {kind}: {reason}; keep the checkpoint, or choose another format"
        )


def export_model(
    checkpoint: Checkpoint, samples: Sequence[FusionSample], destination: Path, kind: Format, *, overwrite: bool = False
) -> ExportReport:
    """Write a checkpoint in another format. The file takes its name once it gave, read back, the checkpoint's own values.

    Sides and dates are fixed to those of the first sample; other places of a scene are tiles of that size.

    Args:
        checkpoint: The model, on the CPU.
        samples: Patches to check it on, all of one shape, real ones if any: one or more.
        destination: The file.
        kind: Its format.
        overwrite: Replace an existing file.

    Raises:
        CheckpointError: When the model cannot be exported, does not fit the samples, or the file gives other values.
        InputError: When there is no sample, samples differ in shape, or a package that the format needs is not installed.
        OutputExistsError: When the file is there.
        OutputWriteError: When it cannot be written.
    """
    require_exportable(checkpoint, kind)
    if destination.exists() and not overwrite:
        raise OutputExistsError(f"outputs must not exist yet; {destination} does; give --overwrite to replace it, or another file with -o")
    require_writable_folder(destination.parent)
    if not samples:
        raise InputError("an export is checked on one patch or more, got none")
    for sample in samples:
        require_fit(checkpoint.header.spec, sample, Path(checkpoint.path).name)
    spec = checkpoint.header.spec
    given = [portable_input(spec, sample) for sample in samples]
    shapes = {tuple(tuple(tensor.shape) for tensor in tensors) for tensors in given}
    if len(shapes) != 1:
        raise InputError(f"patches of an export have one shape, got {len(shapes)} different ones; check on patches of one size")
    temporary = destination.with_name(f".{destination.name}.partial{SUFFIXES[kind]}")
    writer = _Onnx() if kind == "onnx" else _TorchExport()
    with naming_failure(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        try:
            with _quiet_exporter(), _naming_exporter(checkpoint, kind):
                writer.write(PortableModel(checkpoint.model).eval(), given[0], temporary, _metadata(checkpoint))
                greatest = _check(checkpoint, writer, temporary, samples, given)
            temporary.replace(destination)
        finally:
            temporary.unlink(missing_ok=True)
    return ExportReport(
        path=destination,
        format=kind,
        inputs={name: list(tensor.shape) for name, tensor in zip(input_names(spec), given[0], strict=True)},
        outputs=list(output_names(spec)),
        patches=[sample["meta"]["id"] for sample in samples],
        greatest_difference=greatest,
        tolerance=TOLERANCES[kind],
    )


class _Writer(Protocol):
    kind: Format

    def write(self, model: PortableModel, given: tuple[Tensor, ...], path: Path, metadata: str) -> None: ...

    def run(self, path: Path, batches: Sequence[tuple[Tensor, ...]]) -> list[list[NumberArray]]: ...


class _Onnx:
    """By torch's exporter, read back by onnxruntime, which shares no code with torch."""

    kind: Format = "onnx"

    def write(self, model: PortableModel, given: tuple[Tensor, ...], path: Path, metadata: str) -> None:
        onnx = _require("onnx")
        _require("onnxscript")
        _require("onnxruntime")
        spec = model.model.spec
        inputs, outputs = list(input_names(spec)), list(output_names(spec))
        program = torch.onnx.export(model, given, dynamo=True, verbose=False, input_names=inputs, output_names=outputs)
        if program is None:
            raise CheckpointError(f"torch made no ONNX program of {type(model.model).__name__}; update torch")
        proto = program.model_proto
        proto.metadata_props.add(key=METADATA_KEY, value=metadata)
        onnx.save(proto, str(path))

    def run(self, path: Path, batches: Sequence[tuple[Tensor, ...]]) -> list[list[NumberArray]]:
        session = _require("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        return [session.run(None, {name: tensor.numpy() for name, tensor in zip(names, given, strict=True)}) for given in batches]


class _TorchExport:
    """By `torch.export`, read back by it."""

    kind: Format = "torch-export"

    def write(self, model: PortableModel, given: tuple[Tensor, ...], path: Path, metadata: str) -> None:
        with torch.no_grad():
            program = torch.export.export(model, given)
        torch.export.save(program, path, extra_files={METADATA_KEY: metadata})

    def run(self, path: Path, batches: Sequence[tuple[Tensor, ...]]) -> list[list[NumberArray]]:
        module = torch.export.load(path).module()
        with torch.no_grad():
            return [[answer.numpy() for answer in module(*given)] for given in batches]


def _check(
    checkpoint: Checkpoint, writer: _Writer, path: Path, samples: Sequence[FusionSample], given: Sequence[tuple[Tensor, ...]]
) -> float:
    """The greatest difference between the file and the checkpoint.

    Raises:
        CheckpointError: When it is beyond the tolerance.
    """
    predictor = NetworkPredictor.of(checkpoint, name="checkpoint")
    greatest = 0.0
    for sample, answers in zip(samples, writer.run(path, given), strict=True):
        truth = predictor.predict([sample])[0]["checkpoint"]
        for name, expected, got in zip(_OUTPUTS, _fields(truth), answers, strict=False):
            difference = float(np.abs(got[0] - expected).max())
            allowed = TOLERANCES[writer.kind] * max(1.0, float(np.abs(expected).max()))
            if not difference <= allowed:
                raise CheckpointError(
                    f"an exported model must give what its checkpoint gives: `{name}` of {sample['meta']['id']} differs by {difference:.3g}, "
                    f"allowed is {allowed:.3g}; the {writer.kind} file was not kept: report it with the model's name"
                )
            greatest = max(greatest, difference)
    return greatest


def _fields(prediction: Prediction) -> Iterator[NumberArray]:
    yield prediction.mean.numpy()
    if prediction.variance is not None:
        yield prediction.variance.numpy()


def _metadata(checkpoint: Checkpoint) -> str:
    """What a user of the file must know, as JSON: bands, units, inputs, outputs, where it came from."""
    header = checkpoint.header
    spec = header.spec
    facts = {
        "geocr_version": __version__,
        "model": header.model,
        "checkpoint_sha256": checkpoint.sha256,
        "licence": header.licence,
        "sar_bands": spec.sar_bands,
        "sar_units": spec.sar_units,
        "optical_in": spec.optical_in,
        "optical_out": spec.optical_out,
        "optical_units": spec.optical_units,
        "level": spec.level,
        "inputs": input_names(spec),
        "outputs": output_names(spec),
        "missing": "NaN",
        "cloud_mask": "True is cloud or shadow",
        "dates": "days since 2014-04-03",
    }
    return json.dumps(facts, sort_keys=True)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the warnings of torch about its own exporter, which concern nobody who exports."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        yield


@contextmanager
def _naming_exporter(checkpoint: Checkpoint, kind: Format) -> Iterator[None]:
    """Turn errors of torch's exporter and of onnxruntime, which are of many kinds, into ours."""
    try:
        yield
    except (GeocrError, OSError):
        raise
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CheckpointError(
            f"{checkpoint.header.model} could not be exported as {kind}, or its file not be read back: {type(error).__name__}: {first}; "
            "choose another format, another torch, or keep the checkpoint"
        ) from error


def _require(package: str) -> Any:  # noqa: ANN401 - a module
    try:
        return import_module(package)
    except ImportError as error:
        raise InputError(f"ONNX needs the package {package}, which is not installed; pip install 'geocr[onnx]'") from error
