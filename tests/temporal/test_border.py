"""Bending a patch to its surroundings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.temporal.border import REACH_PX, border_correction

SHAPE = (260, 300)
LIMIT = np.full((2, 1, 1), 0.05, np.float32)


def fields(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    known = rng.random((2, *SHAPE)).astype(np.float32)
    borrowed = (known + rng.normal(0, 0.02, known.shape)).astype(np.float32)
    has_known = np.kron(rng.random((26, 30)) < 0.6, np.ones((10, 10))).astype(bool)
    return known, has_known, borrowed, rng.random(SHAPE) < 0.9


@settings(max_examples=15)
@given(top=st.integers(0, 50), left=st.integers(0, 60), height=st.integers(70, 120), width=st.integers(70, 120), seed=st.integers(0, 2))
def test_a_pixel_does_not_depend_on_its_window(top: int, left: int, height: int, width: int, seed: int) -> None:
    known, has_known, borrowed, has_borrowed = fields(seed)
    whole = border_correction(known, has_known, borrowed, has_borrowed, LIMIT)
    rows = slice(4 * (top // 4), min(4 * (top // 4) + height, SHAPE[0]))
    cols = slice(4 * (left // 4), min(4 * (left // 4) + width, SHAPE[1]))
    part = border_correction(known[:, rows, cols], has_known[rows, cols], borrowed[:, rows, cols], has_borrowed[rows, cols], LIMIT)
    inner_rows = slice(REACH_PX if rows.start else 0, part.shape[1] - (REACH_PX if rows.stop < SHAPE[0] else 0))
    inner_cols = slice(REACH_PX if cols.start else 0, part.shape[2] - (REACH_PX if cols.stop < SHAPE[1] else 0))
    np.testing.assert_array_equal(part[:, inner_rows, inner_cols], whole[:, rows, cols][:, inner_rows, inner_cols])


def test_a_step_is_taken_back_at_the_border_and_fades_inside() -> None:
    truth = np.full((1, 256, 256), 0.2, np.float32)
    hole = np.zeros((256, 256), bool)
    hole[64:192, 64:192] = True
    step = border_correction(truth, ~hole, truth + np.float32(0.03), np.ones_like(hole), np.full((1, 1, 1), 0.1, np.float32))[0]
    assert step[128, 66] == pytest.approx(-0.03, abs=0.006)
    assert abs(step[128, 100]) < 0.001
    assert np.all(np.diff(step[128, 66:110]) > -1e-6)  # monotone on the way in


def test_changed_ground_counts_up_to_the_limit() -> None:
    truth = np.zeros((1, 64, 64), np.float32)
    known = np.ones((64, 64), bool)
    known[:, 32:] = False
    step = border_correction(truth + np.float32(0.9), known, truth, np.ones_like(known), np.full((1, 1, 1), 0.01, np.float32))
    assert float(step.max()) <= 0.01
