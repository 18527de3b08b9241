"""The files of a finished run, found and opened together: the scene, its provenance, its uncertainty, and what it was made from."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.io import DatasetReader

from geocr.config import PredictConfig
from geocr.core.errors import GeocrError, GeoreferenceError, InputError, RasterNotFoundError
from geocr.io.open import open_scene
from geocr.io.raster import RasterReader, absolute_path, open_raster
from geocr.io.remote import is_remote
from geocr.report.rendering import band_names

READ_OPTIONS: dict[str, Any] = {"GDAL_CACHEMAX": 64 << 20, "GDAL_NUM_THREADS": "ALL_CPUS"}
"""GDAL settings for looking at a result. The cache is in bytes, as `rasterio.Env` takes it: pictures smaller than their overview are read line
by line, and a cache that holds no row of blocks would have each decoded for every line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The cloudy scene on the result's grid."""

    reader: RasterReader
    """Of a file, or of a product that is several."""
    bands: tuple[str | None, ...]
    """Canonical names of its bands, in its order."""

    def open(self) -> DatasetReader:
        """The scene, open for the caller alone, who closes it."""
        return copy(self.reader).handle


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """Where the rasters of a run are."""

    scene: str
    """The cloud-free scene."""
    provenance: str
    """Which pixel comes from where."""
    std: str | None
    """Standard deviation; None where the run made none."""
    before: Before | None
    """None where the input is not to be had."""
    missing: tuple[str, ...] = ()
    """What is not there, and why, in sentences."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenResult:
    """The rasters of a run, open for reading by one thread."""

    files: ResultFiles
    scene: DatasetReader
    provenance: DatasetReader
    std: DatasetReader | None
    before: DatasetReader | None

    @property
    def tags(self) -> dict[str, str]:
        """What the run wrote of itself."""
        tags: dict[str, str] = self.scene.tags()
        return tags

    @property
    def bands(self) -> tuple[str | None, ...]:
        """Canonical names of the result's bands."""
        return band_names(self.scene)

    @property
    def scale(self) -> tuple[float, float]:
        """Reflectance per DN and reflectance at DN 0: as the run took them, else as a run would on this file."""
        facts = json_tag(self.tags, "GEOCR_SCALE")
        if "scale" in facts and "offset" in facts:
            return float(facts["scale"]), float(facts["offset"])
        settings = json_tag(self.tags, "GEOCR_PARAMETERS")
        told = open_scene(self.files.scene, s2_scale=settings.get("s2_scale"), s2_offset=settings.get("s2_offset")).scale
        return told.scale, told.offset


def json_tag(tags: dict[str, str], name: str) -> dict[str, Any]:
    """A tag that holds a JSON object; empty where it is missing or holds something else."""
    try:
        content = json.loads(tags.get(name, "{}"))
    except json.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def json_list_tag(tags: Mapping[str, str], name: str) -> list[dict[str, Any]]:
    """A tag that holds a JSON list of objects; empty where it is missing or holds something else."""
    try:
        content = json.loads(tags.get(name, "[]"))
    except json.JSONDecodeError:
        return []
    return [item for item in content if isinstance(item, dict)] if isinstance(content, list) else []


def find_result(scene: str, s2: str | None = None) -> ResultFiles:
    """Find what belongs to a cloud-free scene.

    The provenance and the standard deviation lie beside it under the names that a run gives them. The input is the one given, else a file
    beside the scene with the name that the scene's tags tell.

    Args:
        scene: The cloud-free scene that a run wrote: a path or a URL.
        s2: The Sentinel-2 input of the run; None looks for it.

    Raises:
        RasterNotFoundError: When the scene or its provenance is not there, or the input that was named.
        RasterReadError: When one of them cannot be read.
        InputError: When the scene was not written by geocr.
        GeoreferenceError: When the rasters do not lie on one grid.
    """
    scene = absolute_path(scene)
    with open_raster(scene) as dataset:
        tags = dataset.tags()
        if "GEOCR_VERSION" not in tags:
            raise InputError(
                f"report and view show a scene that geocr wrote, with its tags; {scene} has no GEOCR_VERSION; give the output of predict-scene"
            )
        provenance = _require_provenance(scene, dataset)
        std, no_std = _find_std(scene, tags)
        before, no_before = (_open_before(s2, tags, dataset), None) if s2 is not None else _find_before(scene, tags, dataset)
    missing = tuple(reason for reason in (no_before, no_std) if reason)
    return ResultFiles(scene=scene, provenance=provenance, std=std, before=before, missing=missing)


