"""Matching the radiometry of other dates to the scene's: measured on ground that is clear on both.

A line per band and date from a sample of the scene, then its local corrections from one pass over all of it. Memory is that of one
window and of sums over squares of 128 pixels; the windows are fixed, so nothing depends on threads.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from geocr.core.types import BoolArray, DatedTile, FloatArray, TileInput, Window
from geocr.temporal.line import Line, fit_line
from geocr.temporal.local import fit_local, fit_variance, interpolate_cells
from geocr.temporal.moments import CELL_PX, CellMoments
from geocr.temporal.source import DatedSource, clear_pixels

MIN_COMMON_PX = 200
"""Clear pixels that a date must share with the scene in the sample; with fewer its radiometry cannot be matched."""
_CHIPS, _CHIP_PX = 12, 64
"""The sample: 12 x 12 windows of 64 x 64 pixels, spread evenly."""
_PIECE_PX = (2 * CELL_PX, 4096)
"""Rows and columns of the windows of the pass."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DateMatch:
    """Another date's reflectance as the scene's own: `gain x other + offset`, with both bent over the scene."""

    days: int
    """Days of the date minus days of the scene."""
    gain: FloatArray
    """`(bands, 1, 1)` float32, as the next two."""
    offset: FloatArray
    centre: FloatArray
    """Reflectance of the other date at which the local offset applies."""
    local_offset: FloatArray
    """`(bands, rows, columns)` float32 by squares of 128 pixels."""
    local_gain: FloatArray
    """The same, added to the gain."""
    std: FloatArray
    """`(bands, 1, 1)` float32: root mean square of what is left on common clear ground, change included."""
    local_variance: FloatArray
    """The same squared, by squares of 128 pixels."""
    common_px: int
    """Pixels that are clear on both dates."""

    def __call__(self, optical: FloatArray, window: Window) -> FloatArray:
        """Reflectance of a window of the date, `(bands, h, w)` float32, as the scene would have shown it."""
        bend = interpolate_cells(self.local_gain, window)
        bend *= optical - self.centre
        bend += interpolate_cells(self.local_offset, window)
        bend += self.gain * optical + self.offset
        return bend

    def spread(self, window: Window) -> FloatArray:
        """Standard deviation of what `__call__` gives, `(bands, h, w)` float32."""
        spread: FloatArray = np.sqrt(interpolate_cells(self.local_variance, window))
        return spread

    def describe(self) -> dict[str, Any]:
        """JSON-able facts."""
        return {
            "days": self.days,
            "common_px": self.common_px,
            "gain": [round(float(value), 6) for value in self.gain.ravel()],
            "offset": [round(float(value), 6) for value in self.offset.ravel()],
            "rmse": [round(float(value), 6) for value in self.std.ravel()],
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedDates:
    """All dates matched, and what they leave over."""

    matches: tuple[DateMatch | None, ...]
    """A date each, in the order of the tiles; None for one that shares too little clear ground with the scene."""
    left_px: int
    """Pixels to fill that are clear on none of the matched dates."""


def fit_dates(source: DatedSource, *, on_progress: Callable[[str], None] = lambda _: None) -> FittedDates:
    """Match every other date of a scene to it.

    Reads a sample, then the scene and its dates once. The same source gives the same fit to the last bit.

    Args:
        source: The scene with its other dates.
        on_progress: Told what begins, in a few words.
    """
    on_progress("comparing dates")
    lines = _fit_lines(source)
    on_progress("matching dates")
    moments = [None if line is None else CellMoments.empty(source.shape, line.gain.size) for line in lines]
    left_px = 0
    for window in pieces(source.shape):
        tile = source.read(window)
        clear, left = clear_pixels(tile), tile.cloud_mask & tile.valid
        for line, sums, other in zip(lines, moments, tile.others, strict=True):
            if line is None or sums is None:
                continue
            other_clear = other.clear
            left &= ~other_clear
            sums.add(window, other.optical, tile.optical, clear & other_clear, line)
        left_px += int(np.count_nonzero(left))
    days = [other.days for other in tile.others]
    matches = (
        None if line is None or sums is None else _match(day, line, sums) for day, line, sums in zip(days, lines, moments, strict=True)
    )
    return FittedDates(matches=tuple(matches), left_px=left_px)


def pieces(shape: tuple[int, int]) -> Iterator[Window]:
    """Windows that together are the scene, each beginning at the corner of a square."""
    rows, cols = shape
    for row in range(0, rows, _PIECE_PX[0]):
        for col in range(0, cols, _PIECE_PX[1]):
            yield Window(row=row, col=col, height=min(_PIECE_PX[0], rows - row), width=min(_PIECE_PX[1], cols - col))


def _fit_lines(source: DatedSource) -> list[Line | None]:
    """A line for each date that shares enough clear pixels with the scene in the sample."""
    pairs: list[list[tuple[FloatArray, FloatArray]]] = []
    for window in _chips(source.shape):
        tile = source.read(window)
        clear = clear_pixels(tile)
        pairs = pairs or [[] for _ in tile.others]
        for kept, other in zip(pairs, tile.others, strict=True):
            kept.append(_common(tile, other, clear))
    lines: list[Line | None] = []
    for kept in pairs:
        x, y = (np.concatenate([pair[side] for pair in kept], axis=1) for side in (0, 1))
        lines.append(fit_line(x, y) if x.shape[1] >= MIN_COMMON_PX else None)
    return lines


def _common(tile: TileInput, other: DatedTile, clear: BoolArray) -> tuple[FloatArray, FloatArray]:
    both = clear & other.clear
    return other.optical[:, both], tile.optical[:, both]


def _chips(shape: tuple[int, int]) -> Iterator[Window]:
    """The sample's windows, no pixel twice; a small scene is sampled whole."""
    rows, cols = (_places(length) for length in shape)
    for row, height in rows:
        for col, width in cols:
            yield Window(row=row, col=col, height=height, width=width)


def _places(length: int) -> list[tuple[int, int]]:
    """First pixels and lengths of the sample along an axis."""
    if length <= _CHIPS * _CHIP_PX:
        return [(first, min(_CHIP_PX, length - first)) for first in range(0, length, _CHIP_PX)]
    return [(round((length - _CHIP_PX) * step / (_CHIPS - 1)), _CHIP_PX) for step in range(_CHIPS)]


def _match(days: int, line: Line, moments: CellMoments) -> DateMatch:
    local_offset, local_gain = fit_local(moments, line)
    overall, local_variance = fit_variance(moments, local_offset, local_gain)

    def as_column(values: Any) -> FloatArray:  # noqa: ANN401 - float64 of any shape
        column: FloatArray = np.asarray(values, np.float32).reshape(-1, 1, 1)
        return column

    return DateMatch(
        days=days,
        gain=as_column(line.gain),
        offset=as_column(line.offset),
        centre=as_column(line.centre),
        local_offset=local_offset,
        local_gain=local_gain,
        std=as_column(np.sqrt(overall)),
        local_variance=local_variance,
        common_px=moments.common_px,
    )
