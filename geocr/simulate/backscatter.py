"""Sentinel-1 backscatter of a landscape: soil under a canopy, water, buildings, relief, speckle.

Fields and forest follow the water-cloud model (Attema and Ulaby, Radio Sci. 13, 1978): power = canopy +
(what the canopy lets through) x soil. Buildings add double bounces with a long tail. Slopes towards the
radar are brighter by the ratio of illuminated areas. Speckle multiplies power by a gamma variable of mean 1
(Oliver and Quegan, Understanding SAR Images, 2004, section 4.3). Levels are those of the Sen1Floods11,
SEN12MS-CR and TerraMesh scenes.
"""

import numpy as np
from scipy import ndimage

from geocr.clouds.synthesize import fractal_noise
from geocr.core.types import FloatArray
from geocr.radiometry.sar import power_to_db
from geocr.simulate.landscape import LandCover, Landscape
from geocr.simulate.parcels import uniform
from geocr.simulate.relief import Relief
from geocr.simulate.traits import Traits

INCIDENCE_DEG = 38.0
"""Incidence angle on level ground, the middle of the IW swath."""
RADAR_AZIMUTH_DEG = 102.0
"""Direction towards the radar of a descending, right-looking pass, clockwise from north."""
LOOKS = 4.5
"""Equivalent number of looks of a 10 m GRD product (ESA Sentinel-1 Product Specification: 4.4 to 4.9)."""
SPECKLE_CORRELATION_PX = 0.8
"""Deviation of the Gaussian kernel that makes neighbouring speckle alike."""


def make_backscatter(
    land: Landscape, traits: Traits, rng: np.random.Generator, *, looks: float = LOOKS, pixel_size_m: float = 10.0
) -> FloatArray:
    """VV and VH sigma0 in dB with speckle, `(2, y, x)` float32, about -32 to +20."""
    power = mean_power(land, traits, rng, pixel_size_m=pixel_size_m)
    return power_to_db(power * np.stack([speckle(land.cover.shape, rng, looks=looks) for _ in power]))


def mean_power(land: Landscape, traits: Traits, rng: np.random.Generator, *, pixel_size_m: float = 10.0) -> FloatArray:
    """VV and VH sigma0 in linear power before speckle, `(2, y, x)` float32, above 0."""
    shape = land.cover.shape
    wind = 1.6 * fractal_noise(shape, rng, wavelength_px=max(4.0, min(900 / pixel_size_m, 0.5 * min(shape))), slope=2.0)
    water = land.where(LandCover.WATER)
    town = land.where(LandCover.SETTLEMENT)
    corner = _double_bounce_db(land, traits, rng)
    slope = _relief_factor(land.relief)
    wet, rough, biomass = traits.moisture - 0.42, traits.roughness - 0.4, traits.biomass
    passed = np.exp(-1.9 * biomass)
    levels = (  # soil dB, canopy dB of a forest, water dB, corner dB relative to VV
        (-12.8 + 11 * wet + 5.0 * rough + traits.rows, -8.2, -21.0, 0.0),
        (-22.0 + 10 * wet + 6.5 * rough + 0.6 * traits.rows, -14.0, -27.5, -7.0),
    )
    out = np.empty((2, *shape), np.float32)
    for number, (soil_db, forest_db, water_db, corner_db) in enumerate(levels):
        canopy = (1 - passed) * biomass * _power(forest_db + 4 * wet + 0.5 * traits.rows)
        ground = (canopy + passed * _power(soil_db)) * slope
        ground += np.where(town, _power(corner + corner_db), 0)
        mixed = ndimage.gaussian_filter(np.where(water, _power(water_db + wind), ground), 0.7, truncate=3)
        out[number] = mixed
    return out


def speckle(shape: tuple[int, int], rng: np.random.Generator, *, looks: float = LOOKS) -> FloatArray:
    """Speckle: gamma noise of mean 1 and variance 1/looks, `shape` float32, slightly alike between neighbours.

    The mean of 2 x looks squared Gaussian fields is exactly that gamma variable, at any correlation.

    Args:
        shape: `(rows, columns)`.
        rng: Seed.
        looks: Equivalent number of looks, rounded to halves, at least 0.5.
    """
    fields = max(1, round(2 * looks))
    kernel = np.exp(-0.5 * (np.arange(-3, 4) / SPECKLE_CORRELATION_PX) ** 2)
    kernel /= np.sqrt((kernel**2).sum())  # keeps the variance of the fields at 1
    total = np.zeros(shape, np.float32)
    for _ in range(fields):
        field = rng.standard_normal(shape, dtype=np.float32)
        # wrapping keeps the variance exactly 1 at the borders, where reflection would raise it
        field = ndimage.convolve1d(ndimage.convolve1d(field, kernel, axis=0, mode="wrap"), kernel, axis=1, mode="wrap")
        total += field * field
    out: FloatArray = total / np.float32(fields)
    return out


def _double_bounce_db(land: Landscape, traits: Traits, rng: np.random.Generator) -> FloatArray:
    """VV of walls and roofs: level by plot, with rare very bright corners; dB."""
    facing = uniform(land.plot, 71)
    tail = rng.standard_exponential(land.cover.shape, dtype=np.float32)
    level = -14.5 + 6.0 * land.density + 6.0 * traits.roof * facing**2
    bright: FloatArray = level + np.where(land.street, 0.0, 3.2 * tail * (0.4 + traits.roof))
    return np.minimum(bright, np.float32(20))


def _relief_factor(relief: Relief) -> FloatArray:
    """Illuminated area relative to level ground: sin(incidence) / sin(local incidence), within -4 to +5 dB."""
    azimuth, incidence = np.deg2rad(RADAR_AZIMUTH_DEG), np.deg2rad(INCIDENCE_DEG)
    rise = relief.slope_east * np.sin(azimuth) + relief.slope_north * np.cos(azimuth)
    local = incidence + np.arctan(rise)
    factor: FloatArray = np.clip(np.sin(incidence) / np.sin(np.clip(local, 0.1, np.pi / 2)), 0.4, 3.2).astype(np.float32)
    return factor


def _power(db: FloatArray | float) -> FloatArray:
    out: FloatArray = np.asarray(10 ** (np.asarray(db) / 10), np.float32)
    return out
