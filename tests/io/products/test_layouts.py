"""Every layout of a product comes down to the same scene: bands by name, DN as stored, scale and offset by metadata."""

import pickle
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from geocr.core.bands import L1C_BANDS, L2A_BANDS, S2_BANDS
from geocr.core.errors import UnitsError
from geocr.io.open import open_scene
from geocr.io.open_optical import facts_of_tags, open_optical_dataset
from geocr.io.products.images import side_rasters
from geocr.io.products.metadata import read_product_metadata
from geocr.io.scene import Scene
from tests.data_makers.products import (
    EPSG,
    LEFT,
    SUN_AZIMUTH,
    SUN_ZENITH,
    TILE,
    TOP,
    FakeProduct,
    write_aws,
    write_band_folder,
    write_image,
    write_item,
    write_safe,
    zip_folder,
)


def check_pixels(scene: Scene, product: FakeProduct) -> None:
    """Bands of 10 m are the files' DN to the last bit; coarser ones lie within what their own pixels hold."""
    assert scene.grid.shape == (product.rows_10m, product.cols_10m)
    assert (scene.grid.crs.to_epsg(), *tuple(scene.grid.transform)[:6]) == (EPSG, 10, 0, LEFT, 0, -10, TOP)
    dn = scene.read_dn(scene.grid.window)
    for band, pixels in zip(scene.bands, dn, strict=True):
        native = product.dn(band)
        if S2_BANDS[band].resolution_m == 10:
            np.testing.assert_array_equal(pixels, native)
        else:
            wanted = product.dn(band, 10).astype(int)
            inner = (slice(6, -6), slice(6 + product.empty_cols_10m, -6))
            assert np.abs(pixels.astype(int) - wanted)[inner].max() < 60, band  # a smooth field: 0.006 of reflectance
            assert native[native > 0].min() <= pixels[pixels > 0].min()
            assert pixels.max() <= native.max()


@pytest.mark.parametrize("level", ["L1C", "L2A"])
@pytest.mark.parametrize("packed", ["folder", "zip", "metadata file", "parent"])
def test_a_safe_product(tmp_path: Path, level: str, packed: str) -> None:
    product = FakeProduct(level=level)
    safe = write_safe(tmp_path / "in", product)
    path = {"folder": safe, "metadata file": safe / f"MTD_MSI{level}.xml", "parent": safe.parent}.get(packed) or zip_folder(safe)
    if packed == "zip":
        shutil.rmtree(safe)
    scene = open_scene(str(path))
    assert scene.bands == (L1C_BANDS if level == "L1C" else L2A_BANDS)
    assert (scene.scale.scale, scene.scale.offset, scene.scale.nodata, scene.scale.dtype) == (1e-4, -0.1, 0, "uint16")
    check_pixels(scene, product)
    facts = scene.optical_facts
    assert (facts.product, facts.level, facts.baseline, facts.tile) == (product.name, level, "05.09", TILE)
    assert facts.acquired == datetime(2023, 8, 13, 10, 7, 53, 782000, tzinfo=UTC)
    assert (facts.relative_orbit, facts.sun_zenith_deg, facts.sun_azimuth_deg, facts.detectors) == (122, SUN_ZENITH, SUN_AZIMUTH, (4, 5))
    assert (facts.scl is not None, facts.cloud_probability is not None) == (level == "L2A", level == "L2A")
    assert all(Path(file).exists() for file in facts.files if not file.startswith("/vsi"))
    assert any(file.endswith(".zip") for file in facts.files) == (packed == "zip")
    assert product.name in "".join(scene.notes)


@pytest.mark.parametrize("level", ["L1C", "L2A"])
@pytest.mark.parametrize("with_metadata", [False, True])
def test_a_tile_as_on_aws(tmp_path: Path, level: str, with_metadata: bool) -> None:
    product = FakeProduct(level=level)
    scene = open_scene(str(write_aws(tmp_path, product, product_metadata=with_metadata)))
    check_pixels(scene, product)
    assert (scene.scale.scale, scene.scale.offset) == (1e-4, -0.1)
    facts = scene.optical_facts
    assert (facts.level, facts.baseline, facts.tile, facts.product) == (level, "05.09", TILE, product.name)
    assert facts.sun_zenith_deg == SUN_ZENITH
    assert (facts.scl is not None) == (level == "L2A")
    assert ("by processing baseline 05.09" in "".join(scene.notes)) != with_metadata


