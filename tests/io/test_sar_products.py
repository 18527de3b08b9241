"""What a user may name as Sentinel-1: files, pairs, folders, archives, products, items, lists."""

import json
import pickle
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from geocr.core.errors import BandError, GeoreferenceError, InputError, RasterNotFoundError, RasterReadError, UnitsError
from geocr.core.types import FloatArray, Window
from geocr.io.open import open_scene
from geocr.io.sar_options import SarOptions
from geocr.io.sar_products import find_sources
from tests.scenes import TRANSFORM, UTM, write_raster

SHAPE = (40, 50)
WHOLE = Window(row=0, col=0, height=40, width=50)
GRD = "S1A_IW_GRDH_1SDV_20180716T004042_20180716T004107_022812_02792A_FD5B"


@pytest.fixture
def s2(tmp_path: Path) -> str:
    return write_raster(tmp_path / "S2A_20180714T101031.tif", np.full((1, *SHAPE), 1500, np.uint16), descriptions=("B02",))


@pytest.fixture
def db() -> FloatArray:
    return np.random.default_rng(0).normal(-12, 3, (2, *SHAPE)).astype(np.float32)


def write_pair(folder: Path, db: FloatArray, names: tuple[str, str] = ("s1_vv.tif", "s1_vh.tif"), **options: Any) -> tuple[str, str]:
    folder.mkdir(exist_ok=True, parents=True)
    return write_raster(folder / names[0], db[:1], **options), write_raster(folder / names[1], db[1:], **options)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("names", [("s1_vv.tif", "s1_vh.tif"), ("s1a-iw-vv-001.tiff", "s1a-iw-vh-002.tiff"), ("VV.tif", "VH.tif")])
def test_a_pair_of_files_reads_as_their_stack(tmp_path: Path, s2: str, db: FloatArray, names: tuple[str, str], *, swapped: bool) -> None:
    pair = write_pair(tmp_path / "pair", db, names, nodata=-9999.0)
    stack = write_raster(tmp_path / "stack.tif", db, descriptions=("VV", "VH"), nodata=-9999.0)
    scene = open_scene(s2, ",".join(pair[::-1] if swapped else pair))
    assert scene.sar_bands == ("VV", "VH")
    np.testing.assert_array_equal(scene.read_sar(WHOLE), open_scene(s2, stack).read_sar(WHOLE))
    assert scene.sar_facts.files == (pair[::-1] if swapped else pair)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scene)).read_sar(WHOLE), scene.read_sar(WHOLE))  # noqa: S301 - our own


def test_a_pair_is_warped_scaled_and_has_its_nodata(tmp_path: Path, s2: str) -> None:
    counts = np.random.default_rng(0).integers(-2500, 500, (2, *SHAPE)).astype(np.int16)
    counts[:, :5] = -32768
    options: dict[str, Any] = {"nodata": -32768, "scale": 0.01, "transform": TRANSFORM * Affine.translation(0.5, 0.25)}
    pair = write_pair(tmp_path / "p", counts, **options)  # type: ignore[arg-type] - counts on purpose
    stack = write_raster(tmp_path / "stack.tif", counts, descriptions=("VV", "VH"), **options)
    read = [open_scene(s2, s1, s1_units="db").read_sar(WHOLE) for s1 in (",".join(pair), stack)]
    assert np.isnan(read[0]).any()
    np.testing.assert_array_equal(*read)


def test_a_folder_and_an_archive_with_a_pair(tmp_path: Path, s2: str, db: FloatArray) -> None:
    pair = write_pair(tmp_path / "S1A_IW_20180715T161201_DVP_RTC20_G_gpuned_FD6A", db, ("x_VV.tif", "x_VH.tif"))
    folder = Path(pair[0]).parent
    write_raster(folder / "x_inc_map.tif", db[:1])
    archive = tmp_path / f"{folder.name}.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for file in folder.iterdir():
            out.write(file, f"{folder.name}/{file.name}")
    for place in (folder, archive):
        scene = open_scene(s2, str(place))
        np.testing.assert_allclose(scene.read_sar(WHOLE), db, atol=1e-5)
        facts = scene.sar_facts
        assert (facts.radiometry, facts.acquired) == ("gamma0", datetime(2018, 7, 15, 16, 12, 1, tzinfo=UTC))
        assert facts.days_from_optical == 1.3
    assert scene.sar_facts.files == (str(archive),)


