"""Many scenes: lists are read as written, one bad scene stops nothing, a second run does what is left."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geocr.config import PredictConfig
from geocr.core.errors import CheckpointError, InputError, OutputWriteError, RasterNotFoundError
from geocr.inference.batch import SceneStatus, run_batch, status_place
from geocr.inference.pairs import ScenePair, missing_inputs, read_pairs
from tests.scenes import write_raster


def make_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A clear scene, so that nothing is fitted, and its Sentinel-1."""
    rng = np.random.default_rng(len(name))
    folder.mkdir(parents=True, exist_ok=True)
    s1, s2 = folder / f"{name}_s1.tif", folder / f"{name}_s2.tif"
    write_raster(s1, rng.normal(-12, 2, (2, 40, 30)).astype(np.float32), nodata=np.nan, descriptions=("VV", "VH"))
    write_raster(s2, rng.integers(500, 900, (2, 40, 30)).astype(np.uint16), nodata=0, descriptions=("B02", "B03"), scale=1e-4)
    write_raster(folder / "mask.tif", np.zeros((1, 40, 30), np.uint8))
    return s1, s2


def clear(folder: Path) -> PredictConfig:
    return PredictConfig(cloud_mask=str(folder / "mask.tif"))


def test_a_csv_list_is_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("s1, s2, out\na_s1.tif, a_s2.tif, x/a.tif\n/b_s1.tif,/b_s2.tif,\n")
    first, second = read_pairs(str(tmp_path / "pairs.csv"), folder=None, no_s1=False)
    assert first == ScenePair(s1=str(tmp_path / "a_s1.tif"), s2=str(tmp_path / "a_s2.tif"), out=tmp_path / "x" / "a.tif")
    assert second.s2 == "/b_s2.tif"
    assert Path(second.out).name == "b_s2_cloudfree.tif"


def test_a_pattern_finds_partners_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        make_pair(tmp_path, name)
    pairs = read_pairs(str(tmp_path / "*_s2.tif"), folder=tmp_path / "out", no_s1=False)
    assert [(Path(pair.s1 or "").name, Path(pair.s2).name, pair.out) for pair in pairs] == [
        ("a_s1.tif", "a_s2.tif", tmp_path / "out" / "a_s2_cloudfree.tif"),
        ("b_s1.tif", "b_s2.tif", tmp_path / "out" / "b_s2_cloudfree.tif"),
    ]
    assert [pair.s1 for pair in read_pairs(str(tmp_path / "*_s2.tif"), folder=None, no_s1=True)] == [None, None]


