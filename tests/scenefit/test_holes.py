"""Synthetic clouds: the scene's own shapes, never more than the clear ground can bear."""

import numpy as np
import pytest

from geocr.scenefit.holes import draw_hole
from tests.scenefit.fields import cloud_shapes


@pytest.mark.parametrize("share", [0.2, 0.35, 0.6, 0.9])
def test_a_hole_takes_a_bounded_share_of_the_clear_pixels(share: float) -> None:
    mask = cloud_shapes((300, 260), share, 0)
    for seed in range(5):
        hole = draw_hole([mask], ~mask, np.random.default_rng(seed))
        hidden = (hole & ~mask).sum() / (~mask).sum()
        assert 0.02 < hidden < 0.6


def test_holes_are_drawn_where_the_scene_has_no_clouds() -> None:
    clear = np.ones((128, 200), bool)
    assert 0.1 < draw_hole([~clear], clear, np.random.default_rng(0)).mean() < 0.5


def test_a_hole_is_a_moved_copy_of_the_mask() -> None:
    mask = cloud_shapes((256, 256), 0.2, 1)
    hole = draw_hole([mask], np.ones_like(mask), np.random.default_rng(7))
    assert hole.mean() == pytest.approx(mask.mean())


def test_the_same_chance_gives_the_same_hole() -> None:
    mask = cloud_shapes((128, 128), 0.3, 2)
    first, second = (draw_hole([mask], ~mask, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
