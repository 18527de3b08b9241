"""Finished bands of rows on disk, and the manifest that lets a stopped run go on.

A band is whole when its part files have their final names and its record is in the manifest; the manifest is
rewritten under a temporary name and renamed, so it never lies. It carries a fingerprint of everything that decides the output: with
another one, what is found in the folder is thrown away.
"""

import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from geocr.core.types import NumberArray
from geocr.grid.lattice import Lattice
from geocr.inference.plan import RowBand
from geocr.inference.products import FinishedRows
from geocr.inference.seam import SeamCounter, SeamSums
from geocr.inference.tuning import Tuning
from geocr.io.failure import naming_failure
from geocr.io.part import PartWriter
from geocr.io.spec import RasterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRecord:
    """What is known of a finished band."""

    row: int
    """First row."""
    height: int
    """Rows."""
    pixels: dict[str, int] = field(default_factory=dict)
    """Pixels by provenance class (its number as text)."""
    seam: SeamSums = field(default_factory=SeamSums)
    """Jumps across tile lines and off them."""
    damage: tuple[str, ...] = ()
    """A sentence for each input block that was taken as nodata."""


def part_path(folder: Path, product: str, row: int) -> Path:
    """Where a product's part that begins at a row lies in a scratch folder."""
    return folder / f"{product}_{row:06d}.tif"


class Manifest:
    """The scratch folder of one run: its part files and which bands are finished.

    Args:
        folder: Scratch folder of the output; made when missing.
        fingerprint: Hash of inputs, method, settings, plan and version.
        request: Hash of the same before the method was tuned.
        tuning: What tuning decided; kept, so that a run that goes on decides the same.
    """

    def __init__(self, folder: Path, fingerprint: str, *, request: str = "", tuning: Tuning | None = None) -> None:
        self.folder = folder
        self.fingerprint = fingerprint
        self._request = request
        self._tuning = tuning
        self._lock = threading.Lock()
        self.records = finished_bands(folder, fingerprint)
        if not self.records and folder.exists():
            shutil.rmtree(folder)
        with naming_failure(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def add(self, record: BandRecord) -> None:
        """Write down that a band is finished; its parts have their final names by now."""
        with self._lock:
            self.records[record.row] = record
            self._write()

    def _write(self) -> None:
        content = {
            "fingerprint": self.fingerprint,
            "request": self._request,
            "tuning": None if self._tuning is None else self._tuning.to_dict(),
            "bands": [asdict(record) for record in self.records.values()],
        }
        temporary = self.folder / "manifest.json.partial"
        with naming_failure(self.folder / _MANIFEST):
            temporary.write_text(json.dumps(content))
            temporary.replace(self.folder / _MANIFEST)

    def pixels(self) -> Counter[str]:
        """Pixels by provenance class over all finished bands."""
        total: Counter[str] = Counter()
        for record in self.records.values():
            total.update(record.pixels)
        return total

    def seam(self) -> SeamSums:
        """Seam sums over all finished bands."""
        return sum((record.seam for record in self.records.values()), SeamSums())

    def damage(self) -> list[str]:
        """What was said of input blocks that did not decode, each once."""
        return list(dict.fromkeys(sentence for record in self.records.values() for sentence in record.damage))

    def remove(self) -> None:
        """Delete the folder after success."""
        shutil.rmtree(self.folder)


_MANIFEST = "manifest.json"


def finished_bands(folder: Path, fingerprint: str) -> dict[int, BandRecord]:
    """Finished bands of a scratch folder by first row; none when it is of another run or cannot be read."""
    content = _content(folder)
    if content.get("fingerprint") != fingerprint:
        return {}
    return {
        record["row"]: BandRecord(**{**record, "seam": SeamSums(**record["seam"]), "damage": tuple(record["damage"])})
        for record in content["bands"]
    }


def remembered_tuning(folder: Path, request: str) -> Tuning | None:
    """What the run of the same request, stopped in this folder, had decided; None when there was none or it decided nothing."""
    content = _content(folder)
    if content.get("request") != request or not content.get("tuning"):
        return None
    return Tuning.from_dict(content["tuning"])


def is_folder_of(folder: Path, fingerprint: str) -> bool:
    """Whether a scratch folder is seen from here and belongs to this run (a worker may not share the disk)."""
    return bool(_content(folder).get("fingerprint") == fingerprint)


def _content(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / _MANIFEST).read_text())
    except (OSError, ValueError):
        return {}
    return content


class BandWriter:
    """Takes finished rows in order and commits whole bands, writing in the background.

    At most one chunk of rows waits while another is written, so rows cannot pile up before a slow disk.

    Args:
        folder: Where parts go.
        bands: Bands to write, in order and without gaps.
        specs: Product name (`scene`, `provenance`, `std`, `source_days`, `mask`) to what it is.
        lattice: Where tiles begin and end, for the seam figure.
        commit: Told of each band once its parts are whole.
    """

    def __init__(
        self,
        folder: Path,
        bands: Sequence[RowBand],
        specs: Mapping[str, RasterSpec],
        lattice: Lattice,
        commit: Callable[[BandRecord], None],
    ) -> None:
        self._seams = SeamCounter(lattice=lattice)
        self._seam = SeamSums()
        self._damage: list[str] = []
        self._folder = folder
        self._tell = commit
        self._bands = list(bands)
        self._specs = specs
        self._writers: dict[str, PartWriter] = {}
        self._pixels: Counter[str] = Counter()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="geocr-write")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._pool.shutdown(wait=True)
            for writer in self._writers.values():
                writer.abandon()

    def note_damage(self, sentence: str) -> None:
        """Keep what is said of an input block with the next band that is finished."""
        self._damage.append(sentence)

    def write(self, rows: FinishedRows) -> None:
        """Hand over rows; returns when the rows before them are on the disk."""
        self._wait()
        self._pending = self._pool.submit(self._write, rows)

    def _wait(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def _write(self, rows: FinishedRows) -> None:
        arrays = {"scene": rows.scene, "provenance": rows.provenance, "std": rows.std, "source_days": rows.source_days, "mask": rows.mask}
        row, stop = rows.row, rows.row + rows.scene.shape[1]
        self._seam += self._seams.count(rows)
        while row < stop:
            band = self._bands[0]
            if not self._writers:
                self._writers = {
                    name: PartWriter(part_path(self._folder, name, band.row), spec, row=band.row, height=band.height)
                    for name, spec in self._specs.items()
                }
            upto = min(stop, band.stop)
            for name, writer in self._writers.items():
                array = arrays[name]
                assert array is not None  # noqa: S101 - for mypy: a product that is asked for is made
                writer.write(array[:, row - rows.row : upto - rows.row])
            self._pixels.update(_count(rows.provenance[:, row - rows.row : upto - rows.row]))
            row = upto
            if row == band.stop:
                self._commit()

    def _commit(self) -> None:
        band = self._bands.pop(0)
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.finish()
        damage = tuple(self._damage)
        del self._damage[: len(damage)]  # not a new list: the reading thread may be adding to this one
        self._tell(BandRecord(row=band.row, height=band.height, pixels=dict(self._pixels), seam=self._seam, damage=damage))
        self._pixels.clear()
        self._seam = SeamSums()


def _count(provenance: NumberArray) -> dict[str, int]:
    counts = np.bincount(provenance.ravel())
    return {str(value): int(count) for value, count in enumerate(counts) if count}
