"""Methods: what turns a scene and its mask into a reconstructor.

A method is chosen and checked before anything is computed, so that a plan can be shown without fitting; it is
prepared (fitted, loaded) when the run begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.fit import Allowances, fit_model
from geocr.inference.inputs import OtherDate, SceneTiles
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.tuning import Bench, Trial, Tuning, Wishes, tune
from geocr.io.scene import Scene

Dates: TypeAlias = Literal["none", "borrowed", "input"]
"""What a method does with other dates: nothing; fill from them, which needs their optical pixels; take them as its inputs, Sentinel-1 too."""


class Method(Protocol):
    """A way to reconstruct, known to fit the scene."""

    @property
    def name(self) -> str:
        """Its name in tags and summaries."""
        ...

    @property
    def tile(self) -> TileSpec:
        """The tiles its reconstructor will want."""
        ...

    @property
    def has_std(self) -> bool:
        """Whether it gives a standard deviation."""
        ...

    @property
    def batch(self) -> int:
        """How many tiles it takes together."""
        ...

    @property
    def layers(self) -> int:
        """Float32 layers of a tile's size that it holds while it works on one."""
        ...

    @property
    def fit_bytes(self) -> int:
        """Memory that preparing takes beside the process itself."""
        ...

    @property
    def weights_bytes(self) -> int:
        """Memory that it holds all through the run."""
        ...

    @property
    def read_rows(self) -> int | None:
        """Most rows of the scene to read at once; None for what reads fastest."""
        ...

    @property
    def dates(self) -> Dates:
        """What it reads of the scene's other dates."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, a sentence each."""
        ...

    def identity(self) -> dict[str, Any]:
        """JSON-able facts that decide its results, before it is prepared."""
        ...

    def prepare(self, tiles: SceneTiles) -> Reconstructor:
        """Fit or load."""
        ...


