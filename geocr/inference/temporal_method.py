"""Filling from other dates as a method."""

from dataclasses import dataclass, replace
from typing import Any

from geocr.grid.spec import TileSpec
from geocr.inference.inputs import OtherDate, SceneTiles
from geocr.inference.method import Dates
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.scenefit_method import fit_on_scene, scene_fit_bytes


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
        return max(scene_fit_bytes(self.scene_px), (250 + 130 * len(self.others)) * 2**20)

    @property
    def tile(self) -> TileSpec:
        """Tiles of a scene fit with a margin for the borders of what is borrowed."""
        from geocr.temporal import fill_tile  # noqa: PLC0415 - as in the scene fit

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
        from geocr.temporal import DateFill, fit_dates  # noqa: PLC0415 - as in the scene fit

        dates = fit_dates(tiles)
        rest = fit_on_scene(replace(tiles, others=()), self.seed) if dates.left_px else None
        return DateFill(shape=tiles.shape, matches=dates.matches, rest=rest, name=self.name)
