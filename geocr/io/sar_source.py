"""`SarSource`: one Sentinel-1 image as it is given, before it is opened on a scene's grid."""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from geocr.io.facts import SarFacts

SarGeometry: TypeAlias = Literal["ground", "radar"]
"""`ground`: terrain-corrected, on a map grid. `radar`: as the radar saw it, tied to the ground by control points at best (GRD)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SarSource:
    """One Sentinel-1 image: where its pixels are, and what is known of it without opening them."""

    rasters: tuple[str, ...]
    """One raster with all polarisations, or one for each: anything `open_raster` opens."""
    polarisations: tuple[str, ...] = ()
    """`VV` and `VH` in the order of several rasters; `()` where one raster names its bands itself."""
    name: str
    """How to call it in messages, notes and tags."""
    facts: SarFacts = field(default=SarFacts())
    """What names and metadata tell; the raster's own tags are read when it is opened."""
    geometry: SarGeometry | None = None
    """What metadata tell of it; None leaves it to the raster."""

    def knowing(self, facts: SarFacts) -> "SarSource":
        """The same source with what is still unknown of it filled from other facts."""
        return replace(self, facts=merged(self.facts, facts))


def merged(first: SarFacts, second: SarFacts) -> SarFacts:
    """Facts of the first where it knows them, else of the second."""
    unknown = {name: getattr(second, name) for name in SarFacts.__dataclass_fields__ if getattr(first, name) in (None, ())}
    return replace(first, **unknown)
