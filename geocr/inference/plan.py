"""The plan of a scene: what will be read, computed, skipped and written, as pure data.

Made before any pixel is computed, printed by `--dry-run`, hashed into the manifest that lets a stopped
run go on, and sent to workers in a few hundred bytes.
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from geocr.core.types import BoolArray, ByteArray, Window
from geocr.grid.lattice import Lattice
from geocr.grid.spec import TileSpec
from geocr.inference.inputs import SceneTiles, row_windows, strip_rows
from geocr.io.overviews import LARGEST_FACTOR
from geocr.io.part import HELD_ROWS
from geocr.io.scene import Scene

Mode: TypeAlias = Literal["replace-clouds", "full"]
"""Replace only cloudy pixels, or rewrite every valid one."""

BAND_ROWS = LARGEST_FACTOR
"""Rows of one part file: the unit that is committed, resumed and sent to a worker. Two rows of blocks, so that they are those of the COG."""
LEAST_READ_ROWS = 128
"""To read fewer rows at once saves little memory and decodes blocks again and again."""
_PROCESS_BYTES = 895 * 2**20
"""Resident size of a process that has opened and masked a scene, with torch and all libraries (CUDA build, Linux) and GDAL's cache, 810 MiB, and
what the heap holds between uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBand:
    """A run of output rows that is finished, written and resumed as one."""

    row: int
    """First row."""
    height: int
    """Number of rows."""

    @property
    def stop(self) -> int:
        """First row behind it."""
        return self.row + self.height


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSurvey:
    """What the mask says about the scene, counted before the run."""

    valid_px: int
    """Pixels observed in any band."""
    cloudy_px: int
    """Those of them under cloud or shadow."""
    sar_share: float
    """Share of the scene that Sentinel-1 covers, 0 to 1, by a coarse sample."""
    touched: tuple[bytes, ...]
    """A row of the lattice each, a byte a tile: 1 where the tile holds a pixel to replace."""

    @property
    def cloud_share(self) -> float:
        """Cloudy part of the observed pixels, 0 to 1."""
        return self.cloudy_px / self.valid_px if self.valid_px else 0.0

    @property
    def touched_tiles(self) -> int:
        """Tiles that hold a pixel to replace."""
        return sum(map(sum, self.touched))


