"""Fetch: windows of remote images as local Cloud-Optimized GeoTIFFs, with items that describe them and a list of pairs.

Pixels are read by odc-stac in blocks of rows through Dask, so no image is ever held as a whole. What is finished stays: a
run that was stopped goes on with the files, and within a file with the blocks of rows, that are missing.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import rasterio

from geocr.catalog.fetch_plan import ItemPlan, PairPlan, Piece
from geocr.catalog.fetched_item import fetched_item
from geocr.catalog.items import COG_TYPE, projection
from geocr.catalog.window import outline_of
from geocr.core.errors import InputError, OutputExistsError, RasterReadError, RemoteReadError
from geocr.core.types import NumberArray
from geocr.io.cog import assemble_cog, sync_rename
from geocr.io.failure import naming_failure
from geocr.io.overviews import overview_factors
from geocr.io.part import PartWriter
from geocr.io.raster import GDAL_OPTIONS
from geocr.io.remote import gdal_name, gdal_options, is_remote
from geocr.io.whole import write_json

if TYPE_CHECKING:
    import pystac

PART_ROWS = 1024
"""Rows that are fetched and finished at a time."""
_SOME_TIME = datetime(2015, 6, 23, tzinfo=UTC)
"""odc-stac sorts items by time; with one item any will do."""
_CHUNK_PX = 1024
"""Columns and rows of what one Dask task reads."""


class Progress(Protocol):
    """Told how it goes."""

    def stage(self, name: str, total: int) -> None:
        """Begin a stage."""

    def advance(self, steps: int = 1) -> None:
        """Count steps of it."""

    def note(self, text: str) -> None:
        """Say a decision aloud."""


@dataclass(slots=True)
class FetchResult:
    """What became of the files of a fetch."""

    fetched: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Files that were there already, whole and of the same window."""


def require_free_files(plans: Sequence[PairPlan], *, overwrite: bool) -> None:
    """Raise when there is something else where a file would go.

    Raises:
        OutputExistsError: With its name.
        InputError: When two pairs have images of one name that differ.
    """
    seen: dict[Path, str] = {}
    for piece in _pieces(plans):
        if seen.setdefault(piece.out, piece.digest) != piece.digest:
            raise InputError(f"each image of a list has a name of its own; {piece.out} would be made of two; fetch them into two folders")
        if piece.out.exists() and not overwrite and not is_fetched(piece):
            raise OutputExistsError(
                f"outputs are never overwritten unasked, and {piece.out} is another file, or another window; add --overwrite, or choose another folder with -o"
            )


def fetch(plans: Sequence[PairPlan], *, overwrite: bool, threads: int, progress: Progress) -> FetchResult:
    """Fetch everything that is not there yet, then write the items.

    Args:
        plans: What is wanted.
        overwrite: Replace other files of the same names.
        threads: Blocks read at the same time.
        progress: Told how it goes.

    Raises:
        OutputExistsError: When a file is in the way.
        RemoteReadError: When a remote file cannot be read.
        OutputWriteError: When a local one cannot be written.
    """
    require_free_files(plans, overwrite=overwrite)
    pieces = {piece.out: piece for piece in _pieces(plans)}
    missing = {path: piece for path, piece in pieces.items() if not is_fetched(piece)}
    result = FetchResult(kept=[path for path in pieces if path not in missing])
    progress.stage("fetching", sum(len(_parts(piece)) for piece in missing.values()))
    with rasterio.Env(**GDAL_OPTIONS):  # by default GDAL keeps blocks until 5 % of the machine's memory is full
        for path, piece in missing.items():
            fetch_piece(piece, threads=threads, on_part=progress.advance)
            result.fetched.append(path)
    for item in _items(plans):
        write_json(item.place, fetched_item(item))
    return result


def _items(plans: Sequence[PairPlan]) -> Iterator[ItemPlan]:
    for plan in plans:
        yield from plan.items


def _pieces(plans: Sequence[PairPlan]) -> Iterator[Piece]:
    for item in _items(plans):
        yield from item.pieces


def is_fetched(piece: Piece) -> bool:
    """Whether the local file is there and is this very window of this very source."""
    if not piece.out.is_file():
        return False
    try:
        with rasterio.open(piece.out) as dataset:
            return bool(dataset.tags().get("GEOCR_FETCHED") == piece.digest)
    except rasterio.errors.RasterioIOError:
        return False


