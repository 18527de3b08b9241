"""The protocol of a method: what turns a scene and its mask into a reconstructor.

A method is chosen and checked before anything is computed, so that a plan can be shown without fitting; it is
prepared (fitted, loaded) when the run begins.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from geocr.core.types import TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.inputs import SceneTiles
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.tuning import Trial, Tuning

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
