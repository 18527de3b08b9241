"""`geocr predict-batch`: remove the clouds of many scenes."""

from typing import TYPE_CHECKING, Annotated

import typer

from geocr.cli import _options as options
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_error, print_json

if TYPE_CHECKING:
    from geocr.inference.batch import SceneStatus


def command(
    ctx: typer.Context,
    pairs: Annotated[
        str,
        typer.Argument(
            metavar="PAIRS",
            help="A .csv with columns s1,s2[,out][,references]; a quoted pattern of S2 files; or a STAC item collection .json.",
        ),
    ],
    out: Annotated[
        str | None, typer.Option("-o", "--out", help="Folder or s3://BUCKET/PREFIX for all results. (default: beside each S2)")
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
    mask_buffer_px: options.MaskBufferPx = None,
    mask_buffer_m: options.MaskBufferM = None,
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
    seed: options.Seed = 0,
    scheduler: options.Scheduler = "threads",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes to start with --scheduler processes. (default: all cores)")] = None,
    scratch: options.Scratch = None,
    no_stac: Annotated[bool, typer.Option("--no-stac", help="Write no STAC items and no collection.")] = False,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the scenes and compute nothing.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Remove the clouds of many Sentinel-2 scenes.

    Writes <out>.status.json beside each result, and collection.json, a STAC collection of all of them, into the folder. One bad scene never stops the rest; the exit code is 2 when any failed. Run the same
    command again to do what is left.

    [bold]Examples[/bold]

      geocr predict-batch pairs.csv -o results/

      geocr predict-batch 'scenes/*_s2.tif' --scheduler processes --workers 4

      geocr predict-batch pairs.csv --scheduler tcp://scheduler:8786 -o s3://bucket/clear
    """
    from geocr.inference.batch import run_batch
    from geocr.inference.pairs import missing_inputs, read_pairs

    scenes = read_pairs(pairs, folder=out, no_s1=no_s1)
    config = options.config_of(ctx.params)
    if dry_run:
        missing = missing_inputs(scenes)
        _print_list([(pair.s1 or "-", pair.s2, str(pair.out), pair.references) for pair in scenes], missing, as_json=as_json)
        if missing:
            raise typer.Exit(2)
        return
    with Display(quiet=quiet or as_json) as display:
        display.stage("scenes", len(scenes))

        def tell(status: "SceneStatus") -> None:
            display.note(f"{status.outcome}: {status.s2}" + (f": {status.error}" if status.error else ""))
            display.advance()

        statuses = run_batch(
            scenes, config, overwrite=overwrite, scheduler=scheduler, workers=workers, scratch=scratch, stac=not no_stac, on_scene=tell
        )
    _print_table(statuses, as_json=as_json, quiet=quiet)
    if any(status.outcome == "failed" for status in statuses):
        raise typer.Exit(2)


def _print_list(rows: list[tuple[str, str, str, tuple[str, ...]]], missing: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"scenes": [dict(zip(("s1", "s2", "out", "references"), row, strict=True)) for row in rows], "missing": list(missing)})
        return
    for s1, s2, out, references in rows:
        typer.echo(f"{s1}  {s2}  ->  {out}" + (f"  (references: {'; '.join(references)})" if references else ""))
    for path in missing:
        print_error(f"scenes of a batch need their inputs; there is nothing at {path}; mend the list, or the other scenes alone are made")


def _print_table(statuses: "list[SceneStatus]", *, as_json: bool, quiet: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json({"scenes": [asdict(status) for status in statuses]})
        return
    if quiet:
        for status in statuses:
            if status.error:
                print_error(f"{status.s2}: {status.error}")
        return
    width = max(len(status.out) for status in statuses)
    typer.secho(f"{'result':<{width}}  outcome  cloud    time", bold=True)
    for status in statuses:
        cloud = f"{status.summary['cloud_share']:6.1%}" if status.summary else "     -"
        typer.echo(
            f"{status.out:<{width}}  {status.outcome:<7}  {cloud}  {status.seconds:6.1f} s" + (f"  {status.error}" if status.error else "")
        )
