"""On real Sentinel data under synthetic clouds: better than filling, and as sure as it says. Figures: docs/scenefit.md."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.fill import fillnodata

from geocr.core.types import FloatArray
from geocr.metrics.pixels import psnr_db, sam_deg
from geocr.scenefit import fit_scene
from tests.scenefit.fields import ArraySource, cloud_shapes

pytestmark = pytest.mark.real_data

PLACES = {
    "spain": ("sen1floods11_spain_512/Spain_7370579_S1Hand.tif", "sen1floods11_spain_512/Spain_7370579_S2Hand.tif"),
    "hills": ("terramesh_224/S1RTC/38D_378R_2_3.tif", "terramesh_224/S2L1C/38D_378R_2_3.tif"),
    "farms": ("terramesh_224/S1RTC/433D_629L_3_1.tif", "terramesh_224/S2L1C/433D_629L_3_1.tif"),
}


def read(path: Path) -> FloatArray:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(), np.float32)


@cache
def hidden_pixels(folder: Path, place: str) -> dict[str, FloatArray]:
    """Truth, reconstruction, deviation and `fillnodata`'s answer under 35 % of cloud, `(bands, n)` each."""
    sar, truth = (read(folder / name) for name in PLACES[place])
    truth = truth / np.float32(1e4)
    cloud = cloud_shapes((truth.shape[1], truth.shape[2]), 0.35, seed=1, size=64.0)
    source = ArraySource(np.where(cloud, np.float32(1), truth), sar, cloud)
    result = fit_scene(source)(source.whole())
    assert result.std is not None
    clear = (~cloud).astype(np.uint8)
    filled = np.stack([fillnodata(band.copy(), mask=clear, max_search_distance=400) for band in source.optical])
    return {"truth": truth[:, cloud], "mean": result.mean[:, cloud], "std": result.std[:, cloud], "filled": filled[:, cloud]}


@pytest.mark.parametrize(("place", "margin_db", "margin_deg"), [("spain", 0.9, 1.0), ("hills", 1.0, 0.2), ("farms", 0.4, 0.2)])
def test_it_beats_fillnodata_by_a_margin(real_data: Path, place: str, margin_db: float, margin_deg: float) -> None:
    hidden = hidden_pixels(real_data, place)
    assert psnr_db(hidden["mean"], hidden["truth"]) > psnr_db(hidden["filled"], hidden["truth"]) + margin_db
    assert sam_deg(hidden["mean"], hidden["truth"]) < sam_deg(hidden["filled"], hidden["truth"]) - margin_deg


def test_its_standard_deviation_is_calibrated(real_data: Path) -> None:
    ratios = []
    for place in PLACES:
        hidden = hidden_pixels(real_data, place)
        ratios.append((np.abs(hidden["mean"] - hidden["truth"]) / hidden["std"]).ravel())
    pooled = np.concatenate(ratios)
    assert 0.6 <= np.mean(pooled <= 1) <= 0.8
    assert np.mean(pooled <= 2) >= 0.9
