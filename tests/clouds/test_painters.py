from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.clouds.landsat import PATCH_BANDS
from geocr.clouds.painters import Painter, PatchPainter, SyntheticPainter, TransplantPainter
from geocr.clouds.patches import CloudPatches
from geocr.clouds.selection import make_cloud_mask
from geocr.clouds.sun import SunAngle
from geocr.clouds.synthesize import CloudSpec
from geocr.clouds.write import write_cloudy_scene
from geocr.core.errors import BandError, GeoreferenceError, InputError, MissingDataError, OutputExistsError
from geocr.core.types import Window
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from geocr.simulate.scene import simulate_scene, write_scene

SUN = SunAngle(zenith_deg=35, azimuth_deg=150)


def make_patches(root: Path, count: int = 2) -> Path:
    """Fake 38-Cloud patches: discs of cloud, and one clear patch."""
    rows, cols = np.mgrid[:384, :384]
    for number in range(count + 1):
        cloud = np.hypot(rows - 150 - 40 * number, cols - 190) < (120 if number < count else 0)
        for band, ground in (("blue", 9000), ("green", 8500), ("red", 8000), ("nir", 15000), ("gt", 0)):
            folder = root / "38-Cloud_training" / f"train_{band}"
            folder.mkdir(parents=True, exist_ok=True)
            values = cloud * 255 if band == "gt" else np.where(cloud, 35000 - 20 * np.abs(rows - cols), ground)
            dtype = "uint8" if band == "gt" else "uint16"
            name = f"{band}_patch_{number}_1_by_{number}_LC08_L1TP_002053_20160520_20170324_01_T1.TIF"
            with rasterio.open(folder / name, "w", driver="GTiff", width=384, height=384, count=1, dtype=dtype) as out:
                out.write(values.astype(dtype), 1)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("painters")
    write_scene(simulate_scene(shape=(300, 340), seed=1, cloud_cover=0.3, nodata_wedge=True), root)
    write_scene(simulate_scene(shape=(210, 250), seed=5, cloud_cover=0.4), root / "donor")
    make_patches(root / "38")
    return root


def painter_of(kind: str, scene: Scene, folder: Path, seed: int = 3) -> Painter:
    if kind == "synthetic":
        return SyntheticPainter(scene, spec=CloudSpec(size_m=400, base_m=300, depth_m=200), sun=SUN, seed=seed)
    if kind == "real-patches":
        return PatchPainter(scene, CloudPatches(folder / "38"), share=0.9, seed=seed)
    donor = open_scene(str(folder / "donor" / "scene_s2.tif"))
    mask = make_cloud_mask(donor, str(folder / "donor" / "truth_mask.tif"), buffer_px=0)
    return TransplantPainter(scene, donor, mask, donor_clear=open_scene(str(folder / "donor" / "truth_s2.tif")), seed=seed)


KINDS = ("synthetic", "real-patches", "transplant")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(row=st.integers(0, 280), col=st.integers(0, 320), height=st.integers(1, 200), width=st.integers(1, 200))
def test_clouds_do_not_depend_on_how_the_scene_is_cut(folder: Path, kind: str, *, row: int, col: int, height: int, width: int) -> None:
    scene = open_scene(str(folder / "truth_s2.tif"))
    painter = painter_of(kind, scene, folder)
    whole = scene.grid.window
    window = Window(row=row, col=col, height=min(height, 300 - row), width=min(width, 340 - col))
    all_of_it = painter.paint(scene.read_reflectance(whole), whole)
    part = painter.paint(scene.read_reflectance(window), window)
    rows, cols = window.slices_in(whole)
    np.testing.assert_array_equal(part.cloudy, all_of_it.cloudy[:, rows, cols])
    np.testing.assert_array_equal(part.cloud, all_of_it.cloud[rows, cols])
    np.testing.assert_array_equal(part.shadow, all_of_it.shadow[rows, cols])


