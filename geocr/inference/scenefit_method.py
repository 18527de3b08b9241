"""The scene fit as a method."""

from dataclasses import dataclass
from typing import Any

from geocr.grid.spec import TileSpec
from geocr.inference.inputs import SceneTiles
from geocr.inference.method import Dates
from geocr.inference.reconstructor import Reconstructor


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
        return scene_fit_bytes(self.scene_px)

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
        return fit_on_scene(tiles, self.seed)


def scene_fit_bytes(scene_px: int) -> int:
    """Memory of a scene fit: it looks at samples and a coarse picture, which stop growing (measured from 512 x 512 to 10,980 x 10,980)."""
    return min(680 * 2**20, 340 * 2**20 + 85 * scene_px)


def fit_on_scene(tiles: SceneTiles, seed: int) -> Reconstructor:
    """The scene fit, reading JPEG 2000 by its own blocks: each read decodes whole ones."""
    from geocr.scenefit import PIECE_PX, fit_scene, piece_of  # noqa: PLC0415 - torch is imported when a method is chosen, not with the engine

    block_px = tiles.scene.optical.jp2_rows
    return fit_scene(tiles, seed=seed, piece_px=PIECE_PX if block_px is None else piece_of(block_px))
