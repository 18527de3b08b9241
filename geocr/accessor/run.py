"""The flow of `predict-scene` as a Dask graph over arrays: one task prepares a scene, one more for each band of its rows.

All bands of a date share what was prepared: the mask, the plan and the fitted method. A task holds a band of rows, and the
rows that its tiles reach beyond it. What a task returns does not depend on the others, on threads, or on where it runs.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import rasterio
from dask import delayed

from geocr.accessor.staging import StagedImage, StagingFolder
from geocr.accessor.wording import speaks_python
from geocr.clouds.selection import make_cloud_mask
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.core.memory import release_freed_memory
from geocr.core.types import BoolArray, ByteArray, FloatArray, NumberArray, Window
from geocr.inference.engine import stream_rows
from geocr.inference.plan import BAND_ROWS, RowBand
from geocr.inference.prepare import PreparedScene, prepare_scene, tune_scene
from geocr.inference.products import STD_NODATA, std_scale
from geocr.inference.reconstructor import Reconstructor
from geocr.io.raster import GDAL_OPTIONS

_ONE_AT_A_TIME = threading.Lock()
"""A fit takes up to a gigabyte: the dates of a series are fitted one after the other in each process."""
_MASK_ROWS = 128
_USE_LOCK = threading.Lock()
_USES: dict[str, "_Use"] = {}
"""Who works on what is staged, by folder."""


class Rows(NamedTuple):
    """A band of rows of every product."""

    scene: NumberArray
    """`(band, y, x)` in the file's dtype."""
    provenance: ByteArray
    """`(y, x)` uint8 `Provenance`."""
    std: FloatArray
    """`(band, y, x)` float32 reflectance, NaN where nodata; no bands without uncertainty."""
    source_days: NumberArray
    """`(y, x)` int16 days from the scene to a pixel's source, `DAYS_NODATA` where it has none; no rows where no other date is used."""


