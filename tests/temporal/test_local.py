"""Local corrections: what bends over a scene is followed, and no window decides a pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.core.types import BoolArray, FloatArray, Window
from geocr.temporal.line import Line, fit_line
from geocr.temporal.local import fit_local, fit_variance, interpolate_cells
from geocr.temporal.moments import CellMoments

SHAPE = (400, 520)


@settings(max_examples=30)
@given(row=st.integers(0, 399), col=st.integers(0, 519), height=st.integers(1, 400), width=st.integers(1, 400))
def test_a_pixel_does_not_depend_on_its_window(row: int, col: int, height: int, width: int) -> None:
    cells = np.random.default_rng(0).standard_normal((2, 4, 5)).astype(np.float32)
    whole = interpolate_cells(cells, Window(row=0, col=0, height=SHAPE[0], width=SHAPE[1]))
    window = Window(row=row, col=col, height=min(height, SHAPE[0] - row), width=min(width, SHAPE[1] - col))
    np.testing.assert_array_equal(interpolate_cells(cells, window), whole[:, row : window.row_stop, col : window.col_stop])


def test_a_square_has_its_value_at_its_centre() -> None:
    """A ramp from square to square is that of the pixels' centres, exactly; beyond the outermost centres nothing changes."""
    cells = np.stack([np.repeat(np.arange(4.0)[:, None], 5, 1), np.repeat(np.arange(5.0)[None], 4, 0)]).astype(np.float32)
    found = interpolate_cells(cells, Window(row=0, col=0, height=512, width=640))
    places = (np.arange(640) + 0.5) / 128 - 0.5
    np.testing.assert_allclose(found[0, :, 300], np.clip(places[:512], 0, 3), atol=1e-6)
    np.testing.assert_allclose(found[1, 200], np.clip(places, 0, 4), atol=1e-6)


def moments_of(other: FloatArray, scene: FloatArray, common: BoolArray, cut: int) -> tuple[CellMoments, Line]:
    line = fit_line(other[:, common], scene[:, common])
    moments = CellMoments.empty(other.shape[1:], len(other))
    for start in range(0, other.shape[1], cut):
        stop = min(start + cut, other.shape[1])
        window = Window(row=start, col=0, height=stop - start, width=other.shape[2])
        moments.add(window, other[:, start:stop], scene[:, start:stop], common[start:stop], line)
    return moments, line


def test_haze_that_grows_across_the_scene_is_followed() -> None:
    rng = np.random.default_rng(0)
    other = rng.gamma(4.0, 0.03, (2, *SHAPE)).astype(np.float32)
    haze = np.linspace(0, 0.06, SHAPE[1], dtype=np.float32)
    scene = other * (1 - haze) + haze
    common = np.ones(SHAPE, bool)
    moments, line = moments_of(other, scene, common, 256)
    offset, gain = fit_local(moments, line)
    window = Window(row=0, col=0, height=SHAPE[0], width=SHAPE[1])
    u = other - line.centre.astype(np.float32)[:, None, None]
    local = line.residual(other, scene) - interpolate_cells(offset, window) - interpolate_cells(gain, window) * u
    before = line.residual(other, scene)
    assert np.sqrt((local**2).mean()) < 0.3 * np.sqrt((before**2).mean())
    told, left = np.sqrt(fit_variance(moments, offset, gain)[0]), np.sqrt((local**2).mean(axis=(1, 2)))
    assert np.all((left < told) & (told < 1.8 * left))  # within a square haze still slopes, which sums do not show


def test_a_gain_that_differs_from_place_to_place_is_followed() -> None:
    """The offset applies at the mean of the date, not at black: the two would differ by 0.02 here."""
    other = np.random.default_rng(0).gamma(4.0, 0.03, (1, 512, 1024)).astype(np.float32)
    scene = other * np.where(np.arange(1024) < 512, 0.9, 1.2).astype(np.float32)
    moments, line = moments_of(other, scene, np.ones((512, 1024), bool), 256)
    offset, gain = fit_local(moments, line)
    window = Window(row=0, col=0, height=512, width=1024)
    u = other - line.centre.astype(np.float32)[:, None, None]
    left = line.residual(other, scene) - interpolate_cells(offset, window) - interpolate_cells(gain, window) * u
    for cols in (slice(100, 300), slice(724, 924)):
        assert np.abs(left[:, :, cols].mean()) < 0.001


def test_where_nothing_is_common_the_wider_squares_decide() -> None:
    rng = np.random.default_rng(0)
    other = rng.gamma(4.0, 0.03, (1, 768, 768)).astype(np.float32)
    scene = other.copy()
    scene[:, :, 384:] += 0.02
    common = np.ones((768, 768), bool)
    common[256:512, 520:700] = False  # a hole in the shifted half
    moments, line = moments_of(other, scene, common, 256)
    offset, _ = fit_local(moments, line)
    assert line.offset[0] + offset[0, 3, 4] == pytest.approx(0.02, abs=0.003)
    assert line.offset[0] + offset[0, 3, 1] == pytest.approx(0.0, abs=0.003)


def test_sums_do_not_depend_on_how_the_scene_is_cut() -> None:
    rng = np.random.default_rng(3)
    other = rng.gamma(4.0, 0.03, (2, 384, 300)).astype(np.float32)
    scene = (other * 1.1).astype(np.float32)
    common = rng.random((384, 300)) < 0.7
    (whole, _), (cut, _) = moments_of(other, scene, common, 384), moments_of(other, scene, common, 128)
    np.testing.assert_array_equal(whole.count, cut.count)
    np.testing.assert_allclose(whole.sums, cut.sums, rtol=1e-12, atol=1e-12)
    assert whole.common_px == cut.common_px == common.sum()


def test_the_spread_is_told_where_it_is() -> None:
    rng = np.random.default_rng(0)
    other = rng.gamma(4.0, 0.03, (1, 512, 512)).astype(np.float32)
    noise = np.where(np.arange(512) < 256, 0.002, 0.008)
    scene = (other + noise * rng.standard_normal(other.shape)).astype(np.float32)
    moments, line = moments_of(other, scene, np.ones((512, 512), bool), 256)
    overall, by_square = fit_variance(moments, *fit_local(moments, line))
    assert np.sqrt(overall[0]) == pytest.approx(np.sqrt((0.002**2 + 0.008**2) / 2), rel=0.05)
    assert np.sqrt(by_square[0, :, 0]) == pytest.approx(np.full(4, 0.002), rel=0.4)
    assert np.sqrt(by_square[0, :, 3]) == pytest.approx(np.full(4, 0.008), rel=0.1)
