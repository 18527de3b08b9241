"""Several masks as one: cloud is what any of them calls cloud."""

from dataclasses import dataclass

import numpy as np

from geocr.clouds.mask import CloudMask, Description
from geocr.core.types import BoolArray, Window


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnionMask:
    """The union of cloud masks of one scene."""

    parts: tuple[CloudMask, ...]
    """At least two; each has its own buffer in it."""

    @property
    def source(self) -> str:
        """The parts' methods, joined by `+`."""
        return "+".join(part.source for part in self.parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What each part says, each sentence once."""
        said = (note for part in self.parts for note in part.notes)
        return tuple(dict.fromkeys(("The cloud mask is the union of several.", *said)))

    def read(self, window: Window) -> BoolArray:
        """The mask of a window: `(height, width)` bool, True is cloud or shadow by any part."""
        found: BoolArray = np.logical_or.reduce([part.read(window) for part in self.parts])
        return found

    def describe(self) -> Description:
        """The facts of each part, its place in the union before their names, and those that all share without."""
        described = [part.describe() for part in self.parts]
        shared = ("threshold", "buffer_m", "working_resolution_m", "sun_zenith_deg", "sun_azimuth_deg", "shadows")
        facts: Description = {"source": self.source}
        for name in shared:
            values = {str(facts_of.get(name)): facts_of.get(name) for facts_of in described}
            facts[name] = next(iter(values.values())) if len(values) == 1 else "by part"
        for number, facts_of in enumerate(described, start=1):
            facts |= {f"{number}.{name}": value for name, value in facts_of.items()}
        return facts
