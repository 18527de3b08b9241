"""Which of several Sentinel-1 images come first, which are too far in time, and what is said of their times and orbits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time
from math import inf
from pathlib import Path

import numpy as np

from geocr.core.errors import InputError
from geocr.core.types import Window
from geocr.io.raster import spoken_path
from geocr.io.sar import SarReader
from geocr.io.sar_image import SarImage

SAMPLE_STEPS = 6
"""Windows along each side of the scene by which coverage is estimated."""
SAMPLE_PX = 16
"""Side of such a window."""


def days_between(optical: datetime, sar: datetime) -> float:
    """Days from the first to the second, to a tenth; whole days where one of them is midnight, as a date without a time is."""
    if midnight(optical) or midnight(sar):
        return float((sar.date() - optical.date()).days)
    return round((sar - optical).total_seconds() / 86_400, 1)


def midnight(moment: datetime) -> bool:
    """Whether only the day is known."""
    return moment.time() == time(0)


def with_gap(image: SarImage, optical: datetime | None) -> SarImage:
    """The same image, knowing how far in time it lies from the Sentinel-2 image."""
    if optical is None or image.facts.acquired is None:
        return image
    return replace(image, facts=replace(image.facts, days_from_optical=days_between(optical, image.facts.acquired)))


def within(images: Sequence[SarImage], max_days: float | None) -> tuple[list[SarImage], list[str]]:
    """The images that are near enough in time, and what is said of the others.

    Raises:
        InputError: When none is: what cannot be checked is not kept.
    """
    if max_days is None:
        return list(images), []
    near, said = [], []
    for image in images:
        days = image.facts.days_from_optical
        if days is not None and abs(days) <= max_days:
            near.append(image)
        else:
            said.append(f"{short_name(image.name)} {'has no known distance' if days is None else f'lies {abs(days):g} days away'}")
    if not near:
        raise InputError(
            f"Sentinel-1 must lie within --max-days {max_days:g} of Sentinel-2; {'; '.join(said)}; choose another date, or a larger --max-days"
            + (
                ", or name the files with their dates, as S1A_20230813T051733.tif (give arrays a coordinate time)"
                if any(image.facts.days_from_optical is None for image in images)
                else ""
            )
        )
    return near, [f"Left out, as --max-days {max_days:g} wants: {'; '.join(said)}."] if said else []


def in_order(images: Sequence[SarImage]) -> list[SarImage]:
    """The preferred first: nearest in time, then the fewest missing pixels by a sample, then the order given; unknown times last."""
    if len(images) == 1:
        return list(images)
    gaps = [inf if image.facts.days_from_optical is None else abs(image.facts.days_from_optical) for image in images]
    missing = [1 - covered_share(image.reader) if gaps.count(gap) > 1 else 0.0 for image, gap in zip(images, gaps, strict=True)]
    order = sorted(range(len(images)), key=lambda place: (gaps[place], missing[place], place))
    return [images[place] for place in order]


def covered_share(reader: SarReader) -> float:
    """Share of small windows, spread evenly over the scene, in which an image has all polarisations."""
    rows, cols = reader.grid.shape
    height, width = min(SAMPLE_PX, rows), min(SAMPLE_PX, cols)
    places = [(i + 0.5) / SAMPLE_STEPS for i in range(SAMPLE_STEPS)]
    windows = [
        Window(row=round((rows - height) * y), col=round((cols - width) * x), height=height, width=width) for y in places for x in places
    ]
    return float(np.mean([np.isfinite(reader.read_backscatter(window)).all(axis=0).mean() for window in windows]))


def notes_on(images: Sequence[SarImage], optical: datetime | None) -> list[str]:
    """What is to be said of times, radiometry and orbits, the preferred image first."""
    if len(images) == 1:
        return [_one(images[0], optical)]
    listed = "; ".join(f"{short_name(image.name)} ({_circumstances(image)})" for image in images)
    said = [f"Sentinel-1 is a mosaic of {len(images)} images; each pixel is that of the first that measured it: {listed}."]
    directions = {image.facts.orbit for image in images if image.facts.orbit}
    if len(directions) > 1:
        said.append(
            "Warning: the mosaic mixes ascending and descending orbits, which see slopes from opposite sides; "
            "seams are not evened out. Images of one direction are the better choice where they cover the scene."
        )
    elif len({image.facts.relative_orbit for image in images if image.facts.relative_orbit}) > 1:
        said.append("The mosaic joins different relative orbits, whose angles of incidence differ; seams are not evened out.")
    return said


def _one(image: SarImage, optical: datetime | None) -> str:
    facts = image.facts
    known = [
        f"{facts.orbit} orbit" if facts.orbit else "",
        f"relative orbit {facts.relative_orbit}" if facts.relative_orbit else "",
        facts.radiometry or "",
    ]
    rest = ", ".join(text for text in known if text)
    if facts.days_from_optical is None:
        whose = "either image" if optical is None and facts.acquired is None else "Sentinel-2" if optical is None else "Sentinel-1"
        return f"The time between Sentinel-1 and Sentinel-2 is not known: no name or tag dates {whose}{f' ({rest})' if rest else ''}."
    return f"Sentinel-1 was taken {_gap(facts.days_from_optical)}{f' ({rest})' if rest else ''}."


def _gap(days: float) -> str:
    if days == 0:
        return "on the day of Sentinel-2"
    return f"{abs(days):g} day{'' if abs(days) == 1 else 's'} {'after' if days > 0 else 'before'} Sentinel-2"


def _circumstances(image: SarImage) -> str:
    facts = image.facts
    gap = "time not known" if facts.days_from_optical is None else _gap(facts.days_from_optical)
    return ", ".join([gap, *([f"{facts.orbit} orbit"] if facts.orbit else []), *([facts.radiometry] if facts.radiometry else [])])


def short_name(name: str) -> str:
    """The last part of an image's name; of a pair both."""
    return ",".join(Path(part.split("?")[0]).name for part in spoken_path(name).split(","))
