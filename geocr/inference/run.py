"""`predict_scene`: a cloudy scene in, cloud-free products out. The whole flow on one screen."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from geocr.clouds.selection import mask_files
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.core.html import facts_table
from geocr.core.memory import release_freed_memory, share_one_heap
from geocr.inference.item import write_item
from geocr.inference.outputs import (
    OutputPaths,
    clear_away,
    place_outputs,
    publish,
    require_apart,
    require_space,
    require_writable,
    write_styles,
)
from geocr.inference.parts import Manifest, part_path, remembered_tuning
from geocr.inference.plan import RowBand, ScenePlan
from geocr.inference.prepare import PreparedScene, Progress, Silent, prepare_scene, tune_scene
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.record import files_read, fingerprint_of, product_specs, summarise
from geocr.inference.references import borrows, references_of
from geocr.inference.schedule import ONE_GPU, SceneJob, cluster_client, gpus_here, require_scheduler, run_here, run_on_cluster
from geocr.io.cog import assemble_cog, sync_rename, write_category_names
from geocr.io.raster import GDAL_OPTIONS
from geocr.io.spec import RasterSpec

RELEASE_FROM_BYTES = 2**27
"""What preparing must have held for it to be worth the fifth of a second that giving it back takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictResult:
    """What a run made."""

    scene: Path | str
    """The cloud-free COG: its path, or its URL in an object store."""
    provenance: Path | str
    """Which pixel was observed and which reconstructed."""
    std: Path | str | None
    """Standard deviation, when asked for."""
    summary: dict[str, Any]
    """JSON-able: cloud share, pixels by provenance, expected error, time."""
    item: Path | str | None = None
    """STAC item of all of them, unless it was not wanted."""
    mask: Path | str | None = None
    """The cloud mask that was used, when asked for."""
    source_days: Path | str | None = None
    """Days from the scene to each pixel's source, when other dates were borrowed from."""

    def _repr_html_(self) -> str:
        """Files and summary, for notebooks."""
        files = {"scene": self.scene, "provenance": self.provenance, "standard deviation": self.std, "source days": self.source_days}
        files |= {"cloud mask": self.mask, "STAC item": self.item}
        summary, pixels = self.summary, self.summary["pixels"]
        total = max(1, sum(pixels.values()))
        shares = ", ".join(f"{kind.replace('_', ' ')} {count / total:.1%}" for kind, count in pixels.items() if count)
        rows = [(name, str(path)) for name, path in files.items() if path is not None]
        rows += [("method", str(summary["method"])), ("bands", ", ".join(summary["bands"]))]
        rows += [("under cloud", f"{summary['cloud_share']:.1%}"), ("pixels", shares), ("seconds", f"{summary['seconds']:g}")]
        return facts_table("Result of predict_scene", rows, notes=summary["notes"])


