"""`geocr export`: a checkpoint as a file that runs without geocr."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli._datasets import SetOptions, dataset_argument, open_dataset, require_suffix
from geocr.cli._options import DryRun
from geocr.cli._render import AsJson, Display, Quiet, Verbose, in_words, print_facts, print_json

if TYPE_CHECKING:
    from geocr.data.datasets.base import FusionDataset
    from geocr.models.spec import ModelSpec


def command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CKPT", help="Trained model (.safetensors).")],
    kind: Annotated[str, typer.Option("--format", help="onnx, or torch-export (a program of torch.export, .pt2).")],
    data: Annotated[
        str | None, typer.Option(metavar="NAME=PATH", help="Data set whose patches it is checked on. (default: invented ones)")
    ] = None,
    split: Annotated[str, typer.Option(help="train, val or test; all for every sample.")] = "test",
    settings: SetOptions = None,
    cloud_mask: Annotated[str, typer.Option(help="Detector for sets without masks: auto, s2cloudless, rule or none.")] = "auto",
    patches: Annotated[int, typer.Option(min=1, help="How many patches it is checked on, spread evenly.")] = 4,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File to write. (default: CKPT with .onnx or .pt2)")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write a checkpoint as ONNX or as a program of torch.export, with its normalisation: dB and reflectance in, reflectance out.

    The file is read back and must give the checkpoint's own values on patches before it takes its name.

    [bold]Examples[/bold]

      geocr export model.safetensors --format onnx --data sen12mscr=SEN12MSCR
    """
    from geocr.checkpoint import load_checkpoint
    from geocr.core.errors import InputError, OutputExistsError
    from geocr.evaluation.portable import SUFFIXES, export_model, require_exportable

    loaded = load_checkpoint(checkpoint)
    form = next((known for known in SUFFIXES if known == kind), None)
    if form is None:
        raise InputError(f"--format is {' or '.join(SUFFIXES)}; got {kind!r}")
    require_exportable(loaded, form)
    target = out or checkpoint.with_suffix(SUFFIXES[form])
    require_suffix(target, SUFFIXES[form], what=f"a program in the format {form}")
    if target.exists() and not (overwrite or dry_run):
        raise OutputExistsError(f"outputs must not exist yet; {target} does; give --overwrite to replace it, or another file with -o")
    with Display(quiet=quiet or as_json, stopped="nothing was written") as display:
        found = _patches(loaded.header.spec, data, split, settings, cloud_mask=cloud_mask, display=display)
        samples = [found[number] for number in _spread(len(found), patches)]
        if dry_run:
            report: dict[str, Any] = _plan(loaded.header.spec, str(target), kind, [sample["meta"]["id"] for sample in samples])
        else:
            display.stage(f"exporting as {kind}", 1)
            report = export_model(loaded, samples, target, form, overwrite=overwrite).to_dict()
            display.advance()
    if as_json:
        print_json(report)
    elif not quiet or dry_run:
        print_facts("plan (nothing was written)" if dry_run else "done", [(name, in_words(value)) for name, value in report.items()])


def _patches(
    spec: "ModelSpec", data: str | None, split: str, settings: list[str] | None, *, cloud_mask: str, display: Display
) -> "FusionDataset":
    if data is not None:
        name, root = dataset_argument(data)
        found = open_dataset(name, root, split=None if split == "all" else split, pairs=settings, note=display.note)
        found.find_clouds(cloud_mask)
        return found
    from geocr.core.errors import InputError
    from geocr.data.datasets.synthetic import Synthetic

    if spec.optical_units == "display" or spec.sar_units == "display":
        raise InputError("invented patches are in dB and reflectance, and this model was trained on pictures; give --data NAME=PATH")
    display.note("checked on invented patches; give --data NAME=PATH to check on real ones")
    return Synthetic(split="test", length=16, size_px=max(64, spec.tile_px), optical_bands=spec.optical_out)


def _spread(count: int, wanted: int) -> list[int]:
    from geocr.data.show import spread

    return spread(count, wanted)


def _plan(spec: "ModelSpec", target: str, kind: str, patches: list[str]) -> dict[str, Any]:
    from geocr.evaluation.portable import TOLERANCES, input_names, output_names

    tolerance = next(value for known, value in TOLERANCES.items() if known == kind)
    names = {"inputs": list(input_names(spec)), "outputs": list(output_names(spec))}
    return {"path": target, "format": kind, **names, "patches": patches, "tolerance": tolerance}
