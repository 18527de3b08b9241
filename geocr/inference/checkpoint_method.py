"""A checkpoint as a method: a trained network that fits the scene."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from geocr.config import PredictConfig
from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.fit import Allowances, fit_model
from geocr.inference.inputs import SceneTiles
from geocr.inference.method import Dates
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.tuning import Bench, Trial, Tuning, Wishes, tune
from geocr.io.scene import Scene


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


def allowances_of(config: PredictConfig) -> Allowances:
    """What the settings allow between a scene and a model."""
    return Allowances(
        b10=config.b10,
        any_level=config.any_level,
        model_bands=config.output_bands == "model",
        stretch=config.stretch,
        s1_stretch=config.s1_stretch,
    )


def checkpoint_method(path: str, config: PredictConfig, scene: Scene, dates: int) -> tuple[CheckpointMethod, Scene]:
    """A trained model that fits the scene, and the scene as it reads it.

    Args:
        path: The checkpoint.
        config: Settings.
        scene: The scene.
        dates: Of the scene, itself among them.

    Raises:
        CheckpointError: When it cannot be read or does not fit the scene.
    """
    import torch  # noqa: PLC0415 - imported when a method is chosen, not with the engine

    from geocr.checkpoint import load_checkpoint  # noqa: PLC0415 - as above
    from geocr.inference.neural import NeuralReconstructor  # noqa: PLC0415 - as above
    from geocr.models.footprint import forward_bytes  # noqa: PLC0415 - as above

    checkpoint = load_checkpoint(path)
    fit = fit_model(checkpoint.header.spec, scene, allowances_of(config))
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
