"""`s3://` in and out: the bytes of a local run, finished here, uploaded once, the scene last."""

import json
from pathlib import Path
from typing import Any

import pytest

from geocr.inference import outputs
from geocr.inference.outputs import place_outputs
from tests.cli.conftest import Command, Files, make_checkpoint, make_files
from tests.cli.test_interrupted import KILL_AFTER_FIRST_BAND, start
from tests.cluster import running_cluster
from tests.object_store import BUCKET, Store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::ResourceWarning")
OUT = f"s3://{BUCKET}/out/clear.tif"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("net") / "net.safetensors", tile_px=64)


def put_inputs(store: Store, files: Files) -> list[str]:
    s1, s2, mask = (store.put(path, f"in/{path.name}") for path in (files.s1, files.s2, files.mask))
    return ["predict-scene", s1, s2, "--cloud-mask", mask, "--mask-buffer-px", "0"]


def local_result(geocr: Command, files: Files, net: Path, *more: object) -> dict[str, bytes]:
    """What a run on local files writes under the same names."""
    folder = files.folder / "local"
    folder.mkdir()
    done = geocr(*files.arguments("--checkpoint", net, "-o", folder / "clear.tif", *more))
    assert done.code == 0, done.err
    return {f"out/{path.name}": path.read_bytes() for path in folder.iterdir()}


