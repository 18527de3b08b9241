"""What every cloud mask is, and what the one who makes it is told."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from geocr.clouds.sun import SunAngle
from geocr.core.errors import InputError
from geocr.core.types import BoolArray, Window

Description: TypeAlias = dict[str, str | float | bool | list[int] | None]
"""Facts about a mask; JSON can hold it."""


class CloudMask(Protocol):
    """Which pixels of a scene are hidden by a cloud or lie in its shadow.

    Masks answer for any window inside the scene, the same for every way to cut the scene into windows. They
    may be pickled and shared between threads. A mask may be True on pixels the scene itself does not hold
    (nodata); whoever uses it looks at observed pixels only.
    """

    @property
    def source(self) -> str:
        """The method used: `s2cloudless`, `rule`, `scl`, or `file`."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided, a sentence each, to be said aloud."""
        ...

    def read(self, window: Window) -> BoolArray:
        """The mask of a window that lies inside the scene: `(height, width)` bool, True is cloud or shadow."""
        ...

    def describe(self) -> Description:
        """Method, threshold, buffer, resolution and sun as plain values, for tags and reports."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRequest:
    """What a mask is asked to be. The maker named in the table gets it together with the scene."""

    buffer_m: float
    """Metres by which cloud and shadow are widened; 0 or more."""
    threshold: float | None = None
    """The detector's score from which a pixel is cloud; its own default when None."""
    raster: str | None = None
    """The file to read the mask from, for those that read one."""
    sun: SunAngle | None = None
    """Where the sun stood, if known."""
    notes: tuple[str, ...] = ()
    """Decisions taken before; every mask repeats them ahead of its own."""


def check_inside(window: Window, shape: tuple[int, int]) -> None:
    """Refuse a window that reaches outside a scene of `shape` (rows, columns).

    Raises:
        InputError: When it does.
    """
    if min(window.row, window.col) < 0 or window.row_stop > shape[0] or window.col_stop > shape[1]:
        raise InputError(f"a cloud mask is defined inside its scene of {shape[0]} x {shape[1]} pixels, got {window}")


def refuse_threshold(request: MaskRequest, source: str) -> None:
    """Refuse a threshold for a mask that has no score.

    Raises:
        InputError: When the request carries one.
    """
    if request.threshold is not None:
        raise InputError(
            f"a threshold applies to detectors with a score (s2cloudless, rule); the mask comes from {source}, got {request.threshold!r}; leave it out"
        )
