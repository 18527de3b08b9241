import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from geocr.clouds import working
from geocr.clouds.selection import make_cloud_mask
from geocr.clouds.working import CoarseMask, WorkingGrid, plan_working_grid
from geocr.core.errors import InputError
from geocr.core.types import Window
from geocr.io.grid import SceneGrid
from tests.clouds.optical import disc, paint, scene_of
from tests.scenes import TRANSFORM, UTM

BANDS = ("B02", "B03", "B04", "B08", "B11")


def plan(shape: tuple[int, int], pixel_m: float = 10.0) -> WorkingGrid:
    return plan_working_grid(SceneGrid(crs=UTM, transform=Affine(pixel_m, 0, 5e5, 0, -pixel_m, 5e6), shape=shape))


@pytest.mark.parametrize(
    ("shape", "pixel_m", "factor"),
    [
        ((2048, 2048), 10, 1),
        ((2048, 2049), 10, 6),
        ((10980, 10980), 10, 6),
        ((5490, 5490), 20, 3),
        ((4096, 4096), 60, 1),
        ((4096, 4097), 60, 2),
        ((915, 915), 120, 1),
        ((3000, 3000), 120, 1),
        ((40000, 60000), 10, 12),
        ((3000, 3000), 25, 2),
    ],
)
def test_large_scenes_are_worked_on_at_60_m_or_coarser(shape: tuple[int, int], pixel_m: float, factor: int) -> None:
    grid = plan(shape, pixel_m)
    assert grid.factor == factor
    assert grid.resolution_m == pytest.approx(pixel_m * factor)
    assert grid.shape[0] * grid.shape[1] <= working.COARSE_PIXELS


@pytest.mark.parametrize("block_width", [256, 10_980])
def test_chunks_cover_each_pixel_once_in_bounded_memory(block_width: int) -> None:
    grid = plan((10_979, 10_980))
    pixels, squares = 0, np.zeros(grid.shape, np.uint8)
    for window, coarse in grid.chunks(bands=11, block_width=block_width):
        assert window.height * window.width * 11 <= working.CHUNK_VALUES
        assert (window.row, window.col) == (coarse.row * grid.factor, coarse.col * grid.factor)
        pixels += window.height * window.width
        squares[coarse.row : coarse.row_stop, coarse.col : coarse.col_stop] += 1
    assert pixels == 10_979 * 10_980
    assert (squares == 1).all()


def test_files_in_strips_are_read_in_full_rows() -> None:
    assert all(window.width == 10_980 for window, _ in plan((5000, 10_980)).chunks(bands=10, block_width=10_980))
    assert any(window.width < 10_980 for window, _ in plan((5000, 10_980)).chunks(bands=10, block_width=512))


def coarse(shape: tuple[int, int], factor: int, *, seed: int = 0) -> CoarseMask:
    grid = WorkingGrid(scene_shape=shape, factor=factor, resolution_m=10.0 * factor)
    return CoarseMask(source="rule", working=grid, cloud=np.random.default_rng(seed).random(grid.shape) < 0.4, facts={"threshold": 0.2})


def random_windows(shape: tuple[int, int], count: int) -> list[Window]:
    rng = np.random.default_rng(9)
    windows = []
    for _ in range(count):
        (top, bottom), (left, right) = (np.sort(rng.choice(size + 1, 2, replace=False)) for size in shape)
        windows.append(Window(row=int(top), col=int(left), height=int(bottom - top), width=int(right - left)))
    return windows


@pytest.mark.parametrize("factor", [1, 3, 7])
def test_any_window_of_a_coarse_mask_is_a_piece_of_the_whole(factor: int) -> None:
    shape = (53, 40)
    mask = coarse(shape, factor)
    whole = mask.read(Window(row=0, col=0, height=53, width=40))
    np.testing.assert_array_equal(whole, np.kron(mask.cloud, np.ones((factor, factor), bool))[:53, :40])
    for window in random_windows(shape, 60):
        np.testing.assert_array_equal(mask.read(window), whole[window.row : window.row_stop, window.col : window.col_stop])


def test_reading_gives_copies_and_threads_agree() -> None:
    mask = coarse((64, 64), 1)
    window = Window(row=0, col=0, height=64, width=64)
    whole = mask.read(window)
    mask.read(window)[:] = True
    np.testing.assert_array_equal(mask.read(window), whole)
    with ThreadPoolExecutor(4) as pool:
        for part in pool.map(mask.read, [window] * 16):
            np.testing.assert_array_equal(part, whole)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mask)).read(window), whole)  # noqa: S301 - our own bytes


@pytest.mark.parametrize("window", [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 54, 5), (50, 0, 4, 5), (0, 36, 5, 5)])
def test_windows_outside_the_scene_are_refused(window: tuple[int, int, int, int]) -> None:
    row, col, height, width = window
    with pytest.raises(InputError, match="inside its scene of 53 x 40 pixels"):
        coarse((53, 40), 3).read(Window(row=row, col=col, height=height, width=width))


