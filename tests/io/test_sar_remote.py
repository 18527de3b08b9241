"""Sentinel-1 from servers: STAC items by URL with relative assets, pairs in an object store, and what breaks."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from geocr.core.errors import GeocrError, RasterNotFoundError, RemoteReadError
from geocr.core.types import FloatArray, Window
from geocr.io import remote
from geocr.io.open import open_scene
from tests.object_store import Store
from tests.scenes import write_raster
from tests.web_server import WebServer, running_web_server

SHAPE = (60, 50)
WHOLE = Window(row=0, col=0, height=60, width=50)


@pytest.fixture
def server() -> Iterator[WebServer]:
    with running_web_server() as running:
        yield running


@pytest.fixture
def s2(tmp_path: Path) -> str:
    return write_raster(tmp_path / "s2.tif", np.full((1, *SHAPE), 1500, np.uint16), descriptions=("B02",))


@pytest.fixture
def db() -> FloatArray:
    return np.random.default_rng(0).normal(-12, 3, (2, *SHAPE)).astype(np.float32)


def halves(folder: Path, db: FloatArray) -> list[Path]:
    return [Path(write_raster(folder / f"{name}.tif", db[band : band + 1])) for band, name in enumerate(("vv", "vh"))]


def item(hrefs: tuple[str, str]) -> bytes:
    assets = {
        name: {"href": href, "type": "image/tiff; application=geotiff", "roles": ["data"]}
        for name, href in zip(("vv", "vh"), hrefs, strict=True)
    }
    facts = {"datetime": "2023-08-13T05:17:33Z", "sat:orbit_state": "ascending"}
    return json.dumps({"type": "Feature", "id": "S1A_rtc", "collection": "sentinel-1-rtc", "properties": facts, "assets": assets}).encode()


@pytest.mark.parametrize("place", ["catalog/item.json", "collections/sentinel-1-rtc/items/S1A_rtc"])
def test_an_item_by_url_with_relative_assets(tmp_path: Path, s2: str, db: FloatArray, server: WebServer, place: str) -> None:
    folder = place.rpartition("/")[0]
    for file in halves(tmp_path, db):
        server.put(f"{folder}/data/{file.name}", file)
    scene = open_scene(s2, server.put(place, item(("./data/vv.tif", "data/vh.tif"))))
    np.testing.assert_allclose(scene.read_sar(WHOLE), db, atol=1e-5)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scene)).read_sar(WHOLE), scene.read_sar(WHOLE))  # noqa: S301 - our own
    assert scene.sar_facts.files == tuple(f"{server.url}/{folder}/data/{name}.tif" for name in ("vv", "vh"))
    assert scene.sar_facts.orbit == "ascending"


def test_an_item_in_an_object_store(tmp_path: Path, s2: str, db: FloatArray, store: Store) -> None:
    for file in halves(tmp_path, db):
        store.put(file, f"deep/data/{file.name}")
    path = tmp_path / "item.json"
    path.write_bytes(item(("../data/vv.tif", "../data/vh.tif")))
    scene = open_scene(s2, store.put(path, "deep/items/item.json"))
    np.testing.assert_allclose(scene.read_sar(WHOLE), db, atol=1e-5)


def test_a_pair_in_an_object_store(tmp_path: Path, s2: str, db: FloatArray, store: Store) -> None:
    urls = [store.put(file, f"pair/{file.name}") for file in halves(tmp_path, db)]
    np.testing.assert_allclose(open_scene(s2, ",".join(urls)).read_sar(WHOLE), db, atol=1e-5)


def test_what_is_not_there_is_said_by_its_url(tmp_path: Path, s2: str, db: FloatArray, server: WebServer) -> None:
    with pytest.raises(RasterNotFoundError, match=r"STAC item must exist; the server knows nothing at http.*none\.json"):
        open_scene(s2, f"{server.url}/none.json")
    for file in halves(tmp_path, db)[:1]:
        server.put(file.name, file)
    with pytest.raises(GeocrError, match=r"vh\.tif"):
        open_scene(s2, server.put("item.json", item(("vv.tif", "vh.tif"))))


def test_a_server_that_is_not_there(s2: str) -> None:
    with pytest.raises(RemoteReadError, match=r"STAC item must be reachable; http://127\.0\.0\.1:9/item\.json is not"):
        open_scene(s2, "http://127.0.0.1:9/item.json")


def test_a_pair_whose_server_goes_away_is_no_damage(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `nodata` for damage, a server out of reach must still stop the run."""
    monkeypatch.setattr(remote, "ATTEMPTS", 1)
    monkeypatch.setitem(remote._HTTP_OPTIONS, "GDAL_HTTP_MAX_RETRY", 0)
    s2 = write_raster(tmp_path / "s2.tif", np.full((1, 900, 900), 1500, np.uint16), descriptions=("B02",))
    large = np.random.default_rng(0).normal(-12, 3, (2, 900, 900)).astype(np.float32)
    urls = [store.put(file, f"pair/{file.name}") for file in halves(tmp_path, large)]
    opened, unopened = (open_scene(s2, ",".join(urls), s1_units="db", on_error="nodata") for _ in range(2))
    opened.read_sar(Window(row=0, col=0, height=2, width=2))
    store.stop()
    far = Window(row=860, col=800, height=16, width=16)
    with pytest.raises(RemoteReadError, match=r"must stay readable during a run; reading /vsis3/.*vv\.tif"):
        opened.read_sar(far)
    with pytest.raises(RemoteReadError, match=r"vv\.tif"):  # as on a worker that begins then
        unopened.read_sar(far)
