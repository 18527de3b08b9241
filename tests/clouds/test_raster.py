import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geocr.clouds.selection import make_cloud_mask
from geocr.core.errors import CloudMaskError, GeoreferenceError, InputError, RasterNotFoundError, RasterReadError
from geocr.core.types import BoolArray
from geocr.io.scene import Scene
from tests.clouds.optical import paint, scene_of
from tests.clouds.test_morphology import brute_force
from tests.clouds.test_working import random_windows
from tests.scenes import TRANSFORM, write_raster

SHAPE = (60, 70)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return scene_of(tmp_path, paint(SHAPE, ("B02", "B08")), ("B02", "B08"))


def classes(shape: tuple[int, int] = SHAPE, seed: int = 2) -> np.ndarray:
    return (
        np.random.default_rng(seed)
        .choice([2, 3, 4, 5, 6, 7, 8, 9, 10, 11], shape, p=[0.1, 0.01, 0.4, 0.2, 0.1, 0.1, 0.01, 0.01, 0.01, 0.06])
        .astype(np.uint8)
    )


def test_scl_clouds_are_classes_3_8_9_and_10(scene: Scene, tmp_path: Path) -> None:
    values = (np.arange(60 * 70) % 12).reshape(SHAPE).astype(np.uint8)
    mask = make_cloud_mask(scene, "scl", scl=write_raster(tmp_path / "scl.tif", values[None]), buffer_m=0)
    np.testing.assert_array_equal(mask.read(scene.grid.window), np.isin(values, (3, 8, 9, 10)))
    assert mask.source == "scl"
    assert mask.describe()["classes"] == [3, 8, 9, 10]
    assert any("3 (shadow), 8, 9 (cloud) and 10 (cirrus)" in note for note in mask.notes)


def test_scl_of_20_m_on_a_scene_of_10_m(scene: Scene, tmp_path: Path) -> None:
    values = classes((30, 35))
    path = write_raster(tmp_path / "scl.tif", values[None], transform=TRANSFORM * Affine.scale(2))
    mask = make_cloud_mask(scene, "scl", scl=path, buffer_px=0)
    np.testing.assert_array_equal(mask.read(scene.grid.window), np.kron(np.isin(values, (3, 8, 9, 10)), np.ones((2, 2), bool)))
    assert not any("cover" in note for note in mask.notes)


def test_scl_nodata_is_never_cloud_not_even_in_a_buffer(scene: Scene, tmp_path: Path) -> None:
    values = classes()
    values[:, 35:] = 0
    values[30, 34] = 9
    mask = make_cloud_mask(scene, scl=write_raster(tmp_path / "scl.tif", values[None]), buffer_px=3)
    found = mask.read(scene.grid.window)
    assert not found[:, 35:].any()
    np.testing.assert_array_equal(found[:, :35], brute_force(np.isin(values, (3, 8, 9, 10)), 3)[:, :35])


