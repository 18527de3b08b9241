"""Overviews are means of what was observed, pixel by pixel what a slow reference says, however rows are cut."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geocr.io.overviews import LARGEST_FACTOR, halve, level_shapes, nodata_pixel, overview_factors
from tests.scenes import TRANSFORM


def average(pixels: NDArray[Any], nodata: float | None) -> NDArray[Any]:
    return halve(pixels, nodata=nodata, resampling=Resampling.average)


def reference(pixels: NDArray[Any], nodata: float | None) -> NDArray[Any]:
    """Straightforward: one square after the other."""
    rows, cols = pixels.shape
    halved = np.empty((-(-rows // 2), -(-cols // 2)), pixels.dtype)
    for i, j in np.ndindex(*halved.shape):
        square = pixels[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].ravel()
        seen = [value.item() for value in square if value != nodata and value == value]  # noqa: PLR0124 - NaN is not itself
        if not seen:
            halved[i, j] = np.nan if nodata is None else nodata
        elif pixels.dtype.kind == "f":
            halved[i, j] = sum(seen) / len(seen)
        else:
            halved[i, j] = np.floor(sum(seen) / len(seen) + 0.5)
        if halved[i, j] == nodata and seen:
            halved[i, j] += 1
    return halved


CASES = [("uint8", 0), ("uint8", 255), ("uint8", 7), ("uint8", None), ("uint16", 0), ("uint16", 65535), ("int16", -9999), ("int16", -32768), ("int16", 3),
         ("int8", None), ("int32", 0), ("uint32", 0), ("uint64", 0), ("uint8", -9999), ("uint8", 0.5), ("uint16", np.nan)]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(data=st.data(), case=st.sampled_from(CASES), shape=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_whole_numbers_are_means_rounded_half_up(data: st.DataObject, case: tuple[str, float | None], shape: tuple[int, int]) -> None:
    dtype, nodata = case
    info = np.iinfo(dtype)
    low, high = max(info.min, -40_000), min(info.max, 2**40)
    wild = [low, low + 1, high - 1, high, 0, 1, 2, 3, 4, 6, 7, 8]
    empty = nodata_pixel(nodata, np.dtype(dtype))
    values = st.sampled_from([value for value in wild if low <= value <= high] + ([] if empty is None else [empty.item()] * 5))
    pixels = data.draw(hnp.arrays(dtype, shape, elements=values))
    np.testing.assert_array_equal(average(pixels, nodata), reference(pixels, nodata))


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    dtype=st.sampled_from(["float32", "float64"]),
    nodata=st.sampled_from([None, np.nan, 0.0, -9999.0, 0.25, float(np.finfo(np.float32).min)]),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_floats_are_means_without_nan(data: st.DataObject, dtype: str, nodata: float | None, shape: tuple[int, int]) -> None:
    values = st.sampled_from([0.5, -0.5, 1.0, 1e-3, 0.125, np.nan, *([nodata] if nodata is not None else [])])
    pixels = data.draw(hnp.arrays(dtype, shape, elements=values))
    expected = reference(pixels, nodata)
    got = average(pixels, nodata)
    hit = (got != expected) & (np.abs(got.astype(float) - (nodata or 0)) < 1e-6)  # a mean that is nodata moves to the next float, not by 1
    np.testing.assert_allclose(np.where(hit, expected, got), expected, rtol=1e-6)
    assert got.dtype == pixels.dtype


def test_infinite_floats_do_not_warn() -> None:
    pixels = np.array([[np.inf, -np.inf, 1e300], [1, 2, 1e308]])
    assert np.isnan(average(pixels, None)[0, 0])


@pytest.mark.parametrize(
    ("square", "mean"), [((1, 2, 0, 0), 2), ((1, 2, 3, 4), 3), ((-1, -2, 0, 0), -1), ((-1, -2, -3, -4), -2), ((1, 1, 2, 0), 1)]
)
def test_halves_go_up(square: tuple[int, ...], mean: int) -> None:
    assert average(np.array(square, np.int16).reshape(2, 2), 0).item() == mean


@pytest.mark.parametrize(
    ("nodata", "square", "mean"), [(5, (4, 4, 6, 6), 6), (-1, (-2, 0, -2, 0), 0), (0, (-1, 1, -1, 1), 1), (2, (1, 2, 2, 3), 3)]
)
def test_a_mean_that_is_nodata_stays_visible(nodata: int, square: tuple[int, ...], mean: int) -> None:
    assert average(np.array(square, np.int16).reshape(2, 2), nodata).item() == mean
    moved = average(np.array(square, np.float32).reshape(2, 2), nodata).item()
    assert moved > nodata
    assert moved == pytest.approx(nodata)


@pytest.mark.parametrize("empty", [0.0, 0.2, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(64, 40), (33, 41), (65, 2), (1, 1), (31, 64)])
def test_pieces_are_joined_without_a_seam(empty: float, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(1, 65535, shape, dtype=np.uint16)
    pixels[rng.random(shape) < empty] = 0
    pixels[-2:] = 9
    np.testing.assert_array_equal(average(pixels, 0), reference(pixels, 0))


@given(cut=st.integers(1, 99), rows=st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_rows_may_be_cut_at_any_even_place(cut: int, rows: int) -> None:
    pixels = np.random.default_rng(rows).integers(0, 4, (rows, 13), dtype=np.uint8)
    for resampling in (Resampling.average, Resampling.nearest):
        parts = [halve(part, nodata=0, resampling=resampling) for part in (pixels[: 2 * cut], pixels[2 * cut :]) if len(part)]
        np.testing.assert_array_equal(np.concatenate(parts), halve(pixels, nodata=0, resampling=resampling))


def test_classes_are_those_of_the_upper_left_pixel() -> None:
    pixels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    np.testing.assert_array_equal(halve(pixels, nodata=0, resampling=Resampling.nearest), [[0, 2, 4], [10, 12, 14]])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_gdal_says_the_same(tmp_path: Path, dtype: str) -> None:
    """To one number at the first level; beyond it both go from level to level, and half a number of rounding adds up with each."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(1, 250, (512, 640)).astype(dtype)
    pixels[rng.random(pixels.shape) < 0.2] = 0
    pixels[100:300, 200:400] = 0
    path = tmp_path / "a.tif"
    shape = {"width": 640, "height": 512, "count": 1, "dtype": dtype, "nodata": 0, "transform": TRANSFORM}
    with rasterio.open(path, "w", driver="GTiff", **shape) as dataset:
        dataset.write(pixels, 1)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.average)
    mine = pixels
    for level in range(3):
        mine = average(mine, 0)
        with rasterio.open(path, overview_level=level) as dataset:
            theirs = dataset.read(1)
        np.testing.assert_array_equal(mine == 0, theirs == 0)
        assert np.abs(mine.astype(float) - theirs).max() <= level + 1


@pytest.mark.parametrize("side", [1, 512, 513, 10_980, 262_144, 262_145, 10**6])
def test_shapes_of_levels(side: int) -> None:
    shapes = level_shapes((side, 7))
    assert shapes[0] == (side, 7)
    assert len(shapes) == len(overview_factors((side, 7))) + 1
    assert all(fine[0] == 2 * coarse[0] - fine[0] % 2 for fine, coarse in itertools.pairwise(shapes))
    assert 2 ** (len(shapes) - 1) <= LARGEST_FACTOR
    assert level_shapes((side, 7), rows=1) == [(1, -(-7 // 2**level)) for level in range(len(shapes))]


def test_the_coarsest_level_of_the_largest_scenes() -> None:
    assert overview_factors((262_144, 1))[-1] == 512
    assert overview_factors((262_145, 1))[-1] == overview_factors((10**6, 1))[-1] == LARGEST_FACTOR == 1024
