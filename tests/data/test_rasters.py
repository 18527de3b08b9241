import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples

from geocr.core.errors import BandError, RasterNotFoundError, RasterReadError, UnitsError
from geocr.data.samplers import GridSceneSampler
from geocr.data.sentinel import Sentinel1Scenes, Sentinel2Scenes
from tests.data_makers.scenes import UTM, Place, centres, surface, write, write_s1, write_s2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes")
    write_s2(root / "s2" / "S2_20230813T100559.tif")
    write_s1(root / "s1" / "S1_20230812T053000.tif", Place(left=499000, top=5300500, size=(150, 170), res=20.0))
    return root


def query(dataset: RasterDataset, left: float, top: float, px: int, res: float = 10.0) -> tuple[slice, slice, slice]:
    _, _, t = dataset.bounds
    return slice(left, left + px * res), slice(top - px * res, top), slice(t.start, t.stop)


def test_an_unwarped_patch_is_the_files_own_pixels_in_reflectance(folder: Path) -> None:
    dataset = Sentinel2Scenes(folder / "s2")
    sample = dataset[query(dataset, 500100, 5299900, 32)]
    with rasterio.open(folder / "s2" / "S2_20230813T100559.tif") as source:
        dn = source.read(window=((10, 42), (10, 42)))
    assert isinstance(dataset, RasterDataset)
    assert sample["optical"].dtype == torch.float32
    np.testing.assert_array_equal(sample["optical"].numpy(), dn.astype(np.float32) * np.float32(1e-4))
    assert sample["optical_valid"].all()
    np.testing.assert_array_equal(sample["transform"].numpy()[:6], (10, 0, 500100, 0, -10, 5299900))


def test_backscatter_is_warped_bilinearly_in_power_onto_the_finer_grid(folder: Path) -> None:
    cloudy = Sentinel2Scenes(folder / "s2")
    sar = Sentinel1Scenes(folder / "s1")
    sar.lattice = cloudy.lattice
    place = Place(left=500200, top=5299800, size=(64, 64))
    sample = sar[query(sar, place.left, place.top, 64)]
    x, y = centres(place)
    for band in range(2):
        expected = -25 + 40 * surface(x, y, 20 + band)
        error = np.abs(sample["sar"][band].numpy() - expected)
        assert error.max() < 0.03
    nearest = -25 + 40 * surface(np.floor(x / 20) * 20 + 10, np.floor(y / 20) * 20 + 10, 20)
    assert np.abs(nearest - (-25 + 40 * surface(x, y, 20))).max() > 0.15  # what nearest neighbour would give


@settings(max_examples=15)
@given(row=st.integers(-20, 150), col=st.integers(-20, 180), px=st.integers(1, 40), cut=st.integers(1, 39))
def test_a_pixel_does_not_depend_on_the_patch_it_is_read_in(row: int, col: int, px: int, cut: int) -> None:
    dataset = _warped()
    left, top = 500000 + 12.0 * col, 5300000 - 12.0 * row
    whole = dataset.read(list(dataset.entries), dataset.lattice.snapped(slice(left, left + 12.0 * (px + cut)), slice(top - 12.0 * px, top)))
    first = dataset.read(list(dataset.entries), dataset.lattice.snapped(slice(left, left + 12.0 * cut), slice(top - 12.0 * px, top)))
    np.testing.assert_array_equal(whole[:, :, :cut], first)


_CACHE: list[Sentinel2Scenes] = []


def _warped() -> Sentinel2Scenes:
    if not _CACHE:
        raise AssertionError("made by the fixture below")
    return _CACHE[0]


@pytest.fixture(scope="module", autouse=True)
def _make_warped(folder: Path) -> None:
    _CACHE[:] = [Sentinel2Scenes(folder / "s2", crs=CRS.from_epsg(3857), res=12.0, bands=("B04", "B8A"))]
    dataset = _CACHE[0]
    x, y, _ = dataset.bounds
    # the test speaks of the first scene's corner: move the lattice's words there
    dataset._anchor = (float(x.start), float(y.stop))


def test_another_crs_gives_the_same_ground(folder: Path) -> None:
    dataset = Sentinel2Scenes(folder / "s2", crs=CRS.from_epsg(3857), res=15.0, bands=("B08",))
    x, y, t = dataset.bounds
    middle_x, middle_y = (x.start + x.stop) / 2, (y.start + y.stop) / 2
    sample = dataset[slice(middle_x, middle_x + 240), slice(middle_y, middle_y + 240), t]
    from rasterio.warp import transform

    affine = sample["transform"].numpy()
    cols, rows = np.meshgrid(np.arange(16) + 0.5, np.arange(16) + 0.5)
    xs, ys = transform(CRS.from_epsg(3857), UTM, (affine[2] + cols * affine[0]).ravel(), (affine[5] + rows * affine[4]).ravel())
    expected = surface(np.array(xs).reshape(16, 16), np.array(ys).reshape(16, 16), 7)
    assert np.abs(sample["optical"][0].numpy() - expected).max() < 1e-3


