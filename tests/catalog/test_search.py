"""Search: the same pairs from files and from an API, nearest first, every page read, and faults named."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geocr.catalog import source
from geocr.catalog.area import SearchArea, SearchTime, area_m2
from geocr.catalog.pair_list import write_pairs
from geocr.catalog.pairing import FoundPair, days_between, match
from geocr.catalog.presets import PRESETS
from geocr.catalog.search import CatalogChoice, SearchRequest, SearchResult, choose_catalogs, find_pairs
from geocr.catalog.source import FoundItem, Query, find_items
from geocr.core.errors import InputError, OutputExistsError, RasterNotFoundError, RemoteReadError
from geocr.inference.pairs import read_pairs
from tests.catalog.catalogs import NOON, Archive, make_archive, serve, write_static
from tests.web_server import WebServer, running_web_server

PLACE = SearchArea.from_bbox("15.0,46.93,15.02,46.96")
AUGUST = SearchTime.parse("2023-08-01/2023-08-31")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def static(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_static(archive, tmp_path_factory.mktemp("static"))


@pytest.fixture
def server() -> "WebServer":  # type: ignore[misc]
    with running_web_server() as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BACKOFF_S", 0.01)


def request(url: str | Path, **changes: object) -> SearchRequest:
    choice = CatalogChoice(url=str(url), collection=None)
    return SearchRequest(**{"area": PLACE, "time": AUGUST, "s2": choice, "s1": choice, **changes})  # type: ignore[arg-type]


def names(result: SearchResult) -> list[tuple[str, list[str]]]:
    return [(pair.s2.id, [item.id for item in pair.s1]) for pair in result.pairs]


def test_files_and_an_api_give_the_same_pairs(archive: Archive, static: Path, server: WebServer) -> None:
    here, there = find_pairs(request(static)), find_pairs(request(serve(archive, server)))
    expected = [
        ("S2A_33TWM_20230815_0_L2A", ["S1A_near_half", "S1A_next_day"]),
        ("S2B_33TWM_20230818_0_L2A", ["S1A_next_day"]),
    ]
    assert names(here) == names(there) == expected
    for mine, other in zip(here.pairs, there.pairs, strict=True):
        assert mine.overlap == pytest.approx(other.overlap)
        assert mine.days == other.days
    assert here.pairs[0].overlap == pytest.approx(1.0, abs=0.01)
    assert here.pairs[0].days == pytest.approx(1.0)  # of the image furthest away
    assert (here.s2_found, here.s1_found) == (2, 2)
    assert here.pairs[0].s2.href == str(static.parent / "sentinel-2-l2a" / "S2A_33TWM_20230815_0_L2A" / "S2A_33TWM_20230815_0_L2A.json")
    assert there.pairs[0].s2.href.endswith("/api/collections/sentinel-2-l2a/items/S2A_33TWM_20230815_0_L2A")


@pytest.mark.parametrize("page", [1, 2, 100])
def test_every_page_is_read(archive: Archive, server: WebServer, page: int) -> None:
    url = serve(archive, server, page=page)
    year = SearchTime.parse("2023-01-01/2023-12-31")
    found = list(find_items(url, Query(mission="sentinel-1", collection=None, area=PLACE, time=year)))
    assert {item.id for item in found} == {"S1A_near_half", "S1A_next_day", "S1A_far_in_time"}
    assert len(server.gets("/api/search")) == -(-3 // page)


def test_limits(static: Path) -> None:
    assert names(find_pairs(request(static, max_days=0.5, min_overlap=0.9))) == []
    half = find_pairs(request(static, max_days=0.5, min_overlap=0.1))
    assert names(half) == [("S2A_33TWM_20230815_0_L2A", ["S1A_near_half"])]
    assert 0.1 < half.pairs[0].overlap < 0.9
    assert half.without_s1 == 1
    clear = find_pairs(request(static, max_cloud_percent=50.0))
    assert (names(clear)[0][0], len(clear.pairs), clear.too_cloudy) == ("S2A_33TWM_20230815_0_L2A", 1, 1)
    assert len(find_pairs(request(static, limit=1)).pairs) == 1
    alone = find_pairs(request(static, s1=None))
    assert [len(pair.s1) for pair in alone.pairs] == [0, 0]
    assert find_pairs(request(static, area=SearchArea.from_bbox("-60,-4,-59,-3"))).pairs == ()


def test_a_list_is_read_by_a_batch_as_it_is(static: Path, tmp_path: Path) -> None:
    pairs = find_pairs(request(static)).pairs
    for name in ("pairs.csv", "pairs.json"):
        write_pairs(tmp_path / name, pairs, overwrite=False)
        rows = read_pairs(str(tmp_path / name), folder=None, no_s1=False)
        assert [(row.s1, row.s2) for row in rows] == [(",".join(item.href for item in pair.s1), pair.s2.href) for pair in pairs]
        assert [row.out for row in rows] == [tmp_path / f"{pair.s2.id}_cloudfree.tif" for pair in pairs]
        assert [row.s1 for row in read_pairs(str(tmp_path / name), folder=None, no_s1=True)] == [None, None]
        with pytest.raises(OutputExistsError, match="--overwrite"):
            write_pairs(tmp_path / name, pairs, overwrite=False)
        write_pairs(tmp_path / name, pairs, overwrite=True)
    first = json.loads((tmp_path / "pairs.json").read_text())["features"][0]
    assert sorted(first["assets"]) == ["s1", "s1_2", "s2"]
    assert first["properties"]["geocr:s1_days"] == [0.25, 1.0]
    with pytest.raises(InputError, match=r"\.csv or \.json"):
        write_pairs(tmp_path / "pairs.txt", pairs, overwrite=False)


def make_found(name: str, days: float, box: tuple[float, float, float, float]) -> FoundItem:
    geometry = shapely.geometry.mapping(shapely.box(*box))
    return FoundItem(href=name, acquired=NOON + timedelta(days=days), content={"id": name, "geometry": geometry})


boxes = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.05, 1), st.floats(0.05, 1)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)


@given(candidates=st.lists(st.tuples(st.floats(-9, 9), boxes), max_size=6), max_days=st.floats(0, 9), seed=st.randoms())
def test_laws_of_matching(candidates: list[tuple[float, tuple[float, float, float, float]]], max_days: float, seed: object) -> None:
    s2 = make_found("s2", 0, (0, 0, 1, 1))
    items = [make_found(f"s1_{number}", days, box) for number, (days, box) in enumerate(candidates)]
    area = SearchArea.from_bbox("0,0,1,1")
    pair = match(s2, items, area, max_days=max_days)
    gaps = [abs(days_between(s2, item)) for item in pair.s1]
    assert gaps == sorted(gaps)
    assert all(gap <= max_days for gap in gaps)
    covered = shapely.union_all([shapely.geometry.shape(item.content["geometry"]) for item in pair.s1]).intersection(area.geometry)
    assert pair.overlap == pytest.approx(area_m2(covered) / area_m2(area.geometry), abs=1e-6)
    shuffled = list(items)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert match(s2, shuffled, area, max_days=max_days) == pair
    without = [item for item in items if item not in pair.s1]
    assert isinstance(match(s2, without, area, max_days=max_days), FoundPair)


def test_times() -> None:
    day = SearchTime.parse("2023-08-15")
    assert (day.start, day.end) == (datetime(2023, 8, 15, tzinfo=UTC), datetime(2023, 8, 15, 23, 59, 59, tzinfo=UTC))
    assert str(SearchTime.parse("2023-08-15T10:00:00+02:00/2023-08-16")) == "2023-08-15T08:00:00Z/2023-08-16T23:59:59Z"
    for text in ("August", "2023-08-31/2023-08-01", "", "2023-08-01/2023-08-02/2023-08-03"):
        with pytest.raises(InputError, match="--date"):
            SearchTime.parse(text)


def test_areas() -> None:
    across = SearchArea.from_bbox("179,-10,-179,10")
    assert across.boxes == ((179.0, -10.0, 180.0, 10.0), (-180.0, -10.0, -179.0, 10.0))
    assert SearchArea.from_bbox("1,2,3,4").boxes == ((1.0, 2.0, 3.0, 4.0),)
    assert area_m2(shapely.box(-180, -90, 180, 90)) == pytest.approx(4 * 3.141592653589793 * 6_371_000**2, rel=1e-6)
    for text in ("1,2,3", "a,b,c,d", "1,4,3,2", "-200,0,0,1", "1,2,1,4"):
        with pytest.raises(InputError, match="--bbox"):
            SearchArea.from_bbox(text)
    utm = SearchArea.from_aoi("SRID=32633;POLYGON((500000 5200000,501000 5200000,501000 5199000,500000 5199000,500000 5200000))")
    assert area_m2(utm.geometry) == pytest.approx(1e6, rel=0.01)


def test_catalogues_by_name() -> None:
    s2, s1 = choose_catalogs("earth-search", s1_catalog=None, s2_collection=None, s1_collection=None, with_s1=True)
    assert s2 == CatalogChoice(url="https://earth-search.aws.element84.com/v1", collection="sentinel-2-l2a")
    assert s1 == CatalogChoice(url=PRESETS["planetary-computer"].url, collection="sentinel-1-rtc")
    assert choose_catalogs("a/catalog.json", s1_catalog=None, s2_collection=None, s1_collection="x", with_s1=True) == (
        CatalogChoice(url="a/catalog.json", collection=None),
        CatalogChoice(url="a/catalog.json", collection="x"),
    )
    assert choose_catalogs("earth-search", s1_catalog=None, s2_collection=None, s1_collection=None, with_s1=False)[1] is None
    with pytest.raises(InputError, match="raw GRD"):
        choose_catalogs("planetary-computer", s1_catalog="earth-search", s2_collection=None, s1_collection=None, with_s1=True)
    with pytest.raises(InputError, match="earth-search, planetary-computer"):
        choose_catalogs("earthsearch", s1_catalog=None, s2_collection=None, s1_collection=None, with_s1=True)


def test_an_api_that_fails_for_a_while_is_asked_again(archive: Archive, server: WebServer) -> None:
    url = serve(archive, server)
    server.faults["/api/search"] = [503, "reset", 429]
    assert len(find_pairs(request(url)).pairs) == 2


def test_an_api_that_does_not_answer_is_named(archive: Archive, server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "ATTEMPTS", 2)
    url = serve(archive, server)
    query = Query(mission="sentinel-2", collection="sentinel-2-l2a", area=PLACE, time=AUGUST)
    for fault in ("silence", 503, 403):
        server.faults["/api/search"] = [fault, "..."]
        with pytest.raises(RemoteReadError, match=f"{url} did not"):
            list(find_items(url, query, timeout_s=0.3))
    with pytest.raises(RemoteReadError, match=r"127\.0\.0\.1:9/none"):
        list(find_items("http://127.0.0.1:9/none", query))


def test_catalogues_that_are_none(tmp_path: Path, archive: Archive, server: WebServer, static: Path) -> None:
    query = Query(mission="sentinel-2", collection=None, area=PLACE, time=AUGUST)
    with pytest.raises(RasterNotFoundError, match=r"no file .*none\.json"):
        list(find_items(str(tmp_path / "none.json"), query))
    (tmp_path / "broken.json").write_text('{"type": "Catalog"')
    with pytest.raises(InputError, match="cannot be read as one"):
        list(find_items(str(tmp_path / "broken.json"), query))
    with pytest.raises(InputError, match="is an item"):
        list(find_items(find_pairs(request(static)).pairs[0].s2.href, query))
    api = serve(Archive(items={"landsat": archive.items["sentinel-2-l2a"][:1]}), server)
    with pytest.raises(InputError, match="--s2-collection"):
        list(find_items(api, query))