def test_a_half_that_is_gone_is_no_nodata(tmp_path: Path, s2: str, db: FloatArray) -> None:
    """As on a worker that does not see the file; GDAL by itself would read nodata."""
    pair = write_pair(tmp_path / "pair", db)
    scene = open_scene(s2, ",".join(pair), on_error="nodata")
    Path(pair[1]).unlink()
    with pytest.raises(RasterNotFoundError, match=r"nothing at .*s1_vh\.tif"):
        scene.read_sar(WHOLE)


def test_a_pair_on_two_grids_is_refused(tmp_path: Path, s2: str, db: FloatArray) -> None:
    vv = write_raster(tmp_path / "a_vv.tif", db[:1])
    vh = write_raster(tmp_path / "a_vh.tif", db[1:], transform=TRANSFORM * Affine.translation(1, 0))
    with pytest.raises(GeoreferenceError, match=r"lie on one grid; .*a_vv\.tif .* shifted; take both from one product"):
        open_scene(s2, f"{vv},{vh}")


def test_a_stack_named_as_half_a_pair_is_refused(tmp_path: Path, s2: str, db: FloatArray) -> None:
    vv = write_raster(tmp_path / "a_vv.tif", db)
    vh = write_raster(tmp_path / "a_vh.tif", db[1:])
    with pytest.raises(BandError, match=r"one band, its polarisation; .*a_vv\.tif has 2"):
        open_scene(s2, f"{vv},{vh}")


@pytest.mark.parametrize("words", ["a.tif,,b.tif", ",a.tif", "a.tif,"])
def test_lists_have_no_holes(words: str) -> None:
    with pytest.raises(InputError, match="separated by single commas"):
        find_sources(words)


def test_a_file_with_a_comma_in_its_name_is_one_file(tmp_path: Path, s2: str, db: FloatArray) -> None:
    path = write_raster(tmp_path / "a,b.tif", db, descriptions=("VV", "VH"))
    np.testing.assert_allclose(open_scene(s2, path).read_sar(WHOLE), db, atol=1e-5)


def test_commas_in_the_query_of_a_url_separate_nothing() -> None:
    urls = ("https://host/a_vv.tif?sig=1,2&x", "https://host/a_vh.tif?sig=3,4")
    (source,) = find_sources(",".join(urls))
    assert (source.rasters, source.polarisations) == (urls, ("VV", "VH"))
    assert [one.rasters for one in find_sources(f"{urls[0]},s3://bucket/b.tif")] == [urls[:1], ("s3://bucket/b.tif",)]


def test_pairs_are_told_from_mosaics_by_their_names(tmp_path: Path, db: FloatArray) -> None:
    first, second = write_pair(tmp_path / "a", db, ("a_vv.tif", "a_vh.tif")), write_pair(tmp_path / "b", db, ("b_vv.tif", "b_vh.tif"))
    sources = find_sources(",".join([first[0], second[1], first[1], second[0], str(tmp_path / "stack.tif")]))
    assert [source.rasters for source in sources] == [first, second[::-1], (str(tmp_path / "stack.tif"),)]
    assert [source.polarisations for source in sources] == [("VV", "VH"), ("VH", "VV"), ()]


def test_an_empty_folder_a_broken_archive_and_other_polarisations(tmp_path: Path, db: FloatArray) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RasterNotFoundError, match="one GeoTIFF for VV and one for VH"):
        find_sources(str(tmp_path / "empty"))
    (tmp_path / "x.zip").write_text("no archive")
    with pytest.raises(RasterReadError, match=r"archive that opens; .*x\.zip"):
        find_sources(str(tmp_path / "x.zip"))
    write_pair(tmp_path / "polar", db, ("a_hh.tif", "a_hv.tif"))
    with pytest.raises(BandError, match="HH or HV, which are not supported"):
        find_sources(str(tmp_path / "polar"))
    write_pair(tmp_path / "two", db, ("a_vv.tif", "b_vv.tif"))
    with pytest.raises(InputError, match=r"holds one image; .* 2 files of VV"):
        find_sources(str(tmp_path / "two"))


