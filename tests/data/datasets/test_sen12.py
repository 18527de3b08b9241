"""SEN1-2 in three layouts and all its splits; TGRS-SQ; a warning tells when a split shares scenes."""

import shutil
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocr.core.errors import InputError, MissingDataError
from geocr.data.datasets.base import DataWarning
from geocr.data.datasets.published import published_split
from geocr.data.datasets.sen12 import Sen12
from geocr.data.datasets.tgrs_sq import TgrsSq
from geocr.data.sample import validate_sample
from tests.data_makers.sen12 import make_mdfcr_layout, make_name_list, make_own_layout, make_terrain, make_tgrs_sq

SCENES = {
    "agri": {"ROIs1970_fall_19": range(1, 9), "ROIs1868_summer_59": range(1, 9), "ROIs1970_fall_115": range(1, 5)},
    "grassland": {"ROIs1970_fall_115": range(5, 9), "ROIs1970_fall_11": range(1, 9), "ROIs1970_fall_72": range(1, 9)},
}
LISTS = published_split("mdfcr")


@pytest.fixture(scope="module")
def terrain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_terrain(tmp_path_factory.mktemp("terrain"), SCENES)


def splits_of(root: Path, **options: object) -> dict[str, set[str]]:
    return {split: {record.id for record in Sen12(root, split=split, **options).samples} for split in ("train", "val", "test")}


def test_pairs_are_pictures_of_one_place(terrain: Path) -> None:
    dataset = Sen12(terrain, split=None)
    assert len(dataset) == 40
    record = dataset.samples[0]
    sample = validate_sample(dataset[0])
    radar = np.asarray(Image.open(terrain / "v_2" / record.sar[0]))
    assert np.array_equal(sample["sar"][0, 0].numpy(), radar)
    colours = np.asarray(Image.open(terrain / "v_2" / str(record.clear)))
    assert np.array_equal(sample["clear"].numpy(), colours.transpose(2, 0, 1))
    assert sample["meta"]["optical_bands"] == ("B04", "B03", "B02")
    assert record.sar[0].replace("/s1/", "/s2/").replace("_s1_", "_s2_") == record.clear
    assert len(Sen12(terrain / "v_2", split=None)) == 40


