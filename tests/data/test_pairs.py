from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from torch.utils.data import DataLoader
from torchgeo.datasets import IntersectionDataset

from geocr.core.errors import GeoreferenceError, InputError, NoPatchError, RasterNotFoundError, UnitsError
from geocr.data.blocks import split_blocks
from geocr.data.collate import collate_samples
from geocr.data.matching import Candidate, share_ground
from geocr.data.pairs import ScenePairs, open_pairs
from geocr.data.sample import validate_sample
from geocr.data.samplers import GridSceneSampler, RandomSceneSampler
from geocr.data.sentinel import Sentinel1Scenes, Sentinel2Scenes
from geocr.data.shares import PatchShares, ShareFilter, shares_of, within
from tests.data_makers.scenes import Place, make_scenes, write_s1, write_s2


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def pairs(root: Path) -> ScenePairs:
    return open_pairs(root)


def test_a_sample_keeps_modalities_apart_and_knows_where_it_is(pairs: ScenePairs) -> None:
    assert isinstance(pairs, IntersectionDataset)
    patch = next(iter(GridSceneSampler(pairs, 64)))
    sample = validate_sample(pairs[patch])
    assert sample["sar"].shape == (1, 2, 64, 64)
    assert sample["cloudy"].shape == (1, 13, 64, 64)
    assert sample["clear"].shape == (13, 64, 64)
    assert sample["valid_mask"].all()
    assert sample["cloud_mask"].all()  # the left third of the scene
    assert torch.allclose(sample["cloudy"][0] - sample["clear"], torch.tensor(0.2), atol=2e-4)
    meta = sample["meta"]
    assert meta["times"] == {"sar": ("2023-08-12",), "cloudy": ("2023-08-13",), "clear": "2023-08-17"}
    assert meta["days"] == (3418.5,)
    assert (meta["sar_unit"], meta["optical_unit"]) == ("db", "reflectance")
    grid = meta["grid"]
    assert grid is not None
    assert (grid.transform.c, grid.transform.f, grid.shape) == (500000, 5300000, (64, 64))


def test_the_grid_covers_the_scene_and_stays_inside(pairs: ScenePairs) -> None:
    seen = np.zeros((160, 192), int)
    for x, y, _ in GridSceneSampler(pairs, 64, stride_px=48):
        col, row = round((x.start - 500000) / 10), round((5300000 - y.stop) / 10)
        assert 0 <= col <= 192 - 64
        assert 0 <= row <= 160 - 64
        seen[row : row + 64, col : col + 64] += 1
    assert (seen > 0).all()


@given(seed=st.integers(0, 50), size=st.integers(8, 160))
def test_random_patches_are_whole_pixels_inside_and_follow_from_the_seed(pairs: ScenePairs, seed: int, size: int) -> None:
    sampler = RandomSceneSampler(pairs, size, length=6, seed=seed)
    patches = list(sampler)
    assert patches == list(RandomSceneSampler(pairs, size, length=6, seed=seed))
    for x, y, _ in patches:
        assert (x.start - 500000) % 10 == (5300000 - y.stop) % 10 == 0
        assert x.start >= 500000
        assert x.stop <= 501920
        assert y.start >= 5298400
        assert y.stop <= 5300000
    sampler.set_epoch(1)
    assert size > 150 or list(sampler) != patches


def test_patches_of_a_split_stay_in_its_regions(pairs: ScenePairs) -> None:
    split = split_blocks([tuple(pairs.index.total_bounds)], size=640, gap=80, seed=1)
    places = {}
    for name in ("train", "val", "test"):
        regions = split.regions(name)
        both = [*GridSceneSampler(pairs, 24, regions=regions), *RandomSceneSampler(pairs, 24, length=40, regions=regions)]
        places[name] = [shapely.box(x.start, y.start, x.stop, y.stop) for x, y, _ in both]
        assert all(split.split_of(box.bounds) == name for box in places[name])
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert min(a.distance(b) for a in places[one] for b in places[other]) >= 80


