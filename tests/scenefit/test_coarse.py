"""The pass over the whole scene."""

from dataclasses import fields

import numpy as np
import pytest

from geocr.scenefit.coarse import CELL_PX, PIECE_PX, piece_of, sum_scene
from geocr.scenefit.sampling import sample_scaling
from tests.scenefit.fields import field_scene


@pytest.mark.parametrize("piece_px", [(32, 64), (64, 32), (96, 4096)])
def test_sums_do_not_depend_on_how_the_scene_is_read(piece_px: tuple[int, int]) -> None:
    source = field_scene(shape=(150, 201), seed=3)[0]
    scaling = sample_scaling(source)
    whole, pieces = sum_scene(source, scaling), sum_scene(source, scaling, piece_px=piece_px)
    for field in fields(whole):
        np.testing.assert_array_equal(getattr(pieces, field.name), getattr(whole, field.name))


@pytest.mark.parametrize(
    ("block_px", "expected"), [(1024, (1024, 1024)), (512, (512, 2048)), (2048, (2048, 2048)), (192, (192, 28 * 192)), (500, PIECE_PX)]
)
def test_pieces_are_whole_blocks_and_cells(block_px: int, expected: tuple[int, int]) -> None:
    assert piece_of(block_px) == expected
    assert all(side % CELL_PX == 0 for side in expected)
