"""How much memory a tall scene takes, asked of a process of its own: `python -m tests.accessor.tall_scene HOW LOW HIGH`.

In the process of the tests everything that other tests left running would be counted too.
"""

import sys
import tempfile
import tracemalloc
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr

import geocr  # noqa: F401 - registers .geocr
from geocr.accessor import staging
from tests.accessor.conftest import BANDS, Blend

COLUMNS, STEP = 256, 256
ROW_BYTES = COLUMNS * (2 * len(BANDS) + 1)
"""What a row of a result holds: the scene as uint16, and its provenance."""


def tall(rows: int) -> xr.DataArray:
    """A scene that exists only chunk by chunk."""

    def block(block_info: dict[None, dict[str, list[tuple[int, int]]]]) -> np.ndarray:
        _, (start, stop), _ = block_info[None]["array-location"]
        # drawn as what it is: in 64 bits a chunk being drawn takes four times its size, and whether two are drawn at once is chance
        return np.random.default_rng(start).integers(500, 3000, (len(BANDS), stop - start, COLUMNS), dtype="uint16")

    pixels = da.map_blocks(block, chunks=((len(BANDS),), (STEP,) * (rows // STEP), (COLUMNS,)), dtype="uint16")
    coords = {"band": list(BANDS), "y": 5e6 - 10.0 * np.arange(rows), "x": 4e5 + 10.0 * np.arange(COLUMNS)}
    return xr.DataArray(pixels, dims=("band", "y", "x"), coords=coords, attrs={"_FillValue": 0, "scale_factor": 1e-4}).rio.write_crs(32633)


def peak_bytes(how: str, rows: int, folder: Path) -> int:
    """Most bytes held at once while the clouds of a scene of so many rows are removed, and the result is `written` or `computed`."""
    scene = tall(rows)
    cloudy = xr.ones_like(scene.isel(band=0, drop=True).astype("uint8"))
    clear = scene.geocr.remove_clouds(cloud_mask=cloudy, mask_buffer_m=0, reconstructor=Blend(), threads=1)
    tracemalloc.start()
    with dask.config.set(scheduler="synchronous"):
        if how == "written":
            clear.geocr.to_cog(folder / "clear.tif", overwrite=True)
        else:
            clear.compute()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main(how: str, low: int, high: int) -> None:
    """Print how many bytes each row of the high scene takes more than the low one."""
    staging.AT_ONCE_BYTES = 2**20
    with tempfile.TemporaryDirectory() as folder:
        peak_bytes(how, 1024, Path(folder))  # imports and caches are not the scene's
        peaks = [peak_bytes(how, rows, Path(folder)) for rows in (low, high)]
    print((peaks[1] - peaks[0]) / (high - low))  # noqa: T201 - to who started it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