def test_filters_keep_what_their_bounds_say(pairs: ScenePairs) -> None:
    clear = list(GridSceneSampler(pairs, 64, keep=ShareFilter(pairs, max_cloud=0.0)))
    cloudy = list(GridSceneSampler(pairs, 64, keep=ShareFilter(pairs, min_cloud=0.5)))
    assert (len(clear), len(cloudy)) == (6, 3)
    assert all(shares_of(pairs[patch]) == PatchShares(cloud=0.0, valid=1.0, sar=1.0) for patch in clear)
    with pytest.raises(NoPatchError, match="pass the filter"):
        GridSceneSampler(pairs, 64, keep=lambda _: False)
    with pytest.raises(NoPatchError, match="200 draws in a row"):
        list(RandomSceneSampler(pairs, 64, length=1, keep=lambda _: False))
    with pytest.raises(NoPatchError, match="must fit into a scene"):
        GridSceneSampler(pairs, 161)
    assert len(list(GridSceneSampler(pairs, 160))) == 2


def test_a_pixel_is_seen_by_sentinel_1_when_every_band_is_and_dates_are_averaged() -> None:
    sar = torch.zeros(2, 2, 4, 4)
    sar[0, 0, 0], sar[1, 1, 1] = torch.nan, torch.nan  # a row of one band on each date
    meta: Any = {}
    assert shares_of({"sar": sar, "valid_mask": torch.ones(4, 4, dtype=torch.bool), "meta": meta}).sar == 0.75


def test_bounds_on_shares_are_checked() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        ShareFilter(None, min_valid=1.5)
    with pytest.raises(InputError, match="must not exceed"):
        ShareFilter(None, min_cloud=0.6, max_cloud=0.5)
    unknown = PatchShares(cloud=float("nan"), valid=0.5, sar=0.4)
    assert within(unknown, min_valid=0.5, min_sar=0.4)
    assert not within(unknown, min_sar=0.41)
    with pytest.raises(InputError, match="needs samples with a cloud mask"):
        within(unknown, max_cloud=0.9)