def require_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Files are equal to the last byte; an item differs in links and times of inputs that lie elsewhere."""
    assert found.keys() == expected.keys()
    for name, content in expected.items():
        if not name.endswith("/clear.json"):
            assert found[name] == content, name
            continue
        mine, theirs = (json.loads(text) for text in (found[name], content))
        assert mine["properties"].pop("end_datetime")
        assert theirs["properties"].pop("end_datetime")
        links = mine.pop("links")
        assert {link["rel"] for link in links} == {link["rel"] for link in theirs.pop("links")} == {"derived_from"}
        assert {link["href"] for link in links} <= {
            f"../{folder}{name}" for folder in ("in/", "tall/", "") for name in ("s1.tif", "s2.tif")
        }
        assert mine == theirs


def test_remote_in_and_out_gives_the_local_bytes(geocr: Command, files: Files, net: Path, store: Store, tmp_path: Path) -> None:
    more = ["--uncertainty", "--quicklook"]
    expected = local_result(geocr, files, net, *more)
    command = put_inputs(store, files)
    store.requests.clear()
    scratch = tmp_path / "scratch"
    done = geocr(*command, "--checkpoint", net, "-o", OUT, "--scratch", scratch, "--json", *more)
    assert done.code == 0, done.err
    assert done.json["files"] == {
        "scene": OUT,
        "provenance": f"s3://{BUCKET}/out/clear_provenance.tif",
        "std": f"s3://{BUCKET}/out/clear_std.tif",
        "quicklook": f"s3://{BUCKET}/out/clear_quicklook.png",
        "item": f"s3://{BUCKET}/out/clear.json",
    }
    written = [request.key for request in store.requests if request.method in ("PUT", "POST")]
    assert sorted(written) == sorted(expected)  # each once
    assert written[-1] == "out/clear.tif"
    require_same(store.contents("out/"), expected)
    assert list(scratch.iterdir()) == []


def test_nothing_is_overwritten_unasked(geocr: Command, files: Files, net: Path, store: Store, tmp_path: Path) -> None:
    command = [*put_inputs(store, files), "--checkpoint", net, "-o", OUT, "--scratch", tmp_path / "scratch"]
    store.client.put_object(Bucket=BUCKET, Key="out/clear_provenance.tif", Body=b"precious")
    refused = geocr(*command)
    assert refused.code == 2
    assert f"s3://{BUCKET}/out/clear_provenance.tif exists; add --overwrite" in refused.err
    assert store.contents("out/") == {"out/clear_provenance.tif": b"precious"}
    assert geocr(*command, "--overwrite").code == 0
    assert len(store.contents("out/")["out/clear_provenance.tif"]) > 1000


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("s3://nowhere/clear.tif", "the output's bucket must exist, and there is no nowhere"),
        (f"s3://{BUCKET}/in/s2.tif", "an output may not be one of the inputs"),
        (f"s3://{BUCKET}/out/clear.png", "ends in .tif"),
        (f"s3://{BUCKET}/out/", "named s3://BUCKET/KEY"),
        ("gs://bucket/clear.tif", "results go to a path or an s3:// URL"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_the_work(  # noqa: PLR0917 - fixtures
    geocr: Command, files: Files, net: Path, store: Store, tmp_path: Path, out: str, message: str
) -> None:
    done = geocr(*put_inputs(store, files), "--checkpoint", net, "-o", out, "--scratch", tmp_path / "scratch")
    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "scratch").exists()
    assert store.contents("out/") == {}


def test_an_upload_that_fails_leaves_no_scene_and_the_next_run_only_uploads(  # noqa: PLR0917 - fixtures
    geocr: Command, files: Files, net: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = local_result(geocr, files, net)
    command = [*put_inputs(store, files), "--checkpoint", net, "-o", OUT, "--scratch", tmp_path / "scratch"]
    upload = outputs.upload

    def without_bucket(path: Path, url: str) -> None:
        if url == OUT:
            url = "s3://gone/out/clear.tif"
        upload(path, url)

    with monkeypatch.context() as patch:
        patch.setattr(outputs, "upload", without_bucket)
        failed = geocr(*command)
    assert failed.code == 2
    assert "error: an output URL must be writable; s3://gone/out/clear.tif" in failed.err
    assert "run the same command again to go on from here" in failed.err
    assert "out/clear.tif" not in store.contents("out/")
    assert len(list((tmp_path / "scratch").glob("*/.clear.tif.geocr/manifest.json"))) == 1
    assert "out/clear_provenance.tif" in store.contents("out/")
    again = geocr(*command, "--json")
    assert again.code == 0, again.err
    assert again.json["tiles_computed"] == 0
    require_same(store.contents("out/"), expected)
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.slow
def test_a_killed_run_goes_on_unless_the_input_was_replaced(net: Path, store: Store, tmp_path: Path) -> None:
    files = make_files(tmp_path / "tall", (2200, 120), scale=1e-4, offset=-0.1)
    command = [*put_inputs(store, files), "--checkpoint", net, "--tile", 256, "-o", OUT, "--scratch", tmp_path / "scratch", "--json"]
    killed = KILL_AFTER_FIRST_BAND.format(signal="SIGKILL")
    assert start(command, killed).returncode == -9
    assert store.contents("out/") == {}
    resumed = json.loads(start(command).stdout)
    assert 0 < resumed["tiles_computed"] < resumed["tiles"]
    first = store.contents("out/")
    for key in first:
        store.client.delete_object(Bucket=BUCKET, Key=key)
    assert start(command, killed).returncode == -9
    store.put(files.s2, "in/s2.tif")  # the same pixels, written again
    started_over = json.loads(start(command).stdout)
    assert started_over["tiles_computed"] == started_over["tiles"]
    require_same(store.contents("out/"), first)  # the item ends its time with the change of the input, which is a later one


def test_a_batch_of_urls(geocr: Command, net: Path, store: Store, tmp_path: Path) -> None:
    rows = []
    for name in ("a", "b"):
        files = make_files(tmp_path / name, seed=len(rows))
        s1, s2 = (store.put(path, f"in/{name}_{path.name}") for path in (files.s1, files.s2))
        rows.append(f"{s1},{s2},s3://{BUCKET}/out/{name}.tif")
    rows.append(f"s3://{BUCKET}/in/a_s1.tif,s3://{BUCKET}/in/missing.tif,s3://{BUCKET}/out/c.tif")
    (tmp_path / "pairs.csv").write_text("\n".join(["s1,s2,out", *rows]))
    mask = store.put(files.mask, "in/mask.tif")
    command = ["predict-batch", tmp_path / "pairs.csv", "--cloud-mask", mask, "--checkpoint", net, "--scratch", tmp_path / "s", "--json"]
    done = geocr(*command)
    assert done.code == 2
    assert [scene["outcome"] for scene in done.json["scenes"]] == ["done", "done", "failed"]
    assert f"no object at s3://{BUCKET}/in/missing.tif" in done.json["scenes"][2]["error"]
    found = store.contents("out/")
    ends = (".tif", ".tif.status.json", ".json", "_provenance.tif", "_provenance.tif.aux.xml", "_provenance.qml")
    names = [f"out/{name}{end}" for name in ("a", "b") for end in ends]
    assert sorted(found) == sorted([*names, "out/c.tif.status.json", "out/collection.json"])
    links = [link["href"] for link in json.loads(found["out/collection.json"])["links"] if link["rel"] == "item"]
    assert links == ["./a.json", "./b.json"]
    assert json.loads(found["out/c.tif.status.json"])["outcome"] == "failed"
    again = geocr(*command)
    assert [scene["outcome"] for scene in again.json["scenes"]] == ["kept", "kept", "failed"]
    moved = geocr(*command, "-o", f"s3://{BUCKET}/elsewhere/", "--dry-run")
    assert [scene["out"] for scene in moved.json["scenes"]] == [f"s3://{BUCKET}/elsewhere/{name}.tif" for name in "abc"]


def test_unfinished_work_has_a_place_of_its_own_for_each_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    first, other = (place_outputs(f"s3://b/{folder}/clear.tif", "s2.tif") for folder in ("x", "y"))
    assert first == place_outputs("s3://b/x/clear.tif", "s2.tif")
    assert first.scene.parent != other.scene.parent
    assert first.scene.parent.parent.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://other")
    assert place_outputs("s3://b/x/clear.tif", "s2.tif").scene != first.scene


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False], ids=["shared scratch", "no shared scratch"])
def test_two_workers_give_the_same_bytes_from_files_and_from_a_store(  # noqa: PLR0917 - fixtures
    geocr: Command, net: Path, store: Store, tmp_path: Path, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_files(tmp_path / "tall", (2200, 120), scale=1e-4, offset=-0.1)
    expected = local_result(geocr, files, net, "--tile", 256, "--uncertainty")
    remote = put_inputs(store, files)
    sent: list[int] = []
    write = Path.write_bytes

    def counting(self: Path, data: Any) -> int:
        if self.name.startswith(("scene_", "provenance_", "std_")):
            sent.append(len(data))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", counting)
    with running_cluster(tmp_path, shared=shared) as scheduler:
        more = ["--checkpoint", net, "--tile", 256, "--uncertainty", "--scheduler", scheduler, "--json"]
        (tmp_path / "cluster").mkdir()
        done = geocr(*files.arguments(*more, "-o", tmp_path / "cluster" / "clear.tif"))
        assert done.code == 0, done.err
        require_same({f"out/{path.name}": path.read_bytes() for path in (tmp_path / "cluster").iterdir()}, expected)
        done = geocr(*remote, *more, "-o", OUT, "--scratch", tmp_path / "scratch")
        assert done.code == 0, done.err
    assert done.json["tiles_computed"] > 0
    require_same(store.contents("out/"), expected)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert len(sent) == (0 if shared else 2 * 3 * 3)  # two runs, three bands, three products: workers that share no disk send their parts