def test_validity_is_a_mask_and_zero_is_only_its_fill(tmp_path: Path) -> None:
    values = np.full((2, 64, 64), -10, np.float32)
    values[:, :, :16] = np.nan
    values[0, :, 16:32] = np.nan
    write(tmp_path / "S1_20230101.tif", values, Place(size=(64, 64)), names=("VV", "VH"), nodata=float("nan"))
    dataset = Sentinel1Scenes(tmp_path)
    sample = dataset[query(dataset, 499900, 5300100, 64)]
    assert not sample["sar_valid"][:10].any()
    assert not sample["sar_valid"][10:, : 10 + 16].any()
    assert sample["sar_valid"][10:, 26:].all()
    assert (sample["sar"][0, 10:, 26:42] == 0).all()
    assert torch.allclose(sample["sar"][1, 10:, 26:42], torch.tensor(-10.0))


def test_a_band_that_is_zero_by_right_is_observed(tmp_path: Path) -> None:
    values = np.full((13, 32, 32), 1500, np.uint16)
    values[10] = 0
    values[:, :4] = 0
    write(tmp_path / "S2_20230101.tif", values, Place(size=(32, 32)), names=("",) * 13, nodata=0)
    dataset = Sentinel2Scenes(tmp_path)
    sample = dataset[query(dataset, 500000, 5300000, 32)]
    assert not sample["optical_valid"][:4].any()
    assert sample["optical_valid"][4:].all()
    assert np.isfinite(dataset.read(list(dataset.entries), dataset.lattice.snapped(slice(500000, 500320), slice(5299680, 5299960)))).all()


def test_linear_backscatter_comes_out_in_db(tmp_path: Path) -> None:
    write(tmp_path / "S1_20230101.tif", np.full((2, 64, 64), 0.1, np.float32), Place(size=(64, 64)), names=("VV", "VH"))
    dataset = Sentinel1Scenes(tmp_path)
    assert dataset.units == "db"
    assert torch.allclose(dataset[query(dataset, 500000, 5300000, 8)]["sar"], torch.tensor(-10.0))


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # torchgeo 0.10 on pandas 3.1
def test_modalities_stay_apart_in_torchgeos_own_intersection(folder: Path) -> None:
    both = Sentinel2Scenes(folder / "s2", acquired=lambda _: None) & Sentinel1Scenes(folder / "s1", acquired=lambda _: None)
    sample = both[query(both, 500100, 5299900, 16)]
    assert sample["optical"].shape == (13, 16, 16)
    assert sample["sar"].shape == (2, 16, 16)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("collate", [None, stack_samples])
def test_a_loader_stacks_patches(folder: Path, workers: int, collate: object) -> None:
    dataset = Sentinel2Scenes(folder / "s2", bands=("B02",))
    dataset[query(dataset, 500100, 5299900, 16)]  # a handle open before the fork must not be used after it
    loader = DataLoader(dataset, sampler=GridSceneSampler(dataset, 64), batch_size=3, num_workers=workers, collate_fn=collate)
    batches = list(loader)
    assert sum(batch["optical"].shape[0] for batch in batches) == 9
    assert all(batch["optical"].shape[1:] == (1, 64, 64) for batch in batches)
    assert all(batch["optical_valid"].all() for batch in batches)


def test_a_dataset_travels_by_pickle(folder: Path) -> None:
    dataset = Sentinel1Scenes(folder / "s1")
    place = query(dataset, 499500, 5300100, 8, 20.0)
    again = pickle.loads(pickle.dumps(dataset))  # noqa: S301
    assert torch.equal(dataset[place]["sar"], again[place]["sar"])


