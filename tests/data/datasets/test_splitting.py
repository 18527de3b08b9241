"""Laws of splits: disjoint, complete, the same for the same seed, near to their shares."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.core.errors import InputError, MissingDataError
from geocr.data.datasets.split_files import read_name_list, read_split_json
from geocr.data.datasets.splitting import split_at_random, split_balanced, split_by_scene
from tests.data_makers.sen12 import make_name_list

keys = st.lists(st.text("abcdef0123456789", min_size=1, max_size=8), unique=True, min_size=1, max_size=60)
sizes = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(["agri", "urban"]), st.integers(1, 500), min_size=1),
    min_size=3,
    max_size=12,
)


@given(keys, st.integers(0, 100), st.randoms())
def test_random_splits_are_complete_and_do_not_depend_on_the_order(names: list[str], seed: int, shuffle: object) -> None:
    split = split_at_random(names, ratios=(0.7, 0.15, 0.15), seed=seed)
    assert set(split) == set(names)
    shuffled = list(names)
    shuffle.shuffle(shuffled)
    assert split_at_random(shuffled, ratios=(0.7, 0.15, 0.15), seed=seed) == split
    counts = Counter(split.values())
    assert counts["train"] == int(len(names) * 0.7)
    assert counts["val"] == int(len(names) * 0.15)


def test_another_seed_is_another_split() -> None:
    names = [str(n) for n in range(50)]
    assert split_at_random(names, ratios=(0.5, 0.25, 0.25), seed=1) != split_at_random(names, ratios=(0.5, 0.25, 0.25), seed=2)


@settings(max_examples=8)
@given(sizes, st.integers(0, 9))
def test_scene_splits_keep_scenes_whole_and_no_split_empty(of: dict, seed: int) -> None:
    split = split_by_scene(of, ratios=(0.8, 0.1, 0.1), seed=seed)
    assert set(split) == set(of)
    assert set(split.values()) == {"train", "val", "test"}
    assert split_by_scene(dict(reversed(of.items())), ratios=(0.8, 0.1, 0.1), seed=seed) == split


def test_scene_splits_come_near_to_their_shares_in_every_class() -> None:
    of = {f"scene{n}": {"agri": 50 + 7 * n, "urban": 300 - 9 * n} for n in range(30)}
    split = split_by_scene(of, ratios=(0.8, 0.1, 0.1), seed=42)
    for terrain in ("agri", "urban"):
        total = sum(counts[terrain] for counts in of.values())
        shares = {part: sum(of[scene][terrain] for scene in of if split[scene] == part) / total for part in ("train", "val", "test")}
        assert shares["train"] == pytest.approx(0.8, abs=0.03)
        assert shares["val"] == pytest.approx(0.1, abs=0.03)


def test_too_few_scenes_are_refused() -> None:
    with pytest.raises(InputError, match="at least 3 scenes, found 2"):
        split_by_scene({"a": {"x": 5}, "b": {"x": 5}}, ratios=(0.8, 0.1, 0.1), seed=0)
    assert set(split_by_scene({"a": {"x": 5}, "b": {"x": 5}}, ratios=(0.5, 0, 0.5), seed=0).values()) == {"train", "test"}


@given(st.integers(1, 10), st.integers(0, 50))
def test_balanced_splits_take_as_many_from_each_class(per_class: int, seed: int) -> None:
    classes = {name: [f"{name}{n}" for n in range(21 + 5 * place)] for place, name in enumerate(("agri", "urban", "grassland"))}
    split = split_balanced(classes, per_class=per_class, seed=seed)
    for names in classes.values():
        counts = Counter(split[name] for name in names)
        assert counts["test"] == counts["val"] == per_class
        assert counts["train"] == len(names) - 2 * per_class


def test_a_class_without_training_samples_is_refused() -> None:
    with pytest.raises(InputError, match="urban has 20"):
        split_balanced({"urban": [str(n) for n in range(20)]}, per_class=10, seed=0)


@pytest.mark.parametrize("ratios", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_ratios_must_be_shares(ratios: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="sum to 1"):
        split_at_random(["a"], ratios=ratios, seed=0)


def test_lists_of_mdfcr_are_read_as_published(tmp_path: Path) -> None:
    windows = r"E:\DataSet\Dataset_TGRS-2018-01535\test_simu\sar\118.bmp"
    path = make_name_list(
        tmp_path / "FileNameList.txt",
        {
            "TGRS-SQ": {"train": {"sar": [windows], "rgb": [windows.replace("sar", "rgb")]}, "val": {"sar": [], "rgb": []}},
            "SEN1-2-0.85k": {"test": {"sar": ["ROIs1158_spring_s1_2_p25.png"], "rgb": ["ROIs1158_spring_s2_2_p25.png"]}},
        },
    )
    assert read_name_list(path) == {
        "TGRS-SQ": {"train": {"sar": ("test_simu/sar/118.bmp",), "rgb": ("test_simu/rgb/118.bmp",)}, "val": {"sar": (), "rgb": ()}},
        "SEN1-2-0.85k": {"test": {"sar": ("ROIs1158_spring_s1_2_p25.png",), "rgb": ("ROIs1158_spring_s2_2_p25.png",)}},
    }


def test_a_list_without_headings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("TGRS-SQ:\n\ntrain:\n1.bmp\n")
    with pytest.raises(InputError, match="line 4"):
        read_name_list(tmp_path / "list.txt")
    with pytest.raises(MissingDataError):
        read_name_list(tmp_path / "none.txt")


def test_split_files_are_json_whatever_their_extension(tmp_path: Path) -> None:
    content = '{"data": {"train": ["a/s1/x.png"], "val": [], "test": ["b/s1/y.png"]}}'
    for name in ("split.json", "split.txt"):
        (tmp_path / name).write_text(content)
        assert read_split_json(tmp_path / name) == {"train": ("a/s1/x.png",), "val": (), "test": ("b/s1/y.png",)}
    (tmp_path / "split.txt").write_text("")
    with pytest.raises(InputError, match="is empty"):
        read_split_json(tmp_path / "split.txt")
    (tmp_path / "split.txt").write_text('{"data": {"train": []}}')
    with pytest.raises(InputError, match="val"):
        read_split_json(tmp_path / "split.txt")
