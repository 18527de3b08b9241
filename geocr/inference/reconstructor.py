"""The one word the engine knows for a method: a reconstructor."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec


@runtime_checkable
class Reconstructor(Protocol):
    """Fills cloudy pixels of one tile. A scene fit, a trained network and a user's own object all are one.

    Must be picklable (it travels to Dask workers once per process), safe to call from several threads,
    and deterministic: the same tile gives the same bytes.
    """

    @property
    def tile(self) -> TileSpec:
        """The windows it wants."""
        ...

    @property
    def has_std(self) -> bool:
        """Whether its reconstructions carry a standard deviation."""
        ...

    def describe(self) -> dict[str, Any]:
        """JSON-able facts for tags and the plan: at least `name`; parameters, expected error, weights' hash."""
        ...

    def __call__(self, tile: TileInput) -> Reconstruction:
        """Reconstruct a tile. The mean must be finite at every cloudy valid pixel."""
        ...


@runtime_checkable
class BatchReconstructor(Reconstructor, Protocol):
    """A reconstructor that is faster on several tiles at once, as networks are on a GPU."""

    def many(self, tiles: Sequence[TileInput]) -> list[Reconstruction]:
        """Reconstruct tiles that may differ in size; the answers come in their order."""
        ...
