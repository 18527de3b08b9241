"""`predict_scene`: a cloudy scene in, cloud-free products out. The whole flow on one screen."""

import hashlib
import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import rasterio

from geocr._version import __version__
from geocr.clouds.mask import CloudMask
from geocr.clouds.selection import make_cloud_mask
from geocr.config import PredictConfig
from geocr.inference.inputs import SceneTiles
from geocr.inference.methods import Method, choose_method
from geocr.inference.outputs import OutputPaths, default_output, require_space, require_writable
from geocr.inference.parts import Manifest, part_path
from geocr.inference.plan import CloudSurvey, RowBand, ScenePlan, plan_scene, survey_clouds
from geocr.inference.products import Provenance, provenance_spec, scene_spec, std_spec
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.schedule import SceneJob, cluster_client, run_here, run_on_cluster
from geocr.io.aoi import read_aoi
from geocr.io.cog import RasterSpec, assemble_cog, sync_rename, write_category_names
from geocr.io.open import open_scene
from geocr.io.raster import GDAL_OPTIONS
from geocr.io.scene import Scene


class Progress(Protocol):
    """Told how a run goes; the command line draws it."""

    def note(self, text: str) -> None:
        """A decision, to be said aloud."""
        ...

    def stage(self, name: str, total: int) -> None:
        """A stage begins that will take `total` steps."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Steps of the stage are done."""
        ...


