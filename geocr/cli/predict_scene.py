"""`geocr predict-scene`: remove the clouds of one scene."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli import _options as options
from geocr.cli._pictures import Pictures
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_facts, print_json, size_of

if TYPE_CHECKING:
    from geocr.config import PredictConfig
    from geocr.inference.run import PredictResult

_ROLES = ("scene", "provenance", "std", "source_days", "mask")
"""Rasters of a result, in the order in which they are told."""


def command(
    ctx: typer.Context,
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar="S1 S2", help="Sentinel-1 and Sentinel-2, rasters or products, in this order (with --no-s1: Sentinel-2 alone)."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("-o", "--out", help="Cloud-free COG to write: FILE or s3:// URL. (default: <S2 stem>_cloudfree.tif beside S2)"),
    ] = None,
    no_s1: options.NoS1 = False,
    s1_units: options.S1Units = "auto",
    s1_radiometry: options.S1Radiometry = "auto",
    s1_border_noise: options.S1BorderNoise = "mask",
    s1_gcps: options.S1Gcps = False,
    s2_bands: options.S2Bands = None,
    s2_scale: options.S2Scale = None,
    s2_offset: options.S2Offset = None,
    s2_resampling: options.S2Resampling = "bilinear",
    resolution: options.Resolution = None,
    cloud_mask: options.CloudMask = "auto",
    scl: options.Scl = None,
    mask_buffer_px: options.MaskBufferPx = None,
    mask_buffer_m: options.MaskBufferM = None,
    reference: options.Reference = None,
    method: options.Method = "auto",
    max_days: options.MaxDays = None,
    check_shift: options.CheckShift = False,
    checkpoint: options.CheckpointFile = None,
    b10: options.B10 = None,
    any_level: options.AnyLevel = False,
    output_bands: options.OutputBands = "all",
    stretch: options.Stretch = None,
    s1_stretch: options.S1Stretch = None,
    tile: options.TilePx = None,
    overlap: options.OverlapPx = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    batch: options.Batch = None,
    compile_model: options.Compile = False,
    max_memory: options.MaxMemory = None,
    aoi: options.Aoi = None,
    mode: options.Mode = "replace-clouds",
    on_error: options.OnError = "stop",
    save_mask: options.SaveMask = False,
    uncertainty: options.Uncertainty = False,
    quicklook: options.Quicklook = False,
    report: options.Report = None,
    seed: options.Seed = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Tiles reconstructed at the same time. (default: all cores)")] = None,
    scheduler: options.Scheduler = "threads",
    workers: options.Workers = None,
    scratch: options.Scratch = None,
    no_stac: options.NoStac = False,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Remove the clouds of a Sentinel-2 scene with the help of Sentinel-1.

    Writes a cloud-free COG on exactly the grid of S2, and <out>_provenance.tif that tells for each pixel whether it was observed (1),
    reconstructed with Sentinel-1 (2) or without (3), or observed on another date (4). Observed pixels are bit-identical to S2. A stopped run
    goes on where it was.

    [bold]Examples[/bold]

      geocr predict-scene scene_s1.tif scene_s2.tif

      geocr predict-scene s1.tif s2.tif -o clear.tif --uncertainty --quicklook

      geocr predict-scene --no-s1 scene_s2.tif --s2-bands B02,B03,B04,B08

      geocr predict-scene s1.tif S2_MSIL2A.zip --reference S2_MSIL2A_EARLIER.zip --report clear.html

      geocr predict-scene s1.tif s2.tif --cloud-mask scl --scl SCL.tif --mask-buffer-m 100 --dry-run
    """
    s1, s2 = _pair(scenes, no_s1=no_s1)
    config = options.config_of(ctx.params)
    show = _show(quiet=quiet, as_json=as_json)
    pictures = Pictures(quicklook=quicklook, report=report)
    with Display(quiet=quiet or as_json) as display:
        if dry_run:
            plan = _plan(s1, s2, config, threads, display)
            foresee(plan, display, lambda: _require_places(s1, s2, out, config, pictures, overwrite=overwrite, stac=not no_stac))
        else:
            result, files = _run(
                s1,
                s2,
                out,
                config,
                display,
                pictures=pictures,
                overwrite=overwrite,
                threads=threads,
                scheduler=scheduler,
                workers=workers,
                scratch=scratch,
                stac=not no_stac,
            )
    if dry_run:
        show(plan, print_plan)
    else:
        show({**result.summary, "files": files}, print_summary)


