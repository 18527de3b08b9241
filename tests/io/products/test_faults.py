"""What is wrong with a product is said in words, with the file's name and the cure."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from geocr.core.bands import L2A_BANDS, S2_BANDS
from geocr.core.errors import BandError, GeocrError, InputError, RasterNotFoundError, RasterReadError, RemoteReadError, UnitsError
from geocr.io.open import open_scene
from geocr.io.products.document import resolve_href
from geocr.io.products.find import find_product, is_item_url
from geocr.io.products.tree import MAX_TEXT_BYTES, FolderTree
from geocr.io.products.xml import parse_xml
from tests.data_makers.products import FakeProduct, write_aws, write_band_folder, write_image, write_item, write_safe, zip_folder
from tests.scenes import write_raster

SMALL = FakeProduct(rows_10m=12, cols_10m=12)
SMALL_L2A = FakeProduct(rows_10m=12, cols_10m=12, level="L2A")


def one(folder: Path, pattern: str) -> Path:
    (found,) = folder.rglob(pattern)
    return found


def refused(path: Path | str, kind: type[GeocrError], match: str, **options: object) -> None:
    with pytest.raises(kind, match=match):
        open_scene(str(path), **options)  # type: ignore[arg-type]


def test_a_missing_band_file_is_named_and_may_be_left_out(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, SMALL)
    one(safe, "*_B05.jp2").unlink()
    refused(safe, BandError, r"lists B05 in GRANULE/.*_B05\.jp2, which is not there; fetch the product again.*--s2-bands B01,B02")
    assert open_scene(str(safe), s2_bands=("B02", "B03")).bands == ("B02", "B03")
    refused(safe, BandError, "lists B05", s2_bands=("B05",))


def test_of_a_level_2_product_the_finest_file_of_a_band_must_be_there(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, SMALL_L2A)
    one(safe, "*_B02_60m.jp2").unlink()  # the 10 m file is there
    assert open_scene(str(safe)).bands == L2A_BANDS
    one(safe, "*_B02_10m.jp2").unlink()
    refused(safe, BandError, r"lists B02 in .*R10m/.*_B02_10m\.jp2, which is not there")


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, FakeProduct(rows_10m=240, cols_10m=240))
    image = one(safe, "*_B08.jp2")
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    scene = open_scene(str(safe))  # to look whether an offset was applied before, what decodes is enough
    with pytest.raises(RasterReadError, match=r"every block of an input must decode; .*SAFE fails in rows 0 to 239.*_B08\.jp2"):
        scene.read_dn(scene.grid.window)
    image.write_bytes(b"")
    refused(safe, RasterReadError, r"_B08\.jp2 is not: .*it is band B08; --s2-bands can leave it out")


def test_metadata_that_is_missing(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, SMALL)
    tile = one(safe, "MTD_TL.xml")
    content = tile.read_text()
    tile.unlink()
    refused(safe, RasterReadError, "has a MTD_TL.xml in GRANULE; .* has none; fetch it again")
    tile.write_text(content)
    one(safe, "MTD_MSIL1C.xml").unlink()
    refused(safe, RasterReadError, r"has its MTD_MSIL1C\.xml or MTD_MSIL2A\.xml; .* has none; fetch it again")
    assert len(open_scene(str(one(safe, "IMG_DATA"))).bands) == 13  # the cure it names


def test_metadata_that_is_damaged(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, SMALL)
    about = one(safe, "MTD_MSIL1C.xml")
    whole = about.read_text()
    about.write_text(whole[:-40])
    refused(safe, RasterReadError, r"well-formed XML; MTD_MSIL1C\.xml in .* is not")
    about.write_text(whole.replace(">10000<", ">ten<"))
    refused(safe, RasterReadError, "QUANTIFICATION_VALUE.* must be a number, got 'ten'")
    about.write_text(whole.replace(">10000<", ">0<"))
    refused(safe, UnitsError, "quantification value of a product is a positive number, got 0")
    about.write_text(whole.replace('band_id="3"', 'band_id="33"'))
    refused(safe, UnitsError, "band_id of 0 to 12, got '33'")
    about.write_bytes(b"x" * (MAX_TEXT_BYTES + 1))
    refused(safe, RasterReadError, "it is something else")


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "lol"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    with pytest.raises(RasterReadError, match="declares no document type or entities"):
        parse_xml(bomb, "bomb")
    with pytest.raises(RasterReadError, match="declares no document type or entities"):
        parse_xml(bomb.decode().replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16"), "bomb in UTF-16")
    secret = tmp_path / "secret"
    secret.write_text("s")
    with pytest.raises(RasterReadError, match="declares no document type or entities"):
        parse_xml(f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><a>&x;</a>'.encode(), "theft")
    safe = write_safe(tmp_path, SMALL)
    about = one(safe, "MTD_MSIL1C.xml")
    about.write_text(about.read_text().replace('encoding="UTF-8"?>', 'encoding="UTF-8"?><!DOCTYPE a [<!ENTITY b "lol">]>'))
    refused(safe, RasterReadError, "declares no document type")


def test_a_zip_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "S2A.zip"
    path.write_text("<html>sign in first</html>")
    refused(path, RasterReadError, r"must be a whole zip file; .*S2A\.zip is not: .*fetch it again")
    whole = zip_folder(write_safe(tmp_path, SMALL))
    whole.write_bytes(whole.read_bytes()[:-2000])
    refused(whole, RasterReadError, "must be a whole zip file")
    refused(tmp_path / "gone.zip", RasterNotFoundError, "there is nothing at")


def test_two_products_in_one_place(tmp_path: Path) -> None:
    first, second = write_safe(tmp_path, SMALL), write_safe(tmp_path, SMALL_L2A)
    refused(tmp_path, InputError, r"a scene is one product; .* has 2: .*MTD_MSIL1C\.xml.*MTD_MSIL2A\.xml; name one of them")
    refused(zip_folder(first, second), InputError, "a scene is one product; .* has 2")
    tile = write_aws(tmp_path / "aws", SMALL)
    shutil.copytree(tile, tile.parent / "WN")
    refused(tile.parent, InputError, "a scene is one tile; .* has 2: WM, WN")
    loose = write_band_folder(tmp_path / "loose", SMALL)
    shutil.copy(one(loose, "*_B02.jp2"), loose / "T33TWM_20230815T095559_B02.jp2")
    refused(loose, InputError, "one file for each band; .* has two of B02: .*20230813.*20230815")


def test_products_of_other_kinds(tmp_path: Path) -> None:
    old = tmp_path / "S2A_OPER_PRD_MSIL1C_PDMC_20160101T000000_R008_V20151231.SAFE"
    old.mkdir()
    (old / "S2A_OPER_MTD_SAFL1C_PDMC_20160101T000000_R008_V20151231.xml").write_text("<a/>")
    refused(old, InputError, r"format of December 2016 and later .*one tile each\); .* has the older one .*fetch the reprocessed product")
    radar = tmp_path / "S1A_IW_GRDH.SAFE"
    (radar / "measurement").mkdir(parents=True)
    (radar / "measurement" / "iw-vv.tiff").write_text("")
    refused(radar, InputError, "looks like a Sentinel-1 product; the order is Sentinel-1, then Sentinel-2")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", RasterReadError, r"its 0 files are no product either: a \.SAFE folder")
    tiles = write_safe(tmp_path / "two", SMALL)
    shutil.copytree(one(tiles, "L1C_*"), tiles / "GRANULE" / "L1C_T33TWN")
    refused(tiles, InputError, "a scene is one tile; .* has 2")


def test_a_level_2_product_with_cirrus_contradicts_itself(tmp_path: Path) -> None:
    odd = write_safe(tmp_path, FakeProduct(rows_10m=12, cols_10m=12, level="L2A", extra=("B10",)))
    refused(odd, BandError, r"Level-2A product has 12 bands and no cirrus band B10.*--s2-bands B01,")
    assert open_scene(str(odd), s2_bands=L2A_BANDS).bands == L2A_BANDS


def test_bands_that_are_not_there(tmp_path: Path) -> None:
    refused(write_safe(tmp_path, SMALL_L2A), BandError, r"chooses among the bands of a product; .*got B10", s2_bands=("B02", "B10"))


def test_a_folder_with_too_many_files_is_no_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.io.products.tree.MAX_FILES", 3)
    for number in range(5):
        (tmp_path / str(number)).touch()
    with pytest.raises(InputError, match="has more than 3; name the product"):
        FolderTree(str(tmp_path))


def test_an_offset_that_would_make_the_scene_negative_is_asked_about(tmp_path: Path) -> None:
    """Harmonised values under metadata that tell an offset."""
    product = FakeProduct(level="L2A", offset_dn=0)
    item = write_item(tmp_path, product)
    for band in product.bands:
        place = product.place(S2_BANDS[band].resolution_m)
        dark = np.full(place.size, 500, np.uint16)
        dark[:, place.size[1] // 2 :] = 3000
        write_image(item.parent / f"{band}.tif", dark, place)
    refused(item, UnitsError, r"offset is applied once: -0\.1, .* turns \d\d% of a sample .*--s2-offset 0 .*--s2-offset -0\.1")
    assert open_scene(str(item), s2_offset=0.0).scale.offset == 0.0
    assert open_scene(str(item), s2_offset=-0.1).scale.offset == -0.1


@pytest.mark.parametrize(("share", "asked"), [(0.19, False), (0.21, True)])
def test_the_limit_of_negative_pixels_holds_for_tagged_rasters_too(tmp_path: Path, share: float, asked: bool) -> None:
    pixels = np.full((1, 60, 64), 2000, np.uint16)  # one chip is the whole raster
    pixels.reshape(-1)[: round(pixels.size * share / 2)] = 900
    pixels[:, 30:] = 0  # nodata does not count
    path = write_raster(tmp_path / "s2.tif", pixels, descriptions=("B04",), scale=1e-4, offset=-0.1, nodata=0)
    if asked:
        refused(path, UnitsError, "an offset is applied once: .*turns 21% of a sample")
    else:
        assert open_scene(path).scale.offset == -0.1
    assert open_scene(path, s2_offset=-0.1).scale.offset == -0.1


def test_documents_that_are_no_item(tmp_path: Path) -> None:
    path = tmp_path / "item.json"
    for content, kind, match in (
        ("{", RasterReadError, "a STAC item is JSON"),
        ("[1]", InputError, "is a list"),
        ('{"type": "Catalog"}', InputError, "has type 'Catalog'"),
        ('{"type": "FeatureCollection", "features": []}', RasterNotFoundError, "a collection of none"),
        ('{"type": "FeatureCollection", "features": [1, 2]}', InputError, "a list of 2; give them one by one, or to predict-batch"),
        ('{"type": "Feature", "assets": {"vv": {"href": "a.tif"}}}', InputError, r"assets that are bands .* has vv; choose an item"),
    ):
        path.write_text(content)
        refused(path, kind, match)


def test_files_of_an_item_that_are_missing(tmp_path: Path) -> None:
    item = write_item(tmp_path, SMALL_L2A)
    (item.parent / "B03.tif").unlink()
    refused(item, BandError, r"lists B03 in .*B03\.tif, which is not there")
    assert "B03" not in open_scene(str(item), s2_bands=("B02", "B04")).bands
    document = json.loads(item.read_text())
    document["assets"]["green"]["href"] = "http://127.0.0.1:9/B03.tif"
    item.write_text(json.dumps(document))
    refused(item, RemoteReadError, r"http://127\.0\.0\.1:9/B03\.tif is not: .*it is band B03; --s2-bands can leave it out")


def test_remote_products(tmp_path: Path) -> None:
    refused("https://example.org/a/S2A_MSIL1C.SAFE", InputError, "SAFE products are read from this machine")
    refused("s3://bucket/S2A_MSIL1C.zip", InputError, "fetch it first, or give the STAC item")
    refused("http://127.0.0.1:9/item.json", RemoteReadError, "a STAC item must be reachable; http://127.0.0.1:9/item.json is not")
    assert [is_item_url(url) for url in ("https://a/c/items/S2A", "https://a/x.json?k=v", "https://a/x.tif", "s3://b/x.json")] == [
        True, True, False, True,
    ]  # fmt: skip
    assert find_product("/vsizip/a.zip/b.tif") is None


def test_addresses_are_resolved_against_their_document() -> None:
    assert resolve_href("./B02.tif", "https://a.org/c/item.json?x=1") == "https://a.org/c/B02.tif"
    assert resolve_href("../B02.tif", "s3://bucket/a/b/item.json") == "s3://bucket/a/B02.tif"
    assert resolve_href("https://b.org/x.tif", "/data/item.json") == "https://b.org/x.tif"
    assert resolve_href("sub/B02.tif", "/data/item.json") == "/data/sub/B02.tif"
    assert resolve_href("/abs/B02.tif", "/data/item.json") == "/abs/B02.tif"
    assert resolve_href("file:///abs/B%2002.tif", "/data/item.json") == "/abs/B 02.tif"
    assert resolve_href("/vsizip/x.zip/B02.tif", "https://a.org/item.json") == "/vsizip/x.zip/B02.tif"


@pytest.mark.parametrize(("lost", "asked"), [((0.4, 0.6), True), ((0.1, 0.9), False)])
def test_damage_hides_no_offset_applied_before_and_refuses_nothing_itself(tmp_path: Path, lost: tuple[float, float], asked: bool) -> None:
    """What decodes of the sample decides; where nothing does, the run that meets the damage says so."""
    dark = np.random.default_rng(0).integers(300, 800, (1, 640, 640)).astype(np.uint16)
    path = write_raster(tmp_path / "s2.tif", dark, descriptions=("B04",), scale=1e-4, offset=-0.1, nodata=0, block=64)
    content = bytearray(Path(path).read_bytes())
    first, last = (round(len(content) * share) for share in lost)
    content[first:last] = b"\xff" * (last - first)
    Path(path).write_bytes(content)
    if asked:
        refused(path, UnitsError, "an offset is applied once: .*turns 100% of a sample")
    else:
        scene = open_scene(path)
        assert scene.scale.offset == -0.1
        with pytest.raises(RasterReadError, match="every block of an input must decode"):
            scene.read_dn(scene.grid.window)
