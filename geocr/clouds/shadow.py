"""Shadows of detected clouds: dark land where the sun throws them, or near the cloud when the sun is unknown.

Dark is told by the cloud-shadow rule of DSen2-CR (Meraner et al., ISPRS J. 166, 2020, after Zhai et al.,
ISPRS J. 144, 2018): CSI = (B08 + B11) / 2 below min + 3/4 (mean - min), and B02 below min + 5/6 (mean - min).
Their minimum and mean run over a whole patch; here they run over clear land, and the minimum is the
0.1 % quantile, so that neither clouds, nor water, nor one odd pixel of a large scene moves them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy import ndimage

from geocr.clouds.morphology import dilate_disc, odd_size
from geocr.core.types import BoolArray, FloatArray

CLOUD_HEIGHTS_M = (200.0, 4000.0)
"""Heights of cloud tops whose shadows are looked for. On the 18 August scene of T33TWM, with SCL as truth,
4 km agreed best of 2, 4, 6, 8 and 12 km; higher ones added more dark forest than shadow."""
REACH_M = 1000.0
"""Without the sun's place: how far from a cloud a shadow may lie, on any side. On T33TWM (SCL as truth) and six
SEN12MS-CR triplets (darker than on the clear date as truth), 2 km found hardly more shadows than 1 km and, under
few clouds, two and a half times as much dark forest; 500 m lost a third of the shadows."""
MIN_LAND_PIXELS = 100
"""Clear land pixels below which "dark" has no meaning."""
SMOOTHING_M = 50.0
"""Width of the majority filter (5 x 5 pixels of 10 m in DSen2-CR)."""
_SAMPLE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Darkness:
    """What telling shadows from land takes, on the working grid; all arrays `(rows, columns)`."""

    infrared: FloatArray
    """float32 reflectance: mean of NIR and, where the scene has it, B11."""
    blue: FloatArray | None
    """float32 reflectance of B02, None without it."""
    water: BoolArray
    """True where green outshines NIR: NDWI above 0 (McFeeters, Int. J. Remote Sensing 17, 1996)."""


def shadow_bands(bands: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a scene's bands that shadows are told by, NIR first; empty without a NIR band (B08, or B8A)."""
    nir = next((band for band in ("B08", "B8A") if band in bands), None)
    return () if nir is None else (nir, *(band for band in ("B02", "B03", "B11") if band in bands))


def measure_darkness(pixels: Mapping[str, FloatArray], names: tuple[str, ...]) -> Darkness:
    """Darkness of a chunk.

    Args:
        pixels: Band name to `(rows, columns)` float32 reflectance.
        names: What `shadow_bands` gave; not empty.
    """
    nir = pixels[names[0]]
    infrared = (nir + pixels["B11"]) * np.float32(0.5) if "B11" in names else nir
    water = pixels["B03"] > nir if "B03" in names else np.zeros(nir.shape, bool)
    return Darkness(infrared=infrared, blue=pixels["B02"] if "B02" in names else None, water=water)


def dark_land(darkness: Darkness, clear: BoolArray) -> BoolArray | None:
    """Clear land as dark as a shadow, or None when there is too little land to tell.

    Args:
        darkness: Of the whole working grid.
        clear: `(rows, columns)`, True where the scene is observed and no cloud was found.
    """
    land = clear & ~darkness.water
    if int(land.sum()) < MIN_LAND_PIXELS:
        return None
    dark = land & (darkness.infrared < _between(darkness.infrared[land], 3 / 4))
    return dark if darkness.blue is None else dark & (darkness.blue < _between(darkness.blue[land], 5 / 6))


def find_shadows(cloud: BoolArray, dark: BoolArray, *, resolution_m: float, step: tuple[float, float] | None) -> BoolArray:
    """Dark pixels where a cloud may throw its shadow.

    Args:
        cloud: `(rows, columns)`, True is cloud.
        dark: Same shape, True is dark land.
        resolution_m: Side of a pixel in metres.
        step: Pixels `(rows, columns)` a shadow moves per metre of cloud height, or None when the sun is unknown.

    Returns:
        `(rows, columns)` bool, True is shadow, after a majority filter of 50 m.
    """
    region = dilate_disc(cloud, REACH_M / resolution_m) if step is None else project_clouds(cloud, step)
    shadow = dark & region
    size = odd_size(SMOOTHING_M, resolution_m)
    if size > 1:
        shadow = (ndimage.uniform_filter(shadow.astype(np.float32), size, mode="nearest") > 0.5) & region & ~cloud
    return shadow


def project_clouds(cloud: BoolArray, step: tuple[float, float]) -> BoolArray:
    """Where the shadows of clouds fall, for all tops within `CLOUD_HEIGHTS_M`.

    Args:
        cloud: `(rows, columns)`, True is cloud.
        step: Pixels `(rows, columns)` a shadow moves per metre of height.
    """
    low, high = CLOUD_HEIGHTS_M
    count = ceil(max(map(abs, step)) * (high - low)) + 1
    offsets = {(round(step[0] * height), round(step[1] * height)) for height in np.linspace(low, high, count + 1).tolist()}
    region = np.zeros_like(cloud)
    for rows, cols in sorted(offsets):
        (from_rows, to_rows), (from_cols, to_cols) = _shift_slices(cloud.shape[0], rows), _shift_slices(cloud.shape[1], cols)
        region[to_rows, to_cols] |= cloud[from_rows, from_cols]
    return region


def _shift_slices(length: int, offset: int) -> tuple[slice, slice]:
    """Slices of one axis to read from and write to, so that everything moves by `offset`."""
    return slice(max(0, -offset), max(0, length - max(0, offset))), slice(max(0, offset), max(0, length - max(0, -offset)))


def _between(values: FloatArray, share: float) -> float:
    """The value at `share` of the way from the least (0.1 % quantile) to the mean."""
    sample = values[:: max(1, values.size // _SAMPLE)]
    least = float(np.quantile(sample, 0.001))
    return least + share * (float(sample.mean(dtype=np.float64)) - least)