def test_a_sentinel_2_product_in_the_wrong_place(tmp_path: Path) -> None:
    folder = tmp_path / "S2A_MSIL1C.SAFE"
    folder.mkdir()
    (folder / "MTD_MSIL1C.xml").write_text("<x/>")
    with pytest.raises(InputError, match="is a Sentinel-2 product; the order is Sentinel-1, then Sentinel-2"):
        find_sources(str(folder))


def test_a_raw_product_is_refused_with_the_tools_that_help(tmp_path: Path, s2: str, db: FloatArray) -> None:
    product = tmp_path / f"{GRD}.SAFE"
    write_pair(product / "measurement", db, ("s1a-iw-grd-vv-x-001.tiff", "s1a-iw-grd-vh-x-002.tiff"))
    (product / "manifest.safe").write_text("<x/>")
    for tool in ("SNAP", "pyroSAR", "ASF HyP3", "OPERA RTC-S1", "sentinel-1-rtc", "--s1-gcps"):
        with pytest.raises(GeoreferenceError, match=tool):
            open_scene(s2, str(product))


# STAC items


def item(folder: Path, assets: dict[str, Any], *, name: str = f"{GRD}_rtc", collection: str = "sentinel-1-rtc", **properties: Any) -> str:
    content = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": collection,
        "properties": {"datetime": "2018-07-16T00:40:54.5Z", "sat:orbit_state": "descending", "sat:relative_orbit": 165} | properties,
        "assets": assets,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return str(path)


def tiff(href: str, **rest: Any) -> dict[str, Any]:
    return {"href": href, "type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data"]} | rest


@pytest.mark.parametrize("keys", [("vv", "vh"), ("VV", "VH"), ("0_VV", "0_VH"), ("gamma0_vv", "gamma0_vh"), ("band1", "band2")])
def test_an_rtc_item(tmp_path: Path, s2: str, db: FloatArray, keys: tuple[str, str]) -> None:
    pair = write_pair(tmp_path / "data", db)
    assets = {"thumbnail": {"href": "x_vv.png", "type": "image/png", "roles": ["thumbnail"]}, "mask_vv": tiff("./data/mask_vv.tif")}
    assets |= {key: tiff(f"./data/{Path(path).name}") for key, path in zip(keys, pair, strict=True)}
    scene = open_scene(s2, item(tmp_path, assets, **{"sar:product_type": "GRD", "proj:epsg": 32633}))
    np.testing.assert_allclose(scene.read_sar(WHOLE), db, atol=1e-5)
    facts = scene.sar_facts
    assert (facts.product, facts.radiometry, facts.orbit, facts.relative_orbit) == (f"{GRD}_rtc", "gamma0", "descending", 165)
    assert facts.acquired == datetime(2018, 7, 16, 0, 40, 54, 500_000, tzinfo=UTC)
    assert facts.days_from_optical == 1.6
    assert facts.files == pair
    assert any("1.6 days after Sentinel-2 (descending orbit, relative orbit 165, gamma0)" in note for note in scene.notes)


def test_an_item_whose_one_asset_holds_both(tmp_path: Path, s2: str, db: FloatArray) -> None:
    write_raster(tmp_path / "both.tif", db, descriptions=("VV", "VH"))
    path = item(tmp_path, {"data": tiff("both.tif", **{"sar:polarizations": ["VV", "VH"]})}, collection="mine", name="x")
    scene = open_scene(s2, path)
    np.testing.assert_allclose(scene.read_sar(WHOLE), db, atol=1e-5)
    assert scene.sar_facts.radiometry is None


@pytest.mark.parametrize("collection", ["sentinel-1-grd", "sentinel-s1-l1c"])
def test_a_grd_item_is_refused_before_anything_is_fetched(tmp_path: Path, s2: str, collection: str) -> None:
    kind = {"sar:product_type": "GRD"}
    path = item(
        tmp_path,
        {"vv": tiff("https://nowhere.invalid/vv.tif"), "vh": tiff("https://nowhere.invalid/vh.tif")},
        name=GRD,
        collection=collection,
        **kind,
    )
    with pytest.raises(GeoreferenceError, match=rf"{GRD} lies in radar geometry.*--s1-gcps"):
        open_scene(s2, path)