class Silent:
    """A `Progress` that says nothing."""

    def note(self, text: str) -> None:
        """Ignore."""

    def stage(self, name: str, total: int) -> None:
        """Ignore."""

    def advance(self, steps: int = 1) -> None:
        """Ignore."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedScene:
    """A scene that is opened, masked and planned, with nothing computed yet."""

    tiles: SceneTiles
    mask: CloudMask
    method: Method
    plan: ScenePlan
    survey: CloudSurvey
    config: PredictConfig
    notes: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """JSON-able account of what a run would do, for `--dry-run`."""
        grid = self.tiles.scene.grid
        return {
            "crs": grid.crs.to_string(),
            "transform": list(grid.transform)[:6],
            "method": self.method.identity(),
            "cloud_mask": self.mask.describe(),
            **self.plan.describe(self.survey),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictResult:
    """What a run made."""

    scene: Path
    """The cloud-free COG."""
    provenance: Path
    """Which pixel was observed and which reconstructed."""
    std: Path | None
    """Standard deviation, when asked for."""
    summary: dict[str, Any]
    """JSON-able: cloud share, pixels by provenance, expected error, time."""


def prepare_scene(
    s2: str,
    s1: str | None,
    config: PredictConfig,
    *,
    threads: int,
    reconstructor: Reconstructor | None = None,
    progress: Progress | None = None,
) -> PreparedScene:
    """Open, mask and plan a scene.

    Args:
        s2: Sentinel-2 raster.
        s1: Sentinel-1 raster, or None to go on optical context alone.
        config: All settings.
        threads: Tiles reconstructed at the same time.
        reconstructor: The caller's own method.
        progress: Told of decisions and stages.

    Raises:
        GeocrError: A leaf for each thing that can be wrong with the inputs or settings.
    """
    progress = progress or Silent()
    scene = open_scene(s2, s1, s2_bands=config.s2_bands, s2_scale=config.s2_scale, s2_offset=config.s2_offset, s1_units=config.s1_units)
    progress.stage("finding clouds", 1)
    mask = make_cloud_mask(scene, config.cloud_mask, scl=config.scl, buffer_m=config.mask_buffer_m, buffer_px=config.mask_buffer_px)
    progress.advance()
    aoi = None if config.aoi is None else read_aoi(config.aoi, scene.grid)
    tiles = SceneTiles(scene=scene, mask=mask, aoi=aoi, on_error=config.on_error)
    method, tiles = choose_method(config, tiles, reconstructor)
    plan = plan_scene(tiles, method.tile, mode=config.mode, with_std=config.uncertainty, threads=threads, batch=method.batch)
    notes = (*scene.notes, *mask.notes, *method.notes)
    for note in notes:
        progress.note(note)
    return PreparedScene(
        tiles=tiles, mask=mask, method=method, plan=plan, survey=survey_clouds(tiles, plan.lattice, config.mode), config=config, notes=notes
    )


def plan_run(
    s1: str | None, s2: str, *, config: PredictConfig | None = None, threads: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """What `predict_scene` would do, as JSON-able facts; reads the scene for its clouds and computes nothing else.

    Raises:
        GeocrError: As `predict_scene`.
    """
    with rasterio.Env(**GDAL_OPTIONS):
        return prepare_scene(s2, s1, config or PredictConfig(), threads=threads or _cores(), progress=progress).describe()


def predict_scene(
    s1: str | None,
    s2: str,
    out: str | Path | None = None,
    *,
    config: PredictConfig | None = None,
    reconstructor: Reconstructor | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    scheduler: str = "threads",
    workers: int | None = None,
    progress: Progress | None = None,
) -> PredictResult:
    """Remove the clouds of a Sentinel-2 scene.

    Writes a cloud-free COG on exactly the input's grid and a provenance COG beside it (and a standard deviation when
    `config.uncertainty`). A run that was stopped goes on where it was.

    Args:
        s1: Sentinel-1 raster that overlaps, or None.
        s2: Sentinel-2 raster.
        out: Path of the result; `<s2 stem>_cloudfree.tif` beside the input when None.
        config: Settings; the defaults when None.
        reconstructor: Your own method instead of the one that the settings name.
        overwrite: Replace existing outputs.
        threads: Tiles reconstructed at the same time by one process; all cores when None. Does not change a byte.
        scheduler: `threads` (this process), `processes` (a Dask cluster started here), or the address or .json file of a running one.
        workers: Bands of rows computed at the same time with `threads` (1 when None), or processes to start with `processes` (one a
            core when None).
        progress: Told how it goes.

    Raises:
        GeocrError: A leaf for each thing that can be wrong.
    """
    began = time.monotonic()
    config = config or PredictConfig()
    progress = progress or Silent()
    paths = OutputPaths.beside(Path(out) if out is not None else default_output(s2))
    wanted = [paths.scene, paths.provenance] + [paths.std] * config.uncertainty
    require_writable(paths, wanted=wanted, inputs=[path for path in (s1, s2, config.scl, config.cloud_mask) if path], overwrite=overwrite)
    with rasterio.Env(**GDAL_OPTIONS):
        threads = threads or (_cores() if scheduler == "threads" else 1)
        prepared = prepare_scene(s2, s1, config, threads=threads, reconstructor=reconstructor, progress=progress)
        require_space(paths, prepared.plan.scratch_bytes)
        manifest = Manifest(paths.scratch, _fingerprint(prepared))
        fitted = _reconstructor(prepared, progress)
        specs = product_specs(prepared, fitted)
        computed = _write_bands(prepared, fitted, manifest, specs, progress, scheduler=scheduler, workers=workers)
        _finish(paths, prepared.plan, manifest, specs, progress)
    summary = _summary(prepared, fitted, manifest, computed=computed, seconds=time.monotonic() - began)
    manifest.remove()
    return PredictResult(scene=paths.scene, provenance=paths.provenance, std=paths.std if config.uncertainty else None, summary=summary)


def _cores() -> int:
    import os  # noqa: PLC0415 - only here

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reconstructor(prepared: PreparedScene, progress: Progress) -> Reconstructor | None:
    """The prepared method, or None for a scene with nothing to replace."""
    if not prepared.survey.touched_tiles:
        progress.note("There is no cloud to replace: the scene is copied as it is.")
        return None
    progress.stage(f"preparing {prepared.method.name}", 1)
    reconstructor = prepared.method.prepare(prepared.tiles)
    progress.advance()
    return reconstructor


def _write_bands(
    prepared: PreparedScene,
    reconstructor: Reconstructor | None,
    manifest: Manifest,
    specs: dict[str, RasterSpec],
    progress: Progress,
    *,
    scheduler: str,
    workers: int | None,
) -> int:
    """Reconstruct and write every band of rows that is not finished yet; returns how many tiles were computed."""
    plan = prepared.plan
    progress.stage("reconstructing", len(plan.lattice))
    job = SceneJob(
        tiles=prepared.tiles, plan=plan, reconstructor=reconstructor, specs=specs, folder=manifest.folder, fingerprint=manifest.fingerprint
    )
    computed = 0

    def on_tile(done: bool) -> None:
        nonlocal computed
        computed += done
        progress.advance()

    if scheduler == "threads":
        run_here(job, manifest, workers=workers or 1, on_tile=on_tile)
        return computed

    def on_band(band: RowBand, tiles: int) -> None:
        nonlocal computed
        computed += tiles
        progress.advance(sum(band.row <= row.keep_start < band.stop for row in plan.lattice.rows) * len(plan.lattice.cols))

    with cluster_client(scheduler, workers or _cores()) as client:
        run_on_cluster(job, manifest, client, on_band=on_band)
    return computed


def _finish(paths: OutputPaths, plan: ScenePlan, manifest: Manifest, specs: dict[str, RasterSpec], progress: Progress) -> None:
    """Assemble every product, and only then give all of them their final names."""
    progress.stage("writing COGs", len(specs))
    finals = {"scene": paths.scene, "provenance": paths.provenance, "std": paths.std}
    made = {}
    for name, spec in specs.items():
        parts = [(part_path(manifest.folder, name, band.row), band.row, band.height) for band in plan.bands]
        made[name] = assemble_cog(parts, manifest.folder / f"final_{name}.tif", spec, manifest.folder)
        progress.advance()
    for name, path in made.items():
        sync_rename(path, finals[name])
    write_category_names(paths.provenance, specs["provenance"])


def product_specs(prepared: PreparedScene, reconstructor: Reconstructor | None) -> dict[str, RasterSpec]:
    """The rasters of a run, with the tags that tell how they were made."""
    scene = prepared.tiles.scene
    tags = _tags(prepared, reconstructor)
    specs = {"scene": scene_spec(scene, _input_tags(scene) | tags), "provenance": provenance_spec(scene, tags)}
    if prepared.config.uncertainty:
        specs["std"] = std_spec(scene, tags)
    return specs


def _input_tags(scene: Scene) -> dict[str, str]:
    """The input's own tags: its convention (baseline, dates, angles) is the output's too."""
    return {key: value for key, value in scene.optical.handle.tags().items() if not key.startswith(("STATISTICS_", "OVR_"))}


def _tags(prepared: PreparedScene, reconstructor: Reconstructor | None) -> dict[str, str]:
    scene = prepared.tiles.scene
    facts = reconstructor.describe() if reconstructor is not None else {"name": "copy"}
    return {
        "GEOCR_VERSION": __version__,
        "GEOCR_METHOD": json.dumps(facts, sort_keys=True),
        "GEOCR_INPUT_S2": Path(scene.optical.path).name,
        "GEOCR_INPUT_S1": Path(scene.sar.path).name if scene.sar is not None else "none",
        "GEOCR_CLOUD_MASK": json.dumps(prepared.mask.describe(), sort_keys=True),
        "GEOCR_SCALE": json.dumps({"scale": scene.scale.scale, "offset": scene.scale.offset}),
        "GEOCR_PARAMETERS": prepared.config.model_dump_json(exclude_none=True),
        "ATTRIBUTION": attribution(scene),
    }


def attribution(scene: Scene) -> str:
    """The notice that Copernicus asks for, with the year of the data where tags or the file name tell it, else of the processing."""
    tags = scene.optical.handle.tags()
    dated = [tags.get(key, "") for key in ("PRODUCT_START_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "datetime", "TIFFTAG_DATETIME")]
    for text in (*dated, Path(scene.optical.path).name):
        match = re.search(r"(?<!\d)(20[1-9]\d)(?:[-:_]?[01]\d[-:_]?[0-3]\d)", text)
        if match:
            return f"Contains modified Copernicus Sentinel data [{match.group(1)}]"
    return f"Contains modified Copernicus Sentinel data [{datetime.now(UTC).year}]"


def _fingerprint(prepared: PreparedScene) -> str:
    """Hash of all that decides the output's bytes: inputs, method, settings, mask, plan and version."""
    scene = prepared.tiles.scene
    inputs = [scene.optical.path] + ([scene.sar.path] if scene.sar is not None else [])
    inputs += [path for path in (prepared.config.scl, prepared.config.cloud_mask, prepared.config.aoi) if path]
    facts = {
        "version": __version__,
        "inputs": [_file_facts(path) for path in inputs],
        "method": prepared.method.identity(),
        "mask": prepared.mask.describe(),
        "config": prepared.config.model_dump(mode="json"),
        "plan": prepared.plan.fingerprint(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _file_facts(path: str) -> list[str | int]:
    """Path, size and time of change of a local file; the path alone of anything else."""
    try:
        status = Path(path).stat()
    except OSError:
        return [path]
    return [path, status.st_size, status.st_mtime_ns]


def _summary(
    prepared: PreparedScene, reconstructor: Reconstructor | None, manifest: Manifest, *, computed: int, seconds: float
) -> dict[str, Any]:
    pixels = manifest.pixels()
    by_class = {kind.name.lower(): pixels.get(str(kind.value), 0) for kind in Provenance}
    facts = reconstructor.describe() if reconstructor is not None else {"name": "copy"}
    return {
        "method": facts["name"],
        "bands": list(prepared.tiles.scene.bands),
        "cloud_mask": prepared.mask.source,
        "cloud_share": prepared.survey.cloud_share,
        "sar_share": prepared.survey.sar_share,
        "pixels": by_class,
        "expected_error": facts.get("error"),
        "seam_ratio": manifest.seam().ratio,
        "tiles": len(prepared.plan.lattice),
        "tiles_computed": computed,
        "damaged_blocks": manifest.damage(),
        "seconds": round(seconds, 2),
        "notes": list(prepared.notes),
    }
