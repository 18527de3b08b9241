"""When a scene was taken, as far as its file tells."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from geocr.io.scene import Scene

_TAGS = ("PRODUCT_START_TIME", "DATATAKE_1_DATATAKE_SENSING_START", "datetime", "TIFFTAG_DATETIME")
_DAY = re.compile(r"(?<!\d)(20[1-9]\d)[-:_]?([01]\d)[-:_]?([0-3]\d)")


def acquisition_date(scene: Scene) -> date | None:
    """The day of the Sentinel-2 image by its product, else by its tags, else by the first date in its file name, or None."""
    if scene.optical_facts.acquired is not None:
        return scene.optical_facts.acquired.date()
    tags = scene.optical.handle.tags()
    for text in (*(tags.get(key, "") for key in _TAGS), Path(scene.optical.path).name):
        for day in _days_in(text):
            return day
    return None


def _days_in(text: str) -> Iterator[date]:
    for year, month, day in _DAY.findall(text):
        try:
            yield date(int(year), int(month), int(day))
        except ValueError:  # digits that look like a date and are none
            continue
