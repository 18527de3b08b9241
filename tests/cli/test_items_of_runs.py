"""What a run and a batch write into a catalogue: valid, complete, and never over somebody else's file."""

import json
from pathlib import Path

import numpy as np
import pystac
import pytest
import rasterio

from geocr.config import PredictConfig
from geocr.core.errors import OutputExistsError
from geocr.inference.batch import collection_place, run_batch
from geocr.inference.item import collection_id
from geocr.inference.pairs import ScenePair
from geocr.inference.run import predict_scene
from tests.catalog.schemas import read, validate_core
from tests.inference.test_batch import clear, make_pair
from tests.scenes import write_raster


def test_an_item_tells_of_the_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sar = rng.normal(-12, 2, (2, 60, 60)).astype(np.float32)
    s1 = Path(write_raster(tmp_path / "s1.tif", sar, nodata=np.nan, descriptions=("VV", "VH")))
    dn = rng.integers(500, 900, (2, 60, 60)).astype(np.uint16)
    s2 = Path(write_raster(tmp_path / "S2A_MSIL2A_20230815T095031.tif", dn, nodata=0, descriptions=("B02", "B03"), scale=1e-4))
    cloud = np.zeros((1, 60, 60), np.uint8)
    cloud[0, 5:9, 5:10] = 1
    write_raster(tmp_path / "mask.tif", cloud)
    config = PredictConfig(cloud_mask=str(tmp_path / "mask.tif"), mask_buffer_px=0, uncertainty=True)
    (tmp_path / "out").mkdir()
    result = predict_scene(str(s1), str(s2), tmp_path / "out" / "clear.tif", config=config)
    assert result.item == tmp_path / "out" / "clear.json"
    content = read(tmp_path / "out" / "clear.json")
    validate_core(content)
    found = content["properties"]
    assert found["datetime"] == "2023-08-15T12:00:00Z"
    assert (found["platform"], found["constellation"], found["instruments"]) == ("sentinel-2a", "sentinel-2", ["msi"])
    assert found["geocr:method"] == "scenefit"
    assert found["geocr:pixels"] == result.summary["pixels"]
    assert found["geocr:reconstructed_share"] == pytest.approx(20 / 3600)
    assert found["geocr:inputs"] == {"s1": [s1.name], "s2": [s2.name]}
    item = pystac.Item.from_file(tmp_path / "out" / "clear.json")
    origins = [link.get_absolute_href() for link in item.links if link.rel == "derived_from"]
    assert [Path(href or "") for href in origins] == [s1, s2]
    assert {name: asset.roles for name, asset in item.assets.items()} == {
        "scene": ["data", "reflectance"],
        "provenance": ["metadata", "provenance"],
        "std": ["metadata", "uncertainty"],
    }
    for asset in item.assets.values():
        with rasterio.open(asset.get_absolute_href()) as dataset:
            assert list(dataset.shape) == found["proj:shape"]
            assert [band["data_type"] for band in asset.extra_fields["raster:bands"]] == list(dataset.dtypes)


def test_no_item_is_written_when_none_is_wanted(tmp_path: Path) -> None:
    _, s2 = make_pair(tmp_path, "a")
    result = predict_scene(None, str(s2), tmp_path / "clear.tif", config=clear(tmp_path), stac=False)
    assert result.item is None
    assert not (tmp_path / "clear.json").exists()


def test_a_file_in_the_items_place_is_not_replaced_unasked(tmp_path: Path) -> None:
    _, s2 = make_pair(tmp_path, "a")
    (tmp_path / "clear.json").write_text("precious")
    with pytest.raises(OutputExistsError, match=r"clear\.json exists"):
        predict_scene(None, str(s2), tmp_path / "clear.tif", config=clear(tmp_path))
    assert not (tmp_path / "clear.tif").exists()
    assert (tmp_path / "clear.json").read_text() == "precious"
    predict_scene(None, str(s2), tmp_path / "clear.tif", config=clear(tmp_path), overwrite=True)
    validate_core(read(tmp_path / "clear.json"))


def test_a_batch_writes_a_collection_that_grows(tmp_path: Path) -> None:
    pairs = []
    for name in ("a", "b"):
        s1, s2 = make_pair(tmp_path, name)
        pairs.append(ScenePair(s1=str(s1), s2=str(s2), out=tmp_path / "results" / f"{name}.tif"))
    missing = ScenePair(s1=None, s2=str(tmp_path / "none.tif"), out=tmp_path / "results" / "none.tif")
    assert [status.outcome for status in run_batch([pairs[0], missing], clear(tmp_path))] == ["done", "failed"]
    place = tmp_path / "results" / "collection.json"
    validate_core(read(place))
    assert [item.id for item in pystac.Collection.from_file(place).get_items()] == ["a"]
    run_batch(pairs, clear(tmp_path))
    collection = pystac.Collection.from_file(place)
    assert [item.id for item in collection.get_items()] == ["a", "b"]
    for item in collection.get_items():
        validate_core(read(Path(item.get_self_href() or "")))
        assert (item.collection_id, item.get_collection().get_self_href()) == ("results", str(place))  # type: ignore[union-attr]


def test_a_collection_of_others_stops_a_batch_before_the_work(tmp_path: Path) -> None:
    s1, s2 = make_pair(tmp_path, "a")
    (tmp_path / "collection.json").write_text(json.dumps({"type": "Collection", "id": "theirs"}))
    pair = ScenePair(s1=str(s1), s2=str(s2), out=tmp_path / "a.tif")
    with pytest.raises(OutputExistsError, match="none that geocr wrote"):
        run_batch([pair], clear(tmp_path))
    assert not (tmp_path / "a.tif").exists()
    assert [status.outcome for status in run_batch([pair], clear(tmp_path), stac=False)] == ["done"]


@pytest.mark.parametrize(
    ("outs", "place"),
    [
        (["/r/a.tif", "/r/b.tif"], "/r/collection.json"),
        (["/r/x/a.tif", "/r/y/b.tif"], "/r/collection.json"),
        (["s3://b/r/a.tif", "s3://b/r/b.tif"], "s3://b/r/collection.json"),
        (["s3://b/r/x/a.tif", "s3://b/r/y/b.tif"], "s3://b/r/collection.json"),
        (["s3://b/a.tif"], "s3://b/collection.json"),
        (["s3://b/r/a.tif", "s3://c/r/b.tif"], None),
        (["s3://b/r/a.tif", "/r/b.tif"], None),
    ],
)
def test_where_a_collection_goes(outs: list[str], place: str | None) -> None:
    found = collection_place([out if "://" in out else Path(out) for out in outs])
    assert (None if found is None else str(found)) == place


def test_a_collection_is_called_as_its_folder() -> None:
    assert collection_id("/data/my results/collection.json") == "my-results"
    assert collection_id("s3://bucket/prefix/collection.json") == "prefix"
    assert collection_id("s3://bucket/collection.json") == "bucket"
    assert collection_id("/collection.json") == "geocr"
