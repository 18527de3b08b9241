"""The adapter to OmniCloudMask, run through the package itself with a network of the test's own in place of its weights."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from affine import Affine
from torch import Tensor, nn

from geocr.clouds import omnicloudmask as adapter
from geocr.clouds.omnicloudmask import fine_working_grid, why_unavailable
from geocr.clouds.selection import make_cloud_mask
from geocr.core.errors import CloudMaskError, InputError
from geocr.io.grid import SceneGrid
from geocr.io.scene import Scene
from tests.clouds.optical import disc, paint, scene_of
from tests.clouds.test_working import random_windows
from tests.scenes import TRANSFORM, UTM

package = pytest.importorskip("omnicloudmask")
BANDS = ("B02", "B03", "B04", "B8A")
SHAPE = (90, 120)


class BrightIsCloud(nn.Module):
    """Class 1 where red outshines the patch, 3 where the infrared falls far below it, else 0; sees one pixel at a time."""

    def forward(self, patch: Tensor) -> Tensor:
        red, nir = patch[:, 0], patch[:, 2]
        bright, dark = (red > 1.0).float(), ((nir < -0.8) & (red <= 1.0)).float()
        clear = torch.full_like(red, 0.5)
        return torch.stack([clear, bright, torch.zeros_like(red), dark], dim=1)


@pytest.fixture
def own_network(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The package with the test's network; gives the shapes it was asked for."""
    shapes: list[tuple[int, ...]] = []
    real = partial(package.predict_from_array, custom_models=BrightIsCloud(), inference_device="cpu")

    def predict_from_array(input_array: Any, **settings: Any) -> Any:
        shapes.append(input_array.shape)
        return real(input_array, **settings)

    monkeypatch.setattr(package, "predict_from_array", predict_from_array)
    return shapes


def cloudy_scene(folder: Path, *, transform: Affine = TRANSFORM, bands: tuple[str, ...] = BANDS) -> Scene:
    nodata = np.zeros(SHAPE, bool)
    nodata[:, :6] = True
    picture = paint(SHAPE, bands, cloud=disc(SHAPE, (40, 60), 14), shade=disc(SHAPE, (70, 90), 10))
    return scene_of(folder, picture, bands, nodata=nodata, transform=transform)


def test_clouds_and_shadows_of_the_package_are_the_mask(own_network: list[tuple[int, ...]], tmp_path: Path) -> None:
    scene = cloudy_scene(tmp_path)
    mask = make_cloud_mask(scene, "omnicloudmask", buffer_m=0)
    found = mask.read(scene.grid.window)
    np.testing.assert_array_equal(found, disc(SHAPE, (40, 60), 14) | disc(SHAPE, (70, 90), 10))
    facts = mask.describe()
    assert facts["source"] == "omnicloudmask"
    assert facts["shadows"] == "class 3"
    assert facts["cloud_share"] == pytest.approx(disc(SHAPE, (40, 60), 14).sum() / (90 * 114))
    assert own_network == [(3, *SHAPE)]


def test_thick_thin_and_shadow_are_the_mask_and_clear_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    classes = np.repeat(np.arange(4, dtype=np.uint8), 30)[None].repeat(90, axis=0)
    monkeypatch.setattr(package, "predict_from_array", lambda _picture, **_settings: classes[None])
    scene = cloudy_scene(tmp_path)
    mask = make_cloud_mask(scene, "omnicloudmask", buffer_m=0)
    np.testing.assert_array_equal(mask.read(scene.grid.window), classes > 0)
    facts = mask.describe()
    assert (facts["cloud_share"], facts["shadow_share"]) == pytest.approx((60 / 114, 30 / 114))


def test_the_buffer_widens_and_nodata_is_never_cloud(own_network: list[tuple[int, ...]], tmp_path: Path) -> None:
    scene = cloudy_scene(tmp_path)
    narrow, wide = (make_cloud_mask(scene, "omnicloudmask", buffer_m=metres).read(scene.grid.window) for metres in (0, 600))
    assert wide.sum() > narrow.sum()
    assert not wide[:, :6].any()
    assert own_network


def test_blocks_cover_the_scene_with_context_and_answers_do_not_depend_on_windows(
    own_network: list[tuple[int, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "BLOCK_PX", 41)
    monkeypatch.setattr(adapter, "CONTEXT_PX", 10)
    monkeypatch.setattr(adapter, "CHUNK_VALUES", 3 * 50 * 7)
    scene = cloudy_scene(tmp_path)
    mask = make_cloud_mask(scene, "omnicloudmask", buffer_m=30)
    whole = mask.read(scene.grid.window)
    for window in random_windows(SHAPE, 12):
        np.testing.assert_array_equal(mask.read(window), whole[window.slices_in(scene.grid.window)])
    assert len(own_network) == 9
    assert all(min(shape[1:]) >= 32 for shape in own_network)
    assert max(max(shape[1:]) for shape in own_network) <= 41 + 2 * 10


def test_fine_pixels_are_averaged_to_10_m(own_network: list[tuple[int, ...]], tmp_path: Path) -> None:
    fine = cloudy_scene(tmp_path, transform=TRANSFORM * Affine.scale(0.5))
    mask = make_cloud_mask(fine, "omnicloudmask", buffer_m=0)
    assert mask.describe()["working_resolution_m"] == pytest.approx(10)
    assert own_network == [(3, 45, 60)]


@pytest.mark.parametrize(
    ("shape", "pixel_m", "factor"), [((4096, 4096), 10, 1), ((10_980, 10_980), 10, 3), ((5490, 5490), 20, 2), ((2000, 2000), 3, 4)]
)
def test_the_grid_is_as_fine_as_memory_allows(shape: tuple[int, int], pixel_m: float, factor: int) -> None:
    grid = SceneGrid(crs=UTM, transform=Affine(pixel_m, 0, 5e5, 0, -pixel_m, 5e6), shape=shape)
    assert fine_working_grid(grid).factor == factor


@pytest.mark.parametrize(("shape", "pixel_m"), [((915, 915), 120), ((20, 200), 10), ((40_000, 60_000), 10)])
def test_what_it_is_not_made_for_is_refused(shape: tuple[int, int], pixel_m: float) -> None:
    grid = SceneGrid(crs=UTM, transform=Affine(pixel_m, 0, 5e5, 0, -pixel_m, 5e6), shape=shape)
    with pytest.raises(CloudMaskError, match="pixels of 10 to 50 m"):
        fine_working_grid(grid)


def test_weights_that_cannot_be_fetched_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setattr(package, "predict_from_array", offline)
    with pytest.raises(CloudMaskError, match="fetches its weights when it is first used; here: no route to host"):
        make_cloud_mask(cloudy_scene(tmp_path), "omnicloudmask")


def test_bands_package_and_threshold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert why_unavailable(("B03", "B04", "B08")) is None
    assert "needs B04, B03 and B8A or B08" in str(why_unavailable(("B03", "B04")))
    monkeypatch.setattr(adapter, "find_spec", lambda _: None)
    with pytest.raises(CloudMaskError, match=r"not installed; `pip install 'geocr\[omnicloudmask\]'`"):
        make_cloud_mask(cloudy_scene(tmp_path), "omnicloudmask")
    with pytest.raises(InputError, match="threshold"):
        make_cloud_mask(cloudy_scene(tmp_path), "omnicloudmask", threshold=0.5)
