"""The index of a data set: one Parquet file with a row for each sample, made once and filtered many times.

Rows are measured in parallel and kept in parts of 256 beside the index until all are there; a stopped run goes on from its
parts, and a later run measures again only what changed on disk.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from torch.utils.data import DataLoader

from geocr._version import __version__
from geocr.core.errors import InputError, MissingDataError, OutputWriteError
from geocr.data.datasets.base import FusionDataset
from geocr.data.datasets.record import SampleRecord
from geocr.data.masker import PatchMasker
from geocr.data.measure import SCHEMA, Measured, Row, named_of, stamp_of
from geocr.data.samplers import Patch
from geocr.io.times import acquisition_of

PART_ROWS = 256
"""Rows that a stopped run may lose."""
_FORMAT = "2"
_NAMED = ("id", "roi", "split", "date", "sar", "cloudy", "clear", "masks")
"""Columns that follow from records: a row whose record has changed is measured again."""


class Advance(Protocol):
    """Told of rows that are done."""

    def __call__(self, steps: int = 1) -> None:
        """So many more rows are there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSummary:
    """What a run of the index did."""

    path: Path
    """The index."""
    rows: int
    """Samples in it."""
    measured: int
    """Of these, read in this run."""
    errors: int
    """Samples that could not be read."""


def default_index(root: str | Path, dataset: str) -> Path:
    """Where the index of a data set lies: `<root>/geocr_index_<dataset>.parquet`."""
    return Path(root) / f"geocr_index_{dataset}.parquet"


def build_index(
    dataset: FusionDataset,
    destination: Path,
    *,
    masker: PatchMasker | None = None,
    checksum: bool = True,
    workers: int = 0,
    total: Callable[[int], None] | None = None,
    advance: Advance | None = None,
) -> IndexSummary:
    """Measure every sample of a data set, all splits it was made with, into one Parquet file.

    Args:
        dataset: With `split=None` for all samples.
        destination: The index; replaced in one step when all rows are there.
        masker: Finds clouds where the set has no masks of its own.
        checksum: Read every byte of every file for a SHA-256.
        workers: Processes that measure; 0 measures in this one.
        total: Told the number of rows to measure.
        advance: Told of each.

    Raises:
        OutputWriteError: When the index or its parts cannot be written.
    """
    facts = _facts(dataset, masker, checksum=checksum)
    parts = destination.with_name(f".{destination.name}.parts")
    known = _known_rows(destination, parts, facts)
    seen = {row[0]: row for *row, error in _columns(known, *_NAMED, "stamp", "error") if error is None}
    todo = [
        number
        for number, record in enumerate(dataset.samples)
        if seen.get(record.id) != [*named_of(record).values(), stamp_of(dataset.root, record)]
    ]
    if total is not None:
        total(len(todo))
    try:
        parts.mkdir(parents=True, exist_ok=True)
        fresh = _measure_all(Measured(dataset, todo, masker=masker, checksum=checksum), workers, advance)
        for batch in _batched(fresh):
            _write(pa.Table.from_pylist(batch, schema=SCHEMA), parts / f"{_part_name(batch)}.parquet", facts)
        known = _known_rows(destination, parts, facts)
        places = _last_places(known)
        ordered = known.take([places[record.id] for record in dataset.samples])
        _write(ordered, destination, facts)
        shutil.rmtree(parts)
    except OSError as error:
        raise OutputWriteError(
            f"an index must be writable; {destination} failed: {error}; free space or choose another file with -o"
        ) from error
    errors = ordered.num_rows - ordered["error"].null_count
    return IndexSummary(path=destination, rows=ordered.num_rows, measured=len(todo), errors=errors)


