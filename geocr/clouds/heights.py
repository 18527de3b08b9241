"""How high the clouds are, from where their outline is found again in dark land; the sun must be known.

Like the matching of Fmask (Zhu and Woodcock, Remote Sens. Environ. 118, 2012, section 3.1.4), which slides each
cloud away from the sun and keeps the height at which it fits best. Here the fit is the correlation of cloud
and darkness within 3 km of each place instead of an overlap per object: clouds that touch may differ in
height, small ones borrow from their neighbours, and land that is dark all over fits nowhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, hypot, sqrt
from typing import TypeVar

import numpy as np
from scipy import ndimage

from geocr.core.types import BoolArray, FloatArray

Pixels = TypeVar("Pixels", BoolArray, FloatArray)
"""An array that comes back as the kind it was."""

CLOUD_HEIGHTS_M = (200.0, 4000.0)
"""Heights of cloud tops whose shadows are looked for. On the 18 August scene of T33TWM, with SCL as truth,
4 km agreed best of 2, 4, 6, 8 and 12 km; higher ones added more dark forest than shadow."""
WINDOW_M = 3000.0
"""Side of the square in which an outline is compared."""
CELL_M = 40.0
"""Side of the cells compared, at least."""
MAX_CELLS = 2**20
"""Cells compared, at most; larger ones on large scenes."""
MAX_HEIGHTS = 64
"""Heights tried, at most: under a low sun they lie further apart."""
MIN_CORRELATION = 0.2
"""Correlation from which a fit is believed."""
TOLERANCE_M = 200.0
"""By how much a cloud's tops and base may differ from the height that fits."""
_MIN_VISIBLE = 0.1
_FULLY_VISIBLE = 0.25
"""Shares of a window that must be clear land for any correlation, and for all of it, to count."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CloudHeights:
    """Heights on cells of the working grid."""

    height_m: FloatArray
    """`(rows, columns)` of cells, float32 metres; NaN where there is no cloud, or no height fits."""
    factor: int
    """Working pixels along a side of a cell."""
    spacing_m: float
    """Difference of heights that moves a shadow by one cell, or the one between heights tried."""


def match_heights(cloud: BoolArray, darkness: FloatArray, *, resolution_m: float, step: tuple[float, float]) -> CloudHeights:
    """The height at which clouds fit the dark land best, in the surroundings of each of their cells.

    Args:
        cloud: `(rows, columns)`, True is cloud.
        darkness: Same shape, from `relative_darkness`; NaN is not clear land.
        resolution_m: Side of a pixel in metres.
        step: Pixels `(rows, columns)` a shadow moves per metre of height.
    """
    factor = max(1, round(CELL_M / resolution_m), ceil(sqrt(cloud.size / MAX_CELLS)))
    land = np.isfinite(darkness)
    clouds = (_block_mean(cloud, factor) > 0.5).astype(np.float32)
    share = _block_mean(land, factor)
    seen = (share > 0.5).astype(np.float32)
    dark = _block_mean(np.where(land, np.clip(darkness, -0.5, 1), 0).astype(np.float32), factor)
    dark = (dark / np.maximum(share, 1e-6) * seen).astype(np.float32)
    size = 2 * round(WINDOW_M / (resolution_m * factor) / 2) + 1
    sums = [_box(values, size) for values in (seen, dark, dark * dark)]
    best, height = np.full(clouds.shape, MIN_CORRELATION, np.float32), np.full(clouds.shape, np.nan, np.float32)
    cell_step = step[0] / factor, step[1] / factor
    heights, spacing_m = _heights(cell_step)
    for height_m in heights:
        offset = round(cell_step[0] * height_m), round(cell_step[1] * height_m)
        fit = _correlation(clouds, _moved(seen, offset), _moved(dark, offset), [_moved(total, offset) for total in sums], size)
        better = fit > best
        best[better], height[better] = fit[better], height_m
    height[clouds == 0] = np.nan
    return CloudHeights(height_m=height, factor=factor, spacing_m=spacing_m)


def project_matched(cloud: BoolArray, heights: CloudHeights, step: tuple[float, float]) -> BoolArray:
    """Where shadows fall if clouds are as high as matched, give or take `TOLERANCE_M`; those without a match throw none."""
    tolerance = max(TOLERANCE_M, heights.spacing_m)
    full = np.repeat(np.repeat(heights.height_m, heights.factor, axis=0), heights.factor, axis=1)[: cloud.shape[0], : cloud.shape[1]]
    region = np.zeros_like(cloud)
    for height_m, offset in _offsets(step, CLOUD_HEIGHTS_M):
        region |= _moved(cloud & (np.abs(full - np.float32(height_m)) <= tolerance), (-offset[0], -offset[1]))
    return region


def project_clouds(cloud: BoolArray, step: tuple[float, float]) -> BoolArray:
    """Where the shadows of clouds fall, for all tops within `CLOUD_HEIGHTS_M`.

    Args:
        cloud: `(rows, columns)`, True is cloud.
        step: Pixels `(rows, columns)` a shadow moves per metre of height.
    """
    region = np.zeros_like(cloud)
    for _, offset in _offsets(step, CLOUD_HEIGHTS_M):
        region |= _moved(cloud, (-offset[0], -offset[1]))
    return region


def project_unseen(valid: BoolArray, heights: CloudHeights, step: tuple[float, float]) -> BoolArray:
    """Where clouds beyond the edge of the observation would throw shadows, if they were as high as most that matched.

    Args:
        valid: `(rows, columns)`, True is observed.
        heights: Of the clouds inside; without a match nothing is believed to lie outside.
        step: Pixels `(rows, columns)` a shadow moves per metre of height.
    """
    region = np.zeros_like(valid)
    known = heights.height_m[np.isfinite(heights.height_m)]
    if known.size:
        low, high = (float(value) for value in np.quantile(known, (0.25, 0.75)))
        for _, offset in _offsets(step, (max(CLOUD_HEIGHTS_M[0], low - TOLERANCE_M), high + TOLERANCE_M)):
            region |= ~_moved(valid, (-offset[0], -offset[1]))
    return region & valid


def _heights(step: tuple[float, float]) -> tuple[list[float], float]:
    """Heights a cell apart, or further where that would be too many, and their distance."""
    low, high = CLOUD_HEIGHTS_M
    count = min(MAX_HEIGHTS, ceil(hypot(*step) * (high - low)) + 1)
    return np.linspace(low, high, count).tolist(), (high - low) / max(1, count - 1)


def _offsets(step: tuple[float, float], between: tuple[float, float]) -> Iterator[tuple[float, tuple[int, int]]]:
    """Heights in metres and the whole pixels they move a shadow by, each offset once."""
    low, high = between
    count = ceil(max(map(abs, step)) * (high - low)) + 1
    last = None
    for height_m in np.linspace(low, high, count + 1).tolist():
        offset = round(step[0] * height_m), round(step[1] * height_m)
        if offset != last:
            yield height_m, offset
        last = offset


def _correlation(clouds: FloatArray, seen: FloatArray, dark: FloatArray, sums: list[FloatArray], size: int) -> FloatArray:
    """Pearson's correlation of cloud and darkness over the land seen in each window, less where little is seen."""
    number, total, squares = sums
    number = np.maximum(number, np.float32(1e-3))
    covered = _box(clouds * seen, size)
    both = _box(clouds * dark, size) - covered * total / number
    spread = (covered - covered * covered / number) * (squares - total * total / number)
    trust = np.where(number > _MIN_VISIBLE, np.sqrt(np.minimum(1, number / _FULLY_VISIBLE)), 0)
    fit: FloatArray = (trust * both / np.sqrt(np.maximum(spread, 1e-9))).astype(np.float32)
    return fit