def test_a_stac_item_collection_names_pairs(tmp_path: Path) -> None:
    item = {"type": "Feature", "assets": {"s1": {"href": "a1.tif"}, "s2": {"href": "https://host/a2.tif"}}}
    (tmp_path / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": [item]}))
    (pair,) = read_pairs(str(tmp_path / "items.json"), folder=tmp_path, no_s1=False)
    assert (pair.s1, pair.s2, pair.out) == (str(tmp_path / "a1.tif"), "https://host/a2.tif", tmp_path / "a2_cloudfree.tif")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pairs.csv", "a,b\n1,2\n", "columns s1,s2"),
        ("pairs.csv", "s1,s2\n", "names none"),
        ("pairs.csv", "s1,s2\n,b.tif\n", "needs s1 and s2"),
        ("pairs.csv", "s1,s2\na.tif,b.tif\nc.tif,b.tif\n", "output of its own"),
        ("items.json", "{", "STAC item collection"),
        ("items.json", '{"features": [{}]}', "STAC item collection .* lacks 'assets'"),
        ("items.json", "{}", "STAC item collection .* lacks 'features'"),
        ("pairs.csv", "s1,s2,out\na.tif,b.tif,x.tif\nc.tif,d.tif,x.tif\n", "name another in the column `out`"),
    ],
)
def test_a_bad_list_says_what_is_wrong(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(str(tmp_path / name), folder=None, no_s1=False)


def test_missing_lists_and_partners(tmp_path: Path) -> None:
    with pytest.raises(RasterNotFoundError, match="nothing at"):
        read_pairs(str(tmp_path / "none.csv"), folder=None, no_s1=False)
    with pytest.raises(RasterNotFoundError, match="nothing matches"):
        read_pairs(str(tmp_path / "*_s2.tif"), folder=None, no_s1=False)
    make_pair(tmp_path, "a")[0].unlink()
    with pytest.raises(RasterNotFoundError, match="partner"):
        read_pairs(str(tmp_path / "*_s2.tif"), folder=None, no_s1=False)


@pytest.mark.parametrize("scheduler", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_one_bad_scene_stops_nothing_and_a_second_run_does_what_is_left(tmp_path: Path, scheduler: str) -> None:
    for name in ("a", "bad", "c", "d", "e", "f"):
        make_pair(tmp_path, name)
    good = (tmp_path / "bad_s2.tif").read_bytes()
    (tmp_path / "bad_s2.tif").write_text("no raster")
    pairs = read_pairs(str(tmp_path / "*_s2.tif"), folder=tmp_path / "out", no_s1=False)
    config = clear(tmp_path)
    told: list[str] = []
    first = run_batch(pairs, config, scheduler=scheduler, workers=2, on_scene=lambda status: told.append(status.outcome))
    assert [status.outcome for status in first] == ["done", "failed", "done", "done", "done", "done"]
    assert sorted(told) == ["done"] * 5 + ["failed"]
    assert first[1].error is not None
    assert "bad_s2.tif" in first[1].error
    assert json.loads(Path(status_place(pairs[1])).read_text())["outcome"] == "failed"
    assert not Path(pairs[1].out).exists()
    made = Path(pairs[0].out).stat().st_mtime_ns
    (tmp_path / "bad_s2.tif").write_bytes(good)
    second = run_batch(pairs, config, scheduler=scheduler, workers=2)
    assert [status.outcome for status in second] == ["kept", "done", "kept", "kept", "kept", "kept"]
    assert Path(pairs[0].out).stat().st_mtime_ns == made
    with rasterio.open(pairs[1].out) as result, rasterio.open(pairs[1].s2) as source:
        np.testing.assert_array_equal(result.read(), source.read())


def test_an_error_nobody_foresaw_is_kept_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pair(tmp_path, "a")

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("geocr.inference.batch.predict_scene", broken)
    pairs = read_pairs(str(tmp_path / "a_s2.tif"), folder=None, no_s1=False)
    (status,) = run_batch(pairs, clear(tmp_path))
    assert status.outcome == "failed"
    assert "surprise" in str(status.error)
    assert "ZeroDivisionError" in str(status.traceback)


def test_more_memory_does_not_make_scenes_again(tmp_path: Path) -> None:
    make_pair(tmp_path, "a")
    pairs = read_pairs(str(tmp_path / "a_s2.tif"), folder=None, no_s1=False)
    config = clear(tmp_path)
    assert [status.outcome for status in run_batch(pairs, config)] == ["done"]
    assert [status.outcome for status in run_batch(pairs, config.model_copy(update={"max_memory": 8 * 2**30}))] == ["kept"]
    Path(status_place(pairs[0])).write_text("[]")
    assert [status.outcome for status in run_batch(pairs, config)] == ["failed"]  # no status: the result may be anybody's


def test_other_settings_leave_a_scene_and_its_status_alone(tmp_path: Path) -> None:
    make_pair(tmp_path, "a")
    pairs = read_pairs(str(tmp_path / "a_s2.tif"), folder=tmp_path / "out", no_s1=False)
    config = clear(tmp_path)
    assert run_batch(pairs, config)[0].outcome == "done"
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (status,) = run_batch(pairs, config.model_copy(update={"uncertainty": True}))
    assert status.outcome == "failed"
    assert "with other settings (uncertainty); add --overwrite" in (status.error or "")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert run_batch(pairs, config)[0].outcome == "kept"  # the first batch goes on as if the other had not been tried
    (again,) = run_batch(pairs, config.model_copy(update={"uncertainty": True}), overwrite=True)
    assert again.outcome == "done"
    assert (tmp_path / "out" / "a_s2_cloudfree_std.tif").exists()


def test_what_is_wrong_for_every_scene_stops_the_batch_before_it_begins(tmp_path: Path) -> None:
    make_pair(tmp_path, "a")
    pairs = read_pairs(str(tmp_path / "a_s2.tif"), folder=tmp_path / "out", no_s1=False)
    (tmp_path / "net.safetensors").write_text("no tensors")
    for name in ("none.safetensors", "net.safetensors"):
        with pytest.raises(CheckpointError, match=name):
            run_batch(pairs, clear(tmp_path).model_copy(update={"checkpoint": str(tmp_path / name)}))
    with pytest.raises(InputError, match="settings of a trained model"):
        run_batch(pairs, clear(tmp_path).model_copy(update={"tile_px": 64}))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    make_pair(tmp_path, "a")
    (tmp_path / "file").touch()
    pair = ScenePair(s1=None, s2=str(tmp_path / "a_s2.tif"), out=tmp_path / "file" / "a.tif")
    (status,) = run_batch([pair], clear(tmp_path), stac=False)
    assert status.outcome == "failed"
    assert "file is a file; choose another with -o" in (status.error or "")
    assert status.traceback is None


def test_a_folder_is_no_scene_and_a_file_no_folder(tmp_path: Path) -> None:
    make_pair(tmp_path, "a")
    for source in (".", str(tmp_path), f"{tmp_path}/"):
        with pytest.raises(InputError, match=r"is a folder; give for example"):
            read_pairs(source, folder=None, no_s1=False)
    with pytest.raises(OutputWriteError, match=r"a_s1\.tif is a file; choose another with -o"):
        read_pairs(str(tmp_path / "a_s2.tif"), folder=tmp_path / "a_s1.tif", no_s1=False)


def test_missing_inputs_of_a_list_are_named_once(tmp_path: Path) -> None:
    s1, s2 = make_pair(tmp_path, "a")
    here = ScenePair(s1=f"{s1},{tmp_path}/gone_s1.tif", s2=str(s2), out=tmp_path / "a.tif")
    gone = ScenePair(s1=f"{tmp_path}/gone_s1.tif", s2=f"{tmp_path}/gone_s2.tif", out=tmp_path / "b.tif")
    elsewhere = ScenePair(s1="s3://bucket/s1.tif", s2="/vsizip/a.zip/s2.tif", out=tmp_path / "c.tif")
    assert missing_inputs([here, gone, elsewhere]) == (f"{tmp_path}/gone_s1.tif", f"{tmp_path}/gone_s2.tif")


def test_a_list_names_other_dates(tmp_path: Path) -> None:
    make_pair(tmp_path, "a")
    named = "S2_20240503.tif; S2_20240501.tif,S1_20240502.tif"
    (tmp_path / "pairs.csv").write_text(f's1,s2,references\na_s1.tif,a_s2.tif,"{named}"\na_s1.tif,b_s2.tif,\n')
    first, second = read_pairs(str(tmp_path / "pairs.csv"), folder=None, no_s1=False)
    assert first.references == (f"{tmp_path}/S2_20240503.tif", f"{tmp_path}/S2_20240501.tif,{tmp_path}/S1_20240502.tif")
    assert second.references == ()
    config = clear(tmp_path)
    assert (first.settings(config).references, second.settings(config)) == (first.references, config)
    (status,) = run_batch([first], config)
    assert status.outcome == "failed"
    assert "needs the day of each" in (status.error or "")  # of a_s2.tif: references are read
    assert json.loads(Path(status_place(first)).read_bytes())["config"]["references"] == list(first.references)


def test_other_references_make_a_scene_again(tmp_path: Path) -> None:
    _, s2 = make_pair(tmp_path, "a")
    for day in ("20240510", "20240512"):
        (tmp_path / f"S2_{day}.tif").write_bytes(s2.read_bytes())
    pair = ScenePair(
        s1=None, s2=str(tmp_path / "S2_20240510.tif"), out=tmp_path / "out.tif", references=(str(tmp_path / "S2_20240512.tif"),)
    )
    config = clear(tmp_path)
    assert [run_batch([pair], config)[0].outcome for _ in range(2)] == ["done", "kept"]
    (status,) = run_batch([replace(pair, references=())], config)
    assert (status.outcome, "other settings (references)" in (status.error or "")) == ("failed", True)


def die(pair: ScenePair, *_: object, **__: object) -> SceneStatus:
    if pair.s2.endswith("bad_s2.tif"):
        os.kill(os.getpid(), signal.SIGKILL)
    return SceneStatus(s2=pair.s2, out=str(pair.out), outcome="done", seconds=0.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::ResourceWarning")
def test_a_scene_that_no_worker_survives_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "bad", "c", "d", "e", "f"):
        make_pair(tmp_path, name)
    monkeypatch.setattr("geocr.inference.batch.process_pair", die)
    pairs = read_pairs(str(tmp_path / "*_s2.tif"), folder=tmp_path, no_s1=False)
    statuses = run_batch(pairs, clear(tmp_path), scheduler="processes", workers=2)
    by_name = {Path(status.s2).name[0]: status for status in statuses}
    assert by_name["b"].outcome == "failed"
    assert "must survive a scene, and 4 died" in str(by_name["b"].error)
    assert json.loads(Path(status_place(pairs[1])).read_text())["outcome"] == "failed"
    assert by_name["f"].outcome == "done"
