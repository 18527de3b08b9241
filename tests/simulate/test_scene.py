from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy import ndimage

from geocr.clouds.synthesize import CloudSpec
from geocr.core.bands import L1C_BANDS
from geocr.core.errors import BandError, InputError, OutputWriteError
from geocr.core.types import FloatArray
from geocr.io.open import open_scene
from geocr.simulate.landscape import LandCover
from geocr.simulate.scene import SimulatedScene, simulate_scene, write_scene


@pytest.fixture(scope="module")
def scene() -> SimulatedScene:
    return simulate_scene(shape=(256, 192), seed=4, cloud_cover=0.35)


def band(scene: SimulatedScene, name: str) -> FloatArray:
    return scene.clear[scene.bands.index(name)]


def correlation(one: FloatArray, other: FloatArray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_same_seed_same_bytes_other_seed_other_place() -> None:
    first, again, other = (simulate_scene(shape=(96, 80), seed=seed, bands=("B02", "B10"), nodata_wedge=True) for seed in (1, 1, 2))
    for name in ("clear", "cloudy", "sar_db", "cloud_mask", "shadow_mask", "valid", "land_cover"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert first.clear.tobytes() != other.clear.tobytes()
    assert first.sar_db.tobytes() != other.sar_db.tobytes()


def test_shapes_dtypes_and_ranges(scene: SimulatedScene) -> None:
    assert scene.clear.shape == scene.cloudy.shape == (13, 256, 192)
    assert scene.sar_db.shape == (2, 256, 192)
    assert {a.dtype for a in (scene.clear, scene.cloudy, scene.sar_db)} == {np.dtype("float32")}
    assert scene.cloud_mask.dtype == scene.shadow_mask.dtype == scene.valid.dtype == bool
    assert scene.clear.min() > 0
    assert scene.cloudy.max() < 1.2
    assert scene.valid.all()
    assert np.isfinite(scene.sar_db).all()


@pytest.mark.parametrize("cover", [0.0, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("wedge", [False, True])
def test_cover_is_that_of_the_observed_pixels(cover: float, wedge: bool) -> None:
    scene = simulate_scene(shape=(96, 96), seed=0, cloud_cover=cover, bands=("B04",), nodata_wedge=wedge)
    assert scene.cloud_mask[scene.valid].mean() == pytest.approx(cover, abs=1e-3)
    assert scene.valid.all() != wedge


def test_clear_pixels_equal_the_truth_and_masks_are_apart(scene: SimulatedScene) -> None:
    clear = ~(scene.cloud_mask | scene.shadow_mask)
    assert scene.cloudy[:, clear].tobytes() == scene.clear[:, clear].tobytes()
    assert not (scene.cloud_mask & scene.shadow_mask).any()
    assert scene.cloudy[1, scene.cloud_mask].mean() > scene.clear[1, scene.cloud_mask].mean() + 0.1
    assert scene.cloudy[7, scene.shadow_mask].mean() < 0.7 * scene.clear[7, scene.shadow_mask].mean()


def test_the_ground_and_its_backscatter_do_not_depend_on_the_clouds() -> None:
    few, many = (simulate_scene(shape=(80, 80), seed=3, cloud_cover=cover, bands=("B03",)) for cover in (0.05, 0.8))
    assert few.sar_db.tobytes() == many.sar_db.tobytes()
    assert few.clear.tobytes() == many.clear.tobytes()


def test_a_subset_of_bands_is_the_same_scene(scene: SimulatedScene) -> None:
    part = simulate_scene(shape=(256, 192), seed=4, cloud_cover=0.35, bands=("nir", "B2"))
    assert part.bands == ("B08", "B02")
    assert part.cloudy.tobytes() == scene.cloudy[[7, 1]].tobytes()


def test_every_cover_is_there(scene: SimulatedScene) -> None:
    share = {cover: float((scene.land_cover == cover).mean()) for cover in LandCover}
    assert share[LandCover.CROP] > 0.4
    assert share[LandCover.FOREST] > 0.1
    assert min(share.values()) > 0.008


def test_spectra_are_those_of_their_covers(scene: SimulatedScene) -> None:
    cover = scene.land_cover
    nir, red = band(scene, "B08"), band(scene, "B04")
    ndvi = (nir - red) / (nir + red)
    forest_core, bare_core = (ndimage.binary_erosion(cover == kind) for kind in (LandCover.FOREST, LandCover.BARE))
    assert ndvi[forest_core].mean() > 0.6
    assert ndvi[bare_core].mean() < 0.35
    water = cover == LandCover.WATER
    for name in ("B08", "B11", "B12"):
        values = band(scene, name)
        assert np.median(values[water]) < 0.06
        assert np.median(values[water]) < 0.4 * np.median(values[~water])
    forest = scene.clear[:, forest_core].mean(axis=1)
    rise = dict(zip(L1C_BANDS, forest, strict=True))
    assert rise["B04"] < rise["B05"] < rise["B06"] < rise["B07"] < rise["B8A"]  # the red edge
    assert rise["B12"] < rise["B11"] < rise["B8A"]
    bare = dict(zip(L1C_BANDS, scene.clear[:, bare_core].mean(axis=1), strict=True))
    assert bare["B11"] > bare["B8A"] > bare["B04"] > 0.08
    assert band(scene, "B10").max() < 0.005
    assert 0.2 < band(scene, "B09").mean() / band(scene, "B8A").mean() < 0.4
    assert band(scene, "B01").min() > 0.08  # the air's own light


def test_visible_bands_go_together_and_not_with_the_infrared(scene: SimulatedScene) -> None:
    assert correlation(band(scene, "B04"), band(scene, "B03")) > 0.9
    assert correlation(band(scene, "B11"), band(scene, "B12")) > 0.85
    assert abs(correlation(band(scene, "B04"), band(scene, "B08"))) < 0.6


def test_nodata_wedge_is_empty_in_the_optical_image_only() -> None:
    scene = simulate_scene(shape=(96, 128), seed=0, bands=("B02", "B03"), nodata_wedge=True)
    assert 0.03 < (~scene.valid).mean() < 0.12
    assert np.isnan(scene.clear[:, ~scene.valid]).all()
    assert np.isnan(scene.cloudy[:, ~scene.valid]).all()
    assert np.isfinite(scene.cloudy[:, scene.valid]).all()
    assert not (scene.cloud_mask | scene.shadow_mask)[~scene.valid].any()
    assert np.isfinite(scene.sar_db).all()


def test_sort_of_clouds_and_sun_are_passed_on() -> None:
    asked = CloudSpec(cover=0.9, thick_share=0.0, cirrus_share=1.0, size_m=300)
    scene = simulate_scene(shape=(80, 80), cloud_cover=0.4, bands=("B10",), clouds=asked, sun_azimuth_deg=100.0, sun_zenith_deg=50.0)
    assert scene.cloud_mask.mean() == pytest.approx(0.4, abs=1e-3)
    assert not scene.shadow_mask.any()
    assert scene.cloudy[0, scene.cloud_mask].mean() > 3 * scene.clear.mean()
    assert (scene.sun_zenith_deg, scene.sun_azimuth_deg) == (50.0, 100.0)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="at least 64"):
        simulate_scene(shape=(63, 100))
    with pytest.raises(InputError, match="seed"):
        simulate_scene(shape=(64, 64), seed=-1)
    with pytest.raises(InputError, match="cover"):
        simulate_scene(shape=(64, 64), cloud_cover=1.5)
    with pytest.raises(BandError, match="B13"):
        simulate_scene(shape=(64, 64), bands=("B13",))


@pytest.mark.parametrize(("scale", "offset"), [(1e-4, 0.0), (1e-4, -0.1), (5e-5, 0.0)])
def test_files_round_trip(tmp_path: Path, scale: float, offset: float) -> None:
    scene = simulate_scene(shape=(70, 101), seed=2, bands=("B02", "B08", "B10"), nodata_wedge=True, pixel_size_m=20.0)
    paths = write_scene(scene, tmp_path / "new" / "folder", scale=scale, offset=offset, seed=2)
    assert paths.truth is not None
    assert [p.name for p in (paths.s1, paths.s2, paths.truth, paths.mask)] == [
        "scene_s1.tif",
        "scene_s2.tif",
        "truth_s2.tif",
        "truth_mask.tif",
    ]
    for path in (paths.s1, paths.s2, paths.truth, paths.mask):
        with rasterio.open(path) as source:
            assert source.crs.to_epsg() == 32633
            assert source.transform == Affine(20, 0, 399960, 0, -20, 5300040)
            assert source.shape == (70, 101)
            assert source.block_shapes[0] == (512, 512)
            assert source.interleaving.name == "band" or source.count == 1
            assert source.compression.name == "zstd"
    with rasterio.open(paths.s2) as source, rasterio.open(paths.truth) as truth:
        assert source.descriptions == ("B02", "B08", "B10")
        assert set(source.scales) == {scale}
        assert set(source.offsets) == {offset}
        assert source.nodata == 0
        assert source.dtypes == ("uint16",) * 3
        assert float(source.tags()["MEAN_SUN_ZENITH_ANGLE"]) == scene.sun_zenith_deg
        assert float(source.tags()["MEAN_SUN_AZIMUTH_ANGLE"]) == scene.sun_azimuth_deg
        dn = source.read()
        clear = ~(scene.cloud_mask | scene.shadow_mask)
        assert (dn[:, clear] == truth.read()[:, clear]).all()
        assert ((dn == 0) == ~scene.valid).all()
        np.testing.assert_allclose((dn * scale + offset)[:, scene.valid], scene.cloudy[:, scene.valid], atol=0.501 * scale + 1e-6)
    with rasterio.open(paths.mask) as source:
        assert source.dtypes == ("uint8",)
        assert (source.read(1) == (scene.cloud_mask | scene.shadow_mask)).all()
    with rasterio.open(paths.s1) as source:
        assert source.descriptions == ("VV", "VH")
        assert np.isnan(source.nodata)
        assert source.read().tobytes() == scene.sar_db.tobytes()


def test_float_files_keep_reflectance_and_nan(tmp_path: Path) -> None:
    scene = simulate_scene(shape=(64, 64), bands=("B04",), nodata_wedge=True)
    paths = write_scene(scene, tmp_path, dtype="float32", scale=1.0)
    with rasterio.open(paths.s2) as source:
        assert np.isnan(source.nodata)
        np.testing.assert_array_equal(source.read(), scene.cloudy)


def test_written_files_open_as_a_scene_without_a_guess(tmp_path: Path) -> None:
    made = simulate_scene(shape=(64, 72), seed=5, bands=("B02", "B03", "B04", "B08"))
    paths = write_scene(made, tmp_path)
    scene = open_scene(str(paths.s2), str(paths.s1))
    assert scene.bands == made.bands
    assert [note.split(":")[0] for note in scene.notes] == [
        "Sentinel-1 is taken as dB",
        "The time between Sentinel-1 and Sentinel-2 is not known",
    ]
    np.testing.assert_allclose(scene.read_reflectance(scene.grid.window), made.cloudy, atol=5.1e-5)
    np.testing.assert_allclose(scene.read_sar(scene.grid.window), made.sar_db, atol=1e-4)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputWriteError, match="folder"):
        write_scene(simulate_scene(shape=(64, 64), bands=("B04",)), tmp_path / "file")