@dataclass(slots=True)
class _Use:
    """What this process does with a staging folder."""

    working: int = 0
    """Tasks at work."""
    done: set[tuple[str, int]] = field(default_factory=set)
    """Images and first rows of the bands that it has made."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitted:
    """A scene ready to be reconstructed band by band."""

    prepared: PreparedScene
    reconstructor: Reconstructor | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DatedImages:
    """What belongs to one date."""

    optical: StagedImage
    sar: StagedImage | str | None
    """Sentinel-1: an array, a path, or None."""
    rasters: Mapping[str, StagedImage]
    """Arrays in the place of settings that name files: `cloud_mask`, `scl`."""

    def paths(self) -> tuple[str, str | None, dict[str, str]]:
        """Sentinel-2, Sentinel-1 and the others as files; writes what is not written yet."""
        sar = self.sar.path() if isinstance(self.sar, StagedImage) else self.sar
        return self.optical.path(), sar, {name: image.path() for name, image in self.rasters.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    target: DatedImages
    others: tuple[DatedImages, ...]
    config: PredictConfig
    reconstructor: Reconstructor | None
    threads: int
    band_threads: int
    folder: StagingFolder
    bands_in_folder: int


class ArrayRun:
    """Removing the clouds of one image that is an array.

    Args:
        target: The image, and what belongs to it.
        others: Other dates of the place.
        config: Settings.
        reconstructor: The caller's own method.
        threads: Cores, as of `predict_scene`.
        band_threads: Tiles that one band works on at the same time.
        folder: Where arrays are staged.
        bands_in_folder: Bands of rows of all runs that share the folder: when they are made it is emptied.
    """

    # not a dataclass: Dask would look into one for arrays, and put what it computed of them in their place

    def __init__(self, **parts: Any) -> None:  # noqa: ANN401 - checked by the dataclass
        self._parts = _Parts(**parts)

    @property
    def bands(self) -> tuple[RowBand, ...]:
        """Its bands of rows, top to bottom."""
        rows = self._parts.target.optical.grid.shape[0]
        return tuple(RowBand(row=row, height=min(BAND_ROWS, rows - row)) for row in range(0, rows, BAND_ROWS))

    @property
    def width(self) -> int:
        """Columns."""
        return self._parts.target.optical.grid.shape[1]

    def inputs(self) -> tuple[str, str | None, PredictConfig]:
        """Sentinel-2, Sentinel-1 and settings as `predict_scene` takes them; writes what is not written yet."""
        parts = self._parts
        s2, s1, rasters = parts.target.paths()
        update: dict[str, Any] = dict(rasters)
        if parts.others:
            update["references"] = tuple(",".join(path for path in other.paths()[:2] if path) for other in parts.others)
        return s2, s1, parts.config.model_copy(update=update)

    def prepare(self, *, for_mask: bool = False) -> PreparedScene:
        """Open, mask and plan it, as `predict_scene` does; for the mask alone Sentinel-1 and the method are left out.

        Raises:
            GeocrError: A leaf for each thing that can be wrong.
        """
        parts = self._parts
        with rasterio.Env(**GDAL_OPTIONS):
            s2, s1, config = self.inputs()
            if for_mask:
                return prepare_scene(s2, None, config, threads=parts.threads)
            prepared = prepare_scene(s2, s1, config, threads=parts.threads, reconstructor=parts.reconstructor)
            shape = parts.target.optical.pixels.shape
            if (len(prepared.plan.optical_bands), *prepared.plan.shape) != shape:
                raise InputError(
                    f"an array comes back with the bands and pixels it had, {shape}, and these settings write {', '.join(prepared.plan.optical_bands)} "
                    f"of {prepared.plan.shape}; choose the bands first, with .sel(band=...), and resample with xarray"
                )
            return tune_scene(self._with_given_masks(prepared), threads=parts.threads)

    def _with_given_masks(self, prepared: PreparedScene) -> PreparedScene:
        """Other dates under the masks that the caller gave for them, where they are arrays."""
        given = {Path(other.optical.name).name: rasters for other in self._parts.others if (rasters := other.paths()[2])}
        if not given:
            return prepared
        config = prepared.config
        others = [
            replace(
                other,
                mask=make_cloud_mask(
                    other.scene,
                    given[other.name].get("cloud_mask", config.cloud_mask),
                    scl=given[other.name].get("scl"),
                    buffer_m=config.mask_buffer_m,
                    buffer_px=config.mask_buffer_px,
                ),
            )
            for other in prepared.tiles.others
        ]
        return replace(prepared, tiles=replace(prepared.tiles, others=tuple(others)))

    def fit(self) -> _Fitted:
        """Prepare the scene and its method."""
        with _ONE_AT_A_TIME, self._staged(None):
            prepared = self.prepare()
            if not prepared.survey.touched_tiles:
                return _Fitted(prepared=prepared, reconstructor=None)
            with rasterio.Env(**GDAL_OPTIONS):
                fitted = prepared.method.prepare(prepared.tiles)
            if prepared.method.fit_bytes:
                release_freed_memory()
            return _Fitted(prepared=prepared, reconstructor=fitted)

    def rows(self, fitted: _Fitted, band: RowBand) -> Rows:
        """One band of rows of every product."""
        prepared = fitted.prepared
        plan = replace(prepared.plan, threads=min(prepared.plan.threads, self._parts.band_threads))
        count, scale = len(plan.optical_bands), std_scale(prepared.tiles.scene)
        made = Rows(
            scene=np.empty((count, band.height, self.width), plan.dtype),
            provenance=np.empty((band.height, self.width), np.uint8),
            std=np.empty((count if plan.with_std else 0, band.height, self.width), np.float32),
            source_days=np.empty((band.height if plan.with_days else 0, self.width), np.int16),
        )
        with self._staged(band):
            for rows in stream_rows(prepared.tiles, plan, fitted.reconstructor, row_start=band.row, row_stop=band.stop):
                here = slice(rows.row - band.row, rows.row - band.row + rows.scene.shape[1])
                made.scene[:, here] = rows.scene
                made.provenance[here] = rows.provenance[0]
                if rows.std is not None:
                    made.std[:, here] = _decoded_std(rows.std, scale)
                if rows.source_days is not None:
                    made.source_days[here] = rows.source_days[0]
        return made

    def mask(self, prepared: PreparedScene, band: RowBand) -> BoolArray:
        """One band of rows of the cloud mask: `(y, x)`, True is cloud or shadow on an observed pixel."""
        made = np.empty((band.height, self.width), bool)
        scene = prepared.tiles.scene
        with self._staged(band):
            for row in range(band.row, band.stop, _MASK_ROWS):
                window = Window(row=row, col=0, height=min(_MASK_ROWS, band.stop - row), width=self.width)
                observed = np.logical_or.reduce(scene.scale.observed(scene.read_dn(window)), axis=0)
                made[row - band.row : row - band.row + window.height] = prepared.mask.read(window) & observed
        return made

    @contextmanager
    def _staged(self, band: RowBand | None) -> Iterator[None]:
        """Keep what is staged while it is read; delete it when this process has made every band and nobody reads it.

        Args:
            band: The band that is made meanwhile, if it is one.
        """
        key, folder = str(self._parts.folder.path), self._parts.folder
        with _USE_LOCK:
            use = _USES.setdefault(key, _Use())
            use.working += 1
        try:
            with rasterio.Env(**GDAL_OPTIONS):
                self.inputs()  # on a machine that has not seen the staged files yet
                yield
        finally:
            with _USE_LOCK:
                use.working -= 1
                if band is not None:
                    use.done.add((self._parts.target.optical.name, band.row))
                if not use.working and len(use.done) == self._parts.bands_in_folder:
                    del _USES[key]
                    folder.clear()


def _decoded_std(counts: NumberArray, scale: float) -> FloatArray:
    return np.where(counts == STD_NODATA, np.float32(np.nan), counts * np.float32(scale))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LazyResult:
    """Products of one image, nothing of them computed."""

    scene: da.Array
    """`(band, y, x)` in the file's dtype."""
    provenance: da.Array
    """`(y, x)` uint8."""
    std: da.Array | None
    """`(band, y, x)` float32 reflectance, or None without uncertainty."""
    source_days: da.Array | None
    """`(y, x)` int16, or None where no other date is used."""


