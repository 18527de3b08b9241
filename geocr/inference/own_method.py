"""A caller's own reconstructor as a method."""

from dataclasses import dataclass
from typing import Any

from geocr.grid.spec import TileSpec
from geocr.inference.inputs import SceneTiles
from geocr.inference.method import Dates
from geocr.inference.reconstructor import Reconstructor


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