@dataclass(frozen=True, kw_only=True)
class ScenePlan:
    """Everything that decides the output's bytes, apart from the inputs and the reconstructor's weights."""

    shape: tuple[int, int]
    """Rows and columns."""
    optical_bands: tuple[str, ...]
    """Names of the bands read, and written unless `output_bands` names fewer."""
    sar_bands: tuple[str, ...]
    """Polarisations read."""
    dtype: str
    """Of the scene's pixels."""
    tile: TileSpec
    """The reconstructor's tiles."""
    mode: Mode
    """Which pixels are rewritten."""
    with_std: bool
    """Whether uncertainty is written."""
    with_mask: bool = False
    """Whether the cloud mask is written."""
    output_bands: tuple[str, ...] | None = None
    """Those of the bands that are written; all when None."""
    with_days: bool = False
    """Whether the days of each pixel's source are written: where other dates are borrowed from."""
    dates: int = 0
    """Other dates that are read beside the scene."""
    read_rows: int
    """Rows of one read. Does not change the output."""
    batch: int = 1
    """Neighbouring tiles of a row that go through the model together. Fixed for a run: convolutions round differently by batch."""
    threads: int = 1
    """Groups of tiles reconstructed at the same time. Does not change the output."""
    streams: int = 1
    """Spans of rows in work at the same time, each with its own strips, tiles and parts. Does not change the output."""
    torch_threads: int = 1
    """Cores that one forward pass uses. Fixed for a run: sums may be split by cores."""
    layers: int = 64
    """Float32 layers of a tile's size that the method holds while it works on one; for the estimate of memory."""
    fit_bytes: int = 0
    """Memory that preparing the method takes beside the process itself; for the same."""
    weights_bytes: int = 0
    """Memory that the method holds all through the run; for the same."""

    @cached_property
    def lattice(self) -> Lattice:
        """The tiles."""
        return Lattice(shape=self.shape, spec=self.tile)

    @cached_property
    def bands(self) -> tuple[RowBand, ...]:
        """The parts, top to bottom."""
        rows = self.shape[0]
        return tuple(RowBand(row=row, height=min(BAND_ROWS, rows - row)) for row in range(0, rows, BAND_ROWS))

    @property
    def written(self) -> tuple[str, ...]:
        """Names of the bands written."""
        return self.optical_bands if self.output_bands is None else self.output_bands

    @property
    def row_bytes(self) -> int:
        """Bytes of one full-width row of the input scene: digital numbers, dB and mask."""
        return self.shape[1] * (len(self.optical_bands) * np.dtype(self.dtype).itemsize + 4 * len(self.sar_bands) + 1)

    @property
    def output_bytes(self) -> int:
        """Uncompressed bytes of all products."""
        bands = len(self.written)
        return (
            self.shape[0]
            * self.shape[1]
            * (bands * np.dtype(self.dtype).itemsize + 1 + 2 * bands * self.with_std + 2 * self.with_days + self.with_mask)
        )

    @property
    def scratch_bytes(self) -> int:
        """Most temporary disk a run can need: parts, overviews and the new COGs, as if nothing compressed."""
        return round(self.output_bytes * (1 + 1 / 3 + 4 / 3))

    @property
    def memory_bytes(self) -> int:
        """Estimated peak resident memory of a run on one machine. Does not depend on the number of rows."""
        size = min(self.tile.size_px + self.tile.align_px, max(self.shape))
        products = 1 + self.with_std
        strips = max(2, -(-self.tile.size_px // self.read_rows) + 1)  # those that a row of tiles can touch, or one and the next
        held_rows = min(strips * self.read_rows, self.shape[0])
        bands = len(self.optical_bands)
        tails = self.tile.overlap_px * self.shape[1] * (products * bands + 1) * 4
        chunk = (2 * self.tile.stride_px + HELD_ROWS) * self.output_bytes // self.shape[0]
        results = (2 * self.threads + 2) * self.batch * size * size * 4 * (bands * (1 + products) + self.with_days)
        inputs = (1 + self.dates) * (bands + len(self.sar_bands))
        work = self.threads * self.batch * size * size * 4 * (inputs + self.layers)
        stream = held_rows * self.row_bytes + tails + chunk + results + work
        return _PROCESS_BYTES + max(self.fit_bytes, self.weights_bytes + self.streams * stream)

    def fingerprint(self) -> str:
        """Hash of what decides the output: not of what only decides time and memory."""
        facts = asdict(self)
        for beside in ("threads", "streams", "read_rows", "layers", "fit_bytes", "weights_bytes"):
            del facts[beside]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def describe(self, survey: CloudSurvey) -> dict[str, Any]:
        """JSON-able summary for `--dry-run`."""
        tiles = len(self.lattice)
        return {
            "rows": self.shape[0],
            "columns": self.shape[1],
            "optical_bands": list(self.written),
            "sar_bands": list(self.sar_bands),
            "dates": self.dates,
            "dtype": self.dtype,
            "tile": asdict(self.tile),
            "mode": self.mode,
            "tiles": tiles,
            "tiles_computed": survey.touched_tiles,
            "tiles_skipped": tiles - survey.touched_tiles,
            "row_bands": len(self.bands),
            "cloud_share": survey.cloud_share,
            "sar_share": survey.sar_share,
            "bytes_read": self.shape[0] * self.row_bytes,
            "bytes_written": self.output_bytes,
            "memory_bytes": self.memory_bytes,
            "scratch_bytes": self.scratch_bytes,
            "batch": self.batch,
            "threads": self.threads,
            "streams": self.streams,
            "torch_threads": self.torch_threads,
        }

    def within(self, max_memory_bytes: int) -> Self:
        """The same run in less memory: fewer spans and tiles at a time, then fewer rows of one read; none of it changes the output.

        It still needs more where even that is not enough: compare `memory_bytes`.
        """
        plan = self
        while plan.memory_bytes > max_memory_bytes and plan.streams > 1:
            plan = replace(plan, streams=plan.streams - 1)
        while plan.memory_bytes > max_memory_bytes and plan.threads > 1:
            plan = replace(plan, threads=plan.threads - 1)
        while plan.memory_bytes > max_memory_bytes and plan.read_rows > LEAST_READ_ROWS:
            plan = replace(plan, read_rows=max(LEAST_READ_ROWS, plan.read_rows // 2))
        return plan


def plan_scene(
    tiles: SceneTiles,
    tile: TileSpec,
    *,
    mode: Mode,
    with_std: bool,
    threads: int,
    with_days: bool = False,
    with_mask: bool = False,
    batch: int = 1,
    layers: int = 64,
    fit_bytes: int = 0,
    weights_bytes: int = 0,
    read_rows: int | None = None,
) -> ScenePlan:
    """Lay out the run of a scene with a method that wants such tiles."""
    scene = tiles.scene
    return ScenePlan(
        shape=scene.grid.shape,
        optical_bands=scene.bands,
        sar_bands=scene.sar_bands,
        dtype=scene.scale.dtype,
        tile=tile,
        mode=mode,
        with_std=with_std,
        with_days=with_days,
        with_mask=with_mask,
        output_bands=scene.output_bands,
        dates=len(tiles.others),
        read_rows=_read_rows(scene, read_rows),
        batch=batch,
        threads=threads,
        layers=layers,
        fit_bytes=fit_bytes,
        weights_bytes=weights_bytes,
    )


def _read_rows(scene: Scene, wanted: int | None) -> int:
    """Rows of one read; of JPEG 2000 full blocks whatever a method wants: each read of 128 rows would decode blocks of 1,024 anew."""
    rows = strip_rows(scene)
    return rows if wanted is None or scene.optical.jp2_rows is not None else min(rows, wanted)


def survey_clouds(tiles: SceneTiles, lattice: Lattice, mode: Mode) -> CloudSurvey:
    """Count cloud over the scene and find the tiles that hold something to replace, in one pass over the mask and the validity."""
    scene = tiles.scene
    touched = np.zeros((len(lattice.rows), len(lattice.cols)), np.uint8)
    valid_px = cloudy_px = 0
    for window in row_windows(scene.grid.shape, strip_rows(scene)):
        valid = _valid_pixels(scene, window)
        cloudy = tiles.mask.read(window) & valid
        wanted = valid if mode == "full" else cloudy
        wanted = wanted if tiles.aoi is None else wanted & tiles.aoi.read(window)
        valid_px += int(np.count_nonzero(valid))
        cloudy_px += int(np.count_nonzero(cloudy))
        _mark_touched(touched, wanted, window, lattice)
    return CloudSurvey(valid_px=valid_px, cloudy_px=cloudy_px, sar_share=_sar_share(tiles), touched=tuple(row.tobytes() for row in touched))


def _valid_pixels(scene: Scene, window: Window) -> BoolArray:
    """`(y, x)`, True where any band is observed; reads the other bands only where the first one has gaps."""
    valid: BoolArray = scene.scale.observed(scene.read_dn(window, scene.indexes[:1]))[0]
    if not valid.all() and len(scene.indexes) > 1:
        valid = np.logical_or.reduce(scene.scale.observed(scene.read_dn(window)), axis=0)
    return valid


def _mark_touched(touched: ByteArray, wanted: BoolArray, window: Window, lattice: Lattice) -> None:
    for i, row in enumerate(lattice.rows):
        start, stop = max(row.keep_start, window.row), min(row.keep_stop, window.row_stop)
        if start >= stop:
            continue
        columns: BoolArray = np.logical_or.reduce(wanted[start - window.row : stop - window.row], axis=0)
        for j, col in enumerate(lattice.cols):
            touched[i, j] |= bool(columns[col.keep_start : col.keep_stop].any())


def _sar_share(tiles: SceneTiles, *, steps: int = 6, size: int = 16) -> float:
    """Share of small windows, spread evenly over the scene, that Sentinel-1 covers."""
    scene = tiles.scene
    if scene.sar is None:
        return 0.0
    rows, cols = scene.grid.shape
    height, width = min(size, rows), min(size, cols)
    windows = [
        Window(row=round((rows - height) * (i + 0.5) / steps), col=round((cols - width) * (j + 0.5) / steps), height=height, width=width)
        for i, j in product(range(steps), repeat=2)
    ]
    with ThreadPoolExecutor(4) as pool:  # each window costs a block of the file, wherever it lies
        return float(np.mean(list(pool.map(lambda window: np.isfinite(scene.read_sar(window)).all(axis=0).mean(), windows))))
