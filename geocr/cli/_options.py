"""Options that several commands share, and the settings they stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic import ValidationError

    from geocr.config import PredictConfig

S1Units = Annotated[str, typer.Option(help="auto, db, power, amplitude or display (a picture without physical unit).")]
S1Radiometry = Annotated[str, typer.Option(help="What Sentinel-1 is normalised to: auto (from its metadata), sigma0 or gamma0.")]
S1BorderNoise = Annotated[str, typer.Option(help="Dark rims along the edge of the Sentinel-1 swath: mask, or keep.")]
S1Gcps = Annotated[
    bool,
    typer.Option("--s1-gcps", help="Take Sentinel-1 in radar geometry (GRD), warped by its control points without terrain correction."),
]
CheckShift = Annotated[
    bool, typer.Option("--check-shift", help="Measure the shift between Sentinel-1 and Sentinel-2 first; warn above one pixel.")
]
S2Bands = Annotated[
    str | None,
    typer.Option(help="Of a raster the names of its bands in file order, of a product the bands to take; for example B02,B03,B04,B08."),
]
S2Scale = Annotated[float | None, typer.Option(help="Reflectance per DN. (default: from the file, else 0.0001)")]
S2Offset = Annotated[float | None, typer.Option(help="Reflectance at DN 0. (default: from the file, else 0)")]
S2Resampling = Annotated[str, typer.Option(help="bilinear or cubic: how coarser bands of a product come onto the grid of its finest.")]
Resolution = Annotated[
    float | None, typer.Option(help="Metres of a pixel, for a cheaper run on a coarser grid, for example 20. (default: the finest band's)")
]
CloudMask = Annotated[
    str,
    typer.Option(
        help="auto, s2cloudless, scl, cldprb, omnicloudmask, rule, a raster FILE in which all but 0 is cloud, or a vector FILE whose polygons are; "
        "several joined by +."
    ),
]
SaveMask = Annotated[
    bool, typer.Option("--save-mask", help="Also write the cloud mask that was used: 0 clear, 1 cloud or shadow, 255 nodata.")
]
Scl = Annotated[str | None, typer.Option(help="Scene classification raster of the L2A product.")]
MaskBufferPx = Annotated[int | None, typer.Option(help="Widen the mask by this many pixels.")]
MaskBufferM = Annotated[float | None, typer.Option(help="Widen the mask by this many metres. (default: 60)")]
Reference = Annotated[
    list[str] | None,
    typer.Option(metavar="S2[,S1]", help="Another date of the same place: its clear pixels come before guesses. Repeatable."),
]
MaxDays = Annotated[
    int | None,
    typer.Option(min=0, help="Most days between the scene and Sentinel-1, or a reference. (default: references within 30 with auto)"),
]
Method = Annotated[
    str, typer.Option(help="scenefit, temporal (other dates first), or auto: other dates within --max-days, then the scene fit.")
]
CheckpointFile = Annotated[
    str | None, typer.Option("--checkpoint", help="Trained model (.safetensors). (default: fit on the scene itself)")
]
B10 = Annotated[
    str | None, typer.Option("--b10", help="zero or estimate: what stands in for B10 where a model reads it and the scene (L2A) has none.")
]
AnyLevel = Annotated[bool, typer.Option("--any-level", help="Run a model trained on L1C on an L2A scene, or the other way round.")]
OutputBands = Annotated[str, typer.Option(help="all, or model: write only the bands that the model gives, where the scene has more.")]
Stretch = Annotated[
    str | None, typer.Option(metavar="MIN,MAX", help="Reflectances that a model's 8-bit pictures show as 0 and as 255, for example 0,0.3.")
]
S1Stretch = Annotated[
    str | None, typer.Option(metavar="MIN,MAX", help="Sentinel-1 in dB that they show as 0 and as 255, for example -25,0.")
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
Quicklook = Annotated[bool, typer.Option("--quicklook", help="Also draw a before/after/provenance PNG.")]
Report = Annotated[Path | None, typer.Option("--report", metavar="HTML", help="Also write a report: one HTML file that needs no network.")]
Seed = Annotated[int, typer.Option(help="Seed of the fit.")]
NoS1 = Annotated[bool, typer.Option("--no-s1", help="Reconstruct from optical context alone.")]
Scheduler = Annotated[
    str, typer.Option(help="threads (this process), processes (Dask workers started here), tcp://HOST:PORT, or a scheduler FILE.json.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Bands of rows at a time with threads (1), processes to start with processes (all cores).")
]
Scratch = Annotated[
    Path | None, typer.Option(help="Folder for unfinished work on results for s3:// URLs. (default: in the system's temporary folder)")
]
NoStac = Annotated[bool, typer.Option("--no-stac", help="Write no STAC item beside the result.")]
InputOfResult = Annotated[
    str | None, typer.Option("--s2", help="Sentinel-2 input of the run, to show before. (default: by its name, beside OUT)")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan and compute nothing.")]


_FIELDS = {"resolution": "resolution_m", "tile": "tile_px", "overlap": "overlap_px", "compile_model": "compiled"}
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
    if params.get("s1_radiometry") == "auto":
        settings["s1_radiometry"] = None
    if "reference" in params:
        settings["references"] = tuple(params["reference"] or ()) or None
        settings["method"] = None if params["method"] == "auto" else params["method"]
    if params["s2_bands"] is not None:
        settings["s2_bands"] = tuple(name.strip() for name in params["s2_bands"].split(","))
    for name in ("stretch", "s1_stretch"):
        if settings.get(name) is not None:
            settings[name] = _numbers(settings[name], f"--{name.replace('_', '-')}")
    try:
        return PredictConfig(**settings)
    except ValidationError as error:
        raise InputError(_explain(error)) from error


def _numbers(text: str, option: str) -> tuple[float, float]:
    from geocr.core.errors import InputError

    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"{option} is two numbers, MIN,MAX, got {text!r}; write for example {option} 0,0.3") from error
    return low, high


def _rule_of(name: str, message: str) -> str:
    """What a setting allows, with what only the command line knows of it."""
    if name in ("s1_units", "s1_radiometry"):  # None in the settings
        return message.replace("Input should be ", "Input should be 'auto', ", 1)
    return "Input should be a size such as 2GiB or 1500MB" if name == "max_memory" else message


def _explain(error: "ValidationError") -> str:
    """All that is wrong, by the options' names; a rule about several options speaks for itself."""
    from geocr.config import OPTION_NAMES

    parts = []
    for item in error.errors():
        if item["loc"]:
            name = str(item["loc"][0])
            parts.append(f"--{OPTION_NAMES.get(name, name).replace('_', '-')}: {_rule_of(name, item['msg'])}, got {item['input']!r}")
        else:
            parts.append(item["msg"].removeprefix("Value error, "))
    return "settings must be valid; " + "; ".join(parts)