def _show(*, quiet: bool, as_json: bool) -> Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], None]:
    """How results are printed: as JSON, for people, or not at all."""

    def show(facts: dict[str, Any], for_people: Callable[[dict[str, Any]], None]) -> None:
        if as_json:
            print_json(facts)
        elif not quiet:
            for_people(facts)

    return show


def _pair(scenes: list[str], *, no_s1: bool) -> tuple[str | None, str]:
    from geocr.core.errors import InputError

    if no_s1 and len(scenes) == 1:
        return None, scenes[0]
    if not no_s1 and len(scenes) == 2:
        return scenes[0], scenes[1]
    expected = (
        "one raster with --no-s1: the Sentinel-2 scene"
        if no_s1
        else "two rasters: Sentinel-1, then Sentinel-2 (or --no-s1 and Sentinel-2 alone)"
    )
    raise InputError(f"predict-scene takes {expected}; got {len(scenes)}: {' '.join(scenes)}")


def _plan(s1: str | None, s2: str, config: "PredictConfig", threads: int | None, display: Display) -> dict[str, Any]:
    from geocr.inference.run import plan_run

    return plan_run(s1, s2, config=config, threads=threads, progress=display)


def _require_places(
    s1: str | None, s2: str, out: str | None, config: "PredictConfig", pictures: Pictures, *, overwrite: bool, stac: bool
) -> None:
    from geocr.inference.outputs import place_outputs, require_writable
    from geocr.inference.run import files_wanted, inputs_of

    paths = place_outputs(out, s2)
    pictures.require_places(paths, overwrite=overwrite)
    if paths.remote is None:  # a store is asked when it is written to
        require_writable(paths, wanted=files_wanted(paths, config, stac=stac), inputs=inputs_of(s1, s2, config), overwrite=overwrite)


def foresee(plan: dict[str, Any], display: Display, require_places: Callable[[], None]) -> None:
    """Add to a plan what would stop the run before it begins, if anything does, and say it.

    A plan is still of use then: it is no error of a command that writes nothing.
    """
    from geocr.core.errors import GeocrError

    try:
        require_places()
    except GeocrError as error:
        plan["notes"].append(f"The run itself would stop at once: {error}")
        display.note(plan["notes"][-1])


def _run(
    s1: str | None,
    s2: str,
    out: str | None,
    config: "PredictConfig",
    display: Display,
    *,
    pictures: Pictures,
    overwrite: bool,
    threads: int | None,
    scheduler: str,
    workers: int | None,
    scratch: Path | None,
    stac: bool,
) -> "tuple[PredictResult, dict[str, str]]":
    from geocr.inference.outputs import place_outputs
    from geocr.inference.run import predict_scene

    paths = place_outputs(out, s2, scratch=scratch)
    pictures.require_places(paths, overwrite=overwrite)
    draw = pictures.drawer(display)
    result = predict_scene(
        s1,
        s2,
        out,
        config=config,
        overwrite=overwrite,
        threads=threads,
        scheduler=scheduler,
        workers=workers,
        scratch=scratch,
        extras=None if draw is None else lambda places: draw(places, s2),
        stac=stac,
        progress=display,
    )
    return result, files_of(result, pictures.files(paths))


def files_of(result: "PredictResult", drawn: dict[str, str]) -> dict[str, str]:
    """What was written, by its role."""
    products = {name: str(path) for name in _ROLES if (path := getattr(result, name)) is not None}
    item = {} if result.item is None else {"item": str(result.item)}
    return {**products, **drawn, **item}


