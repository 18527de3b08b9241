"""Each sort of bad input has its message; skips are counted and told, never silent."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from torch.utils.data import DataLoader

from geocr.core.errors import InputError, MissingDataError, RasterNotFoundError, RasterReadError, SampleError, UnitsError
from geocr.data.collate import collate_samples
from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import DataWarning
from geocr.data.datasets.reading import read_backscatter, read_counts, read_layers, read_mask, read_picture, read_reflectance
from geocr.data.datasets.sen12mscr import Sen12mscr
from geocr.data.datasets.triplets import Triplets
from tests.data_makers.pictures import make_triplets
from tests.data_makers.pixels import backscatter, counts, greys, write_picture, write_tif
from tests.data_makers.sen12mscr import make_sen12mscr, path_of

SEASON = "ROIs1158_spring"
S1, S2 = ("VV", "VH"), tuple(f"b{n}" for n in range(13))
RNG = np.random.default_rng(3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_sen12mscr(tmp_path, {SEASON: [1]}, patches=(1, 2, 3))


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_a_truncated_file_stops_with_its_name(root: Path) -> None:
    broken = path_of(root, SEASON, "s2", 1, 2)
    truncate(broken)
    dataset = Sen12mscr(root)
    dataset[0]
    with pytest.raises(RasterReadError, match=re.escape(str(broken))) as caught:
        dataset[1]
    assert "fetch it again" in str(caught.value)
    assert isinstance(caught.value, OSError)


def test_a_file_that_went_away_is_told(root: Path) -> None:
    dataset = Sen12mscr(root)
    path_of(root, SEASON, "s1", 1, 1).unlink()
    with pytest.raises(RasterNotFoundError, match="s1_1_p1"):
        dataset[0]


def test_skipping_takes_the_next_counts_and_tells(root: Path) -> None:
    truncate(path_of(root, SEASON, "s2", 1, 2))
    dataset = Sen12mscr(root, on_error="skip")
    with pytest.warns(DataWarning, match="skipped sample ROIs1158_spring_1_p2"):
        sample = dataset[1]
    assert sample["meta"]["id"] == "ROIs1158_spring_1_p3"
    (skip,) = sample["meta"]["skipped"]
    assert skip["id"] == "ROIs1158_spring_1_p2"
    assert "truncated" in skip["error"]
    assert dataset.skipped == {"ROIs1158_spring_1_p2": skip["error"]}
    assert dataset[0]["meta"]["skipped"] == ()


def test_the_last_sample_skips_to_the_first(root: Path) -> None:
    truncate(path_of(root, SEASON, "s1", 1, 3))
    dataset = Sen12mscr(root, on_error="skip")
    with pytest.warns(DataWarning):
        assert dataset[2]["meta"]["id"] == "ROIs1158_spring_1_p1"


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_skips_in_workers_are_told_in_the_batch(root: Path) -> None:
    truncate(path_of(root, SEASON, "s2_cloudy", 1, 1))
    loader = DataLoader(Sen12mscr(root, on_error="skip"), batch_size=3, num_workers=1, collate_fn=collate_samples)
    (batch,) = list(loader)
    assert [len(meta["skipped"]) for meta in batch["meta"]] == [1, 0, 0]
    assert [meta["id"][-2:] for meta in batch["meta"]] == ["p2", "p2", "p3"]


@pytest.mark.filterwarnings("ignore::geocr.data.datasets.base.DataWarning")
def test_a_lost_disk_is_no_skip(root: Path) -> None:
    dataset = Sen12mscr(root, on_error="skip")
    for path in root.rglob("*.tif"):
        path.unlink()
    with pytest.raises(MissingDataError, match="3 in a row"):
        dataset[0]


def test_systematic_errors_are_not_skipped(root: Path) -> None:
    write_tif(path_of(root, SEASON, "s1", 1, 1), 10 ** (backscatter(RNG) / 10))
    with pytest.raises(UnitsError):
        Sen12mscr(root, on_error="skip")[0]


def test_mixed_sizes_name_the_files(root: Path) -> None:
    write_tif(path_of(root, SEASON, "s2", 1, 1), counts(RNG, side=16))
    with pytest.raises(SampleError, match=r"\(32, 32\).*s2_1_p1.tif \(16, 16\)"):
        Sen12mscr(root)[0]


def test_missing_partners_are_counted_and_listed(root: Path) -> None:
    path_of(root, SEASON, "s2", 1, 1).unlink()
    path_of(root, SEASON, "s2", 1, 3).unlink()
    path_of(root, SEASON, "s1", 1, 3).unlink()
    with pytest.warns(DataWarning, match=r"1 without sar .*, 2 without clear \(first: ROIs1158_spring_1_p1\)"):
        dataset = Sen12mscr(root)
    assert [record.id for record in dataset.samples] == ["ROIs1158_spring_1_p2"]
    assert dataset.missing == {"sar": ("ROIs1158_spring_1_p3",), "clear": ("ROIs1158_spring_1_p1", "ROIs1158_spring_1_p3")}


def test_require_says_what_a_sample_must_have(root: Path) -> None:
    path_of(root, SEASON, "s2", 1, 1).unlink()
    dataset = Sen12mscr(root, require=("sar", "cloudy"))
    assert len(dataset) == 3
    assert dataset.missing == {}
    assert "clear" not in dataset[0]
    assert "clear" in dataset[1]
    with pytest.raises(InputError, match="mask"):
        Sen12mscr(root, require=("mask",))


def test_all_partners_missing_is_missing_data(root: Path) -> None:
    for path in root.rglob("*_s2_1_*.tif"):
        path.unlink()
    with pytest.warns(DataWarning), pytest.raises(MissingDataError, match="3 left out without their clear"):
        Sen12mscr(root)


def test_eight_bits_where_sixteen_are_needed(root: Path) -> None:
    path = write_tif(path_of(root, SEASON, "s2", 1, 1), (counts(RNG) // 40).astype(np.uint8))
    with pytest.raises(SampleError, match=r"needs 16-bit.*uint8") as caught:
        Sen12mscr(root)[0]
    assert str(path) in str(caught.value)
    with pytest.raises(SampleError, match="needs 16-bit"):
        read_counts(write_tif(root / "one.tif", np.ones((1, 4, 4), np.uint8)))


def test_sixteen_bits_where_a_picture_is_needed(tmp_path: Path) -> None:
    make_triplets(tmp_path)
    path = tmp_path / "trainC" / "1.png"
    PillowImage.fromarray(counts(RNG, 1)[0]).save(path)
    with pytest.raises(SampleError, match=r"8 bits.*uint16"):
        Triplets(tmp_path)[0]


def test_a_grey_picture_for_an_optical_one(tmp_path: Path) -> None:
    make_triplets(tmp_path)
    write_picture(tmp_path / "trainA" / "1.png", greys(RNG))
    with pytest.raises(SampleError, match=r"coloured.*grey"):
        Triplets(tmp_path)[0]


@pytest.mark.parametrize(("make", "unit"), [(lambda db: 10 ** (db / 10), "power"), (lambda db: 10 ** (db / 20), "amplitude")])
def test_linear_backscatter_is_recognised_by_its_values(make: object, unit: str, tmp_path: Path) -> None:
    path = write_tif(tmp_path / f"{unit}.tif", make(backscatter(RNG)))
    with pytest.raises(UnitsError, match=r"linear power or amplitude.*10 log10"):
        read_backscatter(path, S1, S1)


def test_counts_for_backscatter_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnitsError, match="uint16"):
        read_backscatter(write_tif(tmp_path / "a.tif", counts(RNG, 2)), S1, S1)


def test_another_number_of_bands(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", counts(RNG, 12))
    with pytest.raises(SampleError, match=r"13 bands.*has 12"):
        read_reflectance(path, S2, S2)
    with pytest.raises(SampleError, match="14 bands or more"):
        read_layers(path, (14,))


def test_no_raster_and_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("no raster")
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(RasterReadError, match=r"a\.tif"):
        read_mask(tmp_path / "a.tif")
    with pytest.raises(RasterReadError, match=r"a\.png"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(RasterNotFoundError):
        read_picture(tmp_path / "b.png")


def test_a_truncated_picture_is_told(tmp_path: Path) -> None:
    make_triplets(tmp_path)
    truncate(tmp_path / "trainB" / "10.png")
    with pytest.raises(RasterReadError, match=r"trainB/10\.png"):
        Triplets(tmp_path)[2]


def test_missing_values_become_nan(tmp_path: Path) -> None:
    radar = backscatter(RNG)
    radar[0, 0, :3] = (np.nan, -np.inf, -9999)
    image = read_backscatter(write_tif(tmp_path / "s1.tif", radar, nodata=-9999), S1, S1)
    assert np.isnan(image.pixels[0, 0, :3]).all()
    assert np.isfinite(image.pixels).sum() == image.pixels.size - 3
    optical = counts(RNG)
    optical[:, 0, 0], optical[1:, 0, 1], optical[0, 0, 2] = 0, 0, 0
    image = read_reflectance(write_tif(tmp_path / "s2.tif", optical), S2, S2)
    assert np.isnan(image.pixels[:, 0, 0]).all()
    assert np.isfinite(image.pixels[:, 0, 1:]).all()  # a band alone may be 0
    assert np.array_equal(image.pixels[:, 1:], optical[:, 1:] * np.float32(1e-4))
    flagged = counts(RNG)
    flagged[3, 5, 5] = 65535
    image = read_reflectance(write_tif(tmp_path / "flag.tif", flagged, nodata=65535), S2, S2)
    assert np.argwhere(np.isnan(image.pixels)).tolist() == [[3, 5, 5]]


def test_a_blank_radar_patch_is_missing_not_linear(tmp_path: Path) -> None:
    image = read_backscatter(write_tif(tmp_path / "s1.tif", np.zeros((2, 8, 8), np.float32)), S1, S1)
    assert np.isnan(image.pixels).all()


def test_bands_crops_and_grids_by_name(tmp_path: Path) -> None:
    optical = counts(RNG, side=40)
    path = write_tif(tmp_path / "s2.tif", optical)
    image = read_reflectance(path, ("b5", "b2"), S2, crop_px=32)
    assert np.array_equal(image.pixels, optical[[5, 2], 4:36, 4:36] * np.float32(1e-4))
    whole = read_reflectance(path, S2, S2)
    assert image.grid is not None
    assert whole.grid is not None
    assert image.grid.shape == (32, 32)
    assert image.grid.transform * (0, 0) == whole.grid.transform * (4, 4)
    with pytest.raises(SampleError, match="at least 64"):
        read_reflectance(path, S2, S2, crop_px=64)


def test_validation_of_every_sample_can_be_asked_for(root: Path) -> None:
    write_tif(path_of(root, SEASON, "s1", 1, 1), backscatter(RNG) * 100)
    with pytest.raises(SampleError, match="between -120 and 60"):
        Sen12mscr(root, validate=True)[0]
    assert torch.isfinite(Sen12mscr(root)[0]["sar"]).all()


@pytest.mark.parametrize("extension", ["png", "bmp", "tif"])
def test_pictures_are_read_to_the_bit(extension: str, tmp_path: Path) -> None:
    for shape in ((9, 7), (9, 7, 3)):
        pixels = RNG.integers(0, 256, shape).astype(np.uint8)
        image = read_picture(write_picture(tmp_path / f"{len(shape)}.{extension}", pixels))
        assert np.array_equal(image, pixels[None] if len(shape) == 2 else pixels.transpose(2, 0, 1))


def test_alpha_is_dropped_and_palettes_are_resolved(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (9, 7, 4)).astype(np.uint8)
    assert np.array_equal(read_picture(write_picture(tmp_path / "alpha.png", pixels)), pixels[..., :3].transpose(2, 0, 1))
    few = (RNG.integers(0, 2, (9, 7, 3)) * 255).astype(np.uint8)
    PillowImage.fromarray(few).quantize(16).save(tmp_path / "palette.png")
    assert np.array_equal(read_picture(tmp_path / "palette.png"), few.transpose(2, 0, 1))


@pytest.mark.filterwarnings("error::rasterio.errors.NotGeoreferencedWarning")
def test_files_without_a_georeference_are_no_reason_to_warn(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # writing one warns too
        path = write_tif(tmp_path / "s2.tif", counts(RNG), georeferenced=False)
    assert read_reflectance(path, S2, S2).grid is None


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.9, 0.99])
def test_no_truncated_png_passes_for_a_whole_one(keep: float, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(RasterReadError, match=r"a\.png"):
        read_picture(path)


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_no_damaged_png_passes_for_a_whole_one(at: float, tmp_path: Path) -> None:
    path = write_picture(tmp_path / "a.png", RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8))
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(RasterReadError, match=r"a\.png"):
        read_picture(path)


def test_bytes_behind_a_png_do_no_harm(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    path = write_picture(tmp_path / "a.png", pixels)
    path.write_bytes(path.read_bytes() + b"trailing")
    assert np.array_equal(read_picture(path), pixels.transpose(2, 0, 1))


def test_a_misspelt_option_is_told_with_all_that_there_are() -> None:
    with pytest.raises(InputError, match=r"options of synthetic are length, size_px, .*split, .*; got lenght"):
        DATASETS.load("synthetic")(".", lenght=3)


def test_samples_of_no_split_are_counted_in_words(tmp_path: Path) -> None:
    make_sen12mscr(tmp_path, {SEASON: [9999]}, patches=(1, 2))
    with pytest.raises(MissingDataError, match="2 of no split"):
        Sen12mscr(tmp_path, split="test")
