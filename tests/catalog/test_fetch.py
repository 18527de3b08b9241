"""Fetch: the pixels of the source bit for bit, only the window, whole files or none, and items that need no options."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import from_bounds
from rio_cogeo.cogeo import cog_validate

from geocr.catalog import fetch as fetching
from geocr.catalog.area import SearchArea
from geocr.catalog.fetch import fetch, is_fetched
from geocr.catalog.fetch_plan import PairPlan, plan_pair
from geocr.catalog.footprint import footprint_of
from geocr.catalog.window import coarser, outline_of, part_of, window_of
from geocr.core.errors import GeoreferenceError, InputError, OutputExistsError, RemoteReadError
from geocr.core.types import Window
from geocr.inference.prepare import Silent
from geocr.io.open import open_scene
from tests.catalog.catalogs import NOON, Archive, make_grid, make_s1, make_s2, serve, write_static
from tests.catalog.schemas import validate_core
from tests.web_server import WebServer, running_web_server

WANTED = SearchArea.from_bbox("15.002,46.945,15.008,46.95").geometry
S2_NAME, S1_NAME = "S2A_33TWM_20230815_0_L2A", "S1A_IW_20230816_rtc"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("archive")
    return Archive(
        items={
            "sentinel-2-l2a": [make_s2(folder, S2_NAME, NOON)],
            "sentinel-1-rtc": [make_s1(folder, S1_NAME, NOON + timedelta(days=1))],
        }
    )


@pytest.fixture(scope="module")
def static(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_static(archive, tmp_path_factory.mktemp("static")).parent


@pytest.fixture
def server() -> Iterator[WebServer]:
    with running_web_server() as server:
        yield server


def places(static: Path) -> tuple[str, list[str]]:
    s2, s1 = (
        str(static / collection / name / f"{name}.json") for collection, name in (("sentinel-2-l2a", S2_NAME), ("sentinel-1-rtc", S1_NAME))
    )
    return s2, [s1]


def make_plan(static: Path, out: Path, *, area: Any = WANTED, resolution_m: float | None = None) -> PairPlan:
    s2, s1 = places(static)
    plan = plan_pair(s2, s1, out, area=area, resolution_m=resolution_m)
    assert plan is not None
    return plan


def run(plan: PairPlan, *, overwrite: bool = False, threads: int = 2) -> fetching.FetchResult:
    return fetch([plan], overwrite=overwrite, threads=threads, progress=Silent())


def original(archive: Archive, name: str) -> Path:
    (item,) = [item for item in archive.all if item.id == name]
    return Path(item.assets["red" if "S2" in name else "vv"].href).parent


def test_pixels_and_grids_are_those_of_the_source(archive: Archive, static: Path, tmp_path: Path) -> None:
    plan = make_plan(static, tmp_path / "out")
    run(plan)
    for item in plan.items:
        for piece in item.pieces:
            name = {"scl": "SCL", "VV": "vv", "VH": "vh"}.get(piece.asset, piece.asset)
            with rasterio.open(piece.out) as here, rasterio.open(original(archive, item.source.id) / f"{name}.tif") as there:
                window = from_bounds(*here.bounds, transform=there.transform).round_offsets().round_lengths()
                np.testing.assert_array_equal(here.read(), there.read(window=window), err_msg=piece.asset)
                assert here.transform.almost_equals(there.window_transform(window), precision=1e-9)
                assert (here.crs, here.dtypes, here.nodata) == (there.crs, there.dtypes, there.nodata)
                assert here.shape < there.shape
            assert cog_validate(piece.out, strict=True, quiet=True)[0]
    assert not list(tmp_path.rglob("*.geocr"))
    assert not list(tmp_path.rglob("*.partial"))


def test_what_was_fetched_needs_no_options(static: Path, tmp_path: Path) -> None:
    plan = make_plan(static, tmp_path / "out")
    run(plan)
    scene = open_scene(str(plan.s2.place), str(plan.s1[0].place))
    assert scene.bands == ("B04", "B08", "B11")
    assert (scene.scale.scale, scene.scale.offset, scene.scale.nodata) == (1e-4, 0.0, 0.0)  # the item says that its offset was applied
    assert (scene.optical_facts.level, scene.optical_facts.baseline, scene.optical_facts.acquired) == ("L2A", "05.09", NOON)
    assert scene.optical_facts.scl is not None
    assert scene.optical_facts.scl.endswith("scl.tif")
    assert (scene.sar_facts.radiometry, scene.sar_facts.orbit, scene.sar_facts.relative_orbit) == ("gamma0", "descending", 124)
    assert scene.sar_facts.acquired == NOON + timedelta(days=1)
    assert np.isfinite(scene.read_sar(Window(row=0, col=0, height=scene.grid.shape[0], width=scene.grid.shape[1]))).all()
    with rasterio.open(plan.s2.pieces[0].out) as band:
        assert band.descriptions == ("B04",)
        assert (band.scales, band.offsets, band.nodata) == ((1e-4,), (0.0,), 0.0)
        assert band.tags()["PROCESSING_BASELINE"] == "05.09"
        assert band.tags()["datetime"].startswith("2023-08-15T10:00:00")


def test_the_window_holds_the_area_and_little_more(static: Path, tmp_path: Path) -> None:
    plan = make_plan(static, tmp_path / "out")
    for item in plan.items:
        for piece in item.pieces:
            assert outline_of(piece.grid).buffer(1e-7).contains(WANTED.intersection(outline_of(piece.source)))
    finest = plan.s2.pieces[0]
    size_m = 10 * np.array(finest.grid.shape)
    assert (size_m <= np.array([557, 458]) + 2 * 10 + 10).all()  # 0.005 degrees of latitude, 0.006 of longitude at 47 N, and whole pixels
    assert plan.nbytes < 200_000


def test_items_are_valid_and_lead_back(static: Path, tmp_path: Path) -> None:
    plan = make_plan(static, tmp_path / "out")
    run(plan)
    for item in plan.items:
        content = json.loads(item.place.read_text())
        validate_core(content)
        found = pystac.Item.from_file(item.place)
        assert all(Path(asset.get_absolute_href() or "").is_file() for asset in found.assets.values())
        assert [link.href for link in found.links if link.rel == "derived_from"] == [item.source.place]
        assert content["collection"] == item.source.collection


def test_a_second_run_keeps_what_is_there(static: Path, tmp_path: Path) -> None:
    plan = make_plan(static, tmp_path / "out")
    first = run(plan)
    times = {path: path.stat().st_mtime_ns for path in first.fetched}
    again = run(plan)
    assert (again.fetched, sorted(again.kept)) == ([], sorted(times))
    assert {path: path.stat().st_mtime_ns for path in again.kept} == times
    first.fetched[0].unlink()
    assert run(plan).fetched == [first.fetched[0]]


def test_another_window_is_not_written_over_unasked(static: Path, tmp_path: Path) -> None:
    run(make_plan(static, tmp_path / "out"))
    other = make_plan(static, tmp_path / "out", area=None)
    with pytest.raises(OutputExistsError, match="another window; add --overwrite"):
        run(other)
    assert len(run(other, overwrite=True).fetched) == 6


def test_a_stopped_run_goes_on_within_a_file(static: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PART_ROWS", 32)
    expected = make_plan(static, tmp_path / "whole", area=None)
    run(expected)
    plan = make_plan(static, tmp_path / "out", area=None)
    read = fetching._read_rows
    rows: list[int] = []

    def stop_after(count: int) -> Callable[..., Any]:
        def reading(lazy: Any, piece: Any, row: int, height: int, threads: int) -> Any:
            if len(rows) == count:
                raise KeyboardInterrupt
            rows.append(row)
            return read(lazy, piece, row, height, threads)

        return reading

    monkeypatch.setattr(fetching, "_read_rows", stop_after(2))
    with pytest.raises(KeyboardInterrupt):
        run(plan)
    assert not plan.s2.place.exists()
    assert not plan.s2.pieces[0].out.exists()
    monkeypatch.setattr(fetching, "_read_rows", stop_after(10**6))
    run(plan)
    assert rows[:2] == [0, 32]
    assert rows[2] == 64  # what was finished is not read again
    for mine, other in zip(plan.items, expected.items, strict=True):
        for piece, whole in zip(mine.pieces, other.pieces, strict=True):
            assert piece.out.read_bytes() == whole.out.read_bytes(), piece.asset


@pytest.mark.parametrize("threads", [1, 4])
def test_neither_threads_nor_chunks_change_a_byte(static: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    for resolution in (None, 20.0):
        plain = make_plan(static, tmp_path / f"a{resolution}", area=None, resolution_m=resolution)
        run(plain)
        with monkeypatch.context() as patch:
            patch.setattr(fetching, "_CHUNK_PX", 50)
            patch.setattr(fetching, "PART_ROWS", 16)
            small = make_plan(static, tmp_path / f"b{resolution}", area=None, resolution_m=resolution)
            run(small, threads=threads)
        for mine, other in zip(plain.items, small.items, strict=True):
            for one, two in zip(mine.pieces, other.pieces, strict=True):
                with rasterio.open(one.out) as first, rasterio.open(two.out) as second:
                    np.testing.assert_array_equal(first.read(), second.read(), err_msg=f"{one.asset} {resolution}")


def test_coarser_pixels_are_means_of_those_with_a_value(archive: Archive, static: Path, tmp_path: Path) -> None:
    plan = make_plan(static, tmp_path / "out", area=None, resolution_m=20.0)
    run(plan)
    with rasterio.open(plan.s2.pieces[0].out) as here, rasterio.open(original(archive, S2_NAME) / "B04.tif") as there:
        fine = there.read(1).astype(float)
        assert here.transform.a == 20.0
        blocks = fine.reshape(60, 2, 60, 2).swapaxes(1, 2).reshape(60, 60, 4)
        count = (blocks > 0).sum(-1)
        means = blocks.sum(-1) / np.maximum(count, 1)
        found = here.read(1)
        np.testing.assert_array_equal(found == 0, count == 0)
        assert np.abs(found - means)[count > 0].max() <= 0.5
    coarse = {piece.asset: piece.grid.pixel_size_m for piece in plan.s2.pieces}
    assert coarse == {"B04": 20.0, "B08": 20.0, "B11": 20.0, "scl": 20.0}


def test_over_http_only_windows_travel(archive: Archive, server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDAL_INGESTED_BYTES_AT_OPEN", "16384")
    root = serve(archive, server)
    s2, s1 = (
        f"{root}/collections/{collection}/items/{name}" for collection, name in (("sentinel-2-l2a", S2_NAME), ("sentinel-1-rtc", S1_NAME))
    )
    plan = plan_pair(s2, [s1], tmp_path / "out", area=WANTED, resolution_m=None)
    assert plan is not None
    run(plan)
    for item in plan.items:
        for piece in item.pieces:
            name = {"scl": "SCL", "VV": "vv", "VH": "vh"}.get(piece.asset, piece.asset)
            with rasterio.open(piece.out) as here, rasterio.open(original(archive, item.source.id) / f"{name}.tif") as there:
                window = from_bounds(*here.bounds, transform=there.transform).round_offsets().round_lengths()
                np.testing.assert_array_equal(here.read(), there.read(window=window), err_msg=piece.asset)
    assert all(request.range for request in server.asked if request.path.startswith("/files/") and request.method == "GET")
    links = json.loads(plan.s2.place.read_text())["links"]
    assert {"rel": "derived_from", "href": s2, "type": "application/geo+json"} in links


def test_a_server_that_fails_is_named_and_the_next_run_goes_on(
    archive: Archive, server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetching.gdal_options.__globals__["_HTTP_OPTIONS"], "GDAL_HTTP_RETRY_DELAY", 0.01)
    root = serve(archive, server)
    s2 = f"{root}/collections/sentinel-2-l2a/items/{S2_NAME}"
    plan = plan_pair(s2, [], tmp_path / "out", area=None, resolution_m=None)
    assert plan is not None
    last = plan.s2.pieces[-2]
    path = last.href.removeprefix(server.url)
    server.faults[path] = [503, "..."]
    with pytest.raises(RemoteReadError, match=last.href):
        run(plan)
    assert is_fetched(plan.s2.pieces[0])
    assert not last.out.exists()
    assert not plan.s2.place.exists()
    server.faults[path] = [503, 503]
    server.asked.clear()
    result = run(plan)
    assert plan.s2.pieces[0].out in result.kept
    assert last.out in result.fetched
    assert not server.gets(plan.s2.pieces[0].href.removeprefix(server.url))


def test_what_cannot_be_fetched_says_why(static: Path, tmp_path: Path) -> None:
    s2, s1 = places(static)
    assert plan_pair(s2, s1, tmp_path, area=SearchArea.from_bbox("50,46,51,47").geometry, resolution_m=None) is None
    with pytest.raises(InputError, match=r"STAC items .*scene\.tif"):
        plan_pair("scene.tif", s1, tmp_path, area=None, resolution_m=None)
    raw = make_s1(tmp_path / "raw", "S1A_IW_GRDH_raw", NOON, collection="sentinel-1-grd")
    content = raw.to_dict(include_self_link=False)
    content["properties"] = {"datetime": "2023-08-15T10:00:00Z", "sar:product_type": "GRD"}
    (tmp_path / "grd.json").write_text(json.dumps(content))
    with pytest.raises(GeoreferenceError, match="terrain-corrected"):
        plan_pair(s2, [str(tmp_path / "grd.json")], tmp_path, area=None, resolution_m=None)
    away = make_s1(tmp_path / "away", "S1A_away_rtc", NOON, grid=make_grid(60, 0))
    away.set_self_href(str(tmp_path / "away.json"))
    away.save_object(include_self_link=False)
    plan = plan_pair(s2, [str(tmp_path / "away.json")], tmp_path, area=None, resolution_m=None)
    assert plan is not None
    assert plan.s1 == ()
    assert "does not reach" in plan.notes[0]


@given(col=st.integers(0, 100), row=st.integers(0, 100), width=st.integers(1, 20), height=st.integers(1, 20), margin=st.integers(0, 5))
def test_the_window_of_a_windows_outline_is_that_window(col: int, row: int, width: int, height: int, margin: int) -> None:
    grid = make_grid(size=120)
    inner = Window(row=row, col=col, height=min(height, 120 - row), width=min(width, 120 - col))
    outline = shapely.geometry.shape(footprint_of(part_of(grid, inner)).geometry)
    found = window_of(outline.buffer(-2e-7), grid, margin_px=margin)  # less than the seventh decimal to which outlines are written
    assert found is not None
    assert (found.row, found.col) == (max(0, row - margin), max(0, col - margin))
    assert (found.row_stop, found.col_stop) == (min(120, inner.row_stop + margin), min(120, inner.col_stop + margin))


def test_coarser_grids_cover_the_fine_one() -> None:
    grid = make_grid(size=121)
    assert coarser(grid, 20.0).shape == (61, 61)
    assert coarser(grid, 10.0) is grid
    assert coarser(grid, 5.0) is grid