@pytest.mark.parametrize("kind", KINDS)
def test_a_written_scene_keeps_grid_and_every_clear_number(
    folder: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocr.clouds.write.WINDOW_PX", (128, 200))
    scene = open_scene(str(folder / "truth_s2.tif"))
    steps: list[int] = []
    summary = write_cloudy_scene(scene, painter_of(kind, scene, folder), tmp_path / "out" / "cloudy.tif", advance=steps.append)
    assert len(steps) == 3 * 2
    with rasterio.open(folder / "truth_s2.tif") as before, rasterio.open(summary.scene) as after, rasterio.open(summary.mask) as mask:
        assert (after.crs, after.transform, after.shape, after.dtypes, after.nodata) == (
            before.crs,
            before.transform,
            before.shape,
            before.dtypes,
            before.nodata,
        )
        assert (after.scales, after.offsets, after.descriptions) == (before.scales, before.offsets, before.descriptions)
        assert (mask.crs, mask.transform, mask.shape) == (before.crs, before.transform, before.shape)
        old, new, classes = before.read(), after.read(), mask.read(1)
        assert after.tags()["CLOUD_METHOD"] == kind
    np.testing.assert_array_equal(new[:, classes == 0], old[:, classes == 0])
    np.testing.assert_array_equal((old == 0).all(axis=0), (new == 0).all(axis=0))
    changed = (new != old).any(axis=0)
    assert changed[classes > 0].mean() > 0.97
    valid = (old != 0).any(axis=0)
    assert summary.cloud_share == pytest.approx((classes == 1).sum() / valid.sum())
    assert summary.shadow_share == pytest.approx((classes == 2).sum() / valid.sum())
    assert 0.05 < summary.cloud_share < 0.9
    assert not list((tmp_path / "out").glob("*.partial"))
    again = tmp_path / "again.tif"
    write_cloudy_scene(scene, painter_of(kind, scene, folder), again)
    with rasterio.open(again) as same:
        np.testing.assert_array_equal(same.read(), new)
    with pytest.raises(OutputExistsError, match="give --overwrite"):
        write_cloudy_scene(scene, painter_of(kind, scene, folder), again)
    with pytest.raises(InputError, match="may not replace its clear one"):
        write_cloudy_scene(scene, painter_of(kind, scene, folder), folder / "truth_s2.tif", overwrite=True)


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_is_another_sky(folder: Path, kind: str) -> None:
    scene = open_scene(str(folder / "truth_s2.tif"))
    whole = scene.grid.window
    clear = scene.read_reflectance(whole)
    one, other = (painter_of(kind, scene, folder, seed).paint(clear, whole).cloud for seed in (1, 2))
    assert (one != other).any()


def test_the_cover_is_met(folder: Path) -> None:
    scene = open_scene(str(folder / "truth_s2.tif"))
    for cover in (0.1, 0.5, 0.8):
        painter = SyntheticPainter(scene, spec=CloudSpec(cover=cover, size_m=400, base_m=300, depth_m=200), sun=SUN)
        field = painter.clouds.at(scene.grid.window)
        assert field.cloud_mask.mean() == pytest.approx(cover, abs=0.01)


def test_a_cirrus_band_that_is_zero_by_right_brightens_under_cloud(tmp_path: Path) -> None:
    from tests.data_makers.scenes import Place, write

    values = np.full((13, 96, 96), 1500, np.uint16)
    values[10] = 0
    path = write(tmp_path / "clear.tif", values, Place(size=(96, 96)), names=("",) * 13, nodata=0)
    scene = open_scene(str(path))
    spec = CloudSpec(cover=0.5, thick_share=0.0, cirrus_share=1.0, size_m=300, base_m=100, depth_m=50)
    summary = write_cloudy_scene(scene, SyntheticPainter(scene, spec=spec, sun=SUN), tmp_path / "cloudy.tif")
    with rasterio.open(summary.scene) as after, rasterio.open(summary.mask) as mask:
        cirrus, cloud = after.read(11), mask.read(1) == 1
    assert (cirrus[cloud] > 0).mean() > 0.9
    assert not cirrus[~cloud].any()


def test_painters_refuse_what_they_cannot_paint(folder: Path, tmp_path: Path) -> None:
    scene = open_scene(str(folder / "truth_s2.tif"))
    with pytest.raises(InputError, match="at least 10 degrees high"):
        SyntheticPainter(scene, spec=CloudSpec(), sun=SunAngle(zenith_deg=84, azimuth_deg=0))
    with pytest.raises(MissingDataError, match="38-Cloud has its patches in train_blue"):
        CloudPatches(tmp_path)
    with pytest.raises(InputError, match="above 0 and up to 1"):
        PatchPainter(scene, CloudPatches(folder / "38"), share=0)
    with pytest.raises(MissingDataError, match="no blue_patch_99"):
        CloudPatches(folder / "38").read("patch_99", ("blue",))
    assert len(CloudPatches(folder / "38").names()) == 3
    assert PATCH_BANDS == ("B02", "B03", "B04", "B08")
    donor = open_scene(str(folder / "donor" / "scene_s2.tif"))
    mask = make_cloud_mask(donor, str(folder / "donor" / "truth_mask.tif"), buffer_px=0)
    with pytest.raises(GeoreferenceError, match="on the donor's grid"):
        TransplantPainter(scene, donor, mask, donor_clear=scene)
    write_scene(simulate_scene(shape=(96, 96), seed=5, cloud_cover=0.4, bands=("B02", "B03")), tmp_path / "few")
    few = open_scene(str(tmp_path / "few" / "scene_s2.tif"))
    with pytest.raises(BandError, match="lacks B01"):
        TransplantPainter(scene, few, make_cloud_mask(few, str(tmp_path / "few" / "truth_mask.tif"), buffer_px=0))
