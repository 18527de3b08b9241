"""Memory of a fetch does not grow with the rows that are fetched."""

import subprocess
import sys
from pathlib import Path

import pytest
import rasterio
from affine import Affine

FETCH = """
import sys
from pathlib import Path
import rasterio
from affine import Affine
from rasterio.crs import CRS
from geocr.catalog.fetch import fetch_piece
from geocr.catalog.fetch_plan import Piece
from geocr.core.memory import share_one_heap
from geocr.io.grid import SceneGrid
from geocr.io.raster import GDAL_OPTIONS

share_one_heap()
source, out, rows, cols = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
grid = SceneGrid(crs=CRS.from_epsg(32633), transform=Affine(10, 0, 4e5, 0, -10, 5.3e6), shape=(rows, cols))
with rasterio.Env(**GDAL_OPTIONS):
    fetch_piece(
        Piece(
            asset="B04", href=str(source), index=1, window=grid.window, source=grid, grid=grid, dtype="uint16", nodata=0.0,
            scaling=(1e-4, 0.0), resampling="nearest", out=out,
        ),
        threads=2,
    )
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""
COLS = 1024


def peak_kib(folder: Path, rows: int) -> int:
    """Of a process of its own that fetches so many rows."""
    source = folder / f"source_{rows}.tif"
    profile = {"driver": "GTiff", "dtype": "uint16", "count": 1, "width": COLS, "height": rows, "nodata": 0, "crs": "EPSG:32633"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True}
    with rasterio.open(source, "w", **profile, **tiles, transform=Affine(10, 0, 4e5, 0, -10, 5.3e6)):
        pass
    command = [sys.executable, "-c", FETCH, str(source), str(folder / f"out_{rows}.tif"), str(rows), str(COLS)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_of_a_fetch_does_not_grow_with_rows(tmp_path: Path) -> None:
    low, high = 20_480, 81_920  # more parts than are held open, 40 and 160 MiB
    more_pixels_kib = (high - low) * COLS * 2 / 1024
    assert peak_kib(tmp_path, high) - peak_kib(tmp_path, low) < 0.15 * more_pixels_kib