def test_a_filter_remembers_so_many_patches_and_no_more(pairs: ScenePairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.data.shares.MOST_REMEMBERED", 3)
    keep = ShareFilter(pairs, min_valid=0.0)
    kept = list(GridSceneSampler(pairs, 64, keep=keep))
    assert len(kept) > 3
    assert 1 <= len(keep._known) <= 3


def test_sar_that_covers_a_part_is_told_by_share_and_mask(tmp_path: Path) -> None:
    write_s2(tmp_path / "s2" / "S2_20230813.tif")
    write_s1(tmp_path / "s1" / "S1_20230812.tif", Place(left=500000, size=(160, 100)))
    pairs = open_pairs(tmp_path)
    sample = validate_sample(pairs[slice(500800, 501120), slice(5299000, 5299320), pairs.bounds[2]])
    shares = shares_of(sample)
    assert shares.sar == shares.valid == pytest.approx(20 / 32)
    assert torch.isnan(sample["sar"][..., 20:]).all()
    kept = [*GridSceneSampler(pairs, 32, keep=ShareFilter(pairs, min_sar=1.0))]
    assert kept
    assert all(x.stop <= 501000 for x, _, _ in kept)


def test_each_place_gets_the_overflight_nearest_in_time(tmp_path: Path) -> None:
    write_s2(tmp_path / "s2" / "S2_20230813T100559.tif")
    write_s1(tmp_path / "s1" / "near_20230814T053000.tif", Place(size=(160, 96)), add=1)
    write_s1(tmp_path / "s1" / "far_20230810T053000.tif", add=2)
    write_s1(tmp_path / "s1" / "farframe_20230810T053025.tif", Place(top=5300000 - 800, size=(160, 192)), add=2)
    write_s1(tmp_path / "s1" / "toofar_20230701T053000.tif", add=3)
    pairs = open_pairs(tmp_path)
    assert [Path(row[0]).name[:4] for row in pairs.index.sar] == ["near", "far_"]
    assert [len(row) for row in pairs.index.sar] == [1, 2]
    assert pairs.index.sar_days.round(2).tolist() == [0.81, 3.19]
    assert shapely.union_all(pairs.index.geometry).area == pytest.approx(1600 * 1920)
    assert pairs.index.geometry.iloc[0].intersection(pairs.index.geometry.iloc[1]).area == 0
    patches = list(GridSceneSampler(pairs, 32))
    assert len(patches) == 5 * 6
    names = [Path(pairs[patch]["meta"]["paths"]["sar"][0]).name[:4] for patch in patches]
    assert names.count("near") == 15


@pytest.mark.parametrize(("max_days", "count"), [(0.5, 0), (1, 0), (2, 1), (None, 1)])
def test_max_days_is_a_bound_in_days(root: Path, max_days: float | None, count: int) -> None:
    cloudy, sar = Sentinel2Scenes(root / "s2"), Sentinel1Scenes(root / "s1")
    if count:
        assert len(ScenePairs(cloudy, sar, max_days=max_days)) == count
    else:
        with pytest.raises(GeoreferenceError, match=r"the nearest lies 1\.2 days away: raise --max-days"):
            ScenePairs(cloudy, sar, max_days=max_days)


def test_scenes_without_partners_are_named(root: Path, tmp_path: Path) -> None:
    make_scenes(tmp_path, clear=False, masks=False)
    write_s2(tmp_path / "s2" / "S2_20240101.tif")
    pairs = open_pairs(tmp_path)
    assert len(pairs) == 1
    assert pairs.unmatched == {str(tmp_path / "s2" / "S2_20240101.tif"): "no Sentinel-1 of its place within 5 days"}
    with pytest.raises(InputError, match="0 or more"):
        ScenePairs(pairs.cloudy, pairs.sar, max_days=-1)
    with pytest.raises(InputError, match="needs the time of every image"):
        ScenePairs(pairs.cloudy, Sentinel1Scenes(root / "s1", acquired=lambda _: None))
    with pytest.raises(UnitsError, match="same bands"):
        ScenePairs(pairs.cloudy, pairs.sar, Sentinel2Scenes(root / "s2_clear", bands=("B02",)))
    elsewhere = Sentinel1Scenes(write_s1(tmp_path / "S1_20230813.tif", Place(left=600000)))
    with pytest.raises(GeoreferenceError, match="none of them overlaps"):
        ScenePairs(pairs.cloudy, elsewhere)
    with pytest.raises(InputError, match="options of scenes"):
        open_pairs(root, colour="red")
    with pytest.raises(RasterNotFoundError, match="s2"):
        open_pairs(tmp_path / "nothing")


@given(
    days=st.lists(st.floats(-20, 20), min_size=1, max_size=6),
    boxes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9)), min_size=6, max_size=6),
    max_days=st.floats(0, 20),
)
def test_ground_is_shared_out_once_and_to_the_nearest(days: list[float], boxes: list[tuple[int, int, int]], max_days: float) -> None:
    import pandas as pd

    when = pd.Timestamp("2023-08-13")
    candidates = [
        Candidate(paths=(str(number),), when=when + pd.Timedelta(days=day), geometry=shapely.box(x, y, x + side, y + side))
        for number, (day, (x, y, side)) in enumerate(zip(days, boxes, strict=False))
    ]
    ground = shapely.box(0, 0, 10, 10)
    pieces = share_ground(ground, when, candidates, max_days=max_days)
    assert sum(piece.geometry.area for piece in pieces) == pytest.approx(shapely.union_all([piece.geometry for piece in pieces]).area)
    assert all(piece.days <= max_days for piece in pieces)
    for x, y in ((0.5, 0.5), (4.5, 4.5), (7.5, 2.5), (9.5, 9.5)):
        point = shapely.Point(x, y)
        near = [abs((item.when - when) / pd.Timedelta(days=1)) for item in candidates if item.when and item.geometry.contains(point)]
        near = [day for day in near if day <= max_days]
        mine = [piece.days for piece in pieces if piece.geometry.contains(point)]
        assert mine == (pytest.approx([min(near)]) if near else [])


