"""Finished bands of rows on disk, and the manifest that lets a stopped run go on.

A band is whole when its part files have their final names and its record is in the manifest; the manifest is
rewritten under a temporary name and renamed, so it never lies. It carries a fingerprint of everything that decides the output: with
another one, what is found in the folder is thrown away.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from geocr.core.types import NumberArray
from geocr.inference.plan import RowBand
from geocr.inference.products import FinishedRows
from geocr.io.cog import PartWriter, RasterSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRecord:
    """What is known of a finished band."""

    row: int
    """First row."""
    height: int
    """Rows."""
    pixels: dict[str, int] = field(default_factory=dict)
    """Pixels by provenance class (its number as text)."""


class Manifest:
    """The scratch folder of one run: its part files and which bands are finished.

    Args:
        folder: Scratch folder of the output; made when missing.
        fingerprint: Hash of inputs, method, settings, plan and version.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self._path = folder / "manifest.json"
        self._fingerprint = fingerprint
        self.records = self._found()
        if not self.records and folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def _found(self) -> dict[int, BandRecord]:
        try:
            content = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        if content.get("fingerprint") != self._fingerprint:
            return {}
        return {record["row"]: BandRecord(**record) for record in content["bands"]}

    def add(self, record: BandRecord) -> None:
        """Write down that a band is finished."""
        self.records[record.row] = record
        content = {"fingerprint": self._fingerprint, "bands": [asdict(record) for record in self.records.values()]}
        temporary = self._path.with_suffix(".json.partial")
        temporary.write_text(json.dumps(content))
        temporary.replace(self._path)

    def part(self, product: str, row: int) -> Path:
        """Path of a product's part that begins at a row."""
        return self.folder / f"{product}_{row:06d}.tif"

    def pixels(self) -> Counter[str]:
        """Pixels by provenance class over all finished bands."""
        total: Counter[str] = Counter()
        for record in self.records.values():
            total.update(record.pixels)
        return total

    def remove(self) -> None:
        """Delete the folder after success."""
        shutil.rmtree(self.folder)


class BandWriter:
    """Takes finished rows in order and commits whole bands, writing in the background.

    At most one chunk of rows waits while another is written, so rows cannot pile up before a slow disk.

    Args:
        manifest: Where parts go and are recorded.
        bands: Bands to write, in order and without gaps.
        specs: Product name (`scene`, `provenance`, `std`) to what it is.
    """

    def __init__(self, manifest: Manifest, bands: tuple[RowBand, ...], specs: Mapping[str, RasterSpec]) -> None:
        self._manifest = manifest
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

    def write(self, rows: FinishedRows) -> None:
        """Hand over rows; returns when the rows before them are on the disk."""
        self._wait()
        self._pending = self._pool.submit(self._write, rows)

    def _wait(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()

    def _write(self, rows: FinishedRows) -> None:
        arrays = {"scene": rows.scene, "provenance": rows.provenance, "std": rows.std}
        row, stop = rows.row, rows.row + rows.scene.shape[1]
        while row < stop:
            band = self._bands[0]
            if not self._writers:
                self._writers = {
                    name: PartWriter(self._manifest.part(name, band.row), spec, row=band.row, height=band.height)
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
        self._manifest.add(BandRecord(row=band.row, height=band.height, pixels=dict(self._pixels)))
        self._pixels.clear()


def _count(provenance: NumberArray) -> dict[str, int]:
    counts = np.bincount(provenance.ravel())
    return {str(value): int(count) for value, count in enumerate(counts) if count}
