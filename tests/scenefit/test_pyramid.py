"""The pyramid's laws: means are kept, straight lines stay straight, and nothing depends on the window."""

import numpy as np
import pytest

from geocr.scenefit.pyramid import double, fill_level, halve, interpolation_matrix, pad_to_multiple, soften, take_cells


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_halving_is_the_mean_of_squares() -> None:
    array = noise(2, 8, 6)
    np.testing.assert_allclose(halve(array), array.reshape(2, 4, 2, 3, 2).mean(axis=(2, 4)), rtol=1e-5, atol=1e-6)


def test_doubling_keeps_a_plane_inside() -> None:
    rows, cols = np.mgrid[:6, :5].astype(np.float32)
    doubled = double((3 * rows + 2 * cols)[None])[0]
    fine_rows, fine_cols = (np.mgrid[:12, :10].astype(np.float32) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(doubled[1:-1, 1:-1], (3 * fine_rows + 2 * fine_cols)[1:-1, 1:-1], atol=1e-5)


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_interpolation_repeats_doubling_of_a_plane(level: int) -> None:
    matrix = interpolation_matrix(level, 64)
    cells = np.arange(matrix.shape[1], dtype=np.float32)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(matrix @ cells, (np.arange(64) + 0.5) / 2**level + 0.5, rtol=1e-5)


def test_softening_does_not_depend_on_the_window() -> None:
    array = noise(2, 40, 50)
    whole = soften(array)
    part = soften(np.ascontiguousarray(array[:, 7:31, 11:38]))
    np.testing.assert_array_equal(whole[:, 8:30, 12:37], part[:, 1:-1, 1:-1])


def test_doubling_does_not_depend_on_the_window() -> None:
    array = noise(2, 20, 25)
    np.testing.assert_array_equal(double(array)[:, 12:26, 8:30], double(array[:, 5:14, 3:16])[:, 2:16, 2:24])


def test_a_hidden_cell_takes_the_coarser_value_and_a_clear_one_its_own() -> None:
    weight = np.array([[1.0, 0.0]], np.float32)
    filled = fill_level(np.array([[[0.4, 0.0]]], np.float32), weight, np.array([[[0.1, 0.1]]], np.float32))
    assert filled[0, 0, 1] == pytest.approx(0.1)
    assert filled[0, 0, 0] == pytest.approx(0.4, abs=0.01)


def test_no_bands_pass_through() -> None:
    assert soften(halve(double(np.zeros((0, 8, 8), np.float32)))).shape == (0, 8, 8)


def test_cells_outside_repeat_the_border() -> None:
    level = noise(1, 3, 3)
    taken = take_cells(level, -1, 2, 3, 2)
    np.testing.assert_array_equal(taken[0], level[0][[0, 0, 1]][:, [2, 2]])


@pytest.mark.parametrize("size", [15, 16, 17])
def test_padding_reaches_the_next_multiple(size: int) -> None:
    padded = pad_to_multiple(np.ones((1, size, 16), np.float32), 16)
    assert padded.shape[1] == (16 if size <= 16 else 32)
    assert padded.sum() == size * 16
