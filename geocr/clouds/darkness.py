"""How much darker than the land around it each pixel is, in the infrared, where shadows are darkest.

In a shadow the ground has the sky's light only: about a fifth of the full light in the near infrared, a tenth
in the short-wave infrared, but near half in the blue, which tells little. What counts as dark is relative to
the land within 2.5 km, as in the flood-filled test of Fmask (Zhu and Woodcock, Remote Sens. Environ. 118,
2012, section 3.1.3), so that forests and deserts on one scene do not set each other's threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy import ndimage

from geocr.clouds.morphology import dilate_disc
from geocr.core.types import BoolArray, FloatArray

MIN_LAND_PIXELS = 100
"""Clear land pixels below which "dark" has no meaning."""
BLOCK_M = 1000.0
"""Side of the squares whose clear land is summed up."""
NEIGHBOUR_BLOCKS = 5
"""Squares along a side of the neighbourhood: 5 km."""
REFERENCE_SHARE = 0.6
"""Quantile of the clear land taken as lit: above the middle, as part of what looks clear lies in shadow."""
RIM_M = 60.0
"""Land closer to a cloud does not count as lit: haze brightens it."""
MAX_AIR = 0.035
"""Most reflectance by which the air is believed to add more to green than to NIR: what the darkest water of
SEN12MS-CR shows at the top of the atmosphere (0.049 and 0.014)."""
AIR_SHARE = 0.5
"""Share of the darkest green believed to be air; the rest may be the light of clear water itself."""
_DARKEST_SHARE = 0.001
_SAMPLE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Darkness:
    """What telling shadows from land takes, on the working grid; all arrays `(rows, columns)` float32 reflectance."""

    infrared: FloatArray
    """Mean of NIR and, where the scene has it, B11."""
    nir: FloatArray
    """B08, or B8A."""
    green: FloatArray | None
    """B03, None without it: then water cannot be told."""


def shadow_bands(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a scene's bands that shadows are told by, NIR first; empty without a NIR band (B08, or B8A)."""
    nir = next((band for band in ("B08", "B8A") if band in bands), None)
    return () if nir is None else (nir, *(band for band in ("B03", "B11") if band in bands))


def measure_darkness(pixels: Mapping[str, FloatArray], names: tuple[str, ...]) -> Darkness:
    """Darkness of a chunk.

    Args:
        pixels: Band name to `(rows, columns)` float32 reflectance.
        names: What `shadow_bands` gave; not empty.
    """
    nir = pixels[names[0]]
    infrared = (nir + pixels["B11"]) * np.float32(0.5) if "B11" in names else nir
    return Darkness(infrared=infrared, nir=nir, green=pixels["B03"] if "B03" in names else None)


def empty_darkness(shape: tuple[int, int], names: tuple[str, ...]) -> Darkness:
    """Zeros to be filled chunk by chunk."""
    return Darkness(
        infrared=np.zeros(shape, np.float32),
        nir=np.zeros(shape, np.float32),
        green=np.zeros(shape, np.float32) if "B03" in names else None,
    )


def find_water(darkness: Darkness, clear: BoolArray) -> BoolArray:
    """Clear water: green outshines NIR (NDWI above 0: McFeeters, Int. J. Remote Sensing 17, 1996) once the air is taken off.

    At the top of the atmosphere the air adds more to green than a shaded forest reflects, and shadows would
    pass for water. The darkest clear pixel bounds what the air may have added, as in dark-object subtraction
    (Chavez, Remote Sens. Environ. 24, 1988); at the ground it is near 0, and little is taken off.

    Args:
        darkness: Of the whole working grid.
        clear: `(rows, columns)`, True where the scene is observed and no cloud was found.
    """
    if darkness.green is None or not clear.any():
        return np.zeros_like(clear)
    air = min(MAX_AIR, AIR_SHARE * _darkest(darkness.green, clear))
    water: BoolArray = clear & (darkness.green - np.float32(air) > darkness.nir)
    return water


def relative_darkness(darkness: Darkness, cloud: BoolArray, valid: BoolArray, *, resolution_m: float) -> FloatArray | None:
    """Share of the light of lit land nearby that each pixel of clear land lacks.

    Args:
        darkness: Of the whole working grid.
        cloud: `(rows, columns)`, True is cloud.
        valid: Same shape, True is observed.
        resolution_m: Side of a pixel in metres.

    Returns:
        `(rows, columns)` float32: 0 is as bright as the land around, 1 is black, negative is brighter; NaN on
        cloud, water and nodata. None when there is too little clear land to tell.
    """
    clear = valid & ~cloud
    land = clear & ~find_water(darkness, clear)
    if int(land.sum()) < MIN_LAND_PIXELS:
        return None
    lit = land & ~dilate_disc(cloud, max(1.0, RIM_M / resolution_m))
    if int(lit.sum()) < MIN_LAND_PIXELS:
        lit = land
    reference = _lit_land(darkness.infrared, lit, max(1, round(BLOCK_M / resolution_m)))
    return np.where(land, 1 - darkness.infrared / np.maximum(reference, np.float32(1e-3)), np.float32(np.nan)).astype(np.float32)


def _lit_land(infrared: FloatArray, lit: BoolArray, side: int) -> FloatArray:
    """Infrared of lit land around each pixel, `(rows, columns)` float32: quantile of each block, median of blocks, interpolated."""
    rows, cols = infrared.shape
    wide = ceil(cols / side)
    blocks = np.full((ceil(rows / side), wide), np.nan, np.float32)
    for number in range(blocks.shape[0]):
        strip = slice(number * side, (number + 1) * side)
        padded = np.full((min(side, rows - number * side), wide * side), np.nan, np.float32)
        padded[:, :cols] = np.where(lit[strip], infrared[strip], np.float32(np.nan))
        values = np.moveaxis(padded.reshape(-1, wide, side), 1, 0).reshape(wide, -1)
        blocks[number] = _quantile(values, REFERENCE_SHARE, least=max(1, values.shape[1] // 20))
    half = NEIGHBOUR_BLOCKS // 2
    around = np.pad(blocks, half, constant_values=np.nan)
    near = np.lib.stride_tricks.sliding_window_view(around, (NEIGHBOUR_BLOCKS, NEIGHBOUR_BLOCKS))
    local = np.stack([_quantile(row.reshape(wide, -1), 0.5, least=1) for row in near])
    sample = infrared[lit]
    everywhere = np.quantile(sample[:: max(1, sample.size // _SAMPLE)], REFERENCE_SHARE)
    local = np.where(np.isnan(local), np.float32(everywhere), local)
    smooth: FloatArray = ndimage.zoom(local, side, order=1, mode="nearest", grid_mode=True)
    return smooth[:rows, :cols]


def _quantile(values: FloatArray, share: float, *, least: int) -> FloatArray:
    """Quantile of each row without its NaN, float32; NaN for rows with fewer than `least` values."""
    ordered = np.sort(values, axis=1)
    count = np.isfinite(ordered).sum(axis=1)
    picked = ordered[np.arange(len(ordered)), np.rint(share * np.maximum(count - 1, 0)).astype(np.intp)]
    return np.where(count >= least, picked, np.float32(np.nan)).astype(np.float32)


def _darkest(values: FloatArray, clear: BoolArray) -> float:
    sample = values[clear]
    return float(np.quantile(sample[:: max(1, sample.size // _SAMPLE)], _DARKEST_SHARE))
