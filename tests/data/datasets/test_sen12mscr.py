"""The published split by region is exact and disjoint; the published substring rule is neither."""

from pathlib import Path

import numpy as np
import pytest

from geocr.core.errors import InputError, MissingDataError
from geocr.data.datasets.published import published_split
from geocr.data.datasets.sen12mscr import SEASONS, Sen12mscr, split_of
from geocr.data.datasets.sen12mscr_flat import Sen12mscrFlat
from tests.data_makers.pixels import read_raw
from tests.data_makers.sen12mscr import make_flat, make_names, make_sen12mscr, path_of

LISTS = published_split("sen12mscr")
ALL = {season: sorted(roi for split in LISTS.values() for roi in split.get(season, ())) for season in SEASONS}


def test_the_lists_are_the_published_ones() -> None:
    assert {split: sum(map(len, of.values())) for split, of in LISTS.items()} == {"train": 155, "val": 10, "test": 10}
    assert LISTS["test"] == {
        "ROIs1158_spring": [31, 44, 106, 123, 140],
        "ROIs1868_summer": [73, 119],
        "ROIs1970_fall": [139],
        "ROIs2017_winter": [63, 108],
    }
    assert LISTS["val"] == {
        "ROIs1158_spring": [17],
        "ROIs1868_summer": [17, 19, 80, 127],
        "ROIs1970_fall": [65],
        "ROIs2017_winter": [22, 84, 107, 130],
    }
    assert len(LISTS["train"]["ROIs1970_fall"]) == 56


def test_no_region_is_in_two_splits() -> None:
    for season in SEASONS:
        regions = [roi for of in LISTS.values() for roi in of.get(season, ())]
        assert len(regions) == len(set(regions))


def test_a_region_is_matched_whole() -> None:
    assert split_of("ROIs1158_spring", 1) == "train"
    assert split_of("ROIs1158_spring", 106) == "test"
    assert split_of("ROIs1158_spring", 10) is None
    assert split_of("ROIs2017_winter", 1) is None
    assert split_of("ROIs1158_winter", 1) is None