def test_large_scenes_agree_with_their_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene painted in squares of 6 pixels gives the same mask at 60 m as its coarse copy gives natively."""
    small = disc((70, 80), (30, 40), 9)
    picture = paint(small.shape, BANDS, cloud=small)
    wide = np.kron(picture, np.ones((1, 6, 6)))[:, :417, :]
    monkeypatch.setattr(working, "NATIVE_PIXELS", 100_000)
    monkeypatch.setattr(working, "CHUNK_VALUES", 40_000)
    monkeypatch.setattr(working, "CHUNK_COLUMNS", 100)
    large = make_cloud_mask(scene_of(tmp_path, wide, BANDS, block=64), buffer_m=120)
    assert large.describe()["working_resolution_m"] == pytest.approx(60)
    assert any("squares of 6 x 6 pixels" in note for note in large.notes)
    folder = tmp_path / "coarse"
    folder.mkdir()
    copy = scene_of(folder, picture, BANDS, transform=TRANSFORM * Affine.scale(6))
    native = make_cloud_mask(copy, buffer_m=120).read(copy.grid.window)
    got = large.read(Window(row=0, col=0, height=417, width=480))
    np.testing.assert_array_equal(got, np.kron(native, np.ones((6, 6), bool))[:417])


def test_chunks_do_not_show_in_the_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(tmp_path, paint((120, 150), BANDS, cloud=disc((120, 150), (60, 70), 25)), BANDS, block=32)
    whole = make_cloud_mask(scene, buffer_px=2).read(scene.grid.window)
    monkeypatch.setattr(working, "CHUNK_VALUES", 1000)
    monkeypatch.setattr(working, "CHUNK_COLUMNS", 13)
    np.testing.assert_array_equal(make_cloud_mask(scene, buffer_px=2).read(scene.grid.window), whole)


def test_nodata_is_never_cloudy(tmp_path: Path) -> None:
    shape = (100, 100)
    cloud = disc(shape, (50, 50), 20)
    nodata = np.zeros(shape, bool)
    nodata[:, 55:] = True
    nodata[45, 45] = True
    scene = scene_of(tmp_path, paint(shape, BANDS, cloud=cloud), BANDS, nodata=nodata)
    found = make_cloud_mask(scene, buffer_px=5).read(scene.grid.window)
    assert not found[nodata].any()
    assert found[cloud & ~nodata].all()
    assert found[50, 29] | found[50, 28]  # the buffer goes on beside nodata


def test_a_dark_band_stored_as_zero_does_not_hide_a_pixel(tmp_path: Path) -> None:
    """Cirrus over clear land may be stored as 0, which reads as nodata; the pixel is still judged."""
    bands = ("B01", "B02", "B03", "B04", "B10", "B11")
    shape = (60, 60)
    picture = paint(shape, bands, cloud=disc(shape, (30, 30), 12))
    scene = scene_of(tmp_path, picture, bands)
    expected = make_cloud_mask(scene, "rule").read(scene.grid.window)
    import rasterio

    with rasterio.open(scene.optical.path, "r+") as dataset:
        dataset.write(np.zeros(shape, np.uint16), 5)
    again = scene_of(tmp_path, picture, bands)
    with rasterio.open(again.optical.path, "r+") as dataset:
        dataset.write(np.zeros(shape, np.uint16), 5)
    np.testing.assert_array_equal(make_cloud_mask(again, "rule").read(scene.grid.window), expected)


@pytest.mark.parametrize(("crs", "transform"), [(UTM, TRANSFORM), (CRS.from_epsg(4326), Affine(1.4e-4, 0, 15.0, 0, -9e-5, 47.0))])
def test_buffers_in_metres_and_pixels_agree(tmp_path: Path, crs: CRS, transform: Affine) -> None:
    cloud = disc((80, 80), (40, 40), 12)
    scene = scene_of(tmp_path, paint(cloud.shape, BANDS, cloud=cloud), BANDS, crs=crs, transform=transform)
    in_pixels = make_cloud_mask(scene, "rule", buffer_px=4)
    in_metres = make_cloud_mask(scene, "rule", buffer_m=4 * scene.grid.pixel_size_m)
    np.testing.assert_array_equal(in_pixels.read(scene.grid.window), in_metres.read(scene.grid.window))
    bare = make_cloud_mask(scene, "rule", buffer_px=0).read(scene.grid.window)
    from tests.clouds.test_morphology import brute_force

    np.testing.assert_array_equal(in_pixels.read(scene.grid.window), brute_force(bare, 4))


def test_default_buffer_is_60_m_and_at_least_a_working_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = disc((80, 80), (40, 40), 12)
    scene = scene_of(tmp_path, paint(cloud.shape, BANDS, cloud=cloud), BANDS)
    assert make_cloud_mask(scene).describe()["buffer_m"] == pytest.approx(60)
    monkeypatch.setattr(working, "NATIVE_PIXELS", 1000)
    assert make_cloud_mask(scene, buffer_px=1).describe()["buffer_m"] == pytest.approx(60)
    assert make_cloud_mask(scene, buffer_px=0).describe()["buffer_m"] == 0


def test_specks_smaller_than_60_m_squared_are_dropped(tmp_path: Path) -> None:
    bands = ("B02", "B03", "B04", "B08")
    cloud = disc((120, 120), (60, 60), 14)
    scene = scene_of(tmp_path, paint(cloud.shape, bands, cloud=cloud | disc((120, 120), (15, 15), 0.5)), bands)
    found = make_cloud_mask(scene, buffer_px=0, threshold=0.001).read(scene.grid.window)
    assert not found[:30, :30].any()
    assert found[60, 60]
