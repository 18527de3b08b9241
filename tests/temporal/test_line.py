"""A line between two dates: what it must recover, and what may not turn it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.temporal.line import fit_line


def ground(seed: int, n: int = 4000) -> np.ndarray:
    return np.random.default_rng(seed).gamma(4.0, 0.03, (3, n)).astype(np.float32)


@settings(max_examples=40)
@given(gain=st.floats(0.5, 2.0), offset=st.floats(-0.05, 0.1), share=st.floats(0.0, 0.2), level=st.floats(0.3, 1.2), seed=st.integers(0, 5))
def test_gain_and_offset_are_found_under_missed_clouds(gain: float, offset: float, share: float, level: float, seed: int) -> None:
    other = ground(seed)
    scene = (gain * other + offset + np.random.default_rng(seed).normal(0, 0.003, other.shape)).astype(np.float32)
    cloudy = np.random.default_rng(seed + 1).random(other.shape[1]) < share
    scene[:, cloudy] += level
    line = fit_line(other, scene)
    assert line.gain == pytest.approx(np.full(3, gain), abs=0.02)
    assert line.offset == pytest.approx(np.full(3, offset), abs=0.004)
    assert line.spread == pytest.approx(np.full(3, 0.003), rel=0.25)


def test_clouds_that_the_other_date_missed_do_not_turn_it_either() -> None:
    other = ground(1)
    scene = (1.2 * other + 0.01).astype(np.float32)
    other[:, :600] = 0.9  # leverage: far out, and wrong
    line = fit_line(other, scene)
    assert line.gain == pytest.approx(np.full(3, 1.2), abs=1e-3)
    assert line.unchanged(line.residual(other, scene))[600:].all()
    assert not line.unchanged(line.residual(other, scene))[:600].any()


def test_a_flat_band_is_shifted_by_the_difference_of_its_medians() -> None:
    flat = np.full((2, 500), 0.1, np.float32)
    line = fit_line(flat, flat + np.float32(0.05))
    assert line.gain == pytest.approx([1.0, 1.0])
    assert line.offset == pytest.approx([0.05, 0.05], abs=1e-6)


def test_dates_that_have_nothing_in_common_keep_their_contrast() -> None:
    rng = np.random.default_rng(0)
    line = fit_line(rng.gamma(4, 0.03, (1, 3000)).astype(np.float32), rng.gamma(4, 0.03, (1, 3000)).astype(np.float32))
    assert line.gain == pytest.approx([1.0])  # a slope near 0 is a failed fit, not radiometry
