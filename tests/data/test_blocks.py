from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geocr.core.errors import InputError
from geocr.data.blocks import BlockSplit, split_blocks
from geocr.data.samplers import positions

EXTENT = (500000.0, 5290000.0, 520000.0, 5310000.0)


def distance(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Between two boxes, along the wider axis of their separation: 0 when they touch or overlap."""
    dx = max(one[0] - other[2], other[0] - one[2], 0.0)
    dy = max(one[1] - other[3], other[1] - one[3], 0.0)
    return max(dx, dy)


@given(
    size=st.integers(800, 4000),
    gap=st.integers(0, 700),
    seed=st.integers(0, 5),
    corners=st.lists(st.tuples(st.integers(-500, 20500), st.integers(-500, 20500), st.integers(10, 1500)), min_size=2, max_size=40),
)
def test_patches_of_different_splits_are_at_least_the_gap_apart(
    size: int, gap: int, seed: int, corners: list[tuple[int, int, int]]
) -> None:
    split = split_blocks([EXTENT], size=size, gap=gap, seed=seed)
    patches = [(EXTENT[0] + x, EXTENT[1] + y, EXTENT[0] + x + side, EXTENT[1] + y + side) for x, y, side in corners]
    named = [(patch, split.split_of(patch)) for patch in patches]
    for number, (one, name) in enumerate(named):
        for other, other_name in named[:number]:
            if name and other_name and name != other_name:
                assert distance(one, other) >= gap


@given(size=st.integers(800, 4000), gap=st.integers(0, 700), seed=st.integers(0, 5))
def test_regions_of_different_splits_are_the_gap_apart_and_no_more(size: int, gap: int, seed: int) -> None:
    split = split_blocks([EXTENT], size=size, gap=gap, seed=seed)
    regions = {name: split.regions(name) for name in ("train", "val", "test")}
    between = [distance(one, other) for one in regions["train"] for name in ("val", "test") for other in regions[name]]
    assert min(between) == pytest.approx(gap)


@given(size=st.floats(900, 6000), gap_share=st.floats(0, 0.9), seed=st.integers(0, 9))
def test_regions_of_a_split_are_what_split_of_says(size: float, gap_share: float, seed: int) -> None:
    split = split_blocks([EXTENT], size=size, gap=size * gap_share, seed=seed)
    for name in ("train", "val", "test"):
        for west, south, east, north in split.regions(name):
            inset = 1e-6 * size
            assert split.split_of((west + inset, south + inset, east - inset, north - inset)) == name
            assert split.split_of((west - size * 0.999, south + inset, east, north)) is None  # across a border


@given(
    seed=st.integers(0, 100),
    fractions=st.sampled_from(
        [{"train": 0.8, "val": 0.1, "test": 0.1}, {"train": 0.7, "val": 0.15, "test": 0.15}, {"train": 0.5, "test": 0.5}]
    ),
)
def test_every_split_gets_its_share_of_the_blocks(seed: int, fractions: dict[str, float]) -> None:
    split = split_blocks([EXTENT], size=2000, gap=100, fractions=fractions, seed=seed)
    assert len(split.blocks) == 100
    for name, share in fractions.items():
        assert abs(len(split.regions(name)) - 100 * share) <= 1


def test_small_scenes_still_fill_every_split() -> None:
    split = split_blocks([(0, 0, 3, 1)], size=1, gap=0)
    assert sorted(split.blocks.values()) == ["test", "train", "val"]
    with pytest.raises(InputError, match="at least 3 blocks"):
        split_blocks([(0, 0, 2, 1)], size=1, gap=0)


def test_the_split_depends_on_seed_and_place_and_on_nothing_else() -> None:
    halves = [(500000.0, 5290000.0, 510000.0, 5310000.0), (509000.0, 5290000.0, 520000.0, 5310000.0)]
    whole = split_blocks([EXTENT], size=2000, gap=100, seed=3)
    assert split_blocks(halves, size=2000, gap=100, seed=3) == split_blocks(halves[::-1], size=2000, gap=100, seed=3) == whole
    assert split_blocks([EXTENT], size=2000, gap=100, seed=4).blocks != whole.blocks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gap": 2000}, "wider than its gap"),
        ({"gap": -1}, "no negative gap"),
        ({"fractions": {"train": 0.8, "val": 0.1}}, "sum to 1"),
        ({"fractions": {"train": 1.5, "val": -0.5}}, "not be negative"),
        ({"size": 0}, "positive side"),
    ],
)
def test_a_split_that_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_blocks([EXTENT], **({"size": 2000, "gap": 100} | arguments))  # type: ignore[arg-type]


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(InputError, match="one of test, train, val, got 'validation'"):
        split_blocks([EXTENT], size=2000, gap=0).regions("validation")
    assert BlockSplit(size=1, gap=0, origin=(0, 0), blocks={}).split_of((0, 0, 1, 1)) is None


@given(length=st.integers(1, 300), size=st.integers(1, 64), stride=st.integers(1, 64))
def test_positions_cover_an_axis_without_leaving_it(length: int, size: int, stride: int) -> None:
    assume(size <= length)
    starts = positions(length, size, stride)
    assert starts[0] == 0
    assert starts[-1] == length - size
    assert all(0 < b - a <= stride for a, b in pairwise(starts))
    if stride <= size:
        assert set().union(*(range(start, start + size) for start in starts)) == set(range(length))
