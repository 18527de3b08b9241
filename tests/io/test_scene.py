"""A scene read window by window, and means over squares of it."""

import pickle
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocr.core.types import Window
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
    return open_scene(path, s2_offset=-0.1), dn


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
def test_a_mean_over_squares_is_of_what_was_observed(tmp_path: Path, rows: int, cols: int, factor: int, seed: int) -> None:
    scene, dn = make_scene(tmp_path, (rows, cols), seed)
    (mean, seen), expected = block_mean(scene.scale.to_reflectance(dn), factor), brute_force(dn, factor)
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(mean), np.isnan(expected))
    np.testing.assert_allclose(mean, expected, atol=2e-6)
    np.testing.assert_array_equal(seen, np.isfinite(expected))


def test_bands_by_name_in_any_order(tmp_path: Path) -> None:
    scene, dn = make_scene(tmp_path, (20, 30))
    window = Window(row=3, col=5, height=10, width=12)
    part = dn[:, 3:13, 5:17]
    expected = np.where(part == 0, np.nan, part * 1e-4 - 0.1)
    np.testing.assert_array_equal(scene.read_dn(window), part)
    np.testing.assert_allclose(scene.read_reflectance(window), expected, atol=1e-6)
    np.testing.assert_allclose(scene.read_reflectance(window, ("B04", "B02")), expected[[2, 0]], atol=1e-6)


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
