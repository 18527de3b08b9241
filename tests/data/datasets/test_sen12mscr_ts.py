"""Dates of a series: the published rules, their laws, and the files they lead to."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from geocr.core.errors import InputError
from geocr.core.types import BoolArray, FloatArray
from geocr.data.collate import collate_samples
from geocr.data.datasets.base import DataWarning
from geocr.data.datasets.dates import CLEAR_COVER, choose_fixed, choose_random
from geocr.data.datasets.published import published_split
from geocr.data.datasets.sen12mscr_ts import Sen12mscrTs
from geocr.data.epochs import EpochSampler
from geocr.data.sample import validate_sample
from tests.data_makers.sen12mscr_ts import day_of, make_sen12mscr_ts, path_of

ROI = ("ROIs1868", 36)
covers = st.lists(st.floats(0, 1), min_size=5, max_size=30)
LISTS = published_split("sen12mscr_ts")


def number_of(image: torch.Tensor) -> int:
    """The date that the fake wrote into its first pixel."""
    return round(float(image[0, 0, 0]) * 10_000) - 1000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sen12mscr_ts(tmp_path_factory.mktemp("ts"), [ROI], side=8)


def cover_of(shares: list[float]) -> dict[str, list[float]]:
    return {f"ROIs1868_36_patch_{n}": shares for n in (1, 2)}


# the rules


@given(covers, st.integers(1, 4), st.floats(0, 1), st.floats(0, 1))
def test_fixed_takes_the_least_cloudy_and_the_first_within_limits(cover: list[float], inputs: int, one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    choice = choose_fixed(cover, inputs, min_cover=low, max_cover=high)
    assert choice.target == cover.index(min(cover))
    assert len(set(choice.inputs)) == inputs
    assert list(choice.inputs) == sorted(choice.inputs)
    assert choice.target not in choice.inputs
    within = [date for date, share in enumerate(cover) if low <= share <= high and date != choice.target]
    if len(within) >= inputs:
        assert choice.inputs == tuple(within[:inputs])
        assert choice.matched == (min(cover) <= CLEAR_COVER)
    else:
        assert not choice.matched


def published_fixed(cover: list[float], inputs: int, low: float, high: float) -> tuple[list[int], int]:
    """The published rule, said again: the target is not kept out of the inputs."""
    target = int(np.argsort(cover, kind="stable")[0])
    within = [date for date in range(len(cover)) if low <= cover[date] <= high][:inputs]
    return (within if len(within) == inputs else [date for date in range(len(cover)) if date != target][:inputs]), target


@given(covers, st.integers(1, 4))
def test_the_published_behaviour_can_be_asked_for(cover: list[float], inputs: int) -> None:
    choice = choose_fixed(cover, inputs, target_among_inputs=True)
    assert (list(choice.inputs), choice.target) == published_fixed(cover, inputs, 0, 1)


def test_the_published_rule_lets_the_target_be_its_own_input() -> None:
    cover = [0.5, 0.0, 0.4, 0.3, 0.2]
    assert published_fixed(cover, 3, 0, 1) == ([0, 1, 2], 1)
    assert choose_fixed(cover, 3).inputs == (0, 2, 3)


@given(covers, st.integers(1, 4), st.integers(0, 2**31))
def test_random_takes_a_clear_date_and_its_neighbours(cover: list[float], inputs: int, seed: int) -> None:
    choice = choose_random(cover, inputs, np.random.default_rng(seed))
    clear = [date for date, share in enumerate(cover) if share < CLEAR_COVER]
    assert choice.target in (clear or [cover.index(min(cover))])
    assert choice.matched == bool(clear)
    window = sorted((*choice.inputs, choice.target))
    assert window == list(range(window[0], window[0] + inputs + 1))
    starts = [start for start in range(len(cover) - inputs) if start <= choice.target <= start + inputs]
    assert window[0] == starts[len(starts) // 2]


def test_a_target_has_less_than_a_thousandth_of_cloud() -> None:
    cover = [0.5, 0.0011, 0.0009, 0.5, 0.5]
    assert {choose_random(cover, 1, np.random.default_rng(seed)).target for seed in range(50)} == {2}
    assert choose_fixed([0.5, 0.001, 0.5], 1).matched
    assert not choose_fixed([0.5, 0.0011, 0.5], 1).matched


def test_random_draws_every_clear_date_alike() -> None:
    cover = [0.0, 1.0, 0.0, 1.0, 0.0]
    targets = [choose_random(cover, 1, np.random.default_rng(seed)).target for seed in range(600)]
    counts = np.bincount(targets, minlength=5)
    assert counts[[1, 3]].sum() == 0
    assert (counts[[0, 2, 4]] > 150).all()


@pytest.mark.parametrize(("cover", "inputs"), [([0.1] * 5, 0), ([0.1] * 5, 5), ([0.1, float("nan"), 0.2], 1)])
def test_impossible_choices_are_refused(cover: list[float], inputs: int) -> None:
    with pytest.raises(InputError):
        choose_fixed(cover, inputs)
    with pytest.raises(InputError):
        choose_random(cover, inputs, np.random.default_rng(0))


def test_limits_are_shares() -> None:
    with pytest.raises(InputError, match="limits"):
        choose_fixed([0.1] * 5, 2, min_cover=0.6, max_cover=0.5)


# the lists


def test_the_lists_are_the_published_ones() -> None:
    assert {split: len(LISTS[split]) for split in ("train", "val", "test")} == {"train": 35, "val": 5, "test": 13}
    regions = [roi for split in ("train", "val", "test") for roi in LISTS[split]]
    assert len(set(regions)) == 53
    of_regions = [roi for of in LISTS["region"].values() for roi in of]
    assert sorted(of_regions) == sorted(regions)  # every region of the set lies in one part of the world


def test_the_two_sets_of_the_family_conflict_where_the_page_says() -> None:
    mono = published_split("sen12mscr")
    split = {f"{season[4:8]}/{roi}": part for part, of in mono.items() for season, rois in of.items() for roi in rois}
    conflicts = {
        (roi, part, split[roi])
        for part in ("train", "val", "test")
        for roi in LISTS[part]
        if split.get(roi, part) != part and "test" in (part, split[roi])
    }
    assert ("1868/100", "test", "train") in conflicts
    assert split["2017/130"] == "val"
    assert "2017/130" in LISTS["train"]


# the files


def test_a_sample_holds_the_chosen_dates(root: Path) -> None:
    shares = [0.5] * 30
    shares[7], shares[0], shares[1] = 0.0, 0.9, 0.05
    dataset = Sen12mscrTs(root, inputs=3, min_cover=0.1, max_cover=0.8, cover=cover_of(shares))
    sample = validate_sample(dataset[1])
    assert dataset.dates(1).inputs == (2, 3, 4)
    assert dataset.dates(1).matched
    assert [number_of(image) for image in sample["cloudy"]] == [2, 3, 4]
    assert number_of(sample["clear"]) == 7
    assert sample["sar"].shape == (3, 2, 8, 8)
    times = sample["meta"]["times"]
    assert times["cloudy"] == tuple(str(day_of("S2", n)) for n in (2, 3, 4))
    assert times["sar"] == tuple(str(day_of("S1", n)) for n in (2, 3, 4))
    assert times["clear"] == str(day_of("S2", 7))
    assert sample["meta"]["paths"]["clear"] == str(path_of(root, ROI, "S2", 7, 2))
    assert sample["meta"]["split"] == "train"


def test_days_count_from_the_launch_and_average_both_sensors(root: Path) -> None:
    sample = Sen12mscrTs(root, inputs=1, cover=cover_of([0.5] * 29 + [0.0]))[0]
    assert sample["meta"]["times"]["cloudy"] == ("2018-01-03",)
    assert sample["meta"]["times"]["sar"] == ("2018-01-05",)
    assert sample["meta"]["days"] == (1372.0,)  # 3 January 2018 is day 1371, the 5th 1373


def test_random_dates_follow_seed_and_epoch_and_nothing_else(root: Path) -> None:
    cover = cover_of([0.0] * 30)

    def targets(dataset: Sen12mscrTs) -> list[int]:
        return [dataset.dates(index).target for index in range(len(dataset))]

    dataset = Sen12mscrTs(root, sampling="random", cover=cover)
    first = targets(dataset)
    by_epoch = []
    for epoch in range(8):
        dataset.set_epoch(epoch)
        by_epoch.append(targets(dataset))
        assert number_of(dataset[0]["clear"]) == by_epoch[-1][0]
    assert by_epoch[0] == first == targets(Sen12mscrTs(root, sampling="random", cover=cover))
    assert len({tuple(found) for found in by_epoch}) > 4
    others = [targets(Sen12mscrTs(root, sampling="random", cover=cover, seed=seed)) for seed in range(1, 5)]
    assert any(found != first for found in others)
    assert any(found[0] != found[1] for found in by_epoch)


def test_workers_that_already_run_hear_of_the_epoch(root: Path) -> None:
    dataset = Sen12mscrTs(root, sampling="random", inputs=1, cover=cover_of([0.0] * 30))
    loader = DataLoader(dataset, batch_size=2, num_workers=1, persistent_workers=True, collate_fn=collate_samples)
    for epoch in range(3):
        dataset.set_epoch(epoch)
        (batch,) = list(loader)
        assert [number_of(image) for image in batch["clear"]] == [dataset.dates(0).target, dataset.dates(1).target]


def test_cover_can_be_measured(root: Path) -> None:
    calls = []

    def brighter_than_its_first_date(image: FloatArray, bands: tuple[str, ...]) -> BoolArray:
        calls.append(bands)
        share = (number_of(torch.from_numpy(image)) - 4) % 30 / 30
        return np.arange(64).reshape(8, 8) < 64 * share

    dataset = Sen12mscrTs(root, cloud_mask=brighter_than_its_first_date)
    sample = dataset[0]
    assert number_of(sample["clear"]) == 4
    assert validate_sample(sample)["cloud_mask"].shape == (3, 8, 8)
    assert len(calls) == 30 + 3
    _ = dataset[0]
    assert len(calls) == 30 + 6  # measured once


def test_a_patch_without_one_date_is_left_out(tmp_path: Path) -> None:
    root = make_sen12mscr_ts(tmp_path, [ROI], side=4)
    path_of(root, ROI, "S1", 17, 2).unlink()
    with pytest.warns(DataWarning, match=r"1 without sar \(first: ROIs1868_36_patch_2\)"):
        dataset = Sen12mscrTs(root, cover=cover_of([0.5] * 30))
    assert [record.id for record in dataset.samples] == ["ROIs1868_36_patch_1"]


def test_regions_and_splits(tmp_path: Path) -> None:
    make_sen12mscr_ts(tmp_path, [ROI, ("ROIs2017", 32), ("ROIs2017", 22)], patches=[1], side=4)
    every = {"cover": {}, "split": None}
    assert {record.roi for record in Sen12mscrTs(tmp_path, **every).samples} == {"ROIs1868_36", "ROIs2017_32", "ROIs2017_22"}
    assert {record.roi: record.split for record in Sen12mscrTs(tmp_path, region="africa", **every).samples} == {
        "ROIs2017_32": "test",
        "ROIs2017_22": "val",
    }
    assert [record.roi for record in Sen12mscrTs(tmp_path, split="test", cover={}).samples] == ["ROIs2017_32"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "neither"),
        ({"cover": {}, "sampling": "newest"}, "newest"),
        ({"cover": {}, "region": "atlantis"}, "atlantis"),
        ({"cover": {}, "inputs": 30}, "1 to 29"),
        ({"cover": {}, "require": ("sar",)}, "require"),
    ],
)
def test_wrong_settings_are_named(options: dict, told: str, root: Path) -> None:
    with pytest.raises(InputError, match=told):
        Sen12mscrTs(root, **options)


def test_incomplete_cover_is_named(root: Path) -> None:
    with pytest.raises(InputError, match=re.escape("ROIs1868_36_patch_1 is missing")):
        Sen12mscrTs(root, cover={})[0]
    with pytest.raises(InputError, match="has 3"):
        Sen12mscrTs(root, cover=cover_of([0.1] * 3))[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_with_the_epoch_sampler_draws_anew_each_epoch(workers: int, root: Path) -> None:
    dataset = Sen12mscrTs(root, sampling="random", inputs=1, cover=cover_of([0.0] * 30))
    expected = []
    for epoch in range(4):
        dataset.set_epoch(epoch)
        expected.append({dataset.identify(index): dataset.dates(index).target for index in range(2)})
    assert len({tuple(found.items()) for found in expected}) > 1
    dataset.set_epoch(0)
    loader = DataLoader(
        dataset,
        batch_size=2,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=collate_samples,
        sampler=EpochSampler(dataset),
    )
    for epoch in range(4):
        (batch,) = list(loader)
        found = {meta["id"]: number_of(image) for meta, image in zip(batch["meta"], batch["clear"], strict=True)}
        assert found == expected[epoch]


def test_every_set_can_be_told_the_epoch(root: Path) -> None:
    sampler = EpochSampler(Sen12mscrTs(root, sampling="random", cover=cover_of([0.0] * 30)))
    sampler.set_epoch(7)
    assert sorted(sampler) == [0, 1]
    assert sampler.epoch == 8
    assert sorted(EpochSampler(range(3))) == [0, 1, 2]
