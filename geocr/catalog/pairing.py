"""Which Sentinel-1 images go with a Sentinel-2 image: those nearest in time that together cover it."""

from collections.abc import Sequence
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from geocr.catalog.area import SearchArea, area_m2, geometry_of
from geocr.catalog.source import FoundItem

WHOLE = 0.99
"""Share from which a scene counts as covered."""
WORTH = 0.01
"""Share that a further Sentinel-1 image must add to be taken."""
_SECONDS_PER_DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPair:
    """A Sentinel-2 item with its Sentinel-1 items."""

    s2: FoundItem
    s1: tuple[FoundItem, ...]
    """Nearest in time first; each covers what those before it do not."""
    overlap: float
    """Share of the Sentinel-2 footprint, within the area searched, that they cover together, 0 to 1."""
    area_share: float
    """Share of the area searched that the Sentinel-2 footprint covers, 0 to 1."""

    @property
    def days(self) -> float | None:
        """Days from the Sentinel-2 image to the Sentinel-1 image furthest away, negative for an earlier one; None without."""
        gaps = [days_between(self.s2, item) for item in self.s1]
        return max(gaps, key=abs) if gaps else None

    @property
    def cloud_percent(self) -> float | None:
        """Cloud cover by the catalogue's own word."""
        return cloud_percent(self.s2)


def cloud_percent(item: FoundItem) -> float | None:
    """`eo:cloud_cover` of an item, 0 to 100; None when it has none."""
    value = (item.content.get("properties") or {}).get("eo:cloud_cover")
    return None if value is None else float(value)


def days_between(s2: FoundItem, s1: FoundItem) -> float:
    """Days from one image to the other, negative when the second is earlier."""
    return (s1.acquired - s2.acquired).total_seconds() / _SECONDS_PER_DAY


def match(s2: FoundItem, candidates: Sequence[FoundItem], area: SearchArea, *, max_days: float) -> FoundPair:
    """Choose Sentinel-1 images for a Sentinel-2 image.

    In order of their distance in time (of equal distance the earlier, then by id), an image is taken when it covers at least 1 % of the scene
    that those before it do not, until 99 % is covered. So the nearest always comes first, frames of one pass join, and none is listed in vain.

    Args:
        s2: The Sentinel-2 item.
        candidates: Sentinel-1 items, in any order.
        area: What is wanted; the rest of the scene does not count.
        max_days: Images further away in time are not taken.
    """
    footprint = geometry_of(dict(s2.content))
    wanted = None if footprint is None else footprint.intersection(area.geometry)
    size = 0.0 if wanted is None else area_m2(wanted)
    if wanted is None or size == 0.0:
        return FoundPair(s2=s2, s1=(), overlap=0.0, area_share=0.0)
    taken, left = _cover(wanted, size, [item for item in _by_time(s2, candidates) if abs(days_between(s2, item)) <= max_days])
    return FoundPair(s2=s2, s1=taken, overlap=1 - area_m2(left) / size, area_share=size / area_m2(area.geometry))


def _by_time(s2: FoundItem, candidates: Sequence[FoundItem]) -> list[FoundItem]:
    return sorted(candidates, key=lambda item: (abs(days_between(s2, item)), item.acquired, item.id))


def _cover(wanted: BaseGeometry, size: float, candidates: Sequence[FoundItem]) -> tuple[tuple[FoundItem, ...], BaseGeometry]:
    """Items taken in order, and what they leave bare."""
    taken: list[FoundItem] = []
    left = wanted
    for item in candidates:
        shape = geometry_of(dict(item.content))
        rest = left if shape is None else left.difference(shape)
        if area_m2(left) - area_m2(rest) >= WORTH * size:
            taken.append(item)
            left = rest
        if area_m2(left) <= (1 - WHOLE) * size:
            break
    return tuple(taken), left