@contextmanager
def open_result(files: ResultFiles) -> Iterator[OpenResult]:
    """Open the rasters of a run for one thread; closed when the block ends."""
    with ExitStack() as stack:
        scene, provenance = (stack.enter_context(open_raster(path)) for path in (files.scene, files.provenance))
        std = stack.enter_context(open_raster(files.std)) if files.std is not None else None
        before = stack.enter_context(files.before.open()) if files.before is not None else None
        yield OpenResult(files=files, scene=scene, provenance=provenance, std=std, before=before)


def beside(scene: str, ending: str) -> str:
    """The name of another product of the run: `clear.tif` and `_std.tif` give `clear_std.tif`."""
    folder, slash, name = scene.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0]}{ending}"


def _require_provenance(scene: str, dataset: DatasetReader) -> str:
    path = beside(scene, "_provenance.tif")
    try:
        with open_raster(path) as other:
            _require_same_grid(dataset, other, path)
    except RasterNotFoundError as error:
        raise RasterNotFoundError(
            f"the provenance of a scene must lie beside it, under the name the run gave it; there is nothing at {path}; "
            f"name the cloud-free scene itself, keep the files of a run together, or make them again with predict-scene"
        ) from error
    return path


def _find_std(scene: str, tags: dict[str, str]) -> tuple[str | None, str | None]:
    if not json_tag(tags, "GEOCR_PARAMETERS").get("uncertainty"):
        return None, "The run estimated no uncertainty; predict-scene does with --uncertainty."
    path = beside(scene, "_std.tif")
    try:
        with open_raster(path) as other:
            theirs = other.tags()
    except GeocrError:
        return None, f"The standard deviation is not beside the scene as {Path(path).name}."
    if any(theirs.get(name) != tags.get(name) for name in ("GEOCR_PARAMETERS", "GEOCR_METHOD", "GEOCR_INPUT_S2")):
        return None, f"{Path(path).name} beside the scene is of another run, and left out."
    return path, None


def _find_before(scene: str, tags: dict[str, str], dataset: DatasetReader) -> tuple[Before | None, str | None]:
    name = tags.get("GEOCR_INPUT_S2", "")
    if not name or Path(name).name != name or is_remote(scene) or not Path(scene).with_name(name).exists():
        known = f"{name}, " if name else ""
        return None, f"The input of the run ({known}the scene before) is not beside the result; name it with --s2."
    try:
        return _open_before(str(Path(scene).with_name(name)), tags, dataset), None
    except GeocrError as error:
        return None, f"{name} beside the result cannot be shown as the scene before: {error}"


def _open_before(s2: str, tags: dict[str, str], dataset: DatasetReader) -> Before:
    """Open the input as the run did: bands by name, products of several files as one raster."""
    settings = json_tag(tags, "GEOCR_PARAMETERS")
    names = settings.get("s2_bands")
    scale, offset = (json_tag(tags, "GEOCR_SCALE").get(key) for key in ("scale", "offset"))
    scene = open_scene(
        s2,
        s2_bands=tuple(names) if isinstance(names, list) else None,
        s2_scale=scale,
        s2_offset=offset,
        s2_resampling=settings.get("s2_resampling", "bilinear"),
        resolution_m=settings.get("resolution_m"),
    )
    _require_same_grid(dataset, scene.optical.handle, s2)
    named = dict(zip(scene.indexes, scene.bands, strict=True))
    return Before(reader=scene.optical, bands=tuple(named.get(index) for index in range(1, scene.optical.handle.count + 1)))


def _require_same_grid(expected: DatasetReader, got: DatasetReader, path: str) -> None:
    if (expected.shape, expected.transform, expected.crs) != (got.shape, got.transform, got.crs):
        raise GeoreferenceError(
            f"the rasters of one run lie on one grid; {path} has {got.shape[1]} x {got.shape[0]} pixels from "
            f"{got.transform.c:.10g}, {got.transform.f:.10g} in {got.crs}, the result {expected.shape[1]} x {expected.shape[0]} from "
            f"{expected.transform.c:.10g}, {expected.transform.f:.10g} in {expected.crs}; give the input of this very run"
        )


def settings_of(tags: dict[str, str]) -> dict[str, Any]:
    """The settings of the run as its tags tell them; what geocr does not know any more is kept."""
    known = PredictConfig.model_fields
    facts = json_tag(tags, "GEOCR_PARAMETERS")
    return {name: facts[name] for name in (*known, *(key for key in facts if key not in known)) if name in facts}
