"""Masks of Sen2Cor's rasters: the cloud probability, and what a product brings by itself."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocr.clouds.selection import make_cloud_mask
from geocr.core.errors import CloudMaskError, GeoreferenceError
from geocr.core.types import Window
from geocr.io.facts import OpticalFacts
from geocr.io.scene import Scene
from tests.clouds.optical import disc, paint, scene_of
from tests.scenes import TRANSFORM, write_raster

SHAPE = (120, 120)
BANDS = ("B02", "B03", "B04", "B08", "B11")
CLOUD, SHADE = disc(SHAPE, (40, 70), 16), disc(SHAPE, (40, 40), 14)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    nodata = np.zeros(SHAPE, bool)
    nodata[100:, :20] = True
    return scene_of(tmp_path, paint(SHAPE, BANDS, cloud=CLOUD, shade=SHADE & ~CLOUD), BANDS, nodata=nodata)


def percent(path: Path, *, share: int = 2) -> str:
    """A probability raster of 20 m: 90 in the cloud, 10 elsewhere."""
    values = np.where(CLOUD, 90, 10).astype(np.uint8)[::share, ::share]
    return write_raster(path, values[None], transform=TRANSFORM * Affine.scale(share))


def test_clouds_are_where_the_probability_is_and_shadows_are_looked_for(scene: Scene, tmp_path: Path) -> None:
    mask = make_cloud_mask(scene, f"cldprb={percent(tmp_path / 'cldprb.tif')}", buffer_m=0, sun_zenith_deg=40, sun_azimuth_deg=90)
    found = mask.read(scene.grid.window)
    blocky = np.kron(CLOUD[::2, ::2], np.ones((2, 2), bool))
    np.testing.assert_array_equal(found & blocky, blocky)
    away = ~blocky & (np.abs(np.arange(SHAPE[1])[None] - 70) > 17)
    assert (found & SHADE)[away].sum() > 0.8 * SHADE[away].sum()  # the sun in the east throws it to the west
    assert not found[60:, 80:].any()
    facts = mask.describe()
    assert (facts["source"], facts["threshold"]) == ("cldprb", 0.4)
    assert facts["shadows"] == "dark land by sun angle"


def test_the_threshold_is_a_share_and_the_boundary_is_cloud(scene: Scene, tmp_path: Path) -> None:
    values = np.full((1, *SHAPE), 40, np.uint8)
    values[:, :, 60:] = 39
    path = write_raster(tmp_path / "p.tif", values)
    found = make_cloud_mask(scene, f"cldprb={path}", buffer_m=0).read(scene.grid.window)
    assert found[:100, :60].all()
    assert not found[:, 60:].any()
    assert make_cloud_mask(scene, f"cldprb={path}", buffer_m=0, threshold=0.39).read(scene.grid.window)[:100].all()


def test_nodata_of_the_scene_is_never_cloud(scene: Scene, tmp_path: Path) -> None:
    path = write_raster(tmp_path / "p.tif", np.full((1, *SHAPE), 100, np.uint8))
    found = make_cloud_mask(scene, f"cldprb={path}").read(scene.grid.window)
    assert not found[100:, :20].any()
    assert found[:100].all()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.tuples(st.integers(0, 119), st.integers(0, 119)), size=st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_a_window_is_a_part_of_the_whole(scene: Scene, tmp_path: Path, place: tuple[int, int], size: tuple[int, int]) -> None:
    mask = pickle.loads(pickle.dumps(make_cloud_mask(scene, f"cldprb={percent(tmp_path / 'p.tif')}", buffer_m=30)))  # noqa: S301 - our own bytes
    window = Window(row=place[0], col=place[1], height=min(size[0], 120 - place[0]), width=min(size[1], 120 - place[1]))
    np.testing.assert_array_equal(mask.read(window), mask.read(scene.grid.window)[window.slices_in(scene.grid.window)])


def test_what_a_product_brings_is_used_without_a_path(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(CloudMaskError, match="cldprb=FILE"):
        make_cloud_mask(scene, "cldprb")
    scl = np.where(CLOUD, 9, 4).astype(np.uint8)
    facts = OpticalFacts(
        scl=write_raster(tmp_path / "scl.tif", scl[None]),
        cloud_probability=percent(tmp_path / "p.tif", share=1),
        sun_zenith_deg=40.0,
        sun_azimuth_deg=90.0,
    )
    product = replace(scene, optical_facts=facts)
    assert make_cloud_mask(product, "cldprb").describe()["sun_zenith_deg"] == 40
    automatic, named = (make_cloud_mask(product, method, buffer_m=0) for method in ("auto", "scl"))
    assert automatic.notes[0] == "Cloud mask auto takes the product's own scene classification."
    for mask in (automatic, named):
        np.testing.assert_array_equal(mask.read(scene.grid.window), CLOUD)
    other = write_raster(tmp_path / "other.tif", np.full((1, *SHAPE), 8, np.uint8))
    assert make_cloud_mask(product, scl=other).read(scene.grid.window).all()  # what the user gives comes first
    both = make_cloud_mask(product, "scl+cldprb", buffer_m=0)
    assert both.source == "scl+cldprb"


def test_a_raster_that_holds_no_percent_or_lies_elsewhere_is_refused(scene: Scene, tmp_path: Path) -> None:
    eight_bit = write_raster(tmp_path / "clp.tif", np.full((1, *SHAPE), 200, np.uint8))
    with pytest.raises(CloudMaskError, match="in percent, 0 to 100, got values from 200 to 200"):
        make_cloud_mask(scene, f"cldprb={eight_bit}")
    far = write_raster(tmp_path / "far.tif", np.full((1, *SHAPE), 20, np.uint8), transform=TRANSFORM * Affine.translation(5000, 0))
    with pytest.raises(GeoreferenceError, match="must overlap the scene"):
        make_cloud_mask(scene, f"cldprb={far}")
