"""Memory does not grow with the scene's height."""

import tracemalloc
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr

from geocr.accessor import staging
from tests.accessor.conftest import BANDS, Blend

COLUMNS, STEP = 256, 256


def tall(rows: int) -> xr.DataArray:
    """A scene that exists only chunk by chunk."""

    def block(block_info: dict[None, dict[str, list[tuple[int, int]]]]) -> np.ndarray:
        _, (start, stop), _ = block_info[None]["array-location"]
        return np.random.default_rng(start).integers(500, 3000, (len(BANDS), stop - start, COLUMNS)).astype("uint16")

    pixels = da.map_blocks(block, chunks=((len(BANDS),), (STEP,) * (rows // STEP), (COLUMNS,)), dtype="uint16")
    coords = {"band": list(BANDS), "y": 5e6 - 10.0 * np.arange(rows), "x": 4e5 + 10.0 * np.arange(COLUMNS)}
    return xr.DataArray(pixels, dims=("band", "y", "x"), coords=coords, attrs={"_FillValue": 0, "scale_factor": 1e-4}).rio.write_crs(32633)


def peak_bytes(rows: int, path: Path) -> int:
    scene = tall(rows)
    cloudy = xr.ones_like(scene.isel(band=0, drop=True).astype("uint8"))
    clear = scene.geocr.remove_clouds(cloud_mask=cloudy, mask_buffer_m=0, reconstructor=Blend(), threads=1)
    tracemalloc.start()
    with dask.config.set(scheduler="synchronous"):
        clear.geocr.to_cog(path, overwrite=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_memory_is_that_of_a_band_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "AT_ONCE_BYTES", 2**20)
    peak_bytes(1024, tmp_path / "warm.tif")  # imports and caches are not the scene's
    low, high = peak_bytes(4096, tmp_path / "low.tif"), peak_bytes(16_384, tmp_path / "high.tif")
    grown = (16_384 - 4096) * COLUMNS * (2 * len(BANDS) + 1)
    assert high - low < grown / 10
