"""Options that several commands share, and the settings they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import ValidationError

    from geocr.config import PredictConfig

S1Units = Annotated[str, typer.Option(help="auto, db, power, amplitude or display (a picture without physical unit).")]
S2Bands = Annotated[str | None, typer.Option(help="Names of the Sentinel-2 bands in file order, for example B02,B03,B04,B08.")]
S2Scale = Annotated[float | None, typer.Option(help="Reflectance per DN. (default: from the file, else 0.0001)")]
S2Offset = Annotated[float | None, typer.Option(help="Reflectance at DN 0. (default: from the file, else 0)")]
CloudMask = Annotated[str, typer.Option(help="auto, s2cloudless, scl, rule, or a raster FILE in which all but 0 is cloud.")]
Scl = Annotated[str | None, typer.Option(help="Scene classification raster of the L2A product.")]
MaskBufferPx = Annotated[int | None, typer.Option(help="Widen the mask by this many pixels.")]
MaskBufferM = Annotated[float | None, typer.Option(help="Widen the mask by this many metres. (default: 60)")]
CheckpointFile = Annotated[
    str | None, typer.Option("--checkpoint", help="Trained model (.safetensors). (default: fit on the scene itself)")
]
TilePx = Annotated[int | None, typer.Option(help="Side of the model's tiles in pixels.")]
OverlapPx = Annotated[int | None, typer.Option(help="Overlap of the model's tiles in pixels.")]
Device = Annotated[str, typer.Option(help="auto (a GPU when there is one), cpu, cuda or cuda:N; for trained models.")]
Precision = Annotated[
    str, typer.Option(help="fp32, bf16, or auto: bf16 where it is faster and within 0.002 reflectance; for trained models.")
]
Batch = Annotated[int | None, typer.Option(help="Tiles a trained model takes together. (default: tried on a long run)")]
Compile = Annotated[bool, typer.Option("--compile", help="Run a trained model through torch.compile; needs a C++ compiler.")]
MaxMemory = Annotated[str | None, typer.Option(help="Keep the run within this much memory, for example 2GiB or 1500MB.")]
Aoi = Annotated[str | None, typer.Option(help="Replace nothing outside these polygons: GeoJSON, GeoPackage or other FILE, or WKT.")]
Mode = Annotated[str, typer.Option(help="replace-clouds, or full: rewrite every valid pixel.")]
OnError = Annotated[str, typer.Option(help="At an input block that does not decode: stop, or nodata (and say so).")]
Uncertainty = Annotated[bool, typer.Option("--uncertainty", help="Also write a standard deviation COG.")]
Seed = Annotated[int, typer.Option(help="Seed of the fit.")]
NoS1 = Annotated[bool, typer.Option("--no-s1", help="Reconstruct from optical context alone.")]
Scheduler = Annotated[
    str, typer.Option(help="threads (this process), processes (Dask workers started here), tcp://HOST:PORT, or a scheduler FILE.json.")
]
Scratch = Annotated[
    Path | None, typer.Option(help="Folder for unfinished work on results for s3:// URLs. (default: in the system's temporary folder)")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and compute nothing.")]


_FIELDS = {"tile": "tile_px", "overlap": "overlap_px", "compile_model": "compiled"}
"""Options whose field in the settings has another name."""


def config_of(params: dict[str, Any]) -> "PredictConfig":
    """Settings out of a command's options.

    Raises:
        InputError: When one is not valid.
    """
    from pydantic import ValidationError

    from geocr.config import PredictConfig
    from geocr.core.errors import InputError

    settings = {_FIELDS.get(name, name): value for name, value in params.items() if _FIELDS.get(name, name) in PredictConfig.model_fields}
    settings["s1_units"] = None if params["s1_units"] == "auto" else params["s1_units"]
    if params["s2_bands"] is not None:
        settings["s2_bands"] = tuple(name.strip() for name in params["s2_bands"].split(","))
    try:
        return PredictConfig(**settings)
    except ValidationError as error:
        raise InputError(_explain(error)) from error


def _explain(error: "ValidationError") -> str:
    """All that is wrong, by the options' names; a rule about several options speaks for itself."""
    options = {field: option for option, field in _FIELDS.items()}
    parts = []
    for item in error.errors():
        if item["loc"]:
            name = str(item["loc"][0])
            parts.append(f"--{options.get(name, name).replace('_', '-')}: {item['msg']}, got {item['input']!r}")
        else:
            parts.append(item["msg"].removeprefix("Value error, "))
    return "settings must be valid; " + "; ".join(parts)
