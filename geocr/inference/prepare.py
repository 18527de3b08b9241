"""A scene opened, masked and planned: all that a run decides before it computes."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Protocol

from geocr.clouds.mask import CloudMask
from geocr.clouds.selection import make_cloud_mask
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.core.memory import release_freed_memory
from geocr.core.types import TileInput
from geocr.grid.lattice import Lattice
from geocr.grid.shift import Shift
from geocr.inference.inputs import SceneTiles
from geocr.inference.method import Method, TunableMethod
from geocr.inference.methods import choose_method
from geocr.inference.plan import CloudSurvey, ScenePlan, plan_scene, survey_clouds
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.references import as_read_by, open_references
from geocr.inference.sar_record import sar_account
from geocr.inference.shift import scene_shift, shift_note
from geocr.inference.tuning import TUNE_FROM_TILES, Trial, Tuning
from geocr.io.aoi import read_aoi
from geocr.io.open import open_scene
from geocr.io.sar_options import sar_options


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
    shift: Shift | None = None
    """Of Sentinel-1 against Sentinel-2, where it was asked for and could be looked for."""

    @property
    def tuning(self) -> Tuning | None:
        """How a tunable method is run."""
        return self.method.tuning if isinstance(self.method, TunableMethod) else None

    def describe(self) -> dict[str, Any]:
        """JSON-able account of what a run would do, for `--dry-run`."""
        grid = self.tiles.scene.grid
        return {
            "crs": grid.crs.to_string(),
            "transform": list(grid.transform)[:6],
            "method": self.method.identity(),
            "cloud_mask": self.mask.describe(),
            "references": [{"name": other.name, "days": other.days} for other in self.tiles.others],
            "sar": sar_account(self.tiles.scene, self.shift),
            **self.plan.describe(self.survey),
            "notes": list(self.notes),
        }


def tune_scene(
    prepared: PreparedScene, *, threads: int, streams: int = 1, remembered: Tuning | None = None, progress: Progress | None = None
) -> PreparedScene:
    """Decide how the method is run: as an earlier, stopped run did, else by trying it on tiles of the scene; then within the memory allowed.

    Args:
        prepared: The scene with the tuning that its settings begin with.
        threads: Cores that the run may use.
        streams: Spans of rows that it would have in work at the same time.
        remembered: What the stopped run decided.
        progress: Told what was found.

    Raises:
        InputError: When the run cannot be kept within `max_memory`.
    """
    progress = progress or Silent()
    method, notes, config = prepared.method, prepared.notes, prepared.config
    plan = _within_memory(replace(prepared.plan, streams=streams), config)
    if isinstance(method, TunableMethod):
        trials: tuple[Trial, ...] = ()
        tuning = remembered or method.tuning
        if remembered is None and prepared.survey.touched_tiles >= TUNE_FROM_TILES:
            progress.stage(f"trying how {method.name} runs fastest", 1)
            tuning, trials = method.tune(
                _samples(prepared),
                threads=threads,
                most_at_once=plan.threads,
                tiles=prepared.survey.touched_tiles,
                fits=lambda tuning: _fits(_run_so(plan, tuning, threads), config),
            )
            progress.advance()
        method = method.tuned(tuning)
        if trials:
            release_freed_memory()
        plan = _within_memory(_run_so(plan, tuning, threads), config)
        if trials:
            notes = (*notes, _tuning_note(tuning, trials))
            progress.note(notes[-1])
    return replace(prepared, method=method, plan=plan, notes=notes)


def _run_so(plan: ScenePlan, tuning: Tuning, threads: int) -> ScenePlan:
    return replace(plan, batch=tuning.batch, torch_threads=tuning.torch_threads, threads=max(1, threads // tuning.torch_threads))


def _fits(plan: ScenePlan, config: PredictConfig) -> bool:
    return config.max_memory is None or plan.within(config.max_memory).memory_bytes <= config.max_memory


def _samples(prepared: PreparedScene) -> list[TileInput]:
    """Three of the tiles with something to replace, of the most usual size: a quarter, a half and three quarters of the way down."""
    lattice, touched = prepared.plan.lattice, prepared.survey.touched
    places = [(row, col) for row, line in enumerate(touched) for col, flag in enumerate(line) if flag]
    windows = [Lattice.window(lattice.rows[row], lattice.cols[col]) for row, col in places]
    usual = Counter(window.shape for window in windows).most_common(1)[0][0]
    windows = [window for window in windows if window.shape == usual]
    chosen = {len(windows) * quarter // 4: None for quarter in (1, 2, 3)}
    return [prepared.tiles.read(windows[place]) for place in chosen]


def _tuning_note(tuning: Tuning, trials: tuple[Trial, ...]) -> str:
    gain = trials[0].seconds_per_tile / min(trial.seconds_per_tile for trial in trials if trial.tuning == tuning)
    layout = "channels last" if tuning.channels_last else "channels first"
    cores = f", {tuning.torch_threads} cores a tile" if tuning.torch_threads > 1 else ""
    return (
        f"Tried {len(trials)} ways to run the model: {tuning.precision}, {layout}, {tuning.batch} tile(s) at a time{cores} is "
        f"{gain:.2f} times as fast as the default; fixed for this run."
    )


def _within_memory(plan: ScenePlan, config: PredictConfig) -> ScenePlan:
    limit = config.max_memory
    if limit is None:
        return plan
    plan = plan.within(limit)
    if not _fits(plan, config):
        raise InputError(
            f"--max-memory must leave room for the run: {int(limit):,} bytes are too few, as one tile of {plan.tile.size_px} px at a time in batches "
            f"of {plan.batch} needs about {plan.memory_bytes:,}; give at least that, or a smaller --batch or --tile where a checkpoint is used"
        )
    return plan


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
    scene = open_scene(
        s2,
        s1,
        s2_bands=config.s2_bands,
        s2_scale=config.s2_scale,
        s2_offset=config.s2_offset,
        s2_resampling=config.s2_resampling,
        resolution_m=config.resolution_m,
        sar=sar_options(config),
        on_error=config.on_error,
    )
    opened = scene
    others, dated = open_references(config, scene)
    method, scene = choose_method(config, scene, reconstructor, others)
    others, said = as_read_by(method, others, scene)
    aoi = None if config.aoi is None else read_aoi(config.aoi, scene.grid)
    progress.stage("finding clouds", 1)
    mask = make_cloud_mask(opened, config.cloud_mask, scl=config.scl, buffer_m=config.mask_buffer_m, buffer_px=config.mask_buffer_px)
    progress.advance()
    tiles = SceneTiles(scene=scene, mask=mask, aoi=aoi, others=others)
    plan = plan_scene(
        tiles,
        method.tile,
        mode=config.mode,
        with_std=config.uncertainty,
        with_days=method.dates == "borrowed",
        with_mask=config.save_mask,
        threads=threads,
        batch=method.batch,
        layers=method.layers,
        fit_bytes=method.fit_bytes,
        weights_bytes=method.weights_bytes,
        read_rows=method.read_rows,
    )
    survey = survey_clouds(tiles, plan.lattice, config.mode)
    notes = (*scene.notes, *mask.notes, *dated, *said, *method.notes)
    if scene.sar is not None and survey.sar_share < 1:
        notes += (f"Sentinel-1 covers about {survey.sar_share:.0%} of the scene (by a sample); elsewhere only the surroundings are known.",)
    shift = scene_shift(opened, mask) if config.check_shift else None
    if config.check_shift and opened.sar is not None:
        notes += (shift_note(opened, shift),)
    for note in notes:
        progress.note(note)
    return PreparedScene(tiles=tiles, mask=mask, method=method, plan=plan, survey=survey, config=config, notes=notes, shift=shift)
