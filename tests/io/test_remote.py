"""Remote files: names, endpoints, facts, reads by range, and errors that name the URL."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import InputError, OutputWriteError, RasterNotFoundError, RasterReadError, RemoteReadError
from geocr.core.types import Window
from geocr.io import remote
from geocr.io.open import open_scene
from geocr.io.raster import RasterReader, open_raster
from geocr.io.remote import ObjectUrl, endpoint_url, gdal_name, gdal_options, read_object, remote_facts, upload, write_object
from tests.object_store import BUCKET, Store
from tests.scenes import write_raster

WHOLE = Window(row=0, col=0, height=60, width=50)


def make_raster(path: Path, *, seed: int = 0, size: int = 60) -> Path:
    pixels = np.random.default_rng(seed).integers(1, 9000, (2, size, size - 10)).astype(np.uint16)
    write_raster(path, pixels, nodata=0, descriptions=("B02", "B03"), scale=1e-4, block=16)
    return path


names = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="-_."), min_size=1, max_size=20)


@given(bucket=names, folders=st.lists(names, max_size=3), name=names, other=names)
def test_a_url_is_read_and_written_alike(bucket: str, folders: list[str], name: str, other: str) -> None:
    place = ObjectUrl.parse("/".join(["s3:/", bucket, *folders, name]))
    assert str(place) == "/".join(["s3:/", bucket, *folders, name])
    assert place.name == name
    assert str(place.with_name(other)) == "/".join(["s3:/", bucket, *folders, other])
    assert gdal_name(str(place)) == "/".join(["/vsis3", bucket, *folders, name])


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/folder/", "s3:///key", "https://host/key"])
def test_a_url_without_bucket_or_key_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="s3://BUCKET/KEY"):
        ObjectUrl.parse(url)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("https://host/a.tif", "/vsicurl/https://host/a.tif"),
        ("gs://b/a.tif", "/vsigs/b/a.tif"),
        ("/data/a.tif", "/data/a.tif"),
        ("/vsicurl/https://host/a.tif", "/vsicurl/https://host/a.tif"),
        ("zip://a.zip!b.tif", "zip://a.zip!b.tif"),
    ],
)
def test_names_of_gdal(path: str, name: str) -> None:
    assert gdal_name(path) == name


@pytest.mark.parametrize(
    ("environment", "url", "options"),
    [
        ({}, None, {}),
        (
            {"AWS_ENDPOINT_URL": "http://minio:9000/"},
            "http://minio:9000/",
            {"AWS_S3_ENDPOINT": "minio:9000", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"},
        ),
        (
            {"AWS_S3_ENDPOINT": "minio:9000", "AWS_HTTPS": "NO"},
            "http://minio:9000",
            {"AWS_S3_ENDPOINT": "minio:9000", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"},
        ),
        (
            {"AWS_S3_ENDPOINT": "store.org/s3", "AWS_VIRTUAL_HOSTING": "TRUE"},
            "https://store.org/s3",
            {"AWS_S3_ENDPOINT": "store.org/s3", "AWS_HTTPS": "YES", "AWS_VIRTUAL_HOSTING": "TRUE"},
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "https://a", "AWS_ENDPOINT_URL": "https://b", "AWS_S3_ENDPOINT": "c"},
            "https://a",
            {"AWS_S3_ENDPOINT": "a"},
        ),
    ],
)
def test_gdal_and_boto3_follow_one_endpoint(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str | None, options: dict[str, str]
) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT", "AWS_HTTPS", "AWS_VIRTUAL_HOSTING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert endpoint_url() == url
    found = gdal_options()
    assert {name: found[name] for name in options} == options
    assert url is not None or "AWS_S3_ENDPOINT" not in found


def test_windows_come_by_range_and_nothing_is_listed(tmp_path: Path, store: Store) -> None:
    local = make_raster(tmp_path / "s2.tif", size=900)
    reader = RasterReader(store.put(local, "deep/er/s2.tif"))
    window = Window(row=300, col=200, height=20, width=30)
    store.requests.clear()
    np.testing.assert_array_equal(reader.read(window), RasterReader(str(local)).read(window))
    assert {request.key for request in store.requests} == {"deep/er/s2.tif"}
    assert {request.method for request in store.requests} <= {"GET", "HEAD"}
    assert all("prefix" not in request.query and "list-type" not in request.query for request in store.requests)
    assert len(store.requests) <= 8


def test_both_rasters_of_a_scene_may_be_remote(tmp_path: Path, store: Store) -> None:
    s2 = make_raster(tmp_path / "s2.tif")
    db = np.random.default_rng(1).normal(-12, 2, (2, 60, 50)).astype(np.float32)
    s1 = write_raster(tmp_path / "s1.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    here = open_scene(str(s2), s1)
    there = open_scene(store.put(s2, "s2.tif"), store.put(Path(s1), "s1.tif"))
    np.testing.assert_array_equal(there.read_dn(WHOLE), here.read_dn(WHOLE))
    np.testing.assert_array_equal(there.read_sar(WHOLE), here.read_sar(WHOLE))


def test_an_object_that_is_replaced_is_read_anew(tmp_path: Path, store: Store) -> None:
    old, new = make_raster(tmp_path / "old.tif"), make_raster(tmp_path / "new.tif", seed=1)
    url = store.put(old, "s2.tif")
    first = RasterReader(url).read(WHOLE)
    facts = remote_facts(url)
    store.put(new, "s2.tif")
    assert remote_facts(url) != facts
    again = RasterReader(url).read(WHOLE)
    np.testing.assert_array_equal(again, RasterReader(str(new)).read(WHOLE))
    assert not np.array_equal(again, first)


def test_facts_change_with_content_of_the_same_size(store: Store) -> None:
    url = f"s3://{BUCKET}/facts"
    write_object(url, b"one")
    size, tag, _ = remote_facts(url)
    write_object(url, b"two")
    assert remote_facts(url)[0] == size == 3
    assert remote_facts(url)[1] != tag
    assert remote_facts("gs://other/store") == []


def test_facts_of_a_web_server(tmp_path: Path, store: Store) -> None:
    public = {"ACL": "public-read"}
    store.client.upload_file(str(make_raster(tmp_path / "a.tif")), BUCKET, "a.tif", ExtraArgs=public)
    url = f"{store.url}/{BUCKET}/a.tif"
    size, tag, changed = remote_facts(url)
    assert size == (tmp_path / "a.tif").stat().st_size
    assert tag
    assert isinstance(changed, int)
    assert changed > 0
    with pytest.raises(RasterNotFoundError, match=r"nothing at http.*/b\.tif"):
        remote_facts(f"{store.url}/{BUCKET}/b.tif")
    np.testing.assert_array_equal(RasterReader(url).read(WHOLE), RasterReader(str(tmp_path / "a.tif")).read(WHOLE))
    store.client.put_object_acl(Bucket=BUCKET, Key="a.tif", ACL="private")
    assert remote_facts(url) == []  # it refuses HEAD, as servers of signed URLs do


def test_whole_objects(tmp_path: Path, store: Store) -> None:
    big = tmp_path / "big"
    big.write_bytes(np.random.default_rng(0).bytes(9_000_000))  # more than one part of a multipart upload
    upload(big, f"s3://{BUCKET}/big")
    assert read_object(f"s3://{BUCKET}/big") == big.read_bytes()
    assert read_object(f"s3://{BUCKET}/none") is None


def test_what_is_missing_is_said_by_its_url(tmp_path: Path, store: Store) -> None:
    with pytest.raises(RasterNotFoundError, match=f"no object at s3://{BUCKET}/none.tif"):
        open_raster(f"s3://{BUCKET}/none.tif")
    with pytest.raises(RasterNotFoundError, match=r"no object at s3://nowhere/none\.tif"):
        open_raster("s3://nowhere/none.tif")
    write_object(f"s3://{BUCKET}/text.tif", b"no raster")
    with pytest.raises(RasterReadError, match=f"s3://{BUCKET}/text.tif is not"):
        open_raster(f"s3://{BUCKET}/text.tif")
    with pytest.raises(OutputWriteError, match=r"s3://nowhere/a .*NoSuchBucket.* run the same command again"):
        upload(make_raster(tmp_path / "a.tif"), "s3://nowhere/a")
    with pytest.raises(OutputWriteError, match="there is no nowhere"):
        remote.require_bucket("s3://nowhere/a")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ATTEMPTS", 1)
    monkeypatch.setitem(remote._HTTP_OPTIONS, "GDAL_HTTP_MAX_RETRY", 0)


@pytest.mark.usefixtures("impatient")
def test_a_store_that_goes_away_is_no_damage(tmp_path: Path, store: Store) -> None:
    reader = RasterReader(store.put(make_raster(tmp_path / "s2.tif", size=900), "s2.tif"))
    reader.read(Window(row=0, col=0, height=16, width=16))
    store.stop()
    with pytest.raises(
        RemoteReadError, match=r"stay readable during a run; reading s3://scenes/s2\.tif failed .* go on from the finished rows"
    ):
        reader.read(Window(row=860, col=800, height=16, width=16))
    with pytest.raises(RemoteReadError, match=r"s3://scenes/s2\.tif at http://127.* is not"):
        RasterReader(reader.path).read(WHOLE)
    with pytest.raises(OutputWriteError, match=r"s3://scenes/x at http://127.* is not"):
        write_object(f"s3://{BUCKET}/x", b"")
    with pytest.raises(RemoteReadError, match="must be reachable"):
        remote_facts(f"{store.url}/{BUCKET}/s2.tif")


def test_without_boto3_the_cure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InputError, match=r"pip install 'geocr\[s3\]'"):
        remote_facts("s3://bucket/key")


def test_local_files_keep_their_side_files(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings for remote files may not blind GDAL to the .aux.xml of local ones."""
    path = make_raster(tmp_path / "s2.tif")
    side = '<PAMDataset><PAMRasterBand band="1"><Description>beside</Description></PAMRasterBand></PAMDataset>'
    url = store.put(path, "s2.tif")
    path.with_name("s2.tif.aux.xml").write_text(side)
    remote_reader: Any = RasterReader(url)
    with remote_reader.handle, open_raster(str(path)) as source:
        assert source.descriptions[0] == "beside"
