"""Another date on the scene's grid: the same pixel in every window, nodata that does not spread, and refusals."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject
from scipy.ndimage import binary_dilation

from geocr.core.errors import BandError, GeoreferenceError
from geocr.core.types import Window
from geocr.io.open import open_scene
from geocr.io.overlay import lay_over
from geocr.io.scene import Scene
from tests.scenes import TRANSFORM, UTM, write_raster

BANDS = ("B02", "B03", "B04")
SHAPE = (96, 110)


def target(folder: Path) -> Scene:
    path = write_raster(folder / "target.tif", np.full((3, *SHAPE), 500, np.uint16), nodata=0, descriptions=BANDS, scale=1e-4)
    return open_scene(path)


def smooth(shape: tuple[int, int]) -> NDArray[np.uint16]:
    rows, cols = np.indices(shape)
    return np.stack([1000 + 5 * rows + 3 * cols + 100 * np.sin(cols / 9 + band) for band in range(3)]).astype(np.uint16)


GRIDS: dict[str, dict[str, Any]] = {
    "shifted": {"transform": TRANSFORM * Affine.translation(-13, -7)},
    "between pixels": {"transform": TRANSFORM * Affine.translation(-3.3, -4.6)},
    "coarser": {"transform": TRANSFORM * Affine.translation(-5, -5) * Affine.scale(2.0)},
    "finer": {"transform": TRANSFORM * Affine.scale(0.5)},
    "other zone": {"crs": CRS.from_epsg(32632), "transform": Affine(10.0, 0.0, 948_000.0, 0.0, -10.0, 5_318_300.0)},
}


def reference(folder: Path, grid: str, shape: tuple[int, int] = (260, 300)) -> Scene:
    pixels = smooth(shape)
    pixels[:, 40:44, :] = 0
    pixels[1, :, 60:63] = 0  # a gap in one band alone
    path = write_raster(folder / f"{grid.replace(' ', '_')}.tif", pixels, nodata=0, descriptions=BANDS, scale=1e-4, block=64, **GRIDS[grid])
    return open_scene(path)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_pixel_does_not_depend_on_its_window(tmp_path: Path, grid: str) -> None:
    laid = lay_over(reference(tmp_path, grid), target(tmp_path), "other")
    whole = laid.read_reflectance(laid.grid.window)
    assert np.isfinite(whole).mean() > 0.3
    copy = pickle.loads(pickle.dumps(laid))  # noqa: S301 - our own bytes

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(row=st.integers(0, 95), col=st.integers(0, 109), height=st.integers(1, 96), width=st.integers(1, 110))
    def same(row: int, col: int, height: int, width: int) -> None:
        window = Window(row=row, col=col, height=min(height, SHAPE[0] - row), width=min(width, SHAPE[1] - col))
        np.testing.assert_array_equal(copy.read_reflectance(window), whole[:, row : window.row_stop, col : window.col_stop])

    same()


def test_a_shift_of_whole_pixels_moves_values_unchanged(tmp_path: Path) -> None:
    other = reference(tmp_path, "shifted")
    laid = lay_over(other, target(tmp_path), "other")
    expected = other.read_reflectance(Window(row=7, col=13, height=SHAPE[0], width=SHAPE[1]))
    np.testing.assert_allclose(laid.read_reflectance(laid.grid.window), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("grid", ["between pixels", "coarser"])
def test_it_agrees_with_rasterio(tmp_path: Path, grid: str) -> None:
    other = reference(tmp_path, grid)
    laid = lay_over(other, target(tmp_path), "other")
    source = np.where(other.read_dn(other.grid.window) == 0, np.nan, other.read_dn(other.grid.window)).astype(np.float32)
    expected = np.full((3, *SHAPE), np.nan, np.float32)
    for band in range(3):
        reproject(
            source[band],
            expected[band],
            src_transform=other.grid.transform,
            src_crs=UTM,
            dst_transform=TRANSFORM,
            dst_crs=UTM,
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
            tolerance=0,
        )
    found = laid.read_dn(laid.grid.window)
    both = np.isfinite(expected)
    assert np.isfinite(found)[both].all()  # beside a gap it may reach half a pixel farther, by what was measured there
    assert np.isfinite(found)[~binary_dilation(both, np.ones((1, 3, 3)))].mean() < 0.01
    np.testing.assert_allclose(found[both], expected[both], rtol=1e-4, atol=0.01)


def test_nodata_of_one_band_stays_in_it_and_does_not_bleed(tmp_path: Path) -> None:
    laid = lay_over(reference(tmp_path, "between pixels"), target(tmp_path), "other")
    pixels = laid.read_reflectance(laid.grid.window)
    gaps = ~np.isfinite(pixels)
    assert gaps[1].sum() > gaps[0].sum()
    assert pixels[np.isfinite(pixels)].min() > 0.09  # a zero that took part would pull values down


def test_on_the_same_pixels_it_is_read_as_it_is(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "same.tif", smooth(SHAPE), nodata=0, descriptions=("B04", "B03", "B02"), scale=1e-4)
    laid = lay_over(open_scene(path), target(tmp_path), "same")
    assert laid.bands == BANDS
    np.testing.assert_array_equal(laid.read_dn(laid.grid.window), smooth(SHAPE)[::-1])


def test_equal_shapes_are_not_equal_grids(tmp_path: Path) -> None:
    moved = TRANSFORM * Affine.translation(0, -5)
    path = write_raster(tmp_path / "moved.tif", smooth(SHAPE), nodata=0, descriptions=BANDS, scale=1e-4, transform=moved)
    laid = lay_over(open_scene(path), target(tmp_path), "moved")
    pixels = laid.read_dn(laid.grid.window)
    np.testing.assert_allclose(pixels[:, :-5], smooth(SHAPE)[:, 5:], rtol=1e-5)
    assert np.isnan(pixels[:, -5:]).all()


def test_a_reference_elsewhere_is_refused(tmp_path: Path) -> None:
    far = TRANSFORM * Affine.translation(5000, 0)
    path = write_raster(tmp_path / "far.tif", smooth(SHAPE), nodata=0, descriptions=BANDS, transform=far)
    with pytest.raises(GeoreferenceError, match=r"a reference must overlap the scene; .* far.tif spans x .* give another date"):
        lay_over(open_scene(path), target(tmp_path), "far.tif")


def test_a_missing_band_is_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "two.tif", smooth(SHAPE)[:2], nodata=0, descriptions=("B02", "B04"))
    with pytest.raises(BandError, match=r"two.tif lacks B03 \(it has B02, B04\)"):
        lay_over(open_scene(path), target(tmp_path), "two.tif")