LATLON = CRS.from_epsg(4326)
LAYOUTS = {
    "aligned": (SHAPE, None, TRANSFORM),
    "twice as coarse": ((30, 35), None, TRANSFORM * Affine.scale(2)),
    "twice as fine": ((120, 140), None, TRANSFORM * Affine.scale(0.5)),
    "shifted by a third": ((80, 80), None, TRANSFORM * Affine.translation(-5.33, -4.67)),
    "half a pixel off": ((80, 80), None, TRANSFORM * Affine.translation(-5.5, -4.5)),
    "geographic": ((60, 60), LATLON, Affine(2.5e-4, 0, 14.9985, 0, -2e-4, 47.8575)),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("buffer_px", [0, 4])
def test_any_window_is_a_piece_of_the_whole(scene: Scene, tmp_path: Path, layout: str, buffer_px: int) -> None:
    shape, crs, transform = LAYOUTS[layout]
    values = (np.random.default_rng(4).random((1, *shape)) < 0.03).astype(np.uint8)
    path = write_raster(tmp_path / "mask.tif", values, transform=transform, **({} if crs is None else {"crs": crs}))
    mask = make_cloud_mask(scene, path, buffer_px=buffer_px)
    whole = mask.read(scene.grid.window)
    assert 0 < whole.mean() < 1
    for window in random_windows(SHAPE, 40):
        np.testing.assert_array_equal(mask.read(window), whole[window.row : window.row_stop, window.col : window.col_stop])
    bare = make_cloud_mask(scene, path, buffer_px=0).read(scene.grid.window)
    np.testing.assert_array_equal(whole, brute_force(bare, buffer_px))
    again = pickle.loads(pickle.dumps(mask))  # noqa: S301 - our own bytes
    with ThreadPoolExecutor(4) as pool:
        for part in pool.map(again.read, [scene.grid.window] * 8):
            np.testing.assert_array_equal(part, whole)


def read_file(scene: Scene, path: str) -> BoolArray:
    return make_cloud_mask(scene, path, buffer_m=0).read(scene.grid.window)


@pytest.mark.parametrize("offset", [0.0, 0.25])
def test_nodata_nan_and_zero_of_a_file_are_clear(scene: Scene, tmp_path: Path, offset: float) -> None:
    """Zeros stay clear where nodata is another value, warped or not."""
    values = np.zeros((1, *SHAPE), np.float32)
    values[0, :10], values[0, 10:20], values[0, 20:30], values[0, 30:40] = 1, 255, np.nan, -2
    expected = np.zeros(SHAPE, bool)
    expected[:10] = expected[30:40] = True
    transform = TRANSFORM * Affine.translation(offset, offset)
    path = write_raster(tmp_path / "mask.tif", values, nodata=255, transform=transform)
    np.testing.assert_array_equal(read_file(scene, path), expected)
    for nodata in (255, 0, None):
        whole = np.nan_to_num(values, nan=0).clip(0).astype(np.uint8)
        path = write_raster(tmp_path / "bytes.tif", whole, nodata=nodata, transform=transform)
        expected = (whole[0] != 0) & (whole[0] != 255 if nodata == 255 else True)
        np.testing.assert_array_equal(read_file(scene, path), expected)


def test_a_file_that_covers_a_part_is_clear_beyond_and_says_so(scene: Scene, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "mask.tif", np.ones((1, 20, 20), np.uint8), transform=TRANSFORM * Affine.translation(10, 15))
    mask = make_cloud_mask(scene, path, buffer_px=2)
    expected = np.zeros(SHAPE, bool)
    expected[15:35, 10:30] = True
    np.testing.assert_array_equal(mask.read(scene.grid.window), brute_force(expected, 2))
    assert any("does not cover the whole scene" in note for note in mask.notes)
    assert mask.source == "file"


def test_a_file_without_crs_but_the_scenes_size_is_taken_as_the_scenes(scene: Scene, tmp_path: Path) -> None:
    values = (np.random.default_rng(4).random((1, *SHAPE)) < 0.3).astype(np.uint8)
    path = write_raster(tmp_path / "mask.tif", values, crs=None, transform=Affine.identity())
    mask = make_cloud_mask(scene, path, buffer_m=0)
    np.testing.assert_array_equal(mask.read(scene.grid.window), values[0] != 0)
    assert any("its pixels are taken as the scene's" in note for note in mask.notes)
    odd = write_raster(tmp_path / "odd.tif", values[:, :-1], crs=None, transform=Affine.identity())
    with pytest.raises(GeoreferenceError, match=r"60 rows x 70 columns; .*odd.tif has no CRS and 59 x 70; write its CRS"):
        make_cloud_mask(scene, odd)


def test_several_bands_and_several_values_are_said(scene: Scene, tmp_path: Path) -> None:
    values = np.arange(2 * 60 * 70, dtype=np.uint16).reshape(2, *SHAPE) % 100
    mask = make_cloud_mask(scene, write_raster(tmp_path / "mask.tif", values), buffer_m=0)
    np.testing.assert_array_equal(mask.read(scene.grid.window), values[0] != 0)
    assert any("first of the 2 bands" in note for note in mask.notes)
    assert any("more than two values (such as 1 and 99)" in note for note in mask.notes)


def test_a_mask_of_another_place_is_refused(scene: Scene, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "mask.tif", np.ones((1, 20, 20), np.uint8), transform=TRANSFORM * Affine.translation(70, 0))
    with pytest.raises(GeoreferenceError, match=r"a mask must overlap the scene.*choose the mask of this scene"):
        make_cloud_mask(scene, path)
    one_in = write_raster(tmp_path / "edge.tif", np.ones((1, 20, 20), np.uint8), transform=TRANSFORM * Affine.translation(69, 0))
    assert make_cloud_mask(scene, one_in, buffer_m=0).read(scene.grid.window).sum() == 20


@pytest.mark.parametrize("values", [[0, 4, 12], [4, 9, 200], [0.5, 4, 9]])
def test_values_that_are_no_classes_are_refused(scene: Scene, tmp_path: Path, values: list[float]) -> None:
    field = np.random.default_rng(0).choice(values, (1, *SHAPE)).astype(np.float32)
    with pytest.raises(CloudMaskError, match=r"whole numbers from 0 to 11, got .*--cloud-mask FILE"):
        make_cloud_mask(scene, "scl", scl=write_raster(tmp_path / "scl.tif", field))


def test_a_stray_value_of_a_resampled_scl_is_clear(scene: Scene, tmp_path: Path) -> None:
    values = classes()
    values[5, 5] = 12
    found = make_cloud_mask(scene, "scl", scl=write_raster(tmp_path / "scl.tif", values[None]), buffer_m=0).read(scene.grid.window)
    np.testing.assert_array_equal(found, np.isin(values, (3, 8, 9, 10)))


def test_a_yes_no_mask_is_no_scene_classification(scene: Scene, tmp_path: Path) -> None:
    field = np.random.default_rng(0).choice([0, 1], (1, *SHAPE)).astype(np.uint8)
    with pytest.raises(CloudMaskError, match=r"looks like a mask; give it as --cloud-mask"):
        make_cloud_mask(scene, "scl", scl=write_raster(tmp_path / "scl.tif", field))
    assert not make_cloud_mask(scene, scl=write_raster(tmp_path / "scl.tif", field * 0)).read(scene.grid.window).any()


def test_files_that_are_not_there_or_no_rasters(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(
        RasterNotFoundError,
        match=r"one of auto, s2cloudless, scl, cldprb, omnicloudmask, rule, or the path of a mask raster or of a vector file, got 's2cloudles'",
    ):
        make_cloud_mask(scene, "s2cloudles")
    with pytest.raises(RasterNotFoundError, match=r"--scl: .*no such file"):
        make_cloud_mask(scene, scl=str(tmp_path / "absent.tif"))
    with pytest.raises(RasterNotFoundError, match=r"--scl: .*no such file"):
        make_cloud_mask(scene, "scl", scl=str(tmp_path / "absent.tif"))
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(RasterReadError, match="must be rasters"):
        make_cloud_mask(scene, str(tmp_path / "text.tif"))


def test_scl_without_a_file(scene: Scene) -> None:
    with pytest.raises(CloudMaskError, match="got none; give it as --scl FILE"):
        make_cloud_mask(scene, "scl")


def test_a_threshold_needs_a_score(scene: Scene, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "mask.tif", classes()[None])
    for options in ({"method": path}, {"method": "scl", "scl": path}):
        with pytest.raises(InputError, match=r"a threshold applies to detectors.*got 0.3"):
            make_cloud_mask(scene, threshold=0.3, **options)
