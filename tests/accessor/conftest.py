"""Small scenes as files and as arrays, and a method that costs nothing and looks at everything."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray
import xarray as xr

from geocr.config import PredictConfig
from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.inference.run import PredictResult, predict_scene
from geocr.simulate.files import ScenePaths
from geocr.simulate.scene import simulate_scene, write_scene

BANDS = ("B02", "B03", "B04", "B08")


@dataclass(frozen=True)
class Blend:
    """Mixes what a tile shows with its SAR, by tiles that overlap: differs wherever pixels, grids or windows do."""

    tile: TileSpec = field(default_factory=lambda: TileSpec(size_px=64, overlap_px=16, halo_px=0))
    has_std: bool = True

    def describe(self) -> dict[str, Any]:
        return {"name": "blend"}

    def __call__(self, tile: TileInput) -> Reconstruction:
        sar = np.nan_to_num(tile.sar).sum(axis=0) * np.float32(1e-3) if len(tile.sar) else np.float32(0)
        ramp = np.arange(tile.window.col, tile.window.col_stop, dtype=np.float32) * np.float32(1e-4)
        mean = np.nan_to_num(tile.optical) * np.float32(0.5) + np.abs(sar) + ramp
        return Reconstruction(mean=mean.astype(np.float32), std=np.full(tile.optical.shape, 0.0123, np.float32))


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> ScenePaths:
    """A scene of 160 x 128 pixels with a wedge of nodata, clouds, and an offset of -0.1."""
    scene = simulate_scene(shape=(160, 128), seed=4, cloud_cover=0.3, bands=BANDS, nodata_wedge=True)
    return write_scene(scene, tmp_path_factory.mktemp("scene"), offset=-0.1)


@pytest.fixture(scope="session")
def predicted(paths: ScenePaths, tmp_path_factory: pytest.TempPathFactory) -> PredictResult:
    """What `predict_scene` writes for it by `Blend`."""
    out = tmp_path_factory.mktemp("predicted") / "clear.tif"
    return predict_scene(str(paths.s1), str(paths.s2), out, config=PredictConfig(uncertainty=True), reconstructor=Blend())


def opened(path: Path | str, *, decoded: bool = False, chunks: Any = None) -> xr.DataArray:
    """A file as an array, in memory unless chunks are given."""
    array = rioxarray.open_rasterio(path, mask_and_scale=decoded, chunks=chunks)
    assert isinstance(array, xr.DataArray)
    return array if chunks is not None else array.load()
