"""Laws of the tile lattice."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geocr.core.errors import InputError
from geocr.grid.blend import fade, fade_weights
from geocr.grid.lattice import Lattice, axis_tiles
from geocr.grid.spec import TileSpec


@st.composite
def specs(draw: st.DrawFn) -> TileSpec:
    align = draw(st.sampled_from([1, 1, 2, 8]))
    overlap = draw(st.integers(0, 6)) * align
    halo = draw(st.integers(0, 5)) * align
    stride = overlap + draw(st.integers(1, 12)) * align
    return TileSpec(size_px=stride + overlap + 2 * halo, overlap_px=overlap, halo_px=halo, align_px=align)


@given(length=st.integers(1, 400), spec=specs())
def test_owned_parts_partition_the_axis(length: int, spec: TileSpec) -> None:
    tiles = axis_tiles(length, spec)
    owned = [pixel for tile in tiles for pixel in range(tile.keep_start, tile.own_stop)]
    assert owned == list(range(length))


@given(length=st.integers(1, 400), spec=specs())
def test_windows_lie_inside_and_have_the_asked_size(length: int, spec: TileSpec) -> None:
    tiles = axis_tiles(length, spec)
    assert all(0 <= tile.start <= tile.keep_start < tile.own_stop <= tile.keep_stop <= tile.stop <= length for tile in tiles)
    assert all(tile.start % spec.align_px == 0 for tile in tiles)
    if length > spec.size_px:
        assert all(tile.stop - tile.start == spec.size_px for tile in tiles[:-1])
        assert spec.size_px <= tiles[-1].stop - tiles[-1].start < spec.size_px + spec.align_px
    else:
        assert len(tiles) == 1


@given(length=st.integers(1, 400), spec=specs())
def test_context_is_never_less_than_the_halo_except_at_the_border(length: int, spec: TileSpec) -> None:
    for tile in axis_tiles(length, spec):
        assert tile.start == 0 or tile.keep_start - tile.start >= spec.halo_px
        assert tile.stop == length or tile.stop - tile.keep_stop == spec.halo_px


@given(length=st.integers(1, 400), spec=specs())
def test_neighbours_share_exactly_the_overlap_and_no_three_tiles_meet(length: int, spec: TileSpec) -> None:
    tiles = axis_tiles(length, spec)
    assert all(tile.fade_px == spec.overlap_px for tile in tiles[:-1])
    assert tiles[-1].fade_px == 0
    count = np.zeros(length, int)
    for tile in tiles:
        count[tile.keep_start : tile.keep_stop] += 1
    assert count.min() == 1
    assert count.max() <= 2


@given(length=st.integers(1, 300), spec=specs(), ends=st.tuples(st.integers(0, 299), st.integers(1, 300)))
def test_rows_touching_is_every_tile_with_weight_there(length: int, spec: TileSpec, ends: tuple[int, int]) -> None:
    first, stop = ends
    assume(first < stop <= length)
    lattice = Lattice(shape=(length, 10), spec=spec)
    touching = lattice.rows_touching(first, stop)
    assert touching == tuple(row for row in lattice.rows if set(range(row.keep_start, row.keep_stop)) & set(range(first, stop)))


@pytest.mark.parametrize(
    "bad",
    [
        {"size_px": 0},
        {"size_px": 64, "overlap_px": -1},
        {"size_px": 64, "halo_px": 32},
        {"size_px": 64, "overlap_px": 33},
        {"size_px": 64, "align_px": 5},
    ],
)
def test_a_lattice_that_cannot_advance_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match="got"):
        TileSpec(**bad)


@given(length=st.integers(1, 200))
def test_fade_weights_rise_and_mirror_to_one(length: int) -> None:
    weights = fade_weights(length).astype(np.float64)
    assert (np.diff(weights) > 0).all()
    assert weights.min() > 0
    assert weights.max() < 1
    np.testing.assert_allclose(weights + weights[::-1], 1, atol=1e-7)


@pytest.mark.parametrize("axis", [1, 2])
def test_fade_of_equal_tiles_is_that_tile_to_the_last_bit(axis: int) -> None:
    values = np.random.default_rng(0).normal(size=(3, 7, 9)).astype(np.float32)
    mixed = values.copy()
    fade(values, mixed, axis=axis)
    np.testing.assert_array_equal(mixed, values)


def test_fade_goes_from_old_to_new_along_its_axis() -> None:
    old, new = np.zeros((1, 5, 4), np.float32), np.ones((1, 5, 4), np.float32)
    down, along = new.copy(), new.copy()
    fade(old, down, axis=1)
    np.testing.assert_array_equal(down, np.broadcast_to(fade_weights(5)[:, None], (1, 5, 4)))
    fade(old, along, axis=2)
    np.testing.assert_array_equal(along, np.broadcast_to(fade_weights(4), (1, 5, 4)))
