"""`geocr search`: pairs of Sentinel-1 and Sentinel-2 in catalogues."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from geocr.cli import _options as options
from geocr.cli._render import AsJson, Display, Quiet, Verbose, print_json

if TYPE_CHECKING:
    from geocr.catalog.search import SearchRequest, SearchResult


def command(
    date: Annotated[str, typer.Option(help="A day, or FROM/TO: 2023-08-01/2023-08-31 (UTC, both days whole).")],
    bbox: Annotated[str | None, typer.Option(help="W,S,E,N in degrees; W greater than E crosses the antimeridian.")] = None,
    aoi: Annotated[str | None, typer.Option(help="Polygons instead of a box: GeoJSON, GeoPackage or other FILE, or WKT.")] = None,
    catalog: Annotated[
        str, typer.Option(help="earth-search, planetary-computer, the URL of a STAC API, or a static catalog.json.")
    ] = "planetary-computer",
    s1_catalog: Annotated[
        str | None, typer.Option(help="The same for Sentinel-1. (default: --catalog; planetary-computer for earth-search)")
    ] = None,
    s2_collection: Annotated[str | None, typer.Option(help="Collection of Sentinel-2. (default: by the catalogue)")] = None,
    s1_collection: Annotated[
        str | None, typer.Option(help="Collection of terrain-corrected Sentinel-1. (default: by the catalogue)")
    ] = None,
    no_s1: Annotated[bool, typer.Option("--no-s1", help="Search Sentinel-2 alone.")] = False,
    max_days: Annotated[float, typer.Option(min=0, help="Sentinel-1 at most so many days before or after.")] = 6.0,
    max_cloud: Annotated[float, typer.Option(min=0, max=100, help="Sentinel-2 with at most this percentage of cloud.")] = 100.0,
    min_overlap: Annotated[float, typer.Option(min=0, max=1, help="Sentinel-1 must cover this share of the scene in the area.")] = 0.5,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pairs, the earliest. (default: all)")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="List to write, FILE.csv or FILE.json. (default: CSV on standard output)")
    ] = None,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be asked, and ask nothing.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Find pairs of Sentinel-2 and Sentinel-1 images, and list them for fetch and predict-batch.

    Each Sentinel-2 image is listed with the Sentinel-1 images nearest in time that together cover it. Needs the extra `stac`.

    [bold]Examples[/bold]

      geocr search --bbox 15.0,46.5,15.3,46.7 --date 2023-08-01/2023-08-31 -o pairs.csv

      geocr search --aoi field.geojson --date 2023-08-15 --catalog earth-search --max-cloud 60 -o pairs.json

      geocr search --bbox 15.0,46.5,15.3,46.7 --date 2023-08-15 --catalog archive/catalog.json
    """
    from geocr.catalog.pair_list import csv_text, require_list_name, row_of, write_pairs
    from geocr.catalog.search import find_pairs

    request = _request(
        date, bbox, aoi, catalog, s1_catalog, s2_collection, s1_collection,
        no_s1=no_s1, max_days=max_days, max_cloud=max_cloud, min_overlap=min_overlap, limit=limit,
    )  # fmt: skip
    if out is not None:
        require_list_name(out, overwrite=overwrite)
    if dry_run:
        _print_plan(request, as_json=as_json)
        return
    with Display(quiet=quiet or as_json, stopped="nothing was written") as display:
        result = find_pairs(request, tell=display.note)
        for text in _notes(result, request):
            display.note(text)
    if out is not None:
        write_pairs(out, result.pairs, overwrite=overwrite)
    rows = [row_of(pair) for pair in result.pairs]
    if as_json:
        facts = {name: getattr(result, name) for name in ("s2_found", "s1_found", "too_cloudy", "without_s1")}
        print_json({"pairs": [row.as_json() for row in rows], "out": None if out is None else str(out), **facts})
    elif out is None:
        typer.echo(csv_text(rows), nl=False)
    elif not quiet:
        typer.echo(f"{len(rows)} pairs in {out}")


def _request(
    date: str,
    bbox: str | None,
    aoi: str | None,
    catalog: str,
    s1_catalog: str | None,
    s2_collection: str | None,
    s1_collection: str | None,
    *,
    no_s1: bool,
    max_days: float,
    max_cloud: float,
    min_overlap: float,
    limit: int | None,
) -> "SearchRequest":
    from geocr.catalog.area import SearchArea, SearchTime
    from geocr.catalog.search import SearchRequest, choose_catalogs
    from geocr.core.errors import InputError

    if (bbox is None) == (aoi is None):
        raise InputError(f"an area is given by --bbox or by --aoi, one of them; got {'neither' if bbox is None else 'both'}")
    s2, s1 = choose_catalogs(catalog, s1_catalog=s1_catalog, s2_collection=s2_collection, s1_collection=s1_collection, with_s1=not no_s1)
    return SearchRequest(
        area=SearchArea.from_bbox(bbox) if bbox is not None else SearchArea.from_aoi(aoi or ""),
        time=SearchTime.parse(date),
        s2=s2,
        s1=s1,
        max_days=max_days,
        max_cloud_percent=max_cloud,
        min_overlap=min_overlap,
        limit=limit,
    )


def _notes(result: "SearchResult", request: "SearchRequest") -> list[str]:
    found = [f"{result.s2_found} Sentinel-2 and {result.s1_found} Sentinel-1 images in the area"]
    if result.too_cloudy:
        found.append(f"{result.too_cloudy} with more than {request.max_cloud_percent:g} % cloud left out")
    if result.without_s1:
        found.append(
            f"{result.without_s1} left out: Sentinel-1 within {request.max_days:g} days covers less than {request.min_overlap:.0%} of them"
        )
    return found


def _print_plan(request: "SearchRequest", *, as_json: bool) -> None:
    facts: dict[str, Any] = {
        "time": str(request.time),
        "boxes": [list(box) for box in request.area.boxes],
        "s2": {"catalog": request.s2.url, "collection": request.s2.collection},
        "s1": None if request.s1 is None else {"catalog": request.s1.url, "collection": request.s1.collection},
        "max_days": request.max_days,
    }
    if as_json:
        print_json(facts)
        return
    from geocr.cli._render import in_words, print_facts

    print_facts("search (nothing was asked)", [(name, in_words(value)) for name, value in facts.items()])
