"""A tile and its other dates in the order of time, as models over several dates take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from geocr.core.types import BoolArray, DatedTile, NumberArray, TileInput


def in_order_of_time(tile: TileInput) -> list[DatedTile]:
    """All dates of a tile, its own among them at day 0, earliest first; of dates of one day the tile's own leads, then the given order.

    On other dates what was not observed counts as cloud: a model that skips clouds must skip it too.
    """
    own = DatedTile(days=0, optical=tile.optical, sar=tile.sar, cloud_mask=tile.cloud_mask)
    others = [
        DatedTile(days=other.days, optical=other.optical, sar=other.sar, cloud_mask=other.cloud_mask | ~_observed(other))
        for other in tile.others
    ]
    return sorted([own, *others], key=lambda date: date.days)


def has_pixels(dates: Sequence[DatedTile]) -> BoolArray:
    """`(dates,)` bool: False for a date that does not reach into this window, which only fills the batch. The tile's own always counts."""
    return np.array([date.days == 0 or bool(np.isfinite(date.optical).any()) for date in dates])


def stacked(arrays: Sequence[NumberArray]) -> NumberArray:
    """Arrays of dates as one with a date axis in front; of a single date without a copy."""
    first: NumberArray = arrays[0]
    together: NumberArray = first[None] if len(arrays) == 1 else np.stack(arrays)
    return together


def _observed(date: DatedTile) -> Any:  # noqa: ANN401 - a bool array; numpy's reduce says Any
    return np.logical_or.reduce(np.isfinite(date.optical), axis=0)
