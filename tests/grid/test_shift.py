"""Shifts by phase correlation: known ones are found, unrelated pictures are known as such."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from geocr.core.types import BoolArray, FloatArray
from geocr.grid.shift import CLEAR_PEAK, SEARCH_PX, Shift, measure_shift

SIZE = 96


def land(seed: int, size: int = 3 * SIZE) -> NDArray[np.float64]:
    """Patches of different brightness with sharp borders."""
    rng = np.random.default_rng(seed)
    kind = gaussian_filter(rng.normal(size=(size, size)), 6)
    return np.digitize(kind, np.quantile(kind, [0.2, 0.4, 0.6, 0.8])).astype(np.float64)


def chips(
    rows: float, cols: float, *, usable: BoolArray | None = None, seeds: tuple[int, int] = (0, 0)
) -> Iterator[tuple[FloatArray, FloatArray, BoolArray]]:
    """Speckled radar, moved, and optical of opposite contrast, in other units."""
    rng = np.random.default_rng(9)
    radar = shift(land(seeds[0]), (rows, cols), order=3, mode="nearest") * 2 - 15 + rng.normal(0, 1, (3 * SIZE, 3 * SIZE))
    optical = 0.3 - 0.04 * land(seeds[1])
    for row in (SIZE // 2, SIZE + SIZE // 2):
        for col in (SIZE // 2, SIZE + SIZE // 2):
            where = np.s_[row : row + SIZE, col : col + SIZE]
            yield (
                radar[where][None].astype(np.float32),
                optical[where][None].astype(np.float32),
                np.ones((SIZE, SIZE), bool) if usable is None else usable,
            )


@pytest.mark.parametrize(("rows", "cols"), [(0, 0), (3, -2), (-5.5, 0.25), (1.3, 8.7), (0.5, -0.5)])
def test_a_known_shift_is_found_to_a_fifth_of_a_pixel(rows: float, cols: float) -> None:
    found = measure_shift(chips(rows, cols))
    assert found is not None
    assert found.is_clear
    assert (found.rows, found.cols) == pytest.approx((rows, cols), abs=0.2)
    assert found.chips == 4


def test_swapping_the_pictures_turns_the_shift() -> None:
    there = measure_shift(chips(3, -2))
    back = measure_shift((second, first, usable) for first, second, usable in chips(3, -2))
    assert there is not None
    assert back is not None
    assert (back.rows, back.cols) == pytest.approx((-there.rows, -there.cols), abs=0.05)


def test_what_may_not_be_compared_is_not_read() -> None:
    usable = np.ones((SIZE, SIZE), bool)
    usable[20:50, 30:70] = False

    def spoiled() -> Iterator[tuple[FloatArray, FloatArray, BoolArray]]:
        for first, second, good in chips(2, 1, usable=usable):
            first[:, ~good], second[:, ~good] = np.nan, 1e6
            yield first, second, good

    clean, dirty = measure_shift(chips(2, 1, usable=usable)), measure_shift(spoiled())
    assert clean == dirty
    assert clean is not None
    assert (clean.rows, clean.cols) == pytest.approx((2, 1), abs=0.3)


@pytest.mark.parametrize(("rows", "cols"), [(0, 0), (2, 1), (5, -3), (-1.4, 0.6)])
def test_clouds_do_not_hold_the_shift_back(rows: float, cols: float) -> None:
    """A third of each chip is hidden, at the same place in both pictures."""
    usable: BoolArray = gaussian_filter(np.random.default_rng(0).normal(size=(SIZE, SIZE)), 8) < 0.02
    assert 0.6 < usable.mean() < 0.7
    found = measure_shift(chips(rows, cols, usable=usable))
    assert found is not None
    assert found.is_clear
    assert (found.rows, found.cols) == pytest.approx((rows, cols), abs=0.3)


@pytest.mark.parametrize("seed", range(1, 9))
def test_unrelated_pictures_are_not_shifted_they_are_unrelated(seed: int) -> None:
    found = measure_shift(chips(0, 0, seeds=(0, seed)))
    assert found is not None
    assert not found.is_clear


def test_flat_pictures_and_none() -> None:
    flat = np.ones((1, SIZE, SIZE), np.float32)
    found = measure_shift([(flat, flat, np.ones((SIZE, SIZE), bool))])
    assert found is not None
    assert not found.is_clear
    assert measure_shift([]) is None


def test_the_edge_of_the_search_is_no_answer() -> None:
    found = Shift(rows=float(SEARCH_PX), cols=0, peak=CLEAR_PEAK + 9, spread_px=0, chips=3)
    assert not found.is_clear
    assert found.length_px == SEARCH_PX