def print_plan(plan: dict[str, Any]) -> None:
    """The plan of a dry run, for people."""
    tile = plan["tile"]
    print_facts(
        "plan (nothing was computed)",
        [
            ("grid", f"{plan['columns']} x {plan['rows']} pixels, {plan['crs']}"),
            ("bands", f"{', '.join(plan['optical_bands'])}; Sentinel-1 {', '.join(plan['sar_bands']) or 'none'}; {plan['dtype']}"),
            ("method", str(plan["method"]["name"])),
            ("cloud mask", f"{plan['cloud_mask']['source']}, {plan['cloud_share']:.1%} of the observed pixels"),
            ("Sentinel-1 covers", f"{plan['sar_share']:.0%} of the scene"),
            ("tiles", f"{plan['tiles']} of {tile['size_px']} px (overlap {tile['overlap_px']}, halo {tile['halo_px']})"),
            ("to compute", f"{plan['tiles_computed']} tiles; {plan['tiles_skipped']} hold no cloud and are skipped"),
            ("row bands", f"{plan['row_bands']}; at a time {plan['threads']} x {plan['batch']} tiles, {plan['torch_threads']} core(s) each"),
            ("reads, writes", f"{size_of(plan['bytes_read'])}, {size_of(plan['bytes_written'])} uncompressed"),
            ("memory", f"about {size_of(plan['memory_bytes'])}"),
            ("temporary disk", f"at most {size_of(plan['scratch_bytes'])}"),
        ],
    )  # fmt: skip


def print_summary(summary: dict[str, Any]) -> None:
    """What a run made, for people."""
    pixels = summary["pixels"]
    rebuilt = pixels["reconstructed_with_sar"] + pixels["reconstructed_without_sar"]
    borrowed = f"; observed on another date {pixels['observed_on_another_date']:,}" if summary["dates"] else ""
    facts = [
        ("method", str(summary["method"])),
        ("cloud mask", f"{summary['cloud_mask']}, {summary['cloud_share']:.1%} of the observed pixels"),
        (
            "reconstructed",
            f"{rebuilt:,} pixels ({pixels['reconstructed_with_sar']:,} with SAR), observed {pixels['observed']:,}, nodata {pixels['nodata']:,}{borrowed}",
        ),
    ]
    facts += _sar_facts(summary["sar"], summary["sar_share"])
    facts += [("reference", _date_line(date)) for date in summary["dates"]]
    facts += _expected(summary["expected_error"], summary["bands"])
    facts.append(("tiles", f"{summary['tiles_computed']} of {summary['tiles']} computed"))
    if summary["seam_ratio"] is not None:
        facts.append(("seams", f"jump across tile lines is {summary['seam_ratio']:.2f} of the jump elsewhere (1 means tiles do not show)"))
    if summary["damaged_blocks"]:
        facts.append(
            ("damaged input", f"{len(summary['damaged_blocks'])} blocks were taken as nodata; first: {summary['damaged_blocks'][0]}")
        )
    facts.append(("time", f"{summary['seconds']:.1f} s"))
    facts += list(summary["files"].items())
    print_facts("done", facts)


def _sar_facts(sar: dict[str, Any], share: float) -> list[tuple[str, str]]:
    """When and how Sentinel-1 looked, as far as it is known."""
    if not share:
        return []
    known = [f"covers {share:.0%}"]
    if "days_from_s2" in sar:
        days = sar["days_from_s2"]
        known.append(f"{abs(days):g} days {'after' if days > 0 else 'before'} Sentinel-2" if days else "on the day of Sentinel-2")
    known += [str(sar[key]) for key in ("orbit", "radiometry") if key in sar]
    if "shift" in sar:
        moved = f"shifted {sar['shift']['rows_px']:+.1f} px down, {sar['shift']['cols_px']:+.1f} px right"
        known.append(moved if sar["shift"]["clear"] else "shift not measurable")
    return [("Sentinel-1", ", ".join(known))]


def _date_line(date: dict[str, Any]) -> str:
    """One other date: how far away it is, and how well it matched."""
    said = f"{date['name']}, {date['days']:+d} days"
    if date.get("used") is False:
        return f"{said}: not used, it shares too little clear ground with the scene"
    if "rmse" not in date:
        return said
    error = (sum(value**2 for value in date["rmse"]) / len(date["rmse"])) ** 0.5
    return f"{said}; after matching it differs by {error:.4f} reflectance (RMSE on {date['common_px']:,} pixels that are clear on both)"


def _expected(error: dict[str, Any] | None, bands: list[str]) -> list[tuple[str, str]]:
    """What a fit on the scene found out about itself."""
    if not error:
        return []
    by_band = ", ".join(f"{band} {rmse:.4f}" for band, rmse in zip(bands, error["rmse"], strict=True) if rmse is not None)
    return [
        (
            "expected error",
            f"{error['rmse_overall']:.4f} reflectance (RMSE on {error['held_out_px']:,} samples of clear pixels, hidden for the purpose)",
        ),
        ("by band", by_band),
    ]
