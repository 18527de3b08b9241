"""The law of the accessor: what it gives is what `predict_scene` writes for the same pixels, to the bit."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import rasterio
import torch

from geocr.checkpoint import save_checkpoint
from geocr.config import PredictConfig
from geocr.inference.products import STD_NODATA
from geocr.inference.run import PredictResult, predict_scene
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer
from geocr.simulate.files import ScenePaths
from tests.accessor.conftest import BANDS, Blend, opened


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("chunks", [None, {"band": 1, "y": 50, "x": 70}])
def test_equals_predict_scene_to_the_bit(paths: ScenePaths, predicted: PredictResult, tmp_path: Path, decoded: bool, chunks: Any) -> None:
    cloudy, radar = opened(paths.s2, decoded=decoded, chunks=chunks), opened(paths.s1, chunks=chunks)
    clear = cloudy.geocr.remove_clouds(radar, uncertainty=True, reconstructor=Blend())
    assert isinstance(clear.data, da.Array) is (chunks is not None)
    clear = clear.compute()
    np.testing.assert_array_equal(clear.values, opened(str(predicted.scene), decoded=decoded).values)
    np.testing.assert_array_equal(clear.geocr.provenance.values, opened(str(predicted.provenance)).values[0])
    counts = opened(str(predicted.std)).values
    scale = np.float32(1e-4)
    np.testing.assert_array_equal(clear["std"].values, np.where(counts == STD_NODATA, np.float32(np.nan), counts * scale))
    clear.rio.to_raster(tmp_path / "back.tif")
    with rasterio.open(tmp_path / "back.tif") as back, rasterio.open(str(predicted.scene)) as file:
        np.testing.assert_array_equal(back.read(), file.read())
        assert (back.crs, back.transform, back.nodata, back.scales, back.offsets) == (
            file.crs, file.transform, file.nodata, file.scales, file.offsets,
        )  # fmt: skip
    observed = clear.geocr.provenance.values == 1
    np.testing.assert_array_equal(clear.values[:, observed], cloudy.values[:, observed])


def test_observed_values_that_no_file_would_hold_come_back(paths: ScenePaths) -> None:
    """Decoded numbers may have been worked on: what was observed is never rounded to the counts of the encoding."""
    cloudy = opened(paths.s2, decoded=True)
    between = cloudy.copy(data=cloudy.values + np.float32(3e-5))
    between.encoding = cloudy.encoding
    clear = between.geocr.remove_clouds(reconstructor=Blend())
    observed = clear.geocr.provenance.values == 1
    np.testing.assert_array_equal(clear.values[:, observed], between.values[:, observed])
    assert not np.array_equal(clear.values[:, ~observed], between.values[:, ~observed], equal_nan=True)


def test_a_checkpoint_paints_the_same(paths: ScenePaths, tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {"optical_bands": list(BANDS), "widths": [3, 4], "batch_norm": True}
    normalizer = Normalizer(sar_clip=((-25.0, 0.0), (-25.0, 0.0)), optical_scale=5.0)
    torch.manual_seed(1)
    model = tmp_path / "model.safetensors"
    save_checkpoint(model, FusionUNet(**kwargs, normalizer=normalizer), name="fusion_unet", kwargs=kwargs)
    config = PredictConfig(checkpoint=str(model), device="cpu", precision="fp32", batch=1, tile_px=64)
    expected = predict_scene(str(paths.s1), str(paths.s2), tmp_path / "clear.tif", config=config)
    lazy = opened(paths.s2, chunks={"y": 70}).geocr.remove_clouds(
        opened(paths.s1), model, device="cpu", precision="fp32", batch=1, tile_px=64
    )
    np.testing.assert_array_equal(lazy.values, opened(str(expected.scene)).values)


@pytest.mark.slow
def test_the_default_method_fits_the_same(paths: ScenePaths, tmp_path: Path) -> None:
    expected = predict_scene(str(paths.s1), str(paths.s2), tmp_path / "clear.tif")
    clear = opened(paths.s2, chunks={"y": 64}).geocr.remove_clouds(opened(paths.s1, chunks={}))
    np.testing.assert_array_equal(clear.values, opened(str(expected.scene)).values)
