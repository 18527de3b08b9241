"""Items and collections: valid by the specification, equal to what other tools say of the same file, readable from elsewhere."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from rasterio.crs import CRS
from rio_stac import create_stac_item

from geocr.catalog.collection import _hull, require_own, write_collection
from geocr.catalog.items import FIRST_SENTINEL_2, ItemAsset, ItemLink, ItemTime, SceneItem, eo_band, json_number, stac_time
from geocr.catalog.places import relative_href
from geocr.core.errors import OutputExistsError
from geocr.inference.products import PROVENANCE_CATEGORIES
from geocr.io.grid import SceneGrid
from geocr.io.spec import RasterSpec
from geocr.io.whole import write_json
from tests.catalog.schemas import read, validate_core
from tests.scenes import TRANSFORM, UTM, write_raster

GRID = SceneGrid(crs=UTM, transform=TRANSFORM, shape=(40, 30))
NOON = datetime(2023, 8, 15, 9, 57, 57, 246000, tzinfo=UTC)


def scene_spec(grid: SceneGrid = GRID, **changes: Any) -> RasterSpec:
    settings: dict[str, Any] = {
        "grid": grid,
        "count": 2,
        "dtype": "uint16",
        "nodata": 0.0,
        "descriptions": ("B04", "B08"),
        "scale": 1e-4,
        "offset": -0.1,
    }
    return RasterSpec(**settings | changes)


def make_item(name: str = "clear", grid: SceneGrid = GRID, time: ItemTime | None = None, **more: Any) -> dict[str, Any]:
    kinds = RasterSpec(grid=grid, count=1, dtype="uint8", nodata=0.0, descriptions=("provenance",), categories=PROVENANCE_CATEGORIES)
    assets = {
        "scene": ItemAsset(href=f"./{name}.tif", title="Scene", roles=("data", "reflectance"), spec=scene_spec(grid)),
        "provenance": ItemAsset(href=f"./{name}_provenance.tif", title="Provenance", roles=("metadata",), spec=kinds),
        "quicklook": ItemAsset(href=f"./{name}_quicklook.png", title="Picture", roles=("overview",)),
    }
    time = time or ItemTime(acquired=NOON)
    return SceneItem(id=name, grid=grid, time=time, assets=assets, properties={"processing:software": {"geocr": "1"}}, **more).as_json()


def test_an_item_says_what_rio_stac_says_of_the_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 9000, (2, 40, 30)).astype(np.uint16)
    path = write_raster(tmp_path / "clear.tif", pixels, nodata=0, descriptions=("B04", "B08"), scale=1e-4, offset=-0.1)
    theirs = create_stac_item(
        path, input_datetime=NOON, with_proj=True, with_raster=True, with_eo=True, asset_name="scene", geom_densify_pts=19
    ).to_dict()
    ours = make_item()
    for name in ("proj:shape", "proj:transform"):
        assert ours["properties"][name] == list(theirs["properties"][name])[:6], name
    assert ours["properties"]["proj:code"] == f"EPSG:{theirs['properties'].get('proj:epsg') or theirs['properties']['proj:code'][5:]}"
    np.testing.assert_allclose(ours["bbox"], theirs["bbox"], atol=1e-6)
    for mine, other in zip(ours["assets"]["scene"]["raster:bands"], theirs["assets"]["scene"]["raster:bands"], strict=True):
        assert mine["data_type"] == other["data_type"]
        assert mine["nodata"] == other["nodata"]
        assert (mine["scale"], mine["offset"]) == pytest.approx((other["scale"], other["offset"]))
    assert [band["name"] for band in ours["assets"]["scene"]["eo:bands"]] == ["B04", "B08"]


@pytest.mark.parametrize("time", [ItemTime(acquired=NOON), ItemTime(acquired=None), ItemTime(acquired=None, before=NOON)])
@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        SceneGrid(crs=CRS.from_epsg(4326), transform=Affine(1e-4, 0, 179.999, 0, -1e-4, 10), shape=(40, 30)),
        SceneGrid(crs=CRS.from_proj4("+proj=laea +lat_0=50 +lon_0=11 +ellps=WGS84 +units=m"), transform=TRANSFORM, shape=(40, 30)),
    ],
    ids=["utm", "antimeridian", "no code"],
)
def test_items_are_valid(time: ItemTime, grid: SceneGrid) -> None:
    item = make_item(time=time, grid=grid, links=[ItemLink(rel="derived_from", href="../s2.tif", title="Sentinel-2 input")])
    validate_core(item)
    assert (item["properties"]["proj:code"] is None) == ("proj:wkt2" in item["properties"])
    if time.acquired is None:
        assert item["properties"]["start_datetime"] == stac_time(FIRST_SENTINEL_2)


def test_pystac_reads_projection_and_bands() -> None:
    item = pystac.Item.from_dict(make_item())
    assert item.datetime == NOON
    assert ProjectionExtension.ext(item).shape == [40, 30]
    assert ProjectionExtension.ext(item).code == "EPSG:32633"
    band = (RasterExtension.ext(item.assets["scene"]).bands or [])[0]
    assert (band.scale, band.offset, band.nodata, band.data_type) == (1e-4, -0.1, 0, "uint16")
    classes = item.assets["provenance"].extra_fields["classification:classes"]
    assert [(entry["value"], entry["name"]) for entry in classes][:2] == [(0, "nodata"), (1, "observed")]
    assert all(set(entry["color_hint"]) <= set("0123456789ABCDEF") and len(entry["color_hint"]) in (6, 8) for entry in classes)


@pytest.mark.network
def test_items_are_valid_by_their_extensions() -> None:
    assert len(pystac.Item.from_dict(make_item()).validate()) >= 6


@given(seconds=st.integers(-60_000_000_000, 250_000_000_000), micros=st.integers(0, 999_999), hours=st.integers(-12, 14))
def test_times_are_the_same_instant_in_utc(seconds: int, micros: int, hours: int) -> None:
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=micros)
    there = time.astimezone(timezone(timedelta(hours=hours)))
    text = stac_time(there)
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text) - there) < timedelta(milliseconds=1)
    assert text == stac_time(time) == stac_time(time.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, 0), (-9999.0, -9999), (0.5, 0.5), (float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")]
)
def test_nodata_in_json(value: float, text: float | str) -> None:
    assert json_number(value) == text


def test_red_edges_share_their_common_name() -> None:
    assert eo_band("B06", "") == {"name": "B06", "common_name": "rededge", "center_wavelength": 0.7405}
    assert eo_band(None, "band 1") == {"name": "band 1"}


@pytest.mark.parametrize(
    ("target", "base", "href"),
    [
        ("/a/b/s2.tif", "/a/c/out.json", "../b/s2.tif"),
        ("/a/c/s2.tif", "/a/c/out.json", "s2.tif"),
        ("https://user:word@host/s2.tif?sig=secret", "/a/out.json", "https://host/s2.tif"),
        ("s3://b/in/s2.tif", "s3://b/out/x.json", "../in/s2.tif"),
        ("s3://b/in/s2.tif", "s3://c/out/x.json", "s3://b/in/s2.tif"),
        ("/a/s2.tif", "s3://c/out/x.json", None),
    ],
)
def test_addresses_seen_from_an_item(target: str, base: str, href: str | None) -> None:
    assert relative_href(target, base) == href


def write_items(folder: Path, *names: str, identity: str = "results") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        link = ItemLink(rel="collection", href="./collection.json", type="application/json")
        write_json(folder / f"{name}.json", make_item(name, links=[link], collection=identity))
    return [folder / f"{name}.json" for name in names]


def test_a_collection_is_read_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "results"
    write_collection(folder / "collection.json", write_items(folder, "b", "a"), identity="results")
    validate_core(read(folder / "collection.json"))
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "elsewhere")
    collection = pystac.Collection.from_file("../moved/collection.json")
    items = list(collection.get_items())
    assert [item.id for item in items] == ["a", "b"]
    assert all(item.get_collection().id == "results" for item in items)  # type: ignore[union-attr]
    assert Path(items[0].assets["scene"].get_absolute_href() or "").resolve() == (tmp_path / "moved" / "a.tif").resolve()
    assert collection.extent.temporal.intervals == [[NOON, NOON]]


def test_a_collection_keeps_earlier_items_that_are_still_there(tmp_path: Path) -> None:
    place = tmp_path / "collection.json"
    first, gone = write_items(tmp_path, "first", "gone")
    write_collection(place, [first, gone], identity="results")
    gone.unlink()
    write_collection(place, write_items(tmp_path, "second"), identity="results")
    assert [link["href"] for link in read(place)["links"] if link["rel"] == "item"] == ["./first.json", "./second.json"]


def test_a_collection_takes_only_its_own(tmp_path: Path) -> None:
    write_collection(
        tmp_path / "collection.json", [*write_items(tmp_path, "a", identity="other"), tmp_path / "none.json"], identity="results"
    )
    assert not (tmp_path / "collection.json").exists()
    (tmp_path / "collection.json").write_text('{"type": "Collection", "id": "theirs"}')
    with pytest.raises(OutputExistsError, match=r"collection\.json"):
        require_own(tmp_path / "collection.json", overwrite=False)
    require_own(tmp_path / "collection.json", overwrite=True)


@pytest.mark.parametrize(
    ("boxes", "hull"),
    [
        ([(1, 2, 3, 4), (2, 1, 5, 3)], (1, 1, 5, 4)),
        ([(179, 0, -179, 1)], (179, 0, -179, 1)),
        ([(179, 0, -179, 1), (-178, 1, -177, 2)], (179, 0, -177, 2)),
        ([(178, 0, 179, 1), (179, 0, -179, 1)], (178, 0, -179, 1)),
    ],
)
def test_the_hull_of_boxes(boxes: list[tuple[float, float, float, float]], hull: tuple[float, float, float, float]) -> None:
    assert _hull(boxes) == hull


def test_equal_items_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "clear.json", make_item())
    assert (tmp_path / "one" / "clear.json").read_bytes() == (tmp_path / "two" / "clear.json").read_bytes()
    with rasterio.Env():
        assert list(tmp_path.rglob("*.partial")) == []
