"""Overviews: which there are, and how one is made of the next finer level.

Each pixel of an overview stands for a square of two by two pixels of the level above it, counted from the upper left of the scene, so
what it is depends neither on how rows come nor on how they are stored. Levels are made of each other, as GDAL does: every
level is rounded, and a pixel made of one observed pixel counts in the next level as much as one made of four.
"""

from typing import Any

import numpy as np
from rasterio.enums import Resampling

from geocr.core.types import BoolArray, NumberArray

LARGEST_FACTOR = 1024
"""Coarsest overview of the largest scenes: rows of a part must be a multiple of it."""
_SMALLEST_OVERVIEW_PX = 256
_PIECE_ROWS = 32
"""Rows averaged at a time: they stay in the processor's cache, which is a third faster."""


def overview_factors(shape: tuple[int, int]) -> list[int]:
    """Powers of two whose overviews have a longer side above 256 pixels: the coarsest fits in one block."""
    factors, factor = [], 2
    while max(shape) / factor > _SMALLEST_OVERVIEW_PX and factor <= LARGEST_FACTOR:
        factors.append(factor)
        factor *= 2
    return factors


def level_shapes(shape: tuple[int, int], *, rows: int | None = None) -> list[tuple[int, int]]:
    """Rows and columns of the raster (or of a run of `rows` of its rows) and of its overviews, from fine to coarse."""
    height = shape[0] if rows is None else rows
    return [(-(-height // factor), -(-shape[1] // factor)) for factor in (1, *overview_factors(shape))]


def halve(pixels: NumberArray, *, nodata: float | None, resampling: Resampling) -> NumberArray:
    """The next coarser level.

    Averages count observed pixels only: not nodata, and not NaN. Means of whole numbers are rounded to the nearest, halves up (2.5 to 3,
    -2.5 to -2). A square without an observed pixel is nodata (NaN where there is no nodata value), and one whose mean happens to be the nodata
    value gets the next value above it, so that it stays visible. `Resampling.nearest` takes the upper left pixel of each square. Squares that
    reach over the lower or right edge are of the pixels inside.

    Args:
        pixels: `(y, x)`; an odd number of rows or columns only at the lower or right edge of the scene.
        nodata: Nodata value of the pixels, or None.
        resampling: `average` or `nearest`.

    Returns:
        `(y / 2, x / 2)`, rounded up, same dtype.
    """
    if resampling == Resampling.nearest:
        return pixels[::2, ::2]
    rows, cols = pixels.shape
    empty = nodata_pixel(nodata, pixels.dtype)
    halved = np.empty((-(-rows // 2), -(-cols // 2)), pixels.dtype)
    for first in range(0, rows, _PIECE_ROWS):
        piece = pixels[first : first + _PIECE_ROWS]
        if piece.shape[0] % 2 or cols % 2:  # a pixel that counts twice beside itself does not change a mean
            piece = np.pad(piece, ((0, piece.shape[0] % 2), (0, cols % 2)), mode="edge")
        with np.errstate(over="ignore", invalid="ignore"):  # infinite floats stay what arithmetic makes of them
            halved[first // 2 : (first + _PIECE_ROWS) // 2] = _average(piece, empty)
    return halved


def nodata_pixel(nodata: float | None, dtype: np.dtype[Any]) -> "np.number[Any] | None":
    """Nodata as a pixel holds it; None where no pixel can, but NaN for floats without a nodata value."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            value: np.number[Any] = dtype.type(np.nan if nodata is None else nodata)
        return value
    if nodata is None or not float(nodata).is_integer() or not np.iinfo(dtype.name).min <= nodata <= np.iinfo(dtype.name).max:
        return None
    whole: np.number[Any] = dtype.type(int(nodata))
    return whole


def _average(pixels: NumberArray, nodata: "np.number[Any] | None") -> NumberArray:
    """Means of squares of two by two; both sides even."""
    floating = pixels.dtype.kind == "f"
    empty: BoolArray = np.zeros((), np.bool_) if nodata is None else pixels == nodata
    if floating:
        empty |= np.isnan(pixels)
    if nodata is None or not empty.any():
        total = _sum_squares(pixels, _sum_dtype(pixels.dtype))
        mean = total / 4 if floating else (total + 2) >> 2
        return _beside_nodata(mean.astype(pixels.dtype), nodata)
    if empty.all():
        return np.full((pixels.shape[0] // 2, pixels.shape[1] // 2), nodata, pixels.dtype)
    count = _sum_squares(empty.view(np.uint8) ^ 1, np.dtype(np.uint8)).astype(_sum_dtype(pixels.dtype))
    total = _sum_squares(np.where(empty, pixels.dtype.type(0), pixels), _sum_dtype(pixels.dtype))
    some = np.maximum(count, 1)
    mean = total / some if floating else (2 * total + some) // (2 * some)
    mean = _beside_nodata(mean.astype(pixels.dtype), nodata)
    mean[count == 0] = nodata
    return mean


def _sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Wide enough for twice the sum of four."""
    if dtype.kind == "f":
        return np.dtype(np.float64)
    return np.dtype(np.int32 if dtype.itemsize <= 2 else np.int64)


def _sum_squares(pixels: NumberArray, dtype: np.dtype[Any]) -> NumberArray:
    rows: NumberArray = pixels[0::2].astype(dtype)
    np.add(rows, pixels[1::2], out=rows, casting="unsafe")
    total: NumberArray = rows[:, 0::2] + rows[:, 1::2]
    return total


def _beside_nodata(mean: NumberArray, nodata: "np.number[Any] | None") -> NumberArray:
    """No mean is nodata. At the ends of a type there is none to move: what is averaged lies on one side."""
    if nodata is None:
        return mean
    hit = mean == nodata
    if hit.any():
        mean[hit] = np.nextafter(nodata, np.inf) if mean.dtype.kind == "f" else nodata + 1
    return mean
