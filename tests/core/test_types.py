"""Windows and the check of what a reconstructor gives back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import ReconstructionError
from geocr.core.types import Reconstruction, TileInput, Window

sides = st.integers(1, 40)
scenes = st.tuples(sides, sides)


@st.composite
def windows_inside(draw: st.DrawFn, shape: tuple[int, int]) -> Window:
    row, col = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
    return Window(row=row, col=col, height=draw(st.integers(1, shape[0] - row)), width=draw(st.integers(1, shape[1] - col)))


@given(st.data(), scenes, st.integers(0, 30))
def test_a_window_is_found_again_in_its_grown_self(data: st.DataObject, shape: tuple[int, int], px: int) -> None:
    scene = np.arange(shape[0] * shape[1]).reshape(shape)
    window = data.draw(windows_inside(shape))
    outer = window.grown(px, shape)
    part = scene[outer.row : outer.row_stop, outer.col : outer.col_stop]
    assert part.shape == outer.shape
    np.testing.assert_array_equal(part[window.slices_in(outer)], scene[window.row : window.row_stop, window.col : window.col_stop])


@given(st.data(), scenes, st.integers(0, 30))
def test_growing_stays_inside_and_reaches_as_far_as_it_may(data: st.DataObject, shape: tuple[int, int], px: int) -> None:
    window = data.draw(windows_inside(shape))
    outer = window.grown(px, shape)
    assert (outer.row, outer.col) == (max(0, window.row - px), max(0, window.col - px))
    assert (outer.row_stop, outer.col_stop) == (min(shape[0], window.row_stop + px), min(shape[1], window.col_stop + px))
    assert window.grown(0, shape) == window


@pytest.mark.parametrize(("height", "width"), [(0, 1), (1, 0), (-1, 5)])
def test_an_empty_window_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=rf"height={height}, width={width}"):
        Window(row=0, col=0, height=height, width=width)


def make_tile() -> TileInput:
    optical = np.ones((2, 3, 4), np.float32)
    optical[1, 0, 0] = np.nan
    true = np.ones((3, 4), bool)
    return TileInput(
        window=Window(row=5, col=7, height=3, width=4), optical=optical, sar=np.empty((0, 3, 4), np.float32), cloud_mask=true, valid=true
    )


def test_only_needed_and_observed_values_must_be_finite() -> None:
    tile = make_tile()
    needed = np.zeros((3, 4), bool)
    needed[:2] = True
    mean = np.ones((2, 3, 4), np.float32)
    mean[1, 0, 0] = np.nan  # the band holds nodata here
    mean[:, 2] = np.inf  # nothing is asked for here
    result = Reconstruction(mean=mean)
    assert result.checked(tile, needed) is result
    mean[0, 1, 1] = np.nan
    with pytest.raises(ReconstructionError, match=r"1 values of `mean`.*row 5, column 7"):
        result.checked(tile, needed)


def test_the_standard_deviation_is_checked_too() -> None:
    tile = make_tile()
    std = np.ones((2, 3, 4), np.float32)
    std[0, 2, 3] = np.inf
    with pytest.raises(ReconstructionError, match="`std`"):
        Reconstruction(mean=np.ones((2, 3, 4), np.float32), std=std).checked(tile, tile.valid)
    with pytest.raises(ReconstructionError, match=r"`std`.*expected \(2, 3, 4\), got \(1, 3, 4\)"):
        Reconstruction(mean=np.ones((2, 3, 4), np.float32), std=std[:1]).checked(tile, tile.valid)