def test_items_without_what_is_needed(tmp_path: Path, s2: str) -> None:
    with pytest.raises(BandError, match=r"has an asset for VV or VH, named by it; .* has hh"):
        open_scene(s2, item(tmp_path, {"hh": tiff("a_hh.tif")}))
    (tmp_path / "c.json").write_text(json.dumps({"type": "Collection"}))
    with pytest.raises(InputError, match=re.escape("is 'Collection'")):
        open_scene(s2, str(tmp_path / "c.json"))
    (tmp_path / "t.json").write_text("<html>")
    with pytest.raises(RasterReadError, match="a STAC item is JSON"):
        open_scene(s2, str(tmp_path / "t.json"))
    with pytest.raises(RasterNotFoundError, match="a STAC item must exist"):
        open_scene(s2, str(tmp_path / "absent.json"))


# what is said by the user


def test_radiometry_from_the_user_comes_first(tmp_path: Path, s2: str, db: FloatArray) -> None:
    path = write_raster(tmp_path / "s1_gamma0.tif", db, descriptions=("VV", "VH"))
    assert open_scene(s2, path).sar_facts.radiometry == "gamma0"
    assert open_scene(s2, path, sar=SarOptions(radiometry="sigma0")).sar_facts.radiometry == "sigma0"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": "watt"}, "--s1-units"),
        ({"radiometry": "beta0"}, "--s1-radiometry"),
        ({"border_noise": "drop"}, "--s1-border-noise"),
        ({"max_days": -1}, "--max-days"),
        ({"max_days": float("nan")}, "--max-days"),
    ],
)
def test_words_that_mean_nothing(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SarOptions(**options)


def test_complex_pixels_stay_refused(tmp_path: Path, s2: str) -> None:
    path = write_raster(tmp_path / "slc.tif", np.ones((2, *SHAPE), np.complex64), crs=UTM, descriptions=("VV", "VH"))
    with pytest.raises(UnitsError, match="single-look complex"):
        open_scene(s2, path)
    halves = write_pair(tmp_path / "slc", np.ones((2, *SHAPE), np.complex64))  # type: ignore[arg-type] - complex on purpose
    with pytest.raises(UnitsError, match="single-look complex"):
        open_scene(s2, ",".join(halves))


def test_a_name_tells_amplitude_from_power(tmp_path: Path, s2: str, db: FloatArray) -> None:
    """Both are positive: the values of a HyP3 product cannot tell them apart, its name does; and the user's word comes first."""
    names = [f"S1A_IW_20180712T051733_DVP_RTC10_G_gauned_FD6A_{band}.tif" for band in ("VV", "VH")]
    pair = ",".join(write_pair(tmp_path / "p", 10 ** (db / 20), (names[0], names[1])))
    scene = open_scene(s2, pair)
    np.testing.assert_allclose(scene.read_sar(WHOLE), db, atol=1e-4)
    assert any("taken as amplitude: its name tells" in note for note in scene.notes)
    np.testing.assert_allclose(open_scene(s2, pair, sar=SarOptions(units="power")).read_sar(WHOLE), db / 2, atol=1e-4)
    wrong = write_raster(tmp_path / "amplitude_in_db.tif", db, descriptions=("VV", "VH"))
    np.testing.assert_allclose(open_scene(s2, wrong).read_sar(WHOLE), db, atol=1e-4)


def test_a_few_negative_powers_do_not_make_a_product_of_power_one_of_db(tmp_path: Path, s2: str) -> None:
    """Resampling and noise removal leave some; the name tells what the file holds."""
    power = np.full((2, *SHAPE), 0.1, np.float32)
    power[:, 3, 4:8] = -0.001
    path = write_raster(tmp_path / "S1A_IW_20180712T051733_DVP_RTC10_G_gpuned_FD6A.tif", power, descriptions=("VV", "VH"))
    read = open_scene(s2, path).read_sar(WHOLE)
    assert np.isnan(read[:, 3, 4:8]).all()
    np.testing.assert_allclose(read[:, 10:], -10, atol=1e-4)
