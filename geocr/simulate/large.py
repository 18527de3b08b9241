"""Scene pairs too large for memory, for benchmarks and memory tests.

A block of a simulated landscape is repeated by mirroring, so that it has no seams; over it lies one field
of clouds as wide as the scene, kept at low resolution and refined as strips of rows are written. Memory is
that of the block and one strip, whatever the size of the scene.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from rasterio.windows import Window as RasterioWindow

from geocr.clouds.synthesize import cloud_band
from geocr.clouds.wide import WideClouds, make_wide_clouds, mirrored
from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.core.types import NumberArray
from geocr.io.grid import SceneGrid
from geocr.radiometry.optical import OpticalScale
from geocr.simulate.files import BLOCK_PX, ScenePaths, create_raster, sun_tags
from geocr.simulate.scene import MIN_SIDE, SimulatedScene, simulate_scene, sized_clouds

_PIXEL_M = 10.0


def write_large_scene(
    folder: str | Path,
    *,
    shape: tuple[int, int] = (10980, 10980),
    seed: int = 0,
    cloud_cover: float = 0.3,
    bands: Sequence[str] = L1C_BANDS,
    block_px: int = 1024,
    truth: bool = False,
) -> ScenePaths:
    """Write a Sentinel-1 and a cloudy Sentinel-2 image of any size in bounded memory.

    Pixel (row, column) of the ground is pixel (mirrored(row), mirrored(column)) of the clear scene that
    `simulate_scene` makes from the same seed and `block_px`; radar too, speckle included. DN are uint16,
    scale 0.0001, offset 0, nodata 0.

    Args:
        folder: Made when missing; files as by `write_scene`.
        shape: `(rows, columns)`, each at least 64.
        seed: Not negative.
        cloud_cover: Share under cloud, 0 to 1, met to about 0.1 % of the scene; shadows come on top.
        bands: Sentinel-2 bands, any set and order.
        block_px: Side of the simulated block.
        truth: Also write the clear image.

    Raises:
        InputError: When an argument is out of its range.
        BandError: When a band is unknown or given twice.
        OutputWriteError: When a file cannot be written.
    """
    if min(shape) < MIN_SIDE:
        raise InputError(f"a synthetic scene needs at least {MIN_SIDE} rows and columns, got {shape}")
    spec = sized_clouds(shape, cloud_cover=cloud_cover, pixel_size_m=_PIXEL_M, like=None)
    block = simulate_scene(shape=(block_px, block_px), seed=seed, cloud_cover=0.0, bands=bands)
    sun = {"sun_zenith_deg": block.sun_zenith_deg, "sun_azimuth_deg": block.sun_azimuth_deg}
    clouds = make_wide_clouds(shape, spec=spec, rng=np.random.default_rng([seed, 5]), **sun)
    paths = ScenePaths.inside(Path(folder), truth=truth)
    _write_sar(paths.s1, block, shape)
    _write_optical(paths, block, clouds)
    return paths


def _write_sar(path: Path, block: SimulatedScene, shape: tuple[int, int]) -> None:
    grid = SceneGrid(crs=block.crs, transform=block.transform, shape=shape)
    with create_raster(path, dtype="float32", nodata=np.nan, descriptions=S1_BANDS, grid=grid) as out:
        for row in range(0, shape[0], BLOCK_PX):
            height = min(BLOCK_PX, shape[0] - row)
            for number, band in enumerate(block.sar_db, start=1):
                out.write(_tiled(band, row, height, shape[1]), number, window=RasterioWindow(0, row, shape[1], height))


def _write_optical(paths: ScenePaths, block: SimulatedScene, clouds: WideClouds) -> None:
    shape = clouds.shape
    scale = OpticalScale(scale=1e-4, offset=0.0, nodata=0.0, dtype="uint16")
    clear_dn = scale.to_dn(block.clear)
    tags = sun_tags(block.sun_zenith_deg, block.sun_azimuth_deg)
    grid = SceneGrid(crs=block.crs, transform=block.transform, shape=shape)
    create = partial(create_raster, grid=grid, dtype="uint16", nodata=0, descriptions=block.bands, scale=scale, tags=tags)
    with (
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
        create(paths.s2) as out,
        create_raster(paths.mask, dtype="uint8", nodata=None, descriptions=("cloud or shadow",), grid=grid) as mask,
    ):
        for row in range(0, shape[0], BLOCK_PX):
            height = min(BLOCK_PX, shape[0] - row)
            window = RasterioWindow(0, row, shape[1], height)
            field = clouds.strip(row, height)
            touched = field.cloud_mask | field.shadow_mask
            index = np.nonzero(touched)
            some = field.at(index)
            source = mirrored(index[0] + row, block.clear.shape[1]), mirrored(index[1], block.clear.shape[2])

            def band_dn(number: int) -> NumberArray:
                dn = _tiled(clear_dn[number], row, height, shape[1])  # noqa: B023 - called inside this round of the loop
                cloudy = cloud_band(block.clear[number][source], block.bands[number], some)  # noqa: B023
                dn[index] = scale.to_dn(cloudy)  # noqa: B023
                return dn

            for number, dn in enumerate(pool.map(band_dn, range(len(block.bands))), start=1):
                out.write(dn, number, window=window)
            mask.write(touched.astype(np.uint8), 1, window=window)
    if paths.truth is not None:
        with create(paths.truth) as out:
            for row in range(0, shape[0], BLOCK_PX):
                height = min(BLOCK_PX, shape[0] - row)
                for number, band in enumerate(clear_dn, start=1):
                    out.write(_tiled(band, row, height, shape[1]), number, window=RasterioWindow(0, row, shape[1], height))


def _tiled(band: NumberArray, row: int, height: int, cols: int) -> NumberArray:
    """Rows of a mirrored tiling of one band, `(height, cols)`."""
    down, across = mirrored(np.arange(row, row + height), band.shape[0]), mirrored(np.arange(cols), band.shape[1])
    return band[down][:, across]