def test_wrong_input_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RasterNotFoundError, match="nothing at"):
        Sentinel2Scenes(tmp_path / "none")
    with pytest.raises(RasterNotFoundError, match="at least one raster"):
        Sentinel2Scenes(tmp_path)
    with pytest.raises(BandError, match=r"lacks B99"):
        Sentinel2Scenes(folder / "s2", bands=("B99",))
    dataset = Sentinel2Scenes(folder / "s2")
    with pytest.raises(IndexError, match="must meet a file"):
        dataset[query(dataset, 0, 0, 8)]
    (tmp_path / "S1_20230101.tif").write_bytes(b"not a raster")
    with pytest.raises(RasterReadError, match=r"S1_20230101\.tif"):
        Sentinel1Scenes(tmp_path)
    with pytest.raises(RasterNotFoundError, match="all 1 were skipped"):
        Sentinel1Scenes(tmp_path, on_error="skip")
    write_s1(tmp_path / "S1_20230102.tif")
    skipping = Sentinel1Scenes(tmp_path, on_error="skip")
    assert list(skipping.skipped) == [str(tmp_path / "S1_20230101.tif")]
    assert len(skipping) == 1


def test_pictures_and_measurements_do_not_mix(tmp_path: Path) -> None:
    write_s2(tmp_path / "S2_20230101.tif", bands=("B04", "B03", "B02"))
    picture = write(tmp_path / "x_20230102.tif", np.full((3, 64, 64), 128, np.uint8), Place(size=(64, 64)), names=("B04", "B03", "B02"))
    dataset = Sentinel2Scenes(picture)
    assert dataset.units == "display"
    assert dataset[query(dataset, 500000, 5300000, 8)]["optical"].max() == 128
    with pytest.raises(UnitsError, match="share their units"):
        Sentinel2Scenes(tmp_path)


@pytest.mark.real_data
def test_real_files_of_four_kinds(real_data: Path) -> None:
    sar = Sentinel1Scenes(sorted((real_data / "sen1floods11_spain_512").glob("*S1*.tif")))
    assert sar.units == "db"
    assert -40 < float(sar[sar.bounds]["sar"].mean()) < 5
    assert sar.bands == ("VV", "VH")
    display = Sentinel2Scenes(real_data / "s1s2_rgb_1024" / "s2_rgb", s2_bands=("B04", "B03", "B02"))
    assert display.units == "display"
    assert len(display) == 22
    assert display.entries[display.files[0]].acquired is not None
    terramesh = Sentinel2Scenes(real_data / "terramesh_224" / "S2L1C")
    assert terramesh.units == "reflectance"
    assert len(terramesh.bands) == 13


def test_backscatter_on_the_lattice_is_read_as_it_is(tmp_path: Path) -> None:
    values = np.linspace(-30, 5, 2 * 64 * 64, dtype=np.float32).reshape(2, 64, 64)
    values[0, :3] = -np.inf
    values[1, 3:5] = -9999
    write(tmp_path / "S1_20230101.tif", values, Place(size=(64, 64)), names=("VV", "VH"), nodata=-9999)
    dataset = Sentinel1Scenes(tmp_path)
    grid = dataset.lattice.snapped(slice(500000, 500640), slice(5299360, 5300000))
    read = dataset.read(dataset.files, grid)
    seen = np.isfinite(values) & (values != -9999)
    np.testing.assert_array_equal(read[seen], values[seen])
    assert np.isnan(read[~seen]).all()
    with rasterio.open(tmp_path / "S1_20230101.tif", "r+") as target:
        target.scales = (0.5, 0.5)
    np.testing.assert_array_equal(Sentinel1Scenes(tmp_path).read(dataset.files, grid)[seen], values[seen] * 0.5)


def test_the_crs_can_be_changed_as_in_torchgeo(folder: Path) -> None:
    dataset = Sentinel2Scenes(folder / "s2", bands=("B08",))
    dataset.crs = CRS.from_epsg(3857)
    dataset.res = 15.0
    other = Sentinel2Scenes(folder / "s2", bands=("B08",), crs=CRS.from_epsg(3857), res=15.0)
    x, y, t = other.bounds
    place = (slice(x.start + 300, x.start + 540), slice(y.start + 300, y.start + 540), t)
    assert torch.allclose(dataset[place]["optical"], other[place]["optical"], atol=2e-2)
    assert dataset[place]["optical_valid"].all()


def test_where_files_overlap_the_earliest_that_observed_a_pixel_counts(tmp_path: Path) -> None:
    early, late = Place(size=(64, 100)), Place(left=500600.0, size=(64, 100))  # 40 columns in common
    write_s2(tmp_path / "S2_20230801.tif", early)
    write_s2(tmp_path / "S2_20230805.tif", late, add=0.3)
    dataset = Sentinel2Scenes(tmp_path, bands=("B02",))
    image = dataset[500400.0:501400.0, early.top - 640 : early.top]["optical"][0].numpy()
    x, y = centres(Place(left=500400.0, size=(64, 100)))
    expected = surface(x, y, 1) + np.where(x < 501000, 0, 0.3)
    assert np.abs(image - expected).max() < 1e-4