def test_another_crs_and_resolution_for_all(root: Path) -> None:
    pairs = open_pairs(root, crs=CRS.from_epsg(3035), res=20.0)
    sample = validate_sample(pairs[next(iter(RandomSceneSampler(pairs, 32, length=1, seed=4)))])
    assert sample["valid_mask"].float().mean() > 0.9
    grid = sample["meta"]["grid"]
    assert grid is not None
    assert grid.crs == CRS.from_epsg(3035)
    seen = torch.isfinite(sample["cloudy"][0]) & torch.isfinite(sample["clear"])
    assert torch.allclose((sample["cloudy"][0] - sample["clear"])[seen], torch.tensor(0.2), atol=3e-4)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_collates_samples_with_their_meta(pairs: ScenePairs, workers: int) -> None:
    loader = DataLoader(
        pairs, sampler=RandomSceneSampler(pairs, 32, length=4), batch_size=2, num_workers=workers, collate_fn=collate_samples
    )  # type: ignore[arg-type]
    batches = list(loader)
    assert [tuple(batch["sar"].shape) for batch in batches] == [(2, 1, 2, 32, 32)] * 2
    assert all(len(batch["meta"]) == 2 for batch in batches)


def test_masks_on_the_fly_agree_with_those_of_the_command_line(root: Path) -> None:
    from geocr.clouds.selection import make_cloud_mask
    from geocr.core.types import Window
    from geocr.io.open import open_scene

    pairs = open_pairs(root, cloud_mask="rule")
    scene = open_scene(pairs.index.cloudy.iloc[0])
    expected = make_cloud_mask(scene, "rule").read(Window(row=16, col=32, height=64, width=64))
    sample = pairs[slice(500320, 500960), slice(5299200, 5299840), pairs.bounds[2]]
    np.testing.assert_array_equal(sample["cloud_mask"][0].numpy(), expected)
    with pytest.raises(InputError, match="cloud masks come from one of auto"):
        open_pairs(root, cloud_mask="guess")


@pytest.mark.real_data
def test_real_scenes_at_both_ends_of_a_tile(real_data: Path) -> None:
    cloudy = Sentinel2Scenes(real_data / "s1s2_rgb_1024" / "s2_rgb", s2_bands=("B04", "B03", "B02"))
    sar = Sentinel1Scenes(real_data / "s1s2_rgb_1024" / "s1_vh", s1_units="display", bands=("VH",))
    pairs = ScenePairs(cloudy, sar, max_days=40)
    assert not pairs.unmatched
    for patch in RandomSceneSampler(pairs, 128, length=5, seed=2):
        sample = validate_sample(pairs[patch])
        assert sample["meta"]["sar_unit"] == sample["meta"]["optical_unit"] == "display"
        assert sample["valid_mask"].float().mean() > 0.5


def test_masks_follow_to_another_grid_wherever_the_patch_lies(tmp_path: Path) -> None:
    place = Place(size=(160, 192))
    root = make_scenes(tmp_path / "place", place=place)  # cloud over the 64 columns in the west
    pairs = open_pairs(root, res=4.0)
    for west, south in ((place.left + 500, place.top - 1500), (place.left + 600, place.top - 300), (place.left, place.top - 1600)):
        sample = pairs[west : west + 200, south : south + 200]
        grid = sample["meta"]["grid"]
        assert grid is not None
        centres = grid.transform.c + (np.arange(grid.shape[1]) + 0.5) * grid.transform.a
        expected = np.broadcast_to(centres < place.left + 640, grid.shape)
        assert (sample["cloud_mask"][0].numpy() == expected).all()
        assert 0 < expected.mean() <= 1