def plan_run(
    s1: str | None, s2: str, *, config: PredictConfig | None = None, threads: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """What `predict_scene` would do, as JSON-able facts; reads the scene for its clouds and computes nothing else.

    Raises:
        GeocrError: As `predict_scene`.
    """
    with rasterio.Env(**GDAL_OPTIONS):
        threads = threads or usable_cores()
        prepared = prepare_scene(s2, s1, config or PredictConfig(), threads=threads, progress=progress)
        return tune_scene(prepared, threads=threads, progress=progress).describe()


def predict_scene(
    s1: str | os.PathLike[str] | None,
    s2: str | os.PathLike[str],
    out: str | Path | None = None,
    *,
    config: PredictConfig | None = None,
    reconstructor: Reconstructor | None = None,
    overwrite: bool = False,
    threads: int | None = None,
    scheduler: str = "threads",
    workers: int | None = None,
    scratch: str | Path | None = None,
    extras: Callable[[OutputPaths], Mapping[str, Path]] | None = None,
    stac: bool = True,
    collection: str | Path | None = None,
    progress: Progress | None = None,
) -> PredictResult:
    """Remove the clouds of a Sentinel-2 scene.

    Writes a cloud-free COG on exactly the input's grid and a provenance COG beside it (and a standard deviation when
    `config.uncertainty`). A run that was stopped goes on where it was.

    Args:
        s1: Sentinel-1 raster that overlaps, or None: a path, a URL (`s3://`, `https://`), or a name in GDAL's own form.
        s2: Sentinel-2 raster, likewise.
        out: Path or `s3://` URL of the result; `<s2 stem>_cloudfree.tif` beside the input when None (in the working directory for a URL).
        config: Settings; the defaults when None.
        reconstructor: Your own method instead of the one that the settings name.
        overwrite: Replace existing outputs.
        threads: Tiles reconstructed at the same time by one process; all cores when None. Changes no byte, as long as
            a network is run in the same way (what is tried on a long run depends on the cores).
        scheduler: `threads` (this process), `processes` (a Dask cluster started here), or the address or .json file of a running one.
        workers: Bands of rows computed at the same time with `threads` (1 when None), or processes to start with `processes` (one a
            core when None).
        scratch: Folder for unfinished work on a result for an object store; one in the system's temporary folder when None.
        extras: Writes further files, when the products are finished on this machine and not yet uploaded, and returns them by name
            (`quicklook`, `report`).
        stac: Also write a STAC item, `<out>.json`.
        collection: STAC collection that will list the item; the item says so, the collection is the caller's to write.
        progress: Told how it goes.

    Raises:
        GeocrError: A leaf for each thing that can be wrong.
    """
    began = time.monotonic()
    share_one_heap()
    s1, s2 = None if s1 is None else os.fspath(s1), os.fspath(s2)
    config = require_config(config)
    progress = progress or Silent()
    paths = place_outputs(out, s2, scratch=Path(scratch) if scratch is not None else None)
    wanted = files_wanted(paths, config, stac=stac)
    require_writable(paths, wanted=wanted, inputs=inputs_of(s1, s2, config), overwrite=overwrite)
    require_scheduler(scheduler, device=config.device)
    with rasterio.Env(**GDAL_OPTIONS):
        threads = threads or (usable_cores() if scheduler == "threads" else 1)
        prepared = prepare_scene(s2, s1, config, threads=threads, reconstructor=reconstructor, progress=progress)
        require_apart(paths, wanted=wanted, inputs=files_read(prepared))
        require_space(paths, prepared.plan.scratch_bytes)
        request = fingerprint_of(prepared)
        streams = workers or 1 if scheduler == "threads" else 1
        prepared = tune_scene(
            prepared, threads=threads, streams=streams, remembered=remembered_tuning(paths.scratch, request), progress=progress
        )
        fitted = _reconstructor(prepared, progress)
        manifest = Manifest(paths.scratch, fingerprint_of(prepared), request=request, tuning=prepared.tuning)
        specs = product_specs(prepared, fitted)
        computed = _write_bands(prepared, fitted, manifest, specs, progress, scheduler=scheduler, workers=workers)
        _finish(paths, prepared.plan, manifest, specs, progress)
    drawn = extras(paths) if extras is not None else {}
    if stac:
        found = summarise(prepared, fitted, manifest, computed=computed, seconds=time.monotonic() - began)
        inputs = {"s2": s2} if s1 is None else {"s1": s1, "s2": s2}
        if prepared.tiles.others:
            inputs["references"] = ",".join(path for reference in references_of(config) for path in reference.files)
        write_item(prepared, specs, paths, found, inputs=inputs, collection=collection, drawn=drawn)
    publish(paths)
    summary = summarise(prepared, fitted, manifest, computed=computed, seconds=time.monotonic() - began)
    manifest.remove()
    clear_away(paths)
    return PredictResult(
        scene=paths.published(paths.scene),
        provenance=paths.published(paths.provenance),
        std=paths.published(paths.std) if config.uncertainty else None,
        item=paths.published(paths.item) if stac else None,
        mask=paths.published(paths.mask) if config.save_mask else None,
        source_days=paths.published(paths.source_days) if "source_days" in specs else None,
        summary=summary,
    )


def require_config(config: PredictConfig | None) -> PredictConfig:
    """The settings, or the defaults for None.

    Raises:
        InputError: When it is something else, such as a dict.
    """
    if config is not None and not isinstance(config, PredictConfig):
        raise InputError(f"config is a geocr.PredictConfig, got {type(config).__name__}; write geocr.PredictConfig(uncertainty=True)")
    return config or PredictConfig()


def files_wanted(paths: OutputPaths, config: PredictConfig, *, stac: bool = True) -> list[Path]:
    """Every file that a run with these settings writes, the scene first."""
    return (
        [paths.scene, paths.provenance, paths.style("provenance")]
        + [paths.std, paths.style("std")] * config.uncertainty
        + [paths.item] * stac
        + [paths.mask] * config.save_mask
        + [paths.source_days] * borrows(config)
    )


def inputs_of(s1: str | None, s2: str, config: PredictConfig) -> list[str]:
    """Every file that a run reads, as the user named them: none of them may be an output."""
    named = [s1, s2, config.scl, *mask_files(config.cloud_mask), *(path for reference in references_of(config) for path in reference.files)]
    return [path for path in named if path]


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reconstructor(prepared: PreparedScene, progress: Progress) -> Reconstructor | None:
    """The prepared method, or None for a scene with nothing to replace."""
    if not prepared.survey.touched_tiles:
        progress.note("There is no cloud to replace: the scene is copied as it is.")
        return None
    progress.stage(f"preparing {prepared.method.name}", 1)
    reconstructor = prepared.method.prepare(prepared.tiles)
    if prepared.method.fit_bytes >= RELEASE_FROM_BYTES:
        release_freed_memory()
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
    device = "cpu" if reconstructor is None else str(reconstructor.describe().get("device", "cpu"))
    gpus = gpus_here(device)
    job = SceneJob(
        tiles=prepared.tiles,
        plan=plan,
        reconstructor=reconstructor,
        specs=specs,
        folder=manifest.folder,
        fingerprint=manifest.fingerprint,
        resources=ONE_GPU if gpus else {},
    )
    computed = 0

    def on_tile(done: bool) -> None:
        nonlocal computed
        computed += done
        progress.advance()

    if scheduler == "threads":
        run_here(job, manifest, workers=plan.streams, on_tile=on_tile)
        return computed

    def on_band(band: RowBand, tiles: int) -> None:
        nonlocal computed
        computed += tiles
        progress.advance(sum(band.row <= row.keep_start < band.stop for row in plan.lattice.rows) * len(plan.lattice.cols))

    with cluster_client(scheduler, workers or usable_cores(), gpus=gpus) as client:
        run_on_cluster(job, manifest, client, on_band=on_band)
    return computed


def _finish(paths: OutputPaths, plan: ScenePlan, manifest: Manifest, specs: dict[str, RasterSpec], progress: Progress) -> None:
    """Assemble every product, and only then give all of them their final names."""
    progress.stage("writing COGs", len(specs))
    finals = {"scene": paths.scene, "provenance": paths.provenance, "std": paths.std, "mask": paths.mask, "source_days": paths.source_days}
    made = {}
    for name, spec in specs.items():
        parts = [(part_path(manifest.folder, name, band.row), band.row, band.height) for band in plan.bands]
        made[name] = assemble_cog(parts, manifest.folder / f"final_{name}.tif", spec)
        progress.advance()
    styles = write_styles(made, specs, paths, manifest.folder)
    for name, path in made.items():
        sync_rename(path, finals[name])
    for final, style in styles.items():
        sync_rename(style, final)
    write_category_names(paths.provenance, specs["provenance"])
