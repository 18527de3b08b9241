"""Methods: what turns a scene and its mask into a reconstructor.

A method is chosen and checked before anything is computed, so that a plan can be shown without fitting; it is
prepared (fitted, loaded) when the run begins.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.grid.spec import TileSpec
from geocr.inference.inputs import SceneTiles
from geocr.inference.reconstructor import Reconstructor


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
    def notes(self) -> tuple[str, ...]:
        """What the user should know, a sentence each."""
        ...

    def identity(self) -> dict[str, Any]:
        """JSON-able facts that decide its results, before it is prepared."""
        ...

    def prepare(self, tiles: SceneTiles) -> Reconstructor:
        """Fit or load."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFitMethod:
    """Fitted on the clear pixels of the scene itself; needs no weights."""

    seed: int
    name: str = "scenefit"
    has_std: bool = True
    notes: tuple[str, ...] = ()

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
        from geocr.scenefit import fit_scene  # noqa: PLC0415 - as above

        return fit_scene(tiles, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointMethod:
    """A trained network, loaded and found to fit the scene."""

    reconstructor: Any
    """A `NeuralReconstructor`."""

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
    def notes(self) -> tuple[str, ...]:
        """What the model says about this scene."""
        notes: tuple[str, ...] = self.reconstructor.notes
        return notes

    def identity(self) -> dict[str, Any]:
        """The model, its weights' hash and how it is run."""
        facts: dict[str, Any] = self.reconstructor.describe()
        return facts

    def prepare(self, tiles: SceneTiles) -> Reconstructor:  # noqa: ARG002 - a trained model needs nothing of the scene
        """The model itself."""
        reconstructor: Reconstructor = self.reconstructor
        return reconstructor


def choose_method(config: PredictConfig, tiles: SceneTiles) -> tuple[Method, SceneTiles]:
    """The method that the settings ask for, and the scene as it reads it (without Sentinel-1 where a model uses none).

    Raises:
        CheckpointError: When a checkpoint cannot be read or does not fit the scene.
        InputError: When uncertainty is asked of a method that has none.
    """
    method: Method
    if config.checkpoint is None:
        if config.tile_px is not None or config.overlap_px is not None:
            raise InputError("--tile and --overlap are settings of a trained model; without --checkpoint leave them out")
        method = SceneFitMethod(seed=config.seed)
    else:
        from geocr.checkpoint import load_checkpoint  # noqa: PLC0415 - torch is imported when a method is chosen, not with the engine
        from geocr.inference.neural import NeuralReconstructor  # noqa: PLC0415 - as above

        checkpoint = load_checkpoint(config.checkpoint)
        if not checkpoint.header.spec.sar_bands:
            tiles = replace(tiles, scene=replace(tiles.scene, sar=None, sar_bands=()))
        method = CheckpointMethod(
            reconstructor=NeuralReconstructor.from_checkpoint(checkpoint, tiles.scene, tile_px=config.tile_px, overlap_px=config.overlap_px)
        )
    if config.uncertainty and not method.has_std:
        raise InputError(
            f"--uncertainty needs a method with a standard deviation, and {method.name} has none; leave --uncertainty out, "
            f"or use the default method (no --checkpoint) or a model with a variance head"
        )
    return method, tiles