def by_substring(path: str, split: str) -> bool:
    """The rule of the published mono-temporal loaders: a listed name is somewhere in the path."""
    return any(f"{season}_s1/s1_{roi}" in path for season, rois in LISTS[split].items() for roi in rois)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 175 regions by name, two patches each."""
    root = tmp_path_factory.mktemp("whole")
    assert make_names(root, ALL, 2) == 350
    return root


def test_the_published_rule_leaks_and_ours_does_not(whole: Path) -> None:
    ours = {split: {record.roi for record in Sen12mscr(whole, split=split).samples} for split in ("train", "val", "test")}
    assert {split: len(rois) for split, rois in ours.items()} == {"train": 155, "val": 10, "test": 10}
    assert not ours["train"] & ours["test"]
    assert not ours["train"] & ours["val"]
    assert not ours["val"] & ours["test"]

    everything = list(Sen12mscr(whole, split=None).samples)
    theirs = {record.roi for record in everything if by_substring(record.sar[0], "train")}
    assert theirs & ours["test"] == {
        "ROIs1158_spring_106", "ROIs1158_spring_123", "ROIs1158_spring_140", "ROIs1868_summer_119", "ROIs1868_summer_73", "ROIs1970_fall_139",
    }  # fmt: skip
    assert theirs & ours["val"] == {"ROIs1970_fall_65", "ROIs1158_spring_17", "ROIs2017_winter_84"}


def test_samples_are_in_order_and_pair_by_name(whole: Path) -> None:
    dataset = Sen12mscr(whole, split="test")
    assert [record.id for record in dataset.samples[:3]] == ["ROIs1158_spring_31_p0", "ROIs1158_spring_31_p1", "ROIs1158_spring_44_p0"]
    for record in dataset.samples:
        names = [Path(path).name.replace("_s2_cloudy_", "_").replace("_s2_", "_").replace("_s1_", "_") for path in record.paths]
        assert set(names) == {f"{record.id}.tif"}
        assert all((whole / path).is_file() for path in record.paths)


def test_pixels_are_those_of_the_files(tmp_path: Path) -> None:
    root = make_sen12mscr(tmp_path, {"ROIs1868_summer": [73]}, patches=[5])
    sample = Sen12mscr(root, split="test")[0]
    files = {kind: read_raw(path_of(root, "ROIs1868_summer", kind, 73, 5)) for kind in ("s1", "s2_cloudy", "s2")}
    assert np.array_equal(sample["sar"][0].numpy(), files["s1"])
    assert np.array_equal(sample["cloudy"][0].numpy(), files["s2_cloudy"] * np.float32(1e-4))
    assert np.array_equal(sample["clear"].numpy(), files["s2"] * np.float32(1e-4))
    assert sample["meta"]["split"] == "test"
    assert sample["meta"]["roi"] == "ROIs1868_summer_73"
    assert sample["meta"]["paths"]["clear"] == str(path_of(root, "ROIs1868_summer", "s2", 73, 5))
    assert sample["meta"]["grid"] is not None


def test_strange_names_are_left_alone(tmp_path: Path) -> None:
    root = make_sen12mscr(tmp_path, {"ROIs1158_spring": [1]}, patches=[1])
    folder = root / "ROIs1158_spring_s1" / "s1_1"
    for name in ("ROIs1158_spring_s1_1_p1.tif.aux.xml", "ROIs1158_spring_s1_11_p1.tif", "notes.txt", "ROIs1158_spring_s1_1_p.tif"):
        (folder / name).touch()
    (root / "ROIs1158_spring_s1" / "s1_1b").mkdir()
    (root / "ROIs1158_spring_s1" / "s1_1b" / "ROIs1158_spring_s1_1_p7.tif").touch()
    strange = Sen12mscr(root, require=())
    assert [record.id for record in strange.samples] == ["ROIs1158_spring_1_p1"]


def test_a_split_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    root = make_sen12mscr(tmp_path, {"ROIs1158_spring": [1]})
    with pytest.raises(MissingDataError, match=r"samples of split test.*2 of split train"):
        Sen12mscr(root, split="test")


def test_flat_names_tell_their_region(tmp_path: Path) -> None:
    root = make_flat(tmp_path, ["ROIs1970_fall_139_p839.tif", "ROIs1970_fall_1_p2.tif", "00316.tif"])
    assert [record.id for record in Sen12mscrFlat(root, split="test").samples] == ["ROIs1970_fall_139_p839"]
    assert [record.id for record in Sen12mscrFlat(root, split="train").samples] == ["ROIs1970_fall_1_p2"]
    assert len(Sen12mscrFlat(root, split=None)) == 3
    assert Sen12mscrFlat(root, split=None)[0]["meta"]["grid"] is None


def test_flat_lists_are_read_as_published(tmp_path: Path) -> None:
    root = make_flat(tmp_path, ["a.tif", "b.tif", "c.tif", "d.tif"])
    rows = [f"{code},s1,s2_cloudfree,s2_cloudy,{name}.tif" for code, name in ((1, "a"), (2, "b"), (3, "c"))]
    (root / "data.csv").write_text("\n".join(rows) + "\n")
    found = {
        split: [r.id for r in Sen12mscrFlat(root, split=split, split_file=root / "data.csv").samples] for split in ("train", "val", "test")
    }
    assert found == {"train": ["a"], "val": ["b"], "test": ["c"]}
    (root / "bad.csv").write_text("4\ts1\ts2_cloudfree\n")
    with pytest.raises(InputError, match=r"1\|2\|3"):
        Sen12mscrFlat(root, split_file=root / "bad.csv")
    with pytest.raises(InputError, match="readable"):
        Sen12mscrFlat(root, split_file=root / "none.csv")