def read_index(path: str | Path) -> pa.Table:
    """The index as a table.

    Raises:
        MissingDataError: When there is none.
        InputError: When the file is no index.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingDataError(
            f"an index must be made before it is used; there is none at {file}: geocr data index ROOT --dataset NAME -o {file.name}"
        )
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"an index is a Parquet file made by geocr data index; {file} is not: {error}") from error
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(f"an index has the columns of this version of geocr; {file} lacks {', '.join(missing)}; make it again")
    return table


def select_rows(
    table: pa.Table,
    *,
    min_cloud: float = 0.0,
    max_cloud: float = 1.0,
    max_shadow: float = 1.0,
    min_valid: float = 0.0,
    min_sar: float = 0.0,
) -> pa.Table:
    """Rows without an error whose shares lie within bounds, which count themselves.

    Args:
        table: An index.
        min_cloud: Least share under cloud or shadow (`masked_share`).
        max_cloud: Greatest.
        max_shadow: Greatest share in shadow.
        min_valid: Least share of usable pixels.
        min_sar: Least share seen by Sentinel-1.

    Raises:
        InputError: When a bound is outside 0 to 1, or is on clouds where the index has no masks.
    """
    bounds = {"min_cloud": min_cloud, "max_cloud": max_cloud, "max_shadow": max_shadow, "min_valid": min_valid, "min_sar": min_sar}
    for name, value in bounds.items():
        if not 0 <= value <= 1:
            raise InputError(f"{name} is a share between 0 and 1, got {value!r}")
    rules = [("masked_share", pc.greater_equal, min_cloud, min_cloud > 0), ("masked_share", pc.less_equal, max_cloud, max_cloud < 1)]
    rules += [("shadow_share", pc.less_equal, max_shadow, max_shadow < 1), ("valid_share", pc.greater_equal, min_valid, min_valid > 0)]
    rules.append(("sar_share", pc.greater_equal, min_sar, min_sar > 0))
    table = table.filter(pc.is_null(table["error"]))
    for column, holds, bound, active in rules:
        if not active:
            continue
        if table.num_rows and table[column].null_count == table.num_rows:
            raise InputError(f"a bound on {column} needs an index that has it; make the index with --cloud-mask auto")
        table = table.filter(holds(table[column], pa.scalar(bound, pa.float32())))
    return table


def index_filter(path: str | Path, **bounds: float) -> Callable[[SampleRecord], bool]:
    """A filter of records for `FusionDataset.filtered` and `FusionDataModule(keep=...)`.

    Args:
        path: The index.
        **bounds: As `select_rows`.
    """
    kept = frozenset(select_rows(read_index(path), **bounds)["id"].to_pylist())
    return _KeepIds(kept)


def index_covers(path: str | Path) -> dict[str, tuple[float, ...]]:
    """Identifier to the cloud shares of all dates of a series, as `sen12mscr_ts` takes them for `cover`.

    Args:
        path: An index of a set whose dates are chosen by their cover, made with a `cloud_mask`.

    Raises:
        InputError: When the index has none.
    """
    found = {name: tuple(shares) for name, shares in _columns(read_index(path), "id", "covers") if shares is not None}
    if not found:
        raise InputError(
            f"cloud shares of all dates are in an index of a series made with a cloud mask (geocr data index ROOT --dataset sen12mscr_ts "
            f"--set cloud_mask=auto); {path} has none"
        )
    return found


class IndexedPlaces:
    """A filter of patches for GeoSamplers: keeps those that indexed patches within the bounds cover.

    Args:
        path: An index of `scenes`.
        least_cover: Share of a patch that such patches must cover.
        **bounds: As `select_rows`.

    Raises:
        InputError: When the index holds no places.
    """

    def __init__(self, path: str | Path, *, least_cover: float = 0.999, **bounds: float) -> None:
        kept = select_rows(read_index(path), **bounds)
        kept = kept.filter(pc.is_valid(kept["left"]))
        if not kept.num_rows:
            raise InputError(f"a filter of places needs indexed patches with a georeference within its bounds; {path} has none")
        boxes = zip(*(kept[name].to_pylist() for name in ("left", "bottom", "right", "top")), strict=True)
        self.least_cover = least_cover
        self._days: dict[str | None, Any] = {}
        by_day: dict[str | None, list[Any]] = {}
        for day, box in zip(_cloudy_days(kept), boxes, strict=True):
            by_day.setdefault(day, []).append(shapely.box(*box))
        self._days = {day: shapely.union_all(found) for day, found in by_day.items()}

    def __call__(self, patch: Patch) -> bool:
        """Whether a patch is kept."""
        x, y, t = patch
        ground = self._days.get(t.start.date().isoformat(), self._days.get(None))
        box = shapely.box(x.start, y.start, x.stop, y.stop)
        return ground is not None and bool(ground.intersection(box).area >= self.least_cover * box.area)


@dataclass(frozen=True, slots=True)
class _KeepIds:
    """Membership, picklable."""

    ids: frozenset[str]

    def __call__(self, record: SampleRecord) -> bool:
        return record.id in self.ids


def _cloudy_days(table: pa.Table) -> list[str | None]:
    """Days of the cloudy images, out of their names; None where these tell none."""
    found = [acquisition_of(paths[0]) if paths else None for paths in table["cloudy"].to_pylist()]
    return [None if when is None else when.start.date().isoformat() for when in found]


def _facts(dataset: FusionDataset, masker: PatchMasker | None, *, checksum: bool) -> dict[bytes, bytes]:
    """What must be the same for rows of an earlier run to be used."""
    facts = {
        "format": _FORMAT,
        "dataset": dataset.card.name,
        "bands": [*dataset.sar_bands, *dataset.optical_bands],
        "settings": dataset.settings(),
        "masker": None if masker is None else [masker.method, masker.pixel_size_m, masker.buffer_m],
        "checksum": checksum,
    }
    return {b"geocr_index": json.dumps(facts, sort_keys=True).encode(), b"geocr_version": __version__.encode()}


def _known_rows(destination: Path, parts: Path, facts: dict[bytes, bytes]) -> pa.Table:
    """Rows of the index and of parts that were made in the same way, the newer behind the older."""
    files = [destination] if destination.is_file() else []
    files += sorted(parts.glob("*.parquet"), key=lambda file: file.stat().st_mtime_ns) if parts.is_dir() else []
    tables = [SCHEMA.empty_table()]
    for file in files:
        try:
            table = pq.read_table(file)
        except (pa.ArrowException, OSError):  # a part cut off by a crash: its rows are measured again
            continue
        if (table.schema.metadata or {}).get(b"geocr_index") == facts[b"geocr_index"]:
            tables.append(table.replace_schema_metadata(None))
    return pa.concat_tables(tables)


def _last_places(table: pa.Table) -> dict[str, int]:
    """Identifier to the number of its last row."""
    return {name: number for number, name in enumerate(table["id"].to_pylist())}


def _columns(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in names), strict=True)


def _measure_all(measured: Measured, workers: int, advance: Advance | None) -> Iterator[Row]:
    loader: Any = DataLoader(measured, batch_size=None, num_workers=workers, collate_fn=_as_is)
    for row in loader:
        if advance is not None:
            advance()
        yield row


def _as_is(row: Any) -> Any:  # noqa: ANN401 - a row, which torch takes for a list
    return row


def _batched(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == PART_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _part_name(batch: list[Row]) -> str:
    return hashlib.sha256("\n".join(row["id"] for row in batch).encode()).hexdigest()[:16]


def _write(table: pa.Table, destination: Path, facts: dict[bytes, bytes]) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(f".{destination.name}.partial")
    pq.write_table(table.replace_schema_metadata(facts), partial, compression="zstd")
    partial.replace(destination)
