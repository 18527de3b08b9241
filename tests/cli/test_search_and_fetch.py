"""From a catalogue to a cloud-free scene on the command line: search, fetch, predict."""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio

from tests.catalog.catalogs import NOON, Archive, make_archive, make_s1, make_s2, write_static
from tests.cli.conftest import Command, make_checkpoint

PLACE = ["--bbox", "15.0,46.93,15.02,46.96", "--date", "2023-08-01/2023-08-31"]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_static(make_archive(tmp_path_factory.mktemp("archive")), tmp_path_factory.mktemp("static"))


def test_a_list_on_standard_output_and_in_files(geocr: Command, catalog: Path, tmp_path: Path) -> None:
    done = geocr("search", *PLACE, "--catalog", catalog)
    assert done.code == 0, done.err
    head, *rows = done.out.splitlines()
    assert head.startswith("s1,s2,out,date")
    assert len(rows) == 2
    assert "note: 2 Sentinel-2 and 2 Sentinel-1 images in the area" in done.err
    written = geocr("search", *PLACE, "--catalog", catalog, "-o", tmp_path / "pairs.csv", "--json")
    assert (tmp_path / "pairs.csv").read_text() == done.out
    assert [pair["cloud_percent"] for pair in written.json["pairs"]] == [20.0, 80.0]
    again = geocr("search", *PLACE, "--catalog", catalog, "-o", tmp_path / "pairs.csv")
    assert again.code == 2
    assert "add --overwrite" in again.err
    listed = geocr("predict-batch", tmp_path / "pairs.csv", "--dry-run", "--json")
    assert [scene["s2"] for scene in listed.json["scenes"]] == [pair["s2"] for pair in written.json["pairs"]]


def test_a_dry_run_asks_nothing(geocr: Command, tmp_path: Path) -> None:
    done = geocr("search", *PLACE, "--catalog", "earth-search", "--dry-run", "--json")
    assert done.json["s2"] == {"catalog": "https://earth-search.aws.element84.com/v1", "collection": "sentinel-2-l2a"}
    assert done.json["s1"] == {"catalog": "https://planetarycomputer.microsoft.com/api/stac/v1", "collection": "sentinel-1-rtc"}
    assert done.json["time"] == "2023-08-01T00:00:00Z/2023-08-31T23:59:59Z"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--date", "2023-08-15"], "--bbox or by --aoi"),
        (["--date", "soon", "--bbox", "1,2,3,4"], "--date is a day"),
        (["--date", "2023-08-15", "--bbox", "1,2,3"], "--bbox is W,S,E,N"),
        (["--date", "2023-08-15", "--bbox", "1,2,3,4", "--catalog", "nowhere"], "earth-search, planetary-computer"),
        (["--date", "2023-08-15", "--bbox", "1,2,3,4", "--catalog", "a/none.json"], "no file a/none.json"),
        (["--date", "2023-08-15", "--bbox", "1,2,3,4", "-o", "list.txt"], ".csv or .json"),
    ],
)
def test_what_cannot_be_searched_says_why(geocr: Command, arguments: list[str], message: str) -> None:
    done = geocr("search", *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_fetch_tells_bytes_and_then_fetches_them(geocr: Command, catalog: Path, tmp_path: Path) -> None:
    geocr("search", *PLACE, "--catalog", catalog, "--max-cloud", 50, "-o", tmp_path / "pairs.csv")
    command = ["fetch", tmp_path / "pairs.csv", "-o", tmp_path / "scenes", "--bbox", "15.002,46.945,15.008,46.95"]
    planned = geocr(*command, "--dry-run", "--json")
    assert planned.code == 0, planned.err
    assert not (tmp_path / "scenes").exists()
    assert planned.json["bytes"] == sum(file["bytes"] for file in planned.json["files"])
    done = geocr(*command, "--json")
    assert done.code == 0, done.err
    assert done.json["fetched"] == len(planned.json["files"]) == 8  # three bands, classes, and two polarisations of two images
    again = geocr(*command, "--json")
    assert (again.json["fetched"], again.json["kept"]) == (0, 8)
    (tmp_path / "scenes").rename(tmp_path / "moved")
    listed = geocr("predict-batch", tmp_path / "moved" / "pairs.csv", "--dry-run", "--json")
    (scene,) = listed.json["scenes"]
    assert all(Path(place).is_file() for place in [*scene["s1"].split(","), scene["s2"]])
    outside = geocr(*command[:-1], "50,46,51,47", "--overwrite")
    assert outside.code == 2
    assert "none does; check --bbox" in outside.err


def test_from_a_catalogue_to_a_scene(geocr: Command, tmp_path: Path) -> None:
    archive = Archive(
        items={
            "sentinel-2-l2a": [make_s2(tmp_path / "archive", "S2A_33TWM_20230815_0_L2A", NOON)],
            "sentinel-1-rtc": [make_s1(tmp_path / "archive", "S1A_rtc", NOON + timedelta(days=1))],
        }
    )
    catalog = write_static(archive, tmp_path / "static")
    net = make_checkpoint(tmp_path / "net.safetensors", bands=("B04", "B08", "B11"))
    for command in (
        ["search", *PLACE, "--catalog", catalog, "-o", tmp_path / "pairs.json"],
        ["fetch", tmp_path / "pairs.json", "-o", tmp_path / "scenes"],
        [
            "predict-batch",
            tmp_path / "scenes" / "pairs.csv",
            "-o",
            tmp_path / "results",
            "--checkpoint",
            net,
            "--mask-buffer-m",
            0,
            "--any-level",
        ],
    ):
        done = geocr(*command)
        assert done.code == 0, done.err
    collection = pystac.Collection.from_file(tmp_path / "results" / "collection.json")
    (item,) = collection.get_items()
    assert item.datetime == NOON
    assert item.properties["geocr:cloud_mask"] == "scl"  # the fetched classification, found without being named
    assert item.properties["platform"] == "sentinel-2a"
    origins = [Path(link.get_absolute_href() or "").name for link in item.links if link.rel == "derived_from"]
    assert origins == ["S1A_rtc.json", "S2A_33TWM_20230815_0_L2A.json"]
    with (
        rasterio.open(item.assets["scene"].get_absolute_href()) as scene,
        rasterio.open(tmp_path / "archive" / "S2A_33TWM_20230815_0_L2A" / "B04.tif") as red,
    ):
        assert scene.descriptions == ("B04", "B08", "B11")
        with rasterio.open(item.assets["provenance"].get_absolute_href()) as provenance:
            observed = provenance.read(1) == 1
        assert observed.any()
        np.testing.assert_array_equal(scene.read(1)[observed], red.read(1)[observed])
    assert json.loads((tmp_path / "results" / f"{item.id}.json").read_text())["collection"] == "results"
