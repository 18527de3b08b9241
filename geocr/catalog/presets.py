"""Public catalogues by name: where they are, which collections hold Sentinel-1 and Sentinel-2, and whether files need signed addresses.

Sources: Earth Search v1 (https://element84.com/earth-search) and Microsoft Planetary Computer (https://planetarycomputer.microsoft.com/catalog).
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPreset:
    """A catalogue that is known by name."""

    url: str
    """Root of its STAC API."""
    s2: str | None
    """Collection of Sentinel-2 scenes, or None when it has none that predict-scene reads."""
    s1: str | None
    """Collection of terrain-corrected Sentinel-1, or None: raw GRD is of no use here."""
    s1_from: str | None = None
    """Name of the catalogue that Sentinel-1 is taken from where this one has none."""


PRESETS: Mapping[str, CatalogPreset] = {
    "earth-search": CatalogPreset(
        url="https://earth-search.aws.element84.com/v1", s2="sentinel-2-l2a", s1=None, s1_from="planetary-computer"
    ),
    "planetary-computer": CatalogPreset(
        url="https://planetarycomputer.microsoft.com/api/stac/v1", s2="sentinel-2-l2a", s1="sentinel-1-rtc"
    ),
}
"""Catalogues by the name that --catalog takes."""