def _box(values: FloatArray, size: int) -> FloatArray:
    mean: FloatArray = ndimage.uniform_filter(values, size, mode="constant")
    return mean


def _block_mean(values: BoolArray | FloatArray, factor: int) -> FloatArray:
    """Mean over squares, float32; beyond the edge counts as 0."""
    rows, cols = (ceil(length / factor) for length in values.shape)
    padded = np.zeros((rows * factor, cols * factor), np.float32)
    padded[: values.shape[0], : values.shape[1]] = values
    mean: FloatArray = padded.reshape(rows, factor, cols, factor).mean(axis=(1, 3))
    return mean


def _moved(values: Pixels, offset: tuple[int, int]) -> Pixels:
    """What lies `offset` (rows, columns) away from each pixel; 0 or False beyond the edge."""
    moved = np.zeros_like(values)
    (to_rows, from_rows), (to_cols, from_cols) = (_shift_slices(n, by) for n, by in zip(values.shape, offset, strict=True))
    moved[to_rows, to_cols] = values[from_rows, from_cols]
    return moved


def _shift_slices(length: int, offset: int) -> tuple[slice, slice]:
    """Slices of one axis to write to and to read from, so that each pixel gets what lies `offset` further on."""
    return slice(max(0, -offset), max(0, length - max(0, offset))), slice(max(0, offset), max(0, length - max(0, -offset)))
