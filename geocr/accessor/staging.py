"""Arrays as rasters on the local disk: what the engine reads when a scene is no file.

A run reads its scene several times (clouds, fit, reconstruction), in windows that are not the array's chunks; a lazy array would be computed
again each time. So each chunk is computed once and written to a temporary, uncompressed GeoTIFF, whatever the array is, and everything behind
it is what `predict-scene` does with a file. Nothing is written before a task needs it. It is deleted when the last task that can need it has
run, or the array that asked for it is gone.
"""

import atexit
import os
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import rasterio

from geocr.accessor.stack import DaskOrNumpy, ImageStack
from geocr.accessor.storage import Storage
from geocr.core.errors import OutputWriteError
from geocr.io.failure import naming_failure
from geocr.io.grid import SceneGrid

AT_ONCE_BYTES = 64 * 2**20
"""Chunks computed at the same time while staging hold about that much (or are one)."""
_NUMPY_ROWS = 512

_LOCK = threading.Lock()
_ELSEWHERE: set[str] = set()
"""Folders that this process made for arrays of another (a worker's): deleted when it ends."""


class StagingFolder:
    """A temporary folder by a name that is the same in every process that works on an array; made where it is first needed.

    Pickles as its name: a worker that sees the folder uses what is in it, another makes its own of the same name.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir()) / f"geocr-array-{uuid.uuid4().hex}"
        self._home = os.getpid()
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (self.path, self._home)

    def ensure(self) -> Path:
        """The folder, existing.

        Raises:
            OutputWriteError: When it cannot be made.
        """
        with naming_failure(self.path):
            self.path.mkdir(mode=0o700, exist_ok=True)
        if os.getpid() != self._home:
            with _LOCK:
                if not _ELSEWHERE:
                    atexit.register(_clear_elsewhere)
                _ELSEWHERE.add(str(self.path))
        return self.path

    def clear(self) -> None:
        """Delete what is in it; it comes back when it is needed again."""
        shutil.rmtree(self.path, ignore_errors=True)


def _revive(path: Path, home: int) -> StagingFolder:
    """The same folder in another process, which does not delete it with the object."""
    folder = StagingFolder.__new__(StagingFolder)
    folder.path, folder._home = path, home  # noqa: SLF001 - its own constructor would make another
    return folder


def _clear_elsewhere() -> None:
    for path in _ELSEWHERE:
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StagedImage:
    """One image of an array, to be read as a raster file."""

    folder: StagingFolder
    name: str
    """Of the file, without folder: `s2.tif`."""
    pixels: DaskOrNumpy
    """`(band, y, x)` in the array's own values."""
    storage: Storage
    grid: SceneGrid
    names: tuple[str | None, ...]
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, stack: ImageStack, date: int, folder: StagingFolder, name: str) -> "StagedImage":
        """The image of one date of a stack."""
        return cls(
            folder=folder, name=name, pixels=stack.pixels[date], storage=stack.storage, grid=stack.grid, names=stack.names, tags=stack.tags
        )

    def path(self) -> str:
        """The raster's path, after writing it if it is not there.

        Raises:
            OutputWriteError: When the temporary folder cannot hold it.
        """
        target = self.folder.ensure() / self.name
        if not target.exists():
            temporary = target.with_name(f"{uuid.uuid4().hex}.tif")
            self._write(temporary)
            with naming_failure(target):
                temporary.replace(target)
        return str(target)

    def _write(self, path: Path) -> None:
        storage, count = self.storage, self.pixels.shape[0]
        rows, cols = self.grid.shape
        needed = rows * cols * count * np.dtype(storage.dtype).itemsize
        free = shutil.disk_usage(path.parent).free
        if free < needed:
            raise OutputWriteError(
                f"the temporary folder must have room for the array, {needed / 2**30:.2f} GiB, and {path.parent} has {free / 2**30:.2f} GiB free; "
                f"set TMPDIR to a larger one"
            )
        options = {"driver": "GTiff", "height": rows, "width": cols, "count": count, "dtype": storage.dtype, "nodata": storage.nodata}
        options |= {"crs": self.grid.crs, "transform": self.grid.transform, "bigtiff": "if_safer", "interleave": "band", "blockysize": 128}
        with naming_failure(path):
            opened = rasterio.open(path, "w", **options)
        with opened as dataset:
            dataset.scales, dataset.offsets = (storage.scale,) * count, (storage.offset,) * count
            dataset.update_tags(**self.tags)
            for number, name in enumerate(self.names, start=1):
                if name:
                    dataset.set_band_description(number, name)
            for (bands, down, across), values in _chunks(self.pixels):
                window = ((down.start, down.stop), (across.start, across.stop))
                stored = storage.to_stored(values)
                with naming_failure(path):
                    dataset.write(stored, list(range(bands.start + 1, bands.stop + 1)), window=window)


def _chunks(pixels: DaskOrNumpy) -> Iterator[tuple[tuple[slice, ...], Any]]:
    """Every chunk of an array with its place, a few computed at the same time."""
    if not isinstance(pixels, da.Array):
        for row in range(0, pixels.shape[1], _NUMPY_ROWS):
            down = slice(row, min(row + _NUMPY_ROWS, pixels.shape[1]))
            yield (slice(0, pixels.shape[0]), down, slice(0, pixels.shape[2])), pixels[:, down]
        return
    places = [
        tuple(slice(stop - size, stop) for size, stop in zip(sizes, np.cumsum(sizes).tolist(), strict=True)) for sizes in pixels.chunks
    ]
    chunks = list(zip(product(*(range(len(axis)) for axis in places)), product(*places), strict=True))
    for group in _groups(chunks, pixels):
        values = _compute([pixels.blocks[index] for index, _ in group])
        yield from zip((place for _, place in group), values, strict=True)


def _groups(chunks: list[tuple[tuple[int, ...], tuple[slice, ...]]], pixels: "da.Array") -> Iterable[list[Any]]:
    largest = int(np.prod([max(sizes) for sizes in pixels.chunks])) * pixels.dtype.itemsize
    together = max(1, AT_ONCE_BYTES // max(1, largest))
    return (chunks[first : first + together] for first in range(0, len(chunks), together))


def _compute(blocks: list[Any]) -> Any:  # noqa: ANN401 - arrays of any dtype
    """Chunks computed on this machine; on a cluster whose memory holds the input (`persist`), by the cluster."""
    if any(_holds_futures(block) for block in blocks):
        from distributed import worker_client  # noqa: PLC0415 - half a second that a run on this machine need not wait for

        with worker_client() as client:
            return client.gather(client.compute(blocks))
    return dask.compute(*blocks, scheduler="threads")


def _holds_futures(block: Any) -> bool:  # noqa: ANN401 - a Dask array
    return any(type(value).__module__.startswith("distributed") for value in dict(block.__dask_graph__()).values())