def test_a_tile_before_baseline_4_has_no_offset(tmp_path: Path) -> None:
    scene = open_scene(str(write_aws(tmp_path, FakeProduct(baseline="02.06", offset_dn=0))))
    assert scene.scale.offset == 0.0


@pytest.mark.parametrize("suffix", [".jp2", ".tif"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_band_files(tmp_path: Path, suffix: str, packed: bool) -> None:
    product = FakeProduct(offset_dn=0)
    folder = write_band_folder(tmp_path, product, suffix=suffix)
    scene = open_scene(str(zip_folder(folder) if packed else folder))
    check_pixels(scene, product)
    assert scene.bands == L1C_BANDS
    assert scene.optical_facts.tile == TILE
    assert scene.optical_facts.acquired == datetime(2023, 8, 13, 9, 55, 59, tzinfo=UTC)
    assert "without the product's metadata" in scene.notes[0]
    assert "assumed: scale 0.0001 and offset 0" in scene.notes[1]


def test_the_resolution_folders_of_a_level_2_product_are_band_folders(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, FakeProduct(level="L2A"))
    (folder,) = safe.rglob("R20m")
    scene = open_scene(str(folder))
    assert scene.grid.transform.a == 20
    assert scene.optical_facts.level == "L2A"
    assert scene.optical_facts.scl is not None
    assert set(scene.bands) == set(L2A_BANDS) - {"B01", "B09"}


@pytest.mark.parametrize("style", ["earth-search", "planetary-computer", "cdse"])
def test_an_item_names_its_bands_in_many_ways(tmp_path: Path, style: str) -> None:
    product = FakeProduct(level="L2A")
    scene = open_scene(str(write_item(tmp_path, product, style=style)))
    assert scene.bands == L2A_BANDS
    assert scene.scale.offset == -0.1
    check_pixels(scene, product)
    facts = scene.optical_facts
    assert (facts.product, facts.level, facts.tile) == (product.name, "L2A", TILE)
    assert (facts.sun_zenith_deg, facts.sun_azimuth_deg) == (SUN_ZENITH, SUN_AZIMUTH)
    assert facts.scl is not None
    assert Path(facts.scl).name == "SCL.tif"


def test_of_a_product_bands_are_chosen_and_come_in_canonical_order(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, FakeProduct())
    scene = open_scene(str(safe), s2_bands=("nir", "B2", "B11"))
    assert scene.bands == ("B02", "B08", "B11")
    (only_20m,) = {open_scene(str(safe), s2_bands=("B05", "B11")).grid.transform.a}
    assert only_20m == 20


def test_a_scene_of_a_product_travels(tmp_path: Path) -> None:
    scene = open_scene(str(zip_folder(write_safe(tmp_path, FakeProduct()))))
    copy = pickle.loads(pickle.dumps(scene))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(copy.read_dn(copy.grid.window), scene.read_dn(scene.grid.window))
    assert (copy.optical_facts, copy.optical.path) == (scene.optical_facts, scene.optical.path)


def test_negative_reflectance_survives(tmp_path: Path) -> None:
    folder = write_safe(tmp_path, FakeProduct())
    (b02,) = folder.rglob("*_B02.jp2")
    dark = FakeProduct().dn("B02")
    dark[5, 7] = 900
    write_image(b02, dark, FakeProduct().place(10))
    scene = open_scene(str(folder))
    value = scene.read_reflectance(scene.grid.window, ("B02",))[0, 5, 7]
    assert value == pytest.approx(-0.01, abs=1e-6)


def test_bands_that_differ_in_offset_are_refused(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, FakeProduct(offset_dn=dict.fromkeys(L1C_BANDS, -1000.0) | {"B10": -900.0}))
    with pytest.raises(UnitsError, match=r"share one scale and offset.*B10 0.0001 and -0.09.*--s2-bands"):
        open_scene(str(safe))
    assert open_scene(str(safe), s2_bands=("B02", "B03")).scale.offset == -0.1
    assert open_scene(str(safe), s2_offset=0.0).scale.offset == 0.0


def test_an_offset_that_is_in_the_values_already_is_not_applied_again(tmp_path: Path) -> None:
    harmonised = FakeProduct(level="L2A", offset_dn=0)
    applied = write_item(tmp_path / "a", harmonised, properties={"earthsearch:boa_offset_applied": True})
    scene = open_scene(str(applied))
    assert scene.scale.offset == 0.0
    assert "although its bands carry offset -0.1" in "".join(scene.notes)
    assert open_scene(str(applied), s2_offset=-0.1).scale.offset == -0.1  # the user's word comes first
    not_applied = write_item(tmp_path / "b", FakeProduct(level="L2A"), properties={"x:boa_offset_applied": False})
    assert open_scene(str(not_applied)).scale.offset == -0.1
    silent = write_item(tmp_path / "c", FakeProduct(level="L2A"), offset=None)
    assert open_scene(str(silent)).scale.offset == -0.1
    old = write_item(tmp_path / "d", FakeProduct(level="L2A", offset_dn=0, baseline="02.13"), offset=None)
    assert open_scene(str(old)).scale.offset == 0.0


def test_the_facts_of_a_product_are_tags_of_its_result(tmp_path: Path) -> None:
    scene = open_scene(str(write_safe(tmp_path, FakeProduct(level="L2A"))))
    tags = scene.optical.handle.tags()
    again = facts_of_tags(tags)
    facts = scene.optical_facts
    for name in ("product", "level", "baseline", "acquired", "tile", "relative_orbit", "sun_zenith_deg", "sun_azimuth_deg"):
        assert getattr(again, name) == getattr(facts, name), name


def test_a_product_is_shown_with_the_bands_of_its_result(tmp_path: Path) -> None:
    product = FakeProduct()
    with open_optical_dataset(str(write_safe(tmp_path, product)), ("B04", "B02", None)) as dataset:
        assert dataset.descriptions == ("B02", "B04")
        np.testing.assert_array_equal(dataset.read(2), product.dn("B04"))


def test_offsets_name_their_bands_by_esas_numbers_where_the_metadata_lists_none() -> None:
    """0 to 12 in the order of L1C: 8 is B8A and 9 is B09; a list in the file comes first."""
    offsets = "".join(f'<RADIO_ADD_OFFSET band_id="{number}">-{number + 1}</RADIO_ADD_OFFSET>' for number in range(13))
    plain = read_product_metadata(f"<a>{offsets}</a>".encode(), "MTD_MSIL1C.xml")
    assert plain.offsets == {band: -float(number) for number, band in enumerate(L1C_BANDS, start=1)}
    assert plain.scaling("B8A") == (1e-4, -9 / 10_000)
    swapped = "".join(f'<Spectral_Information bandId="{number}" physicalBand="{band}"/>' for number, band in ((8, "B10"), (10, "B8A")))
    listed = read_product_metadata(f"<a>{swapped}{offsets}</a>".encode(), "MTD_MSIL1C.xml")
    assert (listed.offsets["B10"], listed.offsets["B8A"], listed.offsets["B09"]) == (-9.0, -11.0, -10.0)


def test_of_rasters_beside_the_bands_the_finest_is_taken() -> None:
    names = tuple(
        f"GRANULE/X/{name}"
        for name in (
            "IMG_DATA/R60m/T33TWM_20230813T095559_SCL_60m.jp2", "IMG_DATA/R20m/T33TWM_20230813T095559_SCL_20m.jp2",
            "QI_DATA/MSK_CLDPRB_60m.jp2", "QI_DATA/MSK_CLDPRB_20m.jp2", "QI_DATA/MSK_SNWPRB_20m.jp2",
        )
    )  # fmt: skip
    assert side_rasters(names) == (names[1], names[3])
    assert side_rasters(names[4:]) == (None, None)
