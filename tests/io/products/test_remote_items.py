"""A STAC item on a web server: its assets lie beside it there, and are read in place, window by window."""

import pickle
from pathlib import Path

import numpy as np

from geocr.core.types import Window
from geocr.io.open import open_scene
from tests.data_makers.products import FakeProduct, write_item
from tests.web_server import running_web_server

PRODUCT = FakeProduct(level="L2A", rows_10m=60, cols_10m=60)


def test_an_item_and_its_bands_are_read_from_where_they_are(tmp_path: Path) -> None:
    item = write_item(tmp_path, PRODUCT, style="planetary-computer")
    wanted = open_scene(str(item), s2_bands=("B02", "B05", "B01"))
    with running_web_server() as server:
        for path in item.parent.iterdir():
            server.put(f"scenes/{path.name}", path)
        url = server.put("scenes/item.json", item)
        scene = open_scene(url, s2_bands=("B02", "B05", "B01"))
        assert scene.bands == ("B01", "B02", "B05")
        assert scene.optical.path == url
        assert f"{server.url}/scenes/B05.tif" in scene.optical_facts.files
        assert scene.optical_facts.scl == f"{server.url}/scenes/SCL.tif"
        np.testing.assert_array_equal(scene.read_dn(scene.grid.window), wanted.read_dn(wanted.grid.window))
        copy = pickle.loads(pickle.dumps(scene))  # noqa: S301 - our own bytes
        part = Window(row=7, col=11, height=30, width=20)
        np.testing.assert_array_equal(copy.read_dn(part), wanted.read_dn(part))
        assert not server.gets("/scenes/B08.tif")  # nobody asked for that band