@runtime_checkable
class TunableMethod(Method, Protocol):
    """A method that can be run in several ways, of which one is faster on this machine."""

    @property
    def tuning(self) -> Tuning:
        """How it is run."""
        ...

    def tuned(self, tuning: Tuning) -> "TunableMethod":
        """The same method, run in another way."""
        ...

    def tune(
        self, samples: Sequence[TileInput], *, threads: int, most_at_once: int, tiles: int, fits: Callable[[Tuning], bool]
    ) -> tuple[Tuning, tuple[Trial, ...]]:
        """Try on sample tiles how it runs fastest; arguments as of `Bench` and `geocr.inference.tuning.tune`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFitMethod:
    """Fitted on the clear pixels of the scene itself; needs no weights."""

    seed: int
    name: str = "scenefit"
    has_std: bool = True
    batch: int = 1
    layers: int = 96
    scene_px: int = 2**27
    """Pixels of the scene, on which the memory of the fit depends; of a large one when left out."""
    weights_bytes: int = 50 * 2**20
    read_rows: int | None = 128  # to decode tall blocks again is little beside the fill, and saves a fifth of a gigabyte
    dates: Dates = "none"
    notes: tuple[str, ...] = ()

    @property
    def fit_bytes(self) -> int:
        """Memory of the fit."""
        return _fit_bytes(self.scene_px)

    @property
    def tile(self) -> TileSpec:
        """Tiles of a scene fit."""
        from geocr.scenefit import SCENEFIT_TILE  # noqa: PLC0415 - torch is imported when a method is chosen, not with the engine

        return SCENEFIT_TILE

    def identity(self) -> dict[str, Any]:
        """The seed; everything else is decided by the scene."""
        return {"name": self.name, "seed": self.seed}

    def prepare(self, tiles: SceneTiles) -> Reconstructor:
        """Fit on the scene.

        Raises:
            TooFewClearPixelsError: When there is too little to fit on.
        """
        return _fit(tiles, self.seed)


def _fit_bytes(scene_px: int) -> int:
    """Memory of a scene fit: it looks at samples and a coarse picture, which stop growing (measured from 512 x 512 to 10,980 x 10,980)."""
    return min(680 * 2**20, 340 * 2**20 + 85 * scene_px)


def _fit(tiles: SceneTiles, seed: int) -> Reconstructor:
    """The scene fit, reading JPEG 2000 by its own blocks: each read decodes whole ones."""
    from geocr.scenefit import PIECE_PX, fit_scene, piece_of  # noqa: PLC0415 - torch is imported when a method is chosen, not with the engine

    block_px = tiles.scene.optical.jp2_rows
    return fit_scene(tiles, seed=seed, piece_px=PIECE_PX if block_px is None else piece_of(block_px))


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporalMethod:
    """Clear pixels of other dates first, then a fit on the scene itself."""

    seed: int
    others: tuple[OtherDate, ...]
    """Nearest in time first."""
    scene_px: int = 2**27
    """As of the scene fit."""
    name: str = "temporal"
    has_std: bool = True
    batch: int = 1
    layers: int = 200
    weights_bytes: int = 60 * 2**20
    read_rows: int | None = 128  # as of the scene fit
    dates: Dates = "borrowed"
    notes: tuple[str, ...] = ()

    @property
    def fit_bytes(self) -> int:
        """Memory of comparing all dates at once, or of the scene fit that follows."""
        return max(_fit_bytes(self.scene_px), (250 + 130 * len(self.others)) * 2**20)

    @property
    def tile(self) -> TileSpec:
        """Tiles of a scene fit with a margin for the borders of what is borrowed."""
        from geocr.temporal import fill_tile  # noqa: PLC0415 - as above

        return fill_tile(len(self.others))

    def identity(self) -> dict[str, Any]:
        """The seed, and which dates how far away; everything else is decided by the scenes."""
        dates = [{"name": other.name, "days": other.days, "mask": dict(other.facts)} for other in self.others]
        return {"name": self.name, "seed": self.seed, "dates": dates}

    def prepare(self, tiles: SceneTiles) -> Reconstructor:
        """Match every date to the scene, and fit on the scene where none of them shows the ground.

        Raises:
            TooFewClearPixelsError: When there is too little to fit on, and the dates leave pixels over.
        """
        from geocr.temporal import DateFill, fit_dates  # noqa: PLC0415 - as above

        dates = fit_dates(tiles)
        rest = _fit(replace(tiles, others=()), self.seed) if dates.left_px else None
        return DateFill(shape=tiles.shape, matches=dates.matches, rest=rest, name=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMethod:
    """A trained network, loaded and found to fit the scene."""

    reconstructor: Any
    """A `NeuralReconstructor`."""
    wishes: Wishes
    """What the user has decided."""
    layers: int
    weights_bytes: int
    read_rows: int | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return str(self.reconstructor.describe()["name"])

    @property
    def tile(self) -> TileSpec:
        """The model's tiles."""
        tile: TileSpec = self.reconstructor.tile
        return tile

    @property
    def has_std(self) -> bool:
        """Whether the model has a variance head."""
        return bool(self.reconstructor.has_std)

    @property
    def dates(self) -> Dates:
        """The inputs of a model over several dates."""
        return "input" if self.reconstructor.header.spec.multi_temporal else "none"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the model says about this scene."""
        notes: tuple[str, ...] = self.reconstructor.notes
        return notes

    def identity(self) -> dict[str, Any]:
        """The model, its weights' hash and how it is run."""
        facts: dict[str, Any] = self.reconstructor.describe()
        return facts

    @property
    def fit_bytes(self) -> int:
        """What loading takes: the file, its tensors, the model and the copy that is kept."""
        return 4 * self.weights_bytes

    @property
    def tuning(self) -> Tuning:
        """How the model is run."""
        tuning: Tuning = self.reconstructor.tuning
        return tuning

    @property
    def batch(self) -> int:
        """Tiles in one forward pass."""
        return self.tuning.batch

    def tuned(self, tuning: Tuning) -> "CheckpointMethod":
        """The same model, run in another way; copies of its weights for other ways are let go."""
        from geocr.inference.model_cache import keep_only  # noqa: PLC0415 - torch is imported when a method is chosen, not with the engine

        reconstructor = self.reconstructor.tuned(tuning)
        keep_only(reconstructor.key)
        return replace(self, reconstructor=reconstructor)

    def tune(
        self, samples: Sequence[TileInput], *, threads: int, most_at_once: int, tiles: int, fits: Callable[[Tuning], bool]
    ) -> tuple[Tuning, tuple[Trial, ...]]:
        """Try how the model runs fastest on this machine."""

        def run(tuning: Tuning, batch: Sequence[TileInput]) -> list[Reconstruction]:
            answers: list[Reconstruction] = self.reconstructor.tuned(tuning).at_once(batch)
            return answers

        bench = Bench(run=run, samples=samples, threads=threads, most_at_once=most_at_once)
        return tune(bench, self.wishes, gpu=self.reconstructor.key.device.startswith("cuda"), tiles=tiles, fits=fits)

    def prepare(self, tiles: SceneTiles) -> Reconstructor:  # noqa: ARG002 - a trained model needs nothing of the scene
        """The model itself."""
        reconstructor: Reconstructor = self.reconstructor
        return reconstructor


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMethod:
    """A reconstructor that the caller brings."""

    reconstructor: Reconstructor
    batch: int = 1
    layers: int = 64
    fit_bytes: int = 0
    weights_bytes: int = 0
    read_rows: int | None = None
    dates: Dates = "input"
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it calls itself."""
        return str(self.reconstructor.describe()["name"])

    @property
    def tile(self) -> TileSpec:
        """Its tiles."""
        return self.reconstructor.tile

    @property
    def has_std(self) -> bool:
        """Whether it gives a standard deviation."""
        return self.reconstructor.has_std

    def identity(self) -> dict[str, Any]:
        """What it says of itself."""
        return self.reconstructor.describe()

    def prepare(self, tiles: SceneTiles) -> Reconstructor:  # noqa: ARG002 - it is prepared
        """The reconstructor itself."""
        return self.reconstructor


def _allowances(config: PredictConfig) -> Allowances:
    return Allowances(
        b10=config.b10,
        any_level=config.any_level,
        model_bands=config.output_bands == "model",
        stretch=config.stretch,
        s1_stretch=config.s1_stretch,
    )


def _refuse_model_settings(config: PredictConfig) -> None:
    """Settings that mean nothing without a trained model."""
    if (config.tile_px, config.overlap_px, config.batch) != (None, None, None) or config.precision != "auto" or config.compiled:
        raise InputError(
            "--tile, --overlap, --batch, --precision and --compile are settings of a trained model; without --checkpoint leave them out"
        )
    if _allowances(config) != Allowances():
        raise InputError(
            "--b10, --any-level, --output-bands, --stretch and --s1-stretch fit a scene to a trained model; without --checkpoint leave them out"
        )
    if config.mode == "full":
        raise InputError(
            "--mode full rewrites every pixel with a trained model; the default method fills clouds only: add --checkpoint FILE or leave --mode out"
        )


def _checkpoint_method(path: str, config: PredictConfig, scene: Scene, dates: int) -> tuple[CheckpointMethod, Scene]:
    """A trained model that fits the scene, and the scene as it reads it."""
    import torch  # noqa: PLC0415 - imported when a method is chosen, not with the engine

    from geocr.checkpoint import load_checkpoint  # noqa: PLC0415 - as above
    from geocr.inference.neural import NeuralReconstructor  # noqa: PLC0415 - as above
    from geocr.models.footprint import forward_bytes  # noqa: PLC0415 - as above

    checkpoint = load_checkpoint(path)
    fit = fit_model(checkpoint.header.spec, scene, _allowances(config))
    if config.output_bands == "model":
        read = scene.only((*checkpoint.header.spec.optical_in, *fit.written))
        scene = replace(read, output_bands=None if read.bands == fit.written else fit.written)
    if not checkpoint.header.spec.sar_bands:
        scene = replace(scene, sar=None, sar_bands=())
    device = config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    wishes = Wishes(precision=config.precision, batch=config.batch, compiled=config.compiled)
    reconstructor = NeuralReconstructor.from_checkpoint(
        checkpoint,
        scene,
        device=device,
        tuning=wishes.start(gpu=device.startswith("cuda")),
        tile_px=config.tile_px,
        overlap_px=config.overlap_px,
        fit=fit,
    )
    side_px, multi_temporal = reconstructor.tile.size_px, checkpoint.header.spec.multi_temporal
    method = CheckpointMethod(
        reconstructor=reconstructor,
        wishes=wishes,
        layers=-(-forward_bytes(checkpoint.model, side_px, dates if multi_temporal else 1) // (4 * side_px**2)),
        weights_bytes=sum(tensor.nbytes for tensor in checkpoint.model.state_dict().values()),
    )
    return method, scene


def choose_method(
    config: PredictConfig, scene: Scene, own: Reconstructor | None = None, others: tuple[OtherDate, ...] = ()
) -> tuple[Method, Scene]:
    """The method that the settings ask for, and the scene as it reads it (without Sentinel-1 where a model uses none).

    Raises:
        CheckpointError: When a checkpoint cannot be read or does not fit the scene.
        InputError: When uncertainty is asked of a method that has none.
    """
    method: Method
    if own is not None:
        method = OwnMethod(reconstructor=own, batch=config.batch or 1)
    elif config.checkpoint is None:
        _refuse_model_settings(config)
        if config.method == "temporal" and not others:
            raise InputError("--method temporal fills from other dates, and there is none; name some with --reference S2[,S1]")
        if others and config.method != "scenefit":
            method = TemporalMethod(seed=config.seed, others=others, scene_px=prod(scene.grid.shape))
        else:
            method = SceneFitMethod(seed=config.seed, scene_px=prod(scene.grid.shape))
    else:
        if config.method is not None:
            raise InputError(f"--checkpoint implies its own method, got --method {config.method} with it; leave one of them out")
        method, scene = _checkpoint_method(config.checkpoint, config, scene, 1 + len(others))
    if config.uncertainty and not method.has_std:
        raise InputError(
            f"--uncertainty needs a method with a standard deviation, and {method.name} has none; leave --uncertainty out, "
            f"or use the default method (no --checkpoint) or a model with a variance head"
        )
    return method, scene
