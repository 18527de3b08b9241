"""Triplets, RICE, 38-Cloud, AllClear, and the generator: what is particular to each."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geocr.core.errors import InputError, MissingDataError
from geocr.data.datasets.allclear import AllClear
from geocr.data.datasets.base import DataWarning
from geocr.data.datasets.cloud38 import Cloud38
from geocr.data.datasets.rice import Rice
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.datasets.triplets import Triplets
from geocr.data.sample import validate_sample
from tests.data_makers.allclear import make_allclear
from tests.data_makers.cloud38 import SCENES, make_cloud38
from tests.data_makers.pictures import make_rice, make_triplets
from tests.data_makers.pixels import read_raw

# triplets


def test_triplets_pair_by_name_and_sort_like_people(tmp_path: Path) -> None:
    dataset = Triplets(make_triplets(tmp_path))
    assert [record.id for record in dataset.samples] == ["train/1", "train/2", "train/10"]
    sample = validate_sample(dataset[2])
    for key, letter in (("cloudy", "A"), ("clear", "B")):
        pixels = np.asarray(Image.open(tmp_path / f"train{letter}" / "10.png")).transpose(2, 0, 1)
        assert np.array_equal(sample[key].reshape(3, 32, 32).numpy(), pixels)
    assert sample["sar"].shape == (1, 1, 32, 32)
    assert len(Triplets(tmp_path, split="test")) == 3


def test_triplets_in_folders_of_their_split(tmp_path: Path) -> None:
    make_triplets(tmp_path / "train", splits=["train"])
    assert Triplets(tmp_path).samples[0].clear == "train/trainB/1.png"


def test_a_missing_picture_shifts_nothing_when_paired_by_name(tmp_path: Path) -> None:
    root = make_triplets(tmp_path)
    (root / "trainC" / "2.png").unlink()
    with pytest.warns(DataWarning, match="1 without sar"):
        dataset = Triplets(root)
    assert [record.id for record in dataset.samples] == ["train/1", "train/10"]
    with pytest.raises(InputError, match=r"as many pictures in each folder of train.*2 sar"):
        Triplets(root, pairing="order")


def test_order_pairs_the_first_with_the_first(tmp_path: Path) -> None:
    root = make_triplets(tmp_path, splits=["train"])
    for number, path in enumerate(sorted((root / "trainC").iterdir())):
        path.rename(path.with_name(f"sar_{number}.png"))
    with pytest.warns(DataWarning, match="3 without sar"), pytest.raises(MissingDataError):
        Triplets(root)
    records = list(Triplets(root, pairing="order").samples)
    assert [(record.cloudy[0], record.sar[0]) for record in records][:2] == [
        ("trainA/1.png", "trainC/sar_0.png"),
        ("trainA/2.png", "trainC/sar_1.png"),
    ]
    with pytest.raises(InputError, match="luck"):
        Triplets(root, pairing="luck")


# RICE


def test_rice2_has_masks_and_rice1_has_none(tmp_path: Path) -> None:
    make_rice(tmp_path, "RICE1", 10)
    make_rice(tmp_path, "RICE2", 10)
    one, two = validate_sample(Rice(tmp_path)[0]), validate_sample(Rice(tmp_path, part="RICE2")[0])
    assert "cloud_mask" not in one
    assert two["cloud_mask"][0, :10].all()
    assert not two["cloud_mask"][0, 10:].any()
    assert one["sar"].shape == (1, 0, 32, 32)
    assert one["meta"]["sar_bands"] == ()


def test_rice_splits_by_seed(tmp_path: Path) -> None:
    make_rice(tmp_path, "RICE1", 20)
    sizes = [len(Rice(tmp_path, split=split)) for split in ("train", "val", "test")]
    assert sizes == [14, 2, 4]
    assert list(Rice(tmp_path).samples) == list(Rice(tmp_path).samples)
    assert list(Rice(tmp_path, seed=1).samples) != list(Rice(tmp_path).samples)
    with pytest.raises(InputError, match="RICE3"):
        Rice(tmp_path, part="RICE3")


# 38-Cloud


def test_cloud38_joins_four_files_and_a_mask(tmp_path: Path) -> None:
    dataset = Cloud38(make_cloud38(tmp_path))
    record = dataset.samples[0]
    sample = validate_sample(dataset[0])
    colours = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
    for number, (band, colour) in enumerate(colours.items()):
        raw = read_raw(tmp_path / "38-Cloud_training" / f"train_{colour}" / f"{colour}_{record.id}.TIF")[0]
        assert sample["meta"]["optical_bands"][number] == band
        expected = raw[:, :-1].astype(np.float64) * 2e-5 - 0.1
        assert np.allclose(sample["cloudy"][0, number, :, :-1].numpy(), expected, atol=1e-6)
    assert torch.isnan(sample["cloudy"][..., -1]).all()
    assert not sample["valid_mask"][:, -1].any()
    assert sample["cloud_mask"][0, :16].all()
    assert not sample["cloud_mask"][0, 16:].any()
    assert record.roi == SCENES["train"]
    assert len(record.paths) == 5
    assert all((tmp_path / path).is_file() for path in record.paths)


def test_cloud38_tests_without_masks_of_patches(tmp_path: Path) -> None:
    sample = validate_sample(Cloud38(make_cloud38(tmp_path), split="test")[0])
    assert "cloud_mask" not in sample
    assert sample["meta"]["roi"] == SCENES["test"]


def test_cloud38_without_a_band_or_a_mask_is_left_out(tmp_path: Path) -> None:
    root = make_cloud38(tmp_path, patches=(1, 2, 3))
    next((root / "38-Cloud_training" / "train_nir").glob("nir_patch_1_*")).unlink()
    next((root / "38-Cloud_training" / "train_gt").glob("gt_patch_2_*")).unlink()
    with pytest.warns(DataWarning, match=r"1 without cloudy .*1 without mask"):
        assert [record.id[:8] for record in Cloud38(root).samples] == ["patch_3_"]


# AllClear


def test_allclear_matches_sensors_crops_and_masks(tmp_path: Path) -> None:
    dataset = AllClear(make_allclear(tmp_path))
    sample = validate_sample(dataset[0])
    assert sample["cloudy"].shape == (3, 13, 256, 256)
    assert [round(float(image[0, 128, 128]) * 10_000) - 1000 for image in sample["cloudy"]] == [3, 13, 23]  # sorted by date
    assert round(float(sample["clear"][0, 128, 128]) * 10_000) - 1000 == 28
    times = sample["meta"]["times"]
    assert times["cloudy"] == ("2022-01-03", "2022-01-13", "2022-01-23")
    assert times["clear"] == "2022-01-28"
    assert times["sar"] == ("2022-01-02", None, None)  # 20 January is three days from the 23rd
    assert float(sample["sar"][0, 0, 128, 128]) == -2
    assert torch.isnan(sample["sar"][1:]).all()
    assert sample["cloud_mask"][:, 128, 128].all()  # no value counts as cloud
    assert sample["cloud_mask"][:, :58].all()
    assert not sample["cloud_mask"][:, 60:120].any()
    assert torch.isfinite(sample["cloudy"]).all()  # the empty border is cut off
    assert sample["meta"]["days"] == (2831.5, 2842.0, 2852.0)
    assert sample["meta"]["roi"] == "roi1"
    assert sample["meta"]["paths"]["sar"][1] == ""
    assert all((tmp_path / path).is_file() for path in dataset.samples[0].paths)


def test_allclear_may_reach_further_for_sentinel_1(tmp_path: Path) -> None:
    sample = AllClear(make_allclear(tmp_path), max_days=3)[0]
    assert sample["meta"]["times"]["sar"] == ("2022-01-02", None, "2022-01-20")
    assert float(sample["sar"][2, 0, 128, 128]) == -20


def test_allclear_without_sentinel_1_is_left_out_and_counted(tmp_path: Path) -> None:
    root = make_allclear(tmp_path, s1_days=())
    with pytest.warns(DataWarning, match="1 without sar"), pytest.raises(MissingDataError):
        AllClear(root)
    sample = validate_sample(AllClear(root, require=("cloudy", "clear", "mask"))[0])
    assert torch.isnan(sample["sar"]).all()
    assert not sample["valid_mask"].any()
    assert validate_sample(AllClear(root, require=("cloudy", "clear"), sar_bands=())[0])["valid_mask"].all()


def test_allclear_asks_for_a_list(tmp_path: Path) -> None:
    root = make_allclear(tmp_path)
    listed = root / "metadata" / "datasets" / "train_tx3_s2-s1_100pct.json"
    with pytest.raises(MissingDataError, match="val_tx"):
        AllClear(root, split="val")
    other = listed.with_name("train_tx12_s2-s1_100pct.json")
    other.write_text(listed.read_text())
    with pytest.raises(MissingDataError, match="file_list"):
        AllClear(root)
    assert len(AllClear(root, file_list=listed)) == 1
    other.write_text("[]")
    with pytest.raises(InputError, match="maps identifiers"):
        AllClear(root, file_list=other)
    other.write_text("{")
    with pytest.raises(MissingDataError, match="JSONDecodeError"):
        AllClear(root, file_list=other)
    entries = json.loads(listed.read_text())
    entries["0"]["s2_toa"][0][1] = entries["0"]["s2_toa"][0][1].replace("roi1/", "/share/elsewhere/roi1/", 1)
    other.write_text(json.dumps(entries))
    validate_sample(AllClear(root, file_list=other)[0])  # wherever the images lay before


# the generator


def test_the_generator_repeats_and_knows_its_truth() -> None:
    dataset = Synthetic(length=3, size_px=64, nodata_wedge=True)
    sample = validate_sample(dataset[1])
    again = Synthetic(length=3, size_px=64, nodata_wedge=True)[1]
    assert all(torch.equal(sample[key].nan_to_num(-9), again[key].nan_to_num(-9)) for key in ("sar", "cloudy", "clear"))
    clear = ~sample["cloud_mask"][0] & sample["valid_mask"]
    assert torch.equal(sample["cloudy"][0][:, clear], sample["clear"][:, clear])
    assert not torch.equal(
        sample["cloudy"][0][:, sample["cloud_mask"][0] & sample["valid_mask"]],
        sample["clear"][:, sample["cloud_mask"][0] & sample["valid_mask"]],
    )
    assert not sample["valid_mask"].all()
    assert math.isnan(sample["meta"]["days"][0])


def test_splits_and_samples_of_the_generator_are_different_places() -> None:
    parts = [Synthetic(length=2, size_px=64, split=split)[0]["clear"] for split in ("train", "val", "test")]
    parts.append(Synthetic(length=2, size_px=64)[1]["clear"])
    parts.append(Synthetic(length=2, size_px=64, seed=1)[0]["clear"])
    assert all(not torch.equal(one, other) for place, one in enumerate(parts) for other in parts[:place])


def test_cloud_cover_of_the_generator_is_kept() -> None:
    none = Synthetic(length=1, size_px=64, cloud_cover=(0, 0))[0]
    assert not none["cloud_mask"].any()
    full = Synthetic(length=1, size_px=64, cloud_cover=(0.8, 0.8))[0]
    assert full["cloud_mask"].float().mean() > 0.75
    for options in ({"length": 0}, {"size_px": 63}, {"seed": -1}):
        with pytest.raises(InputError, match="synthetic needs"):
            Synthetic(**options)
    with pytest.raises(InputError, match="cloud_cover"):
        Synthetic(cloud_cover=(0.5, 0.1))
