"""`OpticalProduct`: what every layout of a Sentinel-2 product comes down to: a file for each band, how it is stored, and facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from geocr.core.bands import S2_BANDS
from geocr.core.errors import BandError
from geocr.io.facts import OpticalFacts

QUANTIFICATION = 10_000.0
"""DN of reflectance 1 in every product so far (ESA, Sentinel-2 Products Specification Document)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandFile:
    """One band of a product: a band of a file."""

    band: str
    """Canonical name."""
    path: str
    """The file: anything `open_raster` opens."""
    index: int = 1
    """1-based number of the band in the file."""
    scale: float | None = None
    """Reflectance per DN by the product's metadata; None leaves it to the file's own tags."""
    offset: float | None = None
    """Reflectance at DN 0, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalProduct:
    """A Sentinel-2 product whose files were found and whose metadata was read; no pixel was."""

    path: str
    """As the caller names it, absolute: the name in messages."""
    bands: tuple[BandFile, ...]
    """In canonical order, each band once."""
    facts: OpticalFacts
    """What its metadata says."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Bands that the metadata lists and whose file is not there, and that file."""
    notes: tuple[str, ...] = ()
    """What was decided, a sentence each."""

    def chosen(self, names: tuple[str, ...] | None) -> tuple[BandFile, ...]:
        """The bands of these names, or all, in canonical order.

        Raises:
            BandError: When one is not in the product, its file is missing, or a Level-2A product has the cirrus band.
        """
        wanted = set(names) if names is not None else {file.band for file in self.bands} | set(self.missing)
        lost = {band: path for band, path in self.missing.items() if band in wanted}
        if lost:
            band, path = next(iter(lost.items()))
            raise BandError(
                f"every band of a product must have its file; {self.path} lists {band} in {path}, which is not there"
                f"{f' (and {len(lost) - 1} more)' if len(lost) > 1 else ''}; fetch the product again, or choose among the others, "
                f"for example --s2-bands {','.join(file.band for file in self.bands) or 'B02,B03,B04'}"
            )
        found = tuple(file for file in self.bands if file.band in wanted)
        absent = wanted - {file.band for file in found}
        if absent or not found:
            raise BandError(
                f"--s2-bands chooses among the bands of a product; {self.path} has {', '.join(file.band for file in self.bands) or 'none'}, "
                f"got {', '.join(sorted(absent)) or 'none'}"
            )
        if self.facts.level == "L2A" and "B10" in wanted:
            raise BandError(
                f"a Level-2A product has 12 bands and no cirrus band B10, and {self.path} says that it is L2A and has one; "
                f"correct its metadata, or leave the band out: --s2-bands {','.join(file.band for file in self.bands if file.band != 'B10')}"
            )
        return found


def in_order(bands: Mapping[str, BandFile]) -> tuple[BandFile, ...]:
    """Band files in canonical order."""
    return tuple(bands[name] for name in S2_BANDS if name in bands)