def lazy_result(run: ArrayRun, *, count: int, dtype: str, with_std: bool, with_days: bool) -> LazyResult:
    """The products of a run as Dask arrays, a block for each band of rows."""
    shared = delayed(run, traverse=False)
    fitted = delayed(_fit)(shared)
    bands = [delayed(_rows, nout=4)(shared, fitted, _Place(band)) for band in run.bands]
    shapes = [(count, band.height, run.width) for band in run.bands]

    def join(number: int, kind: str, *, flat: bool = False) -> da.Array:
        blocks = [
            da.from_delayed(made[number], shape[1:] if flat else shape, dtype=kind) for made, shape in zip(bands, shapes, strict=True)
        ]
        return da.concatenate(blocks, axis=0 if flat else 1)

    return LazyResult(
        scene=join(0, dtype),
        provenance=join(1, "uint8", flat=True),
        std=join(2, "float32") if with_std else None,
        source_days=join(3, "int16", flat=True) if with_days else None,
    )


def lazy_mask(run: ArrayRun) -> tuple[da.Array, da.Array]:
    """The cloud mask, `(y, x)` bool, and the share of the observed pixels under it, a float64, both lazy."""
    shared = delayed(run, traverse=False)
    prepared = delayed(_prepare_mask)(shared)
    blocks = [da.from_delayed(delayed(_mask)(shared, prepared, _Place(band)), (band.height, run.width), dtype=bool) for band in run.bands]
    share = da.from_delayed(delayed(_cloud_share)(prepared), (), dtype=np.float64)
    return da.concatenate(blocks, axis=0), share


class _Place:
    """A band of rows that Dask does not look into."""

    def __init__(self, band: RowBand) -> None:
        self.band = band


class _Box:
    """A value that Dask does not look into."""

    def __init__(self, value: Any) -> None:  # noqa: ANN401 - anything
        self.value = value


@speaks_python
def _fit(run: ArrayRun) -> _Box:
    return _Box(run.fit())


@speaks_python
def _rows(run: ArrayRun, fitted: _Box, place: _Place) -> Rows:
    return run.rows(fitted.value, place.band)


@speaks_python
def _prepare_mask(run: ArrayRun) -> _Box:
    return _Box(run.prepare(for_mask=True))


@speaks_python
def _mask(run: ArrayRun, prepared: _Box, place: _Place) -> BoolArray:
    return run.mask(prepared.value, place.band)


def _cloud_share(prepared: _Box) -> NumberArray:
    return np.asarray(prepared.value.survey.cloud_share, np.float64)
