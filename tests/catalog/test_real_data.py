"""The real scenes of `../shared/data` as a catalogue: found, fetched and read as their items mean."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio

from geocr.catalog.area import SearchArea, SearchTime
from geocr.catalog.fetch import fetch
from geocr.catalog.fetch_plan import plan_pair
from geocr.catalog.search import CatalogChoice, SearchRequest, find_pairs
from geocr.inference.prepare import Silent
from geocr.io.grid import SceneGrid
from geocr.io.open import open_scene
from tests.catalog.catalogs import UTM, Archive, make_s1, write_static
from tests.data_makers.local_items import write_local_item

pytestmark = pytest.mark.real_data

PLACE = SearchArea.from_bbox("15.4,46.3,15.6,46.45")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three dates of tile 33TWM with a made Sentinel-1 image, as a static catalogue."""
    from tests.conftest import real_data_folder

    source = real_data_folder() / "s2_l2a_scene_T33TWM_120m"
    if not source.is_dir():
        pytest.skip(f"no real data at {source}; set GEOCR_TEST_DATA to run this test")
    folder = tmp_path_factory.mktemp("items")
    scenes = []
    for place in sorted(source.iterdir()):
        item = pystac.Item.from_dict(json.loads(Path(write_local_item(place, folder)).read_text()))
        item.clear_links()
        scenes.append(item)
    with rasterio.open(next(source.glob("*/B04.tif"))) as band:
        grid = SceneGrid(crs=UTM, transform=band.transform, shape=band.shape)
    radar = make_s1(folder, "S1A_IW_20230814_rtc", datetime.fromisoformat("2023-08-14T17:00:00Z"), grid=grid)
    return write_static(Archive(items={"sentinel-2-l2a": scenes, "sentinel-1-rtc": [radar]}), tmp_path_factory.mktemp("static"))


def search(catalog: Path, **changes: object) -> list[str]:
    choice = CatalogChoice(url=str(catalog), collection=None)
    time = SearchTime.parse("2023-08-01/2023-08-31")
    request = SearchRequest(**{"area": PLACE, "time": time, "s2": choice, "s1": choice, **changes})  # type: ignore[arg-type]
    return [pair.s2.id for pair in find_pairs(request).pairs]


def test_dates_and_clouds_are_those_of_the_items(catalog: Path) -> None:
    dates = ["S2B_33TWM_20230813_0_L2A", "S2A_33TWM_20230815_0_L2A", "S2A_33TWM_20230818_0_L2A"]
    assert search(catalog) == dates
    assert search(catalog, max_days=2.0) == dates[:2]
    assert search(catalog, max_cloud_percent=10.0) == dates[:2]


def test_an_offset_that_was_applied_is_not_applied_again(catalog: Path, real_data: Path, tmp_path: Path) -> None:
    name = "S2A_33TWM_20230818_0_L2A"
    item, radar = (
        catalog.parent / place
        for place in (f"sentinel-2-l2a/{name}/{name}.json", "sentinel-1-rtc/S1A_IW_20230814_rtc/S1A_IW_20230814_rtc.json")
    )
    assert json.loads(item.read_text())["assets"]["red"]["raster:bands"][0]["offset"] == -0.1  # what the real item says of its band
    plan = plan_pair(str(item), [str(radar)], tmp_path, area=PLACE.geometry, resolution_m=None)
    assert plan is not None
    fetch([plan], overwrite=False, threads=2, progress=Silent())
    fetched = json.loads(plan.s2.place.read_text())
    assert fetched["assets"]["B04"]["raster:bands"][0]["offset"] == 0.0
    scene = open_scene(str(plan.s2.place), str(plan.s1[0].place))
    assert (scene.scale.scale, scene.scale.offset) == (1e-4, 0.0)
    assert scene.bands == ("B02", "B03", "B04", "B08")
    assert scene.sar_facts.acquired is not None
    assert scene.optical_facts.acquired is not None
    assert scene.optical_facts.acquired - scene.sar_facts.acquired < timedelta(days=4)
    with rasterio.open(real_data / "s2_l2a_scene_T33TWM_120m" / name / "B04.tif") as there:
        col, row = ~there.transform * (scene.grid.transform.c, scene.grid.transform.f)
        size = scene.grid.shape
        window = rasterio.windows.Window(round(col), round(row), size[1], size[0])
        expected = there.read(1, window=window)
    np.testing.assert_array_equal(scene.read_dn(scene.grid.window)[2], expected)
    assert expected.any()
