"""A series of dates, each filled from the others: `fill_series` is the function for callers that hold the dates themselves.

`predict_scene` with references fills one scene; whoever has a whole series already on one grid (a data cube) calls `fill_series`, and
runs what it yields through the engine, date by date.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from geocr.core.errors import InputError
from geocr.inference.inputs import MaskReader, OtherDate, SceneTiles
from geocr.inference.method import Method
from geocr.inference.references import AUTO_DAYS
from geocr.inference.scenefit_method import SceneFitMethod
from geocr.inference.temporal_method import TemporalMethod
from geocr.io.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedScene:
    """One date of a series."""

    scene: Scene
    """Its pixels; all dates of a series share grid and bands. With its own Sentinel-1, if it has one."""
    mask: MaskReader
    """Its clouds and shadows."""
    day: date
    name: str = ""
    """How to call it, in tags and summaries."""


def fill_series(series: Sequence[DatedScene], *, seed: int = 0, max_days: int | None = AUTO_DAYS) -> Iterator[tuple[SceneTiles, Method]]:
    """For each date, in the given order, its tiles with the other dates attached and the method that fills it.

    A date within `max_days` of another lends it clear pixels, nearest first; the rest is left to the scene fit of the date itself.
    Nothing is read until a method is prepared: `method.prepare(tiles)`, then `plan_scene(tiles, method.tile, ...,
    with_days=method.dates == "borrowed")` and `stream_rows`.

    Args:
        series: The dates.
        seed: Of the fits.
        max_days: Most days between a date and one that lends to it; None for any.

    Raises:
        InputError: When grids or bands differ.
    """
    for dated in series[1:]:
        _require_alike(series[0], dated)
    for place, target in enumerate(series):
        others = _others_of(series, place, max_days)
        tiles = SceneTiles(scene=target.scene, mask=target.mask, others=others)
        yield tiles, TemporalMethod(seed=seed, others=others) if others else SceneFitMethod(seed=seed)


def _others_of(series: Sequence[DatedScene], place: int, max_days: int | None) -> tuple[OtherDate, ...]:
    target = series[place].day
    near = [
        (abs(days), days, order, dated)
        for order, dated in enumerate(series)
        if order != place and _within(days := (dated.day - target).days, max_days)
    ]
    near.sort(key=lambda entry: entry[:3])
    return tuple(
        OtherDate(scene=replace(dated.scene, sar=None, sar_bands=()), mask=dated.mask, days=days, name=dated.name)
        for _, days, _, dated in near
    )


def _require_alike(first: DatedScene, other: DatedScene) -> None:
    if (other.scene.grid, other.scene.bands) != (first.scene.grid, first.scene.bands):
        raise InputError(
            f"the dates of a series must share grid and bands; {other.name or other.day} has {other.scene.grid.shape} pixels of "
            f"{', '.join(other.scene.bands)}, {first.name or first.day} {first.scene.grid.shape} of {', '.join(first.scene.bands)}"
        )


def _within(days: int, max_days: int | None) -> bool:
    return max_days is None or abs(days) <= max_days
