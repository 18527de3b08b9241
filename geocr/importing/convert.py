"""From a published file to a checkpoint of geocr, run once before it takes its name."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from geocr.checkpoint import load_checkpoint, save_checkpoint
from geocr.core.errors import CheckpointError, GeocrError, InputError, OutputExistsError, OutputWriteError
from geocr.importing import METHODS
from geocr.importing.keys import translate
from geocr.importing.method import ImportMethod, ImportPlan
from geocr.importing.settings import read_settings
from geocr.models import MODELS
from geocr.models.base import FusionModel

TRIAL_PX = 32
"""Least side of the image on which an imported model is run once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What was imported."""

    checkpoint: str
    """The file that was written."""
    method: str
    """Name in the table of methods."""
    model: str
    """Name in the table of models."""
    kwargs: dict[str, Any]
    """The model's arguments that were read off the file and its settings."""
    parameters: int
    """Of the model."""
    tensors: int
    """Of the published file, each of which is in the checkpoint or among the dropped."""
    dropped: dict[str, str]
    """Published names that were left out, with the reason."""
    filled: dict[str, str]
    """geocr's names that the file lacks, with the reason."""
    notes: tuple[str, ...]
    """What the user should know, a sentence each."""


def import_checkpoint(
    method: str,
    file: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    licence: str | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Convert published weights into a checkpoint.

    Args:
        method: Name in `geocr.importing.METHODS`.
        file: The published file; see `ImportMethod.files`.
        out: Where the checkpoint goes; `.safetensors` is customary.
        config: The settings file of methods that have one.
        licence: Licence of the weights, stored with them.
        overwrite: Replace an existing file.

    Returns:
        What was done with every tensor that is not in the checkpoint as it was in the file.

    Raises:
        RegistryError: When the table has no such method.
        OutputExistsError: When `out` is there and may not be replaced.
        CheckpointError: When the file is not of the method, not of the settings, damaged, or gives no finite image.
        OutputWriteError: When the checkpoint cannot be written.
    """
    known: ImportMethod = METHODS.load(method)
    out, file = Path(out), Path(file)
    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} is already there; give --overwrite to replace it, or another name")
    if not file.is_file():
        raise CheckpointError(
            f"an import reads the published file, which must exist; there is no file at {file}; geocr import-checkpoint lists what each method expects"
        )
    if config is not None and known.config is None:
        raise CheckpointError(f"{method} has no settings file: its weights tell all that is needed; leave --config away, got {config}")
    plan = known.plan(file, None if config is None else read_settings(config))
    model = _build(plan, file)
    model.spec = replace(model.spec, sar_radiometry=known.sar_radiometry)
    translation = translate(plan.weights, model.state_dict(), plan.table, source=str(file))
    model.load_state_dict(translation.weights)
    try_once(model, str(file))
    _write(out, model, plan, {"method": method, "file": file.name, "sha256": _sha256(file), "origin": known.origin}, licence)
    return ImportReport(
        checkpoint=str(out),
        method=method,
        model=plan.model,
        kwargs=plan.kwargs,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        tensors=len(plan.weights),
        dropped=translation.dropped,
        filled=translation.filled,
        notes=plan.notes,
    )


def try_once(model: FusionModel, source: str) -> None:
    """Run a model on one small image in its own units.

    Raises:
        CheckpointError: When the answer is not finite.
    """
    spec = model.spec
    side = spec.padded_px(TRIAL_PX)
    times = 2 if spec.multi_temporal else 1
    generator = torch.Generator().manual_seed(0)
    low, high = spec.normalizer.sar_range
    sar = torch.rand((1, times, len(spec.sar_bands), side, side), generator=generator) * (high - low) + low
    cloudy = torch.rand((1, times, len(spec.optical_in), side, side), generator=generator)
    scale = spec.normalizer.optical_scale * (1.0 if spec.normalizer.optical_clip is None else spec.normalizer.optical_clip[1])
    mask = torch.zeros((1, times, side, side), dtype=torch.bool)
    with torch.inference_mode():
        out = model.eval()(sar, cloudy * scale + spec.normalizer.optical_offset, mask, torch.arange(times, dtype=torch.float32)[None])
    if not all(bool(field.isfinite().all()) for field in (out.mean, out.variance) if field is not None):
        raise CheckpointError(
            f"weights must give a finite image; those of {source} give NaN or infinity: the file is damaged, or its training diverged"
        )


def _build(plan: ImportPlan, file: Path) -> FusionModel:
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: FusionModel = MODELS.load(plan.model)(**plan.kwargs)
    except InputError as error:
        raise CheckpointError(f"{plan.model} cannot be built as {file} and its settings ask: {error}") from error
    return model


def _write(out: Path, model: FusionModel, plan: ImportPlan, source: dict[str, Any], licence: str | None) -> None:
    """Under a temporary name; its final one only when it was loaded back and run."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.import")
    imported = {**source, "settings": plan.settings}
    try:
        save_checkpoint(temporary, model, name=plan.model, kwargs=plan.kwargs, config={"imported": imported}, licence=licence)
        loaded = load_checkpoint(temporary).model
        kept = model.state_dict()
        if any(not torch.equal(tensor, kept[name]) for name, tensor in loaded.state_dict().items()):
            raise OutputWriteError(f"a checkpoint must read back as it was written; {out} does not: the disk may be failing")
        try_once(loaded, str(temporary))
        temporary.replace(out)
    except OSError as error:
        if isinstance(error, GeocrError):
            raise
        raise OutputWriteError(f"a checkpoint could not be written to {out}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
