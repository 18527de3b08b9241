"""`geocr fetch`: the needed windows of listed pairs as local files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli import _options as options
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_json, size_of

if TYPE_CHECKING:
    from geocr.catalog.fetch_plan import PairPlan


def command(
    pairs: Annotated[
        str, typer.Argument(metavar="PAIRS", help="A .csv or .json of geocr search, or another list whose s1 and s2 are STAC items.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for files, items and the new list, pairs.csv.")],
    bbox: Annotated[str | None, typer.Option(help="W,S,E,N in degrees: only this window. (default: whole images)")] = None,
    aoi: Annotated[str | None, typer.Option(help="Polygons instead of a box: GeoJSON, GeoPackage or other FILE, or WKT.")] = None,
    resolution: Annotated[float | None, typer.Option(min=0, help="Average finer bands to pixels of so many metres.")] = None,
    no_s1: Annotated[bool, typer.Option("--no-s1", help="Fetch Sentinel-2 alone.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Blocks read at the same time.")] = 4,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be read, in bytes; headers alone are read.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Fetch the windows that are needed of listed pairs, as local Cloud-Optimized GeoTIFFs.

    Pixels stay as they are: each band keeps its grid, its values, scale, offset and nodata. Finished files are kept; run the same command
    again to go on. The new list is read by predict-batch as it is. Needs the extra `stac`.

    [bold]Examples[/bold]

      geocr fetch pairs.csv -o scenes --bbox 15.0,46.5,15.3,46.7

      geocr fetch pairs.csv -o scenes --aoi field.geojson --resolution 20 --dry-run

      geocr predict-batch scenes/pairs.csv -o results
    """
    from geocr.catalog.fetch import fetch, require_free_files
    from geocr.catalog.fetched_list import LIST_NAME, require_free_list, write_list

    with Display(quiet=quiet or as_json, stopped="finished files are kept, and the same command goes on from there") as display:
        plans = _plans(pairs, out, bbox, aoi, resolution, display, no_s1=no_s1)
        require_free_files(plans, overwrite=overwrite)
        require_free_list(out / LIST_NAME, plans, overwrite=overwrite)
        if not dry_run:
            result = fetch(plans, overwrite=overwrite, threads=threads, progress=display)
            write_list(out / LIST_NAME, plans)
    facts: dict[str, Any] = {"pairs": len(plans), "bytes": sum(plan.nbytes for plan in plans)}
    if dry_run:
        facts["files"] = [
            {"out": str(piece.out), "from": piece.href, "bytes": piece.nbytes}
            for plan in plans
            for item in plan.items
            for piece in item.pieces
        ]
    else:
        facts |= {"fetched": len(result.fetched), "kept": len(result.kept), "list": str(out / LIST_NAME)}
    if as_json:
        print_json(facts)
    elif not quiet:
        _print(facts, dry_run=dry_run)


def _plans(
    pairs: str, out: Path, bbox: str | None, aoi: str | None, resolution: float | None, display: Display, *, no_s1: bool
) -> "list[PairPlan]":
    from geocr.catalog.area import SearchArea
    from geocr.catalog.fetch_plan import plan_pair
    from geocr.core.errors import InputError
    from geocr.inference.pairs import read_pairs

    if bbox is not None and aoi is not None:
        raise InputError("an area is given by --bbox or by --aoi, one of them; got both")
    area = SearchArea.from_bbox(bbox) if bbox is not None else SearchArea.from_aoi(aoi) if aoi is not None else None
    rows = read_pairs(pairs, folder=None, no_s1=no_s1)
    display.stage("reading headers", len(rows))
    plans = []
    for row in rows:
        s1 = row.s1.split(",") if row.s1 else []
        plan = plan_pair(row.s2, s1, out.absolute(), area=None if area is None else area.geometry, resolution_m=resolution)
        display.advance()
        if plan is None:
            display.note(f"{row.s2} does not touch the area: left out")
            continue
        for text in plan.notes:
            display.note(text)
        plans.append(plan)
    if not plans:
        raise InputError(
            f"an area must touch at least one image of the list; {pairs} has {len(rows)}, and none does; check --bbox or --aoi"
        )
    return plans


def _print(facts: dict[str, Any], *, dry_run: bool) -> None:
    if dry_run:
        for file in facts["files"]:
            typer.echo(f"{size_of(file['bytes']):>10}  {file['out']}  from {file['from']}")
        typer.echo(
            f"{size_of(facts['bytes']):>10}  uncompressed, in {len(facts['files'])} files of {facts['pairs']} pairs; nothing was fetched"
        )
        return
    typer.echo(f"{facts['fetched']} files fetched, {facts['kept']} kept; {facts['pairs']} pairs in {facts['list']}")