def _parts(piece: Piece) -> list[tuple[int, int]]:
    """First row and height of what is finished at a time, cut where overviews allow it."""
    coarsest = max(overview_factors(piece.grid.shape), default=1)
    step = max(PART_ROWS // coarsest, 1) * coarsest
    rows = piece.grid.shape[0]
    return [(row, min(step, rows - row)) for row in range(0, rows, step)]


def fetch_piece(piece: Piece, *, threads: int, on_part: Callable[[], object] = lambda: None) -> None:
    """Make one local file: parts under a temporary folder, one COG of them, one rename.

    Raises:
        RemoteReadError: When the source cannot be read.
        OutputWriteError: When the file cannot be written.
    """
    scratch = piece.out.with_name(f".{piece.out.name}.{piece.digest[:12]}.geocr")
    with naming_failure(piece.out):
        scratch.mkdir(parents=True, exist_ok=True)
    spec = piece.spec()
    parts = [(scratch / f"part_{row}.tif", row, height) for row, height in _parts(piece)]
    lazy = None
    for path, row, height in parts:
        if not path.exists():
            lazy = open_lazily(piece) if lazy is None else lazy
            _write_part(path, spec, row, _read_rows(lazy, piece, row, height, threads))
        on_part()
    made = assemble_cog(parts, scratch / "final.tif", spec)
    sync_rename(made, piece.out)
    shutil.rmtree(scratch)


def _write_part(path: Path, spec: Any, row: int, rows: NumberArray) -> None:  # noqa: ANN401 - a RasterSpec
    writer = PartWriter(path, spec, row=row, height=rows.shape[0])
    try:
        writer.write(rows[None])
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


def open_lazily(piece: Piece) -> Any:  # noqa: ANN401 - an xarray array of dask chunks
    """A piece as an array `(y, x)` of Dask chunks in the source's dtype; nothing is read."""
    try:
        import odc.stac  # noqa: PLC0415 - an extra, and two seconds
        from odc.geo.geobox import GeoBox  # noqa: PLC0415 - as above
    except ImportError as error:
        raise InputError("fetching needs odc-stac, which is not installed; pip install 'geocr[stac]'") from error
    name = "band" if piece.index == 1 else f"band.{piece.index}"
    odc.stac.configure_rio(
        cloud_defaults=False, **(gdal_options() if is_remote(piece.href) else {})
    )  # kept in the tasks that are made here
    try:
        loaded = odc.stac.load(
            [_single_item(piece)],
            bands=[name],
            geobox=GeoBox(piece.grid.shape, piece.grid.transform, piece.grid.crs.to_wkt()),
            chunks={"y": _CHUNK_PX, "x": _CHUNK_PX},
            resampling=piece.resampling,
            dtype=piece.dtype,
            nodata=piece.nodata,
            fail_on_error=True,
        )
    finally:
        odc.stac.configure_rio(cloud_defaults=False)
    return loaded[name].isel(time=0)


def _single_item(piece: Piece) -> "pystac.Item":
    """The source as the item that odc-stac reads: one asset, its grid, its bands."""
    import pystac  # noqa: PLC0415 - an extra

    outline = outline_of(piece.source)
    item = pystac.Item(
        id="source",
        geometry=outline.__geo_interface__,
        bbox=list(outline.bounds),
        datetime=None,
        start_datetime=_SOME_TIME,
        end_datetime=_SOME_TIME,
        properties=projection(piece.source),
        stac_extensions=["https://stac-extensions.github.io/projection/v2.0.0/schema.json"],
    )
    fields = {name: value for name, value in projection(piece.source).items() if name in ("proj:shape", "proj:transform")}
    stored: dict[str, Any] = {"data_type": piece.dtype}
    if piece.nodata is not None:
        stored["nodata"] = "nan" if np.isnan(piece.nodata) else piece.nodata
    fields["raster:bands"] = [stored] * piece.index
    item.add_asset("band", pystac.Asset(href=gdal_name(piece.href), media_type=COG_TYPE, roles=["data"], extra_fields=fields))
    return item


def _read_rows(lazy: Any, piece: Piece, row: int, height: int, threads: int) -> NumberArray:  # noqa: ANN401 - an xarray array
    with _reading(piece):
        found: NumberArray = lazy.isel(y=slice(row, row + height)).data.compute(scheduler="threads", num_workers=threads)
    return found


@contextmanager
def _reading(piece: Piece) -> Iterator[None]:
    """Errors of reading in words that name the address."""
    try:
        yield
    except (rasterio.errors.RasterioError, OSError) as error:
        cause = str(error.__cause__ or error).replace(gdal_name(piece.href), piece.href)
        if is_remote(piece.href):
            raise RemoteReadError(
                f"a remote file must be readable; {piece.href} is not: {cause}; run the same command again to go on from here"
            ) from error
        raise RasterReadError(f"every block of an input must decode; {piece.href} does not: {cause}; fetch it again") from error
