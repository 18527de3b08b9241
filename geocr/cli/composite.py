"""`geocr composite`: one clear image out of a series."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli import _options as options
from geocr.cli._pictures import Pictures
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_json
from geocr.cli.predict_scene import files_of, foresee, print_plan, print_summary

if TYPE_CHECKING:
    from geocr.config import PredictConfig


def command(
    ctx: typer.Context,
    scenes: Annotated[
        list[str], typer.Argument(metavar="S2[,S1]...", help="The series: Sentinel-2 of each date, with its Sentinel-1 behind a comma.")
    ],
    out: Annotated[str, typer.Option("-o", "--out", help="Clear COG to write: FILE or s3:// URL.")],
    day: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="Day of the composite: the nearest scene is the target.")
    ] = None,
    s1_units: options.S1Units = "auto",
    s1_radiometry: options.S1Radiometry = "auto",
    s1_border_noise: options.S1BorderNoise = "mask",
    s1_gcps: options.S1Gcps = False,
    s2_bands: options.S2Bands = None,
    s2_scale: options.S2Scale = None,
    s2_offset: options.S2Offset = None,
    s2_resampling: options.S2Resampling = "bilinear",
    resolution: options.Resolution = None,
    cloud_mask: Annotated[
        str,
        typer.Option(
            help="auto, s2cloudless, scl, cldprb, omnicloudmask or rule, or several joined by +: how clouds are found on each date."
        ),
    ] = "auto",
    mask_buffer_px: options.MaskBufferPx = None,
    mask_buffer_m: options.MaskBufferM = None,
    max_days: options.MaxDays = None,
    max_memory: options.MaxMemory = None,
    aoi: options.Aoi = None,
    on_error: options.OnError = "stop",
    save_mask: options.SaveMask = False,
    uncertainty: options.Uncertainty = False,
    quicklook: options.Quicklook = False,
    report: options.Report = None,
    seed: options.Seed = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Tiles filled at the same time. (default: all cores)")] = None,
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
    """Make a clear composite of a series of Sentinel-2 scenes of one place.

    One scene is the target: the one nearest to --date, else the clearest. It gives the grid and keeps its clear pixels bit for bit. Its
    clouds are filled from the other dates, matched in radiometry, nearest in time first; what none of them shows, by the fit on the target
    and its Sentinel-1. <out>_provenance.tif and <out>_source_days.tif tell where each pixel comes from.

    [bold]Examples[/bold]

      geocr composite S2_20240501.tif S2_20240511.tif S2_20240521.tif -o may.tif

      geocr composite s2_a.tif,s1_a.tif s2_b.tif -o clear.tif --date 2024-05-10 --uncertainty --quicklook
    """
    config = options.config_of(ctx.params)
    when = _day_of(day)
    facts: dict[str, Any]
    pictures = Pictures(quicklook=quicklook, report=report)
    with Display(quiet=quiet or as_json) as display:
        from geocr.inference.composite import composite, plan_composite
        from geocr.inference.outputs import place_outputs

        if dry_run:
            facts = plan_composite(scenes, day=when, config=config, threads=threads, progress=display)
            foresee(facts, display, lambda: _require_places(scenes, out, config, pictures, overwrite=overwrite, stac=not no_stac))
        else:
            paths = place_outputs(out, "", scratch=scratch)
            pictures.require_places(paths, overwrite=overwrite)
            result = composite(
                scenes,
                out,
                day=when,
                config=config,
                progress=display,
                extras=pictures.drawer(display),
                overwrite=overwrite,
                threads=threads,
                scheduler=scheduler,
                workers=workers,
                scratch=scratch,
                stac=not no_stac,
            )
            facts = {**result.summary, "files": files_of(result, pictures.files(paths))}
    if as_json:
        print_json(facts)
    elif not quiet:
        (print_plan if dry_run else print_summary)(facts)


def _require_places(scenes: list[str], out: str, config: "PredictConfig", pictures: Pictures, *, overwrite: bool, stac: bool) -> None:
    from geocr.inference.composite import require_places
    from geocr.inference.outputs import place_outputs

    paths = place_outputs(out, "")
    pictures.require_places(paths, overwrite=overwrite)
    if paths.remote is None:  # a store is asked when it is written to
        require_places(scenes, out, config, overwrite=overwrite, stac=stac)


def _day_of(text: str | None) -> date | None:
    from geocr.core.errors import InputError

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--date is a day as YYYY-MM-DD, for example 2024-05-10, got {text!r}") from error
