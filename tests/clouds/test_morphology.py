import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.clouds import morphology
from geocr.clouds.morphology import dilate_disc, disc_margin, drop_specks, odd_size
from geocr.core.types import BoolArray


def brute_force(mask: BoolArray, radius: float) -> BoolArray:
    rows, cols = np.indices(mask.shape)
    out = np.zeros_like(mask)
    for row, col in np.argwhere(mask):
        out |= (rows - row) ** 2 + (cols - col) ** 2 <= radius**2
    return out


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 1.0, 1.4, 1.5, 2.0, 2.9, 3.0, 5.0, 7.3]), st.integers(1, 40), st.integers(1, 25)
)
def test_dilation_is_every_pixel_within_the_radius(seed: int, radius: float, rows: int, cols: int) -> None:
    mask = np.random.default_rng(seed).random((rows, cols)) < 0.04
    np.testing.assert_array_equal(dilate_disc(mask, radius), brute_force(mask, radius))


def test_dilation_does_not_depend_on_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.random.default_rng(1).random((200, 30)) < 0.01
    whole = dilate_disc(mask, 6.0)
    monkeypatch.setattr(morphology, "PIECE_PX", (7, 5))
    np.testing.assert_array_equal(dilate_disc(mask, 6.0), whole)


def test_radius_is_inclusive_and_survives_division() -> None:
    mask = np.zeros((1, 9), bool)
    mask[0, 0] = True
    assert dilate_disc(mask, 2.99).sum() == 3
    assert dilate_disc(mask, 3.0).sum() == 4
    assert dilate_disc(mask, 3.0 - 1e-9).sum() == 4
    assert (disc_margin(2.99), disc_margin(3.0), disc_margin(3.0 - 1e-9)) == (2, 3, 3)


def test_dilation_returns_a_copy() -> None:
    mask = np.zeros((3, 3), bool)
    dilate_disc(mask, 0.0)[:] = True
    assert not mask.any()


def test_specks_below_the_size_go_and_corners_connect() -> None:
    mask = np.zeros((6, 12), bool)
    mask[0, 0] = mask[1, 1] = mask[2, 2] = True  # three, touching at corners
    mask[0, 6:8] = True  # two
    mask[4, 8:12] = True  # four
    assert drop_specks(mask, 1).sum() == 9
    assert drop_specks(mask, 2).sum() == 9
    assert drop_specks(mask, 3).sum() == 7
    assert drop_specks(mask, 4).sum() == 4
    assert drop_specks(mask, 5).sum() == 0


@pytest.mark.parametrize(
    ("width", "resolution", "size"), [(50, 10, 5), (70, 10, 7), (50, 20, 3), (70, 20, 3), (50, 60, 1), (70, 60, 1), (50, 120, 1)]
)
def test_windows_keep_their_width_on_the_ground(width: float, resolution: float, size: int) -> None:
    assert odd_size(width, resolution) == size
