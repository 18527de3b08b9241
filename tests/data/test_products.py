"""Sentinel-2 products as they are downloaded among the scenes of a dataset."""

import shutil
from pathlib import Path

import numpy as np
import torch

from geocr.data.sentinel import Sentinel2Scenes
from geocr.io.open import open_scene
from tests.data_makers.products import FakeProduct, write_safe, zip_folder

PRODUCT = FakeProduct(level="L2A", rows_10m=48, cols_10m=60)


def test_a_folder_of_products_is_a_dataset_of_scenes(tmp_path: Path) -> None:
    safe = write_safe(tmp_path / "s2" / "2023", PRODUCT)
    other = tmp_path / "s2" / safe.name.replace("20230813", "20230815")
    shutil.copytree(safe, tmp_path / "make" / other.name)
    packed = zip_folder(tmp_path / "make" / other.name)
    packed.rename(other.with_suffix(".zip"))
    (tmp_path / "s2" / "notes.zip").write_text("no product by its name")
    scenes = Sentinel2Scenes(tmp_path / "s2")
    assert [Path(path).name for path in scenes.files] == [safe.name, other.with_suffix(".zip").name]
    times = [str(entry.acquired.start) for entry in scenes.entries.values() if entry.acquired]
    assert times == ["2023-08-13 09:55:59", "2023-08-15 09:55:59"]
    whole = open_scene(str(safe))
    sample = scenes[scenes.bounds]
    wanted = torch.from_numpy(whole.read_reflectance(whole.grid.window))
    assert sample["optical"].shape == wanted.shape
    np.testing.assert_allclose(sample["optical"], wanted, atol=1e-6)


def test_a_chosen_band_of_a_product_on_another_lattice(tmp_path: Path) -> None:
    safe = write_safe(tmp_path, PRODUCT)
    scenes = Sentinel2Scenes([safe], bands=("B05", "B04"), res=(20.0, 20.0))
    sample = scenes[scenes.bounds]
    assert sample["optical"].shape == (2, 24, 30)
    assert float(sample["optical"].min()) > 0.03
