"""Which Sentinel-1 pass, and which clear image, goes with each part of each cloudy scene.

Candidates are taken by their distance in time. The nearest gets the ground it covers, the next what is left, so that every
place of a cloudy scene has one partner at most, and the best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
import shapely
from geopandas import GeoDataFrame
from shapely.geometry.base import BaseGeometry

from geocr.core.errors import GeoreferenceError, InputError

PASS_MINUTES = 15.0
"""Frames acquired this close together are of one overflight (Sentinel-1 crosses a continent in that time)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One image, or the frames of one overflight."""

    paths: tuple[str, ...]
    """Its files, in time order."""
    when: pd.Timestamp | None
    """Middle of its first file's time; None when not known."""
    geometry: BaseGeometry
    """Ground it covers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Ground with its partner."""

    candidate: Candidate
    """The partner."""
    days: float
    """Its distance in time, NaN when times are not compared."""
    geometry: BaseGeometry
    """The ground."""


def middle_of(interval: "pd.Interval[pd.Timestamp]") -> pd.Timestamp | None:
    """The moment half way; None for an image whose time is not known (its interval is longer than a year)."""
    left, right = (
        interval.left.to_pydatetime(warn=False),
        interval.right.to_pydatetime(warn=False),
    )  # all of time is too long for a Timedelta
    if right - left > timedelta(days=366):
        return None
    return interval.left + (interval.right - interval.left) / 2


def as_candidates(index: GeoDataFrame, *, by_pass: bool = False) -> list[Candidate]:
    """A dataset's files as candidates, in time order.

    Args:
        index: Of a torchgeo dataset: `filepath`, geometry and time intervals.
        by_pass: Join frames of one overflight.
    """
    singles = [
        Candidate(paths=(row.filepath,), when=middle_of(interval), geometry=row.geometry)
        for interval, row in zip(index.index, index.itertuples(), strict=True)
    ]
    far = pd.Timestamp("1900-01-01")
    singles.sort(key=lambda item: (item.when or far, item.paths))
    if not by_pass:
        return singles
    passes: list[Candidate] = []
    for item in singles:
        last = passes[-1] if passes else None
        near = (
            last is not None
            and last.when is not None
            and item.when is not None
            and item.when - last.when <= timedelta(minutes=PASS_MINUTES)
        )
        if last is not None and near:
            passes[-1] = Candidate(paths=last.paths + item.paths, when=last.when, geometry=shapely.union(last.geometry, item.geometry))
        else:
            passes.append(item)
    return passes


def share_ground(
    ground: BaseGeometry, when: pd.Timestamp | None, candidates: Sequence[Candidate], *, max_days: float | None
) -> list[Piece]:
    """Give each part of the ground the candidate nearest in time that covers it.

    Args:
        ground: What needs a partner.
        when: Time of the image on it.
        candidates: Possible partners.
        max_days: Greatest distance in time; None compares no times.

    Raises:
        InputError: When `max_days` is negative, or a time it needs is not known.
    """
    if max_days is not None and not max_days >= 0:
        raise InputError(f"max_days must be 0 or more, or None for any time, got {max_days!r}")
    touching = [item for item in candidates if item.geometry.intersects(ground)]
    ranked = sorted(((_days(when, item, max_days), number) for number, item in enumerate(touching)), key=lambda pair: (pair[0], pair[1]))
    pieces: list[Piece] = []
    left = ground
    for days, number in ranked:
        if max_days is not None and days > max_days:
            break
        part = left.intersection(touching[number].geometry)
        if part.area > 0:
            pieces.append(Piece(candidate=touching[number], days=days if max_days is not None else float("nan"), geometry=part))
            left = left.difference(part)
    return pieces


def nearest_days(when: pd.Timestamp | None, ground: BaseGeometry, candidates: Sequence[Candidate]) -> float | None:
    """Distance in days of the nearest candidate that covers any of the ground; None when none does."""
    found = [abs((item.when - when) / timedelta(days=1)) for item in candidates if when and item.when and item.geometry.intersects(ground)]
    return min(found, default=None)


def no_partner(kind: str, max_days: float | None, nearest: Sequence[float | None]) -> GeoreferenceError:
    """The error for a set of scenes of which none has a partner."""
    known = [days for days in nearest if days is not None]
    if known:
        what = (
            f"the nearest lies {min(known):.1f} days away: raise --max-days (in Python max_days) above that, or get images closer in time"
        )
    else:
        what = "none of them overlaps a cloudy scene: get images of the same place"
    return GeoreferenceError(
        f"each cloudy scene needs {kind} of its place{'' if max_days is None else f' within {max_days:g} days'}; no scene has one; {what}"
    )


def _days(when: pd.Timestamp | None, item: Candidate, max_days: float | None) -> float:
    if max_days is None:
        return abs((item.when - when) / timedelta(days=1)) if when is not None and item.when is not None else float("inf")
    if when is None or item.when is None:
        raise InputError(
            f"matching in time needs the time of every image, in its name (..._20230813T100559...) or its tags; "
            f"it is not known for {item.paths[0] if item.when is None else 'a cloudy scene'}; name the file so, give `acquired`, "
            f"or max_days=None to pair whatever overlaps"
        )
    return float(abs((item.when - when) / timedelta(days=1)))
