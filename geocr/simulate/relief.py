"""Relief and water: hills, a river that finds the low ground and carves a valley, a lake in a hollow."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from geocr.clouds.synthesize import fractal_noise
from geocr.core.types import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relief:
    """The shape of the ground."""

    elevation_m: FloatArray
    """`(y, x)` float32 metres above the sea."""
    slope_east: FloatArray
    """`(y, x)` float32, rise per metre towards the east."""
    slope_north: FloatArray
    """`(y, x)` float32, rise per metre towards the north."""
    river_m: FloatArray
    """`(y, x)` float32, metres to the middle of the river."""
    river: BoolArray
    """True is river."""
    lake: BoolArray
    """True is lake."""

    @property
    def water(self) -> BoolArray:
        """True is river or lake."""
        both: BoolArray = self.river | self.lake
        return both


def make_relief(shape: tuple[int, int], rng: np.random.Generator, *, pixel_size_m: float) -> Relief:
    """Hills with a river through the lowest passage and a lake of about 1 % of the scene.

    Args:
        shape: `(rows, columns)`.
        rng: Seed.
        pixel_size_m: Side of a pixel.
    """
    extent = min(shape)
    hills = fractal_noise(shape, rng, wavelength_px=0.45 * extent, slope=2.4)
    path = _lowest_path(hills, rng)
    river_px = ndimage.distance_transform_edt(~path).astype(np.float32)
    valley = 1 - np.exp(-((river_px / (0.14 * extent)) ** 2))
    height_m = min(80.0, 0.009 * extent * pixel_size_m)
    elevation = 320 + height_m * (0.25 * hills + 0.75 * np.maximum(hills + 1.2, 0.06 * hills) * valley)
    width = max(2.0, min(5.5, 0.008 * extent))
    bank = fractal_noise(shape, rng, wavelength_px=30, slope=2.2)
    river = river_px < width * (1 + 0.22 * bank)
    lake = _flood(elevation + np.where(river_px < 0.12 * extent, 1e4, 0), round(0.011 * shape[0] * shape[1]))
    elevation = np.where(lake, elevation[lake].mean(), elevation)
    elevation = ndimage.gaussian_filter(elevation, 1.0).astype(np.float32)
    gy, gx = np.gradient(elevation)
    return Relief(
        elevation_m=elevation,
        slope_east=(gx / pixel_size_m).astype(np.float32),
        slope_north=(-gy / pixel_size_m).astype(np.float32),
        river_m=river_px * np.float32(pixel_size_m),
        river=river,
        lake=lake,
    )


def _lowest_path(height: FloatArray, rng: np.random.Generator) -> BoolArray:
    """A winding line from one side to the other through low ground, as a mask; found by dynamic programming."""
    sideways = bool(rng.integers(2))
    ground = height.T if sideways else height
    rows, cols = ground.shape
    step = max(1, rows // 64)
    coarse = ndimage.gaussian_filter(ground, step)[::step, ::step]
    cost = np.exp(1.5 * coarse)
    total = cost.copy()
    moves = np.zeros(cost.shape, np.intp)
    for row in range(1, cost.shape[0]):
        options = np.stack([np.pad(total[row - 1], 2, constant_values=np.inf)[k : k + cost.shape[1]] + 0.15 * abs(k - 2) for k in range(5)])
        moves[row] = options.argmin(axis=0) - 2
        total[row] += options.min(axis=0)
    at = [int(total[-1].argmin())]
    for row in range(cost.shape[0] - 1, 0, -1):
        at.append(at[-1] + int(moves[row, at[-1]]))
    along = np.arange(cost.shape[0]) * step
    fine = np.linspace(0, rows - 1, 4 * rows)
    across = np.interp(fine, along, ndimage.gaussian_filter1d(np.array(at[::-1], float) * step, 1.5))
    bends = fractal_noise((1, fine.size), rng, wavelength_px=4 * max(40.0, rows / 9), slope=2.6)[0]
    across = ndimage.gaussian_filter1d(across + bends * 0.02 * rows, 12)
    path = np.zeros(ground.shape, bool)
    path[np.rint(fine).astype(np.intp), np.clip(np.rint(across), 0, cols - 1).astype(np.intp)] = True
    return path.T if sideways else path


def _flood(elevation: FloatArray, area_px: int) -> BoolArray:
    """The pool of about `area_px` pixels around the lowest point, filled to one level."""
    smooth = ndimage.gaussian_filter(elevation, 2.0)
    low = np.unravel_index(int(smooth.argmin()), smooth.shape)
    bottom, top = float(smooth[low]), float(np.quantile(smooth, 0.5))
    lake = np.zeros(smooth.shape, bool)
    lake[low] = True
    for _ in range(12):
        level = (bottom + top) / 2
        labels, _ = ndimage.label(smooth <= level)
        pool = labels == labels[low]
        if labels[low] and int(pool.sum()) <= area_px:
            bottom, lake = level, pool
        else:
            top = level
    return lake
