"""Scene pairs too large for memory, for benchmarks and memory tests.

A block of a simulated landscape is repeated by mirroring, so that it has no seams; over it lies one field
of clouds as wide as the scene, kept at low resolution and refined as strips of rows are written. Memory is
that of the block and one strip, whatever the size of the scene.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from geocr.clouds.synthesize import (
    CloudField,
    CloudSpec,
    cloud_band,
    fractal_noise,
    level_reaching,
    shadow_loss,
    shadow_offset_px,
    thick_depth,
    thick_noise,
    thin_depth,
)
from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.core.types import FloatArray, NumberArray
from geocr.io.grid import SceneGrid
from geocr.radiometry.optical import OpticalScale
from geocr.simulate.files import BLOCK_PX, ScenePaths, create_raster, sun_tags
from geocr.simulate.scene import MIN_SIDE, SimulatedScene, simulate_scene, sized_clouds

_COARSE_SIDE = 1400
"""Most pixels along a side of the low-resolution cloud field."""
_LEVEL_SAMPLES = 8_000_000
"""About how many pixels the cloud levels are set on; the cover is met to about 0.1 % of the scene."""
_PIXEL_M = 10.0

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WideClouds:
    """A cloud field for any rows of a large scene."""

    shape: tuple[int, int]
    """`(rows, columns)` of the scene."""
    factor: int
    """Scene pixels along a side of a coarse pixel."""
    margin: int
    """Pixels by which the coarse fields reach beyond the scene on each side."""
    coarse: tuple[FloatArray, FloatArray, FloatArray]
    """Noise of thick cloud, cirrus and haze at low resolution."""
    detail: FloatArray
    """Fine noise added to thick cloud, repeated by mirroring."""
    levels: tuple[float, float, float]
    """Noise above these is thick cloud, cirrus, haze."""
    shadow_px: tuple[int, int]
    """Rows and columns from a cloud to its shadow."""

    def noise(self, kind: int, rows: Index, cols: Index) -> FloatArray:
        """Noise of one kind (0 thick, 1 cirrus, 2 haze) at `rows` x `cols`, float32."""
        coarse = self.coarse[kind]
        upper, down = np.divmod((rows + self.margin) / self.factor, 1)
        left, right = np.divmod((cols + self.margin) / self.factor, 1)
        i, j = upper.astype(np.intp), left.astype(np.intp)
        down, right = down.astype(np.float32)[:, None], right.astype(np.float32)
        lines = coarse[i] * (1 - down) + coarse[i + 1] * down
        out: FloatArray = lines[:, j] * (1 - right) + lines[:, j + 1] * right
        if kind == 0:
            out += self.detail[mirrored(rows, self.detail.shape[0])[:, None], mirrored(cols, self.detail.shape[1])]
        return out

    def strip(self, row: int, height: int) -> CloudField:
        """The clouds of some rows of the scene, `(height, columns)`."""
        rows, cols = np.arange(row, row + height), np.arange(self.shape[1])
        depth = thick_depth(self.noise(0, rows, cols) - np.float32(self.levels[0]))
        cirrus = thin_depth(self.noise(1, rows, cols) - np.float32(self.levels[1]), strongest=1.6)
        haze = thin_depth(self.noise(2, rows, cols) - np.float32(self.levels[2]), strongest=1.1)
        caster = self.noise(0, rows - self.shadow_px[0], cols - self.shadow_px[1])
        shadow = shadow_loss(thick_depth(caster - np.float32(self.levels[0])))
        cloud = (depth > 0) | (cirrus > 0) | (haze > 0)
        return CloudField(
            thick=depth,
            cirrus=cirrus,
            haze=haze,
            relief=np.ones_like(depth),
            shadow=shadow,
            cloud_mask=cloud,
            shadow_mask=(shadow > 0) & ~cloud,
        )


def mirrored(index: Index, size: int) -> Index:
    """Index into a block of `size` repeated forwards and backwards in turn; the index may be negative."""
    folded = np.mod(index, 2 * size)
    out: Index = np.where(folded < size, folded, 2 * size - 1 - folded)
    return out


def make_wide_clouds(
    shape: tuple[int, int], *, spec: CloudSpec, rng: np.random.Generator, sun_zenith_deg: float, sun_azimuth_deg: float
) -> WideClouds:
    """Draw the clouds of a large scene at low resolution and set their levels to meet the cover.

    Args:
        shape: `(rows, columns)` of the scene at 10 m.
        spec: How much of which clouds; all thick cloud floats at the middle of its heights.
        rng: Seed.
        sun_zenith_deg: 0 to 80.
        sun_azimuth_deg: Direction towards the sun, clockwise from north.
    """
    factor = max(1, -(-max(shape) // _COARSE_SIDE))
    height_m = spec.base_m + spec.depth_m / 2
    away = shadow_offset_px(height_m, sun_zenith_deg=sun_zenith_deg, sun_azimuth_deg=sun_azimuth_deg, pixel_size_m=_PIXEL_M)
    shadow_px = (round(away[0]), round(away[1]))
    margin = max(map(abs, shadow_px))
    small = ((shape[0] + 2 * margin) // factor + 2, (shape[1] + 2 * margin) // factor + 2)
    size_px = spec.size_m / _PIXEL_M
    coarse = (
        thick_noise(small, rng, size_px / factor),
        fractal_noise(small, rng, wavelength_px=4 * size_px / factor, slope=2.2, stretch=4, angle_deg=float(rng.uniform(0, 180))),
        fractal_noise(small, rng, wavelength_px=3 * size_px / factor, slope=2.6),
    )
    detail = np.float32(-0.12) * np.abs(fractal_noise((512, 512), rng, wavelength_px=24, slope=1.9))
    draft = WideClouds(
        shape=shape, factor=factor, margin=margin, coarse=coarse, detail=detail, levels=(np.inf, np.inf, np.inf), shadow_px=shadow_px
    )
    return WideClouds(
        shape=shape, factor=factor, margin=margin, coarse=coarse, detail=detail, levels=_levels(draft, spec), shadow_px=shadow_px
    )


def _levels(draft: WideClouds, spec: CloudSpec) -> tuple[float, float, float]:
    """Levels that give each kind its share, found on evenly spaced rows."""
    rows, cols = draft.shape
    step = max(1, rows * cols // _LEVEL_SAMPLES)
    some, every = np.arange(step // 2, rows, step), np.arange(cols)
    goal = round(spec.cover * some.size * cols)
    thick = round(goal * spec.thick_share)
    covered = np.zeros((some.size, cols), bool)
    levels = []
    for kind, until in enumerate((thick, thick + round((goal - thick) * spec.cirrus_share), goal)):
        noise = draft.noise(kind, some, every)
        # in steps of float32, so that `noise > level` means the same here and in `strip`
        level = float(np.float32(level_reaching(noise, ~covered, until - int(covered.sum()))))
        covered |= noise - np.float32(level) > 0
        levels.append(level)
    return levels[0], levels[1], levels[2]


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
