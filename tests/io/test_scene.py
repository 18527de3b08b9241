"""A scene read window by window, and as a coarse picture."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocr.core.types import Window
from geocr.io import scene as scene_module
from geocr.io.open import open_scene
from geocr.io.scene import Scene, block_mean
from tests.scenes import write_raster

cases = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make_scene(folder: Path, shape: tuple[int, int], seed: int = 0) -> tuple[Scene, NDArray[np.uint16]]:
    rng = np.random.default_rng(seed)
    dn = rng.integers(1, 10_000, (3, *shape)).astype(np.uint16)
    dn[rng.random(dn.shape) < 0.2] = 0
    dn[:, : shape[0] // 3, : shape[1] // 2] = 0
    path = write_raster(folder / "s2.tif", dn, nodata=0, descriptions=("B02", "B8A", "B04"), scale=1e-4, offset=-0.1)
    return open_scene(path), dn


def brute_force(dn: NDArray[np.uint16], factor: int) -> NDArray[np.float64]:
    """Mean of the observed reflectances of each square, one square at a time."""
    reflectance = np.where(dn == 0, np.nan, dn * 1e-4 - 0.1)
    rows, cols = -(-dn.shape[1] // factor), -(-dn.shape[2] // factor)
    out = np.full((dn.shape[0], rows, cols), np.nan)
    for band, row, col in np.ndindex(out.shape):
        square = reflectance[band, row * factor : (row + 1) * factor, col * factor : (col + 1) * factor]
        if np.isfinite(square).any():
            out[band, row, col] = np.nanmean(square)
    return out


@cases
@given(rows=st.integers(1, 60), cols=st.integers(1, 60), factor=st.integers(1, 70), seed=st.integers(0, 3))
def test_a_coarse_picture_is_the_mean_of_what_was_observed(tmp_path: Path, rows: int, cols: int, factor: int, seed: int) -> None:
    scene, dn = make_scene(tmp_path, (rows, cols), seed)
    coarse, expected = scene.read_coarse(factor), brute_force(dn, factor)
    assert coarse.optical.dtype == np.float32
    assert coarse.factor == factor
    np.testing.assert_array_equal(np.isnan(coarse.optical), np.isnan(expected))
    np.testing.assert_allclose(coarse.optical, expected, atol=2e-6)
    np.testing.assert_array_equal(coarse.valid, np.isfinite(expected).any(axis=0))


@pytest.mark.parametrize("factor", [1, 3, 7, 100, 255, 256, 300, 900])
def test_strips_do_not_matter(tmp_path: Path, factor: int) -> None:
    scene, dn = make_scene(tmp_path, (700, 33))
    coarse = scene.read_coarse(factor)
    whole, seen = block_mean(scene.scale.to_reflectance(dn), factor)
    np.testing.assert_array_equal(coarse.optical, whole)
    np.testing.assert_array_equal(coarse.valid, seen.any(axis=0))
    if factor > 1:
        np.testing.assert_allclose(coarse.optical, brute_force(dn, factor), atol=1e-5)


def test_a_coarse_picture_reads_each_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, _ = make_scene(tmp_path, (700, 33))
    windows: list[Window] = []
    read = Scene.read_reflectance
    monkeypatch.setattr(
        scene_module.Scene, "read_reflectance", lambda self, window, bands: windows.append(window) or read(self, window, bands)
    )
    scene.read_coarse(6)
    assert max(window.height for window in windows) <= 256
    assert [window.row for window in windows] == list(np.cumsum([0, *[window.height for window in windows]])[:-1])
    assert windows[-1].row_stop == 700


def test_bands_by_name_in_any_order(tmp_path: Path) -> None:
    scene, dn = make_scene(tmp_path, (20, 30))
    window = Window(row=3, col=5, height=10, width=12)
    part = dn[:, 3:13, 5:17]
    expected = np.where(part == 0, np.nan, part * 1e-4 - 0.1)
    np.testing.assert_array_equal(scene.read_dn(window), part)
    np.testing.assert_allclose(scene.read_reflectance(window), expected, atol=1e-6)
    np.testing.assert_allclose(scene.read_reflectance(window, ("B04", "B02")), expected[[2, 0]], atol=1e-6)
    np.testing.assert_allclose(scene.read_coarse(4, ("B8A",)).optical, brute_force(dn[[1]], 4), atol=1e-6)


def test_without_sentinel_1_there_are_no_bands(tmp_path: Path) -> None:
    scene, _ = make_scene(tmp_path, (20, 30))
    assert scene.read_sar(Window(row=0, col=0, height=4, width=5)).shape == (0, 4, 5)
    assert scene.sar_bands == ()


def test_a_scene_travels_without_pixels(tmp_path: Path) -> None:
    scene, dn = make_scene(tmp_path, (200, 300))
    data = pickle.dumps(scene)
    assert len(data) < 5000
    back = pickle.loads(data)  # noqa: S301 - our own
    np.testing.assert_array_equal(back.read_dn(scene.grid.window), dn)