def test_the_default_split_shares_no_scene_and_does_not_warn(terrain: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = {split: Sen12(terrain, split=split).samples for split in ("train", "val", "test")}
    rois = {split: {record.roi for record in of} for split, of in parts.items()}
    assert all(rois.values())
    assert sum(map(len, rois.values())) == len(set().union(*rois.values())) == 5  # fall 115 is of two terrains and one split
    assert sum(map(len, parts.values())) == 40


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
@pytest.mark.parametrize("rule", ["scene", "random", "balanced", "published"])
def test_splits_are_disjoint_and_repeat(terrain: Path, rule: str) -> None:
    parts = splits_of(terrain, rule=rule, per_class=3)
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == 40
    assert splits_of(terrain, rule=rule, per_class=3) == parts


@pytest.mark.parametrize("rule", ["random", "balanced"])
def test_a_split_that_shares_scenes_warns(terrain: Path, rule: str) -> None:
    with pytest.warns(DataWarning, match=r"shares \d of 5 scenes.*too good"):
        Sen12(terrain, rule=rule, per_class=3)


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_balanced_takes_as_many_pairs_of_each_terrain(terrain: Path) -> None:
    for split in ("val", "test"):
        counts = Counter(record.id.split("/")[0] for record in Sen12(terrain, rule="balanced", per_class=4, split=split).samples)
        assert counts == {"agri": 4, "grassland": 4}
    with pytest.raises(InputError, match="agri has 20"):
        Sen12(terrain, rule="balanced")


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_random_follows_ratios_and_seed(terrain: Path) -> None:
    parts = splits_of(terrain, rule="random")
    assert [len(parts[split]) for split in ("train", "val", "test")] == [28, 6, 6]
    assert splits_of(terrain, rule="random", seed=1) != parts
    with pytest.raises(InputError, match="sum to 1"):
        Sen12(terrain, rule="random", ratios=(0.5, 0.1, 0.1))


def test_the_published_list_counts_as_published() -> None:
    lists = published_split("sar2optical")
    assert {split: sum(map(len, of.values())) for split, of in lists.items()} == {"val": 1600, "test": 1600}
    by_terrain = Counter()
    for group, numbers in lists["val"].items():
        by_terrain[group.split("/")[0]] += len(numbers)
    assert by_terrain == {"urban": 426, "grassland": 411, "agri": 390, "barrenland": 373}
    val, test = ({(group, n) for group, of in lists[split].items() for n in of} for split in ("val", "test"))
    assert len(val) == len(test) == 1600
    assert not val & test


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_the_published_list_decides(tmp_path: Path) -> None:
    lists = published_split("sar2optical")
    group = "urban/ROIs1970_fall_13"
    held = {split: lists[split][group][:2] for split in ("val", "test")}
    free = next(n for n in range(1, 2000) if n not in lists["val"][group] and n not in lists["test"][group])
    root = make_terrain(tmp_path, {"urban": {"ROIs1970_fall_13": [*held["val"], *held["test"], free]}})
    parts = splits_of(root, rule="published")
    assert parts["val"] == {f"urban/ROIs1970_fall_13_p{n}" for n in held["val"]}
    assert parts["test"] == {f"urban/ROIs1970_fall_13_p{n}" for n in held["test"]}
    assert parts["train"] == {f"urban/ROIs1970_fall_13_p{free}"}


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_a_split_file_of_ones_own(terrain: Path, tmp_path: Path) -> None:
    name = "agri/s1/ROIs1970_fall_s1_19_p{}.png".format
    path = tmp_path / "split.json"
    path.write_text(f'{{"data": {{"train": ["{name(1)}"], "val": ["{name(2)}"], "test": ["{name(3)}"]}}}}')
    assert splits_of(terrain, rule="published", split_file=path)["val"] == {"agri/ROIs1970_fall_19_p2"}
    with pytest.raises(InputError, match="rule='scene'"):
        Sen12(terrain, split_file=path)


@pytest.mark.parametrize(("subset", "scene", "sizes"), [("0.85k", 2, (850, 70, 70)), ("0.9k", 111, (900, 103, 103))])
def test_subsets_of_mdfcr_have_their_published_sizes(subset: str, scene: int, sizes: tuple[int, ...]) -> None:
    lists = LISTS[subset]
    assert lists["scene"] == ["ROIs1158_spring", scene]
    assert tuple(len(lists[split]) for split in ("train", "val", "test")) == sizes
    assert len({n for split in ("train", "val", "test") for n in lists[split]}) == sum(sizes)


@pytest.mark.parametrize("layout", ["own", "arranged"])
@pytest.mark.parametrize("subset", ["0.85k", "0.9k"])
def test_subsets_of_mdfcr_are_read_in_both_layouts(subset: str, layout: str, tmp_path: Path) -> None:
    season, scene = LISTS[subset]["scene"]
    chosen = {split: LISTS[subset][split][:3] for split in ("train", "val", "test")}
    if layout == "own":
        make_own_layout(tmp_path, season, scene, [n for of in chosen.values() for n in of])
        make_own_layout(tmp_path, season, 77, [1, 2])
    else:
        make_mdfcr_layout(tmp_path, season, scene, chosen)
    with pytest.warns(DataWarning, match="shares 1 of 1 scenes"):
        parts = splits_of(tmp_path, subset=subset)
    assert {split: {int(name.rpartition("_p")[2]) for name in names} for split, names in parts.items()} == {
        split: set(numbers) for split, numbers in chosen.items()
    }


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_subsets_follow_a_file_name_list(tmp_path: Path) -> None:
    make_own_layout(tmp_path, "ROIs1158_spring", 2, [1, 2, 3, 4])
    rows = {"train": [1, 2], "val": [3], "test": [4]}
    lists = {
        split: {"sar": [f"ROIs1158_spring_s1_2_p{n}.png" for n in of], "rgb": [f"ROIs1158_spring_s2_2_p{n}.png" for n in of]}
        for split, of in rows.items()
    }
    path = make_name_list(tmp_path / "FileNameList.txt", {"SEN1-2-0.85k": lists})
    parts = splits_of(tmp_path, subset="0.85k", split_file=path)
    assert parts["test"] == {"ROIs1158_spring/ROIs1158_spring_2_p4"}
    assert len(parts["train"]) == 2
    with pytest.raises(MissingDataError, match="scene 111"):
        Sen12(tmp_path, subset="0.9k")
    make_own_layout(tmp_path, "ROIs1158_spring", 111, [1])
    with pytest.raises(InputError, match=r"SEN1-2-0\.9k"):
        Sen12(tmp_path, subset="0.9k", split_file=path)


def test_wrong_names_are_told(terrain: Path) -> None:
    with pytest.raises(InputError, match=r"0\.8k"):
        Sen12(terrain, subset="0.8k")
    with pytest.raises(InputError, match="honest"):
        Sen12(terrain, rule="honest")


def test_missing_partners_are_counted(tmp_path: Path) -> None:
    root = make_terrain(tmp_path, SCENES)
    (root / "v_2" / "agri" / "s2" / "ROIs1970_fall_s2_19_p1.png").unlink()
    with pytest.warns(DataWarning, match=r"1 without clear \(first: agri/ROIs1970_fall_19_p1\)"):
        assert len(Sen12(root, split=None)) == 39


def test_a_terrain_without_its_optical_pictures_is_counted_and_the_others_are_split(tmp_path: Path) -> None:
    scenes = {f"ROIs1970_fall_{number}": (1, 2) for number in range(10)}
    root = make_terrain(tmp_path, {"agri": scenes, "urban": scenes})
    shutil.rmtree(root / "v_2" / "urban" / "s2")
    with pytest.warns(DataWarning, match="20 without clear"):
        sizes = [len(Sen12(root, split=split)) for split in ("train", "val", "test")]
    assert sum(sizes) == 20
    assert min(sizes) > 0
    shutil.rmtree(root / "v_2" / "agri" / "s2")
    with pytest.warns(DataWarning), pytest.raises(MissingDataError, match="40 left out without their clear"):
        Sen12(root)


# TGRS-SQ


def test_tgrs_sq_has_its_published_sizes() -> None:
    lists = LISTS["tgrs_sq"]
    assert {split: {folder: len(of) for folder, of in lists[split].items()} for split in lists} == {
        "train": {"train": 830, "test_simu": 170}, "val": {"train": 85, "test_simu": 15}, "test": {"train": 85, "test_simu": 15},
    }  # fmt: skip
    every = [(folder, n) for of in lists.values() for folder, numbers in of.items() for n in numbers]
    assert len(set(every)) == 1200


def test_tgrs_sq_splits_by_list_and_warns(tmp_path: Path) -> None:
    lists = LISTS["tgrs_sq"]
    chosen = {folder: [lists[split][folder][0] for split in lists] for folder in ("train", "test_simu")}
    root = make_tgrs_sq(tmp_path, chosen)
    with pytest.warns(DataWarning, match="shares 2 of 2"):
        dataset = TgrsSq(root, split="test")
    assert {record.id for record in dataset.samples} == {f"{folder}/{lists['test'][folder][0]}" for folder in chosen}
    assert validate_sample(dataset[0])["sar"].shape == (1, 1, 8, 8)
    assert len(TgrsSq(root / "Dataset_TGRS-2018-01535", split=None)) == 6


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_tgrs_sq_follows_a_file_name_list(tmp_path: Path) -> None:
    root = make_tgrs_sq(tmp_path, {"train": [1, 2], "test_simu": [1, 2]})
    row = "E:\\DataSet\\Dataset_TGRS-2018-01535\\{}\\{}\\{}.bmp".format
    places = {"train": ("train", 1), "val": ("test_simu", 1), "test": ("test_simu", 2)}
    lists = {split: {kind: [row(folder, kind, number)] for kind in ("sar", "rgb")} for split, (folder, number) in places.items()}
    path = make_name_list(tmp_path / "FileNameList.txt", {"TGRS-SQ": lists})
    found = {split: [record.id for record in TgrsSq(root, split=split, split_file=path).samples] for split in places}
    assert found == {"train": ["train/1"], "val": ["test_simu/1"], "test": ["test_simu/2"]}
    other = make_name_list(tmp_path / "other.txt", {"SEN1-2-0.9k": lists})
    with pytest.raises(InputError, match="TGRS-SQ"):
        TgrsSq(root, split_file=other)
