"""Clear Sentinel-2 reflectance of a landscape: mixtures of pure spectra, steered by its latent factors.

Ground reflectance is a linear mixture of leaves, straw, soil, roofs and water. Moisture darkens soil and
deepens the water absorption of B11 and B12; chlorophyll deepens the red and moves the red edge; slopes are
lit by the cosine of the sun's incidence. The air then adds its path reflectance and takes its share, most of
all water vapour at B09 and B10. Spectra follow the shapes of the USGS library (Kokaly et al., USGS Data
Series 1035, 2017), their levels are those of SEN12MS-CR and Sen1Floods11 scenes.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from geocr.clouds.synthesize import PATH_REFLECTANCE
from geocr.core.bands import L1C_BANDS, S2_BANDS
from geocr.core.types import FloatArray
from geocr.simulate.landscape import LandCover, Landscape
from geocr.simulate.relief import Relief
from geocr.simulate.traits import Traits

_PURE = {  # ground reflectance in the order of L1C_BANDS
    "crop leaves": (0.020, 0.024, 0.055, 0.026, 0.085, 0.30, 0.38, 0.40, 0.42, 0.42, 0.10, 0.22, 0.095),
    "broadleaf": (0.014, 0.017, 0.038, 0.018, 0.058, 0.235, 0.30, 0.315, 0.33, 0.33, 0.08, 0.155, 0.062),
    "conifer": (0.010, 0.013, 0.026, 0.016, 0.036, 0.125, 0.155, 0.165, 0.175, 0.175, 0.05, 0.080, 0.036),
    "straw": (0.060, 0.082, 0.125, 0.175, 0.205, 0.235, 0.26, 0.285, 0.31, 0.32, 0.25, 0.38, 0.26),
    "pale soil": (0.085, 0.110, 0.155, 0.205, 0.225, 0.240, 0.255, 0.275, 0.29, 0.30, 0.30, 0.38, 0.34),
    "dark soil": (0.040, 0.050, 0.070, 0.092, 0.105, 0.120, 0.135, 0.150, 0.16, 0.17, 0.18, 0.24, 0.20),
    "pale roof": (0.260, 0.300, 0.330, 0.360, 0.370, 0.375, 0.38, 0.385, 0.39, 0.39, 0.38, 0.39, 0.36),
    "tile roof": (0.070, 0.085, 0.110, 0.165, 0.190, 0.205, 0.22, 0.225, 0.23, 0.24, 0.23, 0.25, 0.23),
    "dark roof": (0.060, 0.070, 0.080, 0.095, 0.100, 0.110, 0.12, 0.125, 0.13, 0.14, 0.14, 0.16, 0.15),
    "clear water": (0.030, 0.030, 0.028, 0.012, 0.009, 0.006, 0.005, 0.004, 0.003, 0.002, 0.001, 0.001, 0.001),
    "turbid water": (0.045, 0.058, 0.085, 0.072, 0.055, 0.026, 0.024, 0.020, 0.016, 0.008, 0.001, 0.004, 0.003),
}
_TRANSMITTED = dict(zip(S2_BANDS, (0.80, 0.85, 0.87, 0.91, 0.92, 0.92, 0.94, 0.91, 0.97, 0.27, 0.002, 0.96, 0.94), strict=True))
"""Share of ground reflectance that reaches the satellite."""
_SOAKED = dict(zip(S2_BANDS, (0.30, 0.30, 0.30, 0.30, 0.28, 0.20, 0.18, 0.16, 0.16, 0.20, 0.5, 0.42, 0.55), strict=True))
"""Relative darkening from driest to wettest."""
_GREENED = dict(zip(S2_BANDS, (-0.25, -0.30, -0.35, -0.40, -0.45, -0.06, 0.10, 0.12, 0.12, 0.12, 0, 0, 0), strict=True))
"""Relative change from least to most chlorophyll, for leaves."""
_BLUR_PX = {10: 0.55, 20: 0.95, 60: 2.6}
"""Point spread on the 10 m grid by native resolution."""
_NOISE = {10: 0.0012, 20: 0.0009, 60: 0.0004}
"""Sensor noise, reflectance."""


def make_reflectance(
    land: Landscape, traits: Traits, rng: np.random.Generator, *, bands: Sequence[str], sun_zenith_deg: float, sun_azimuth_deg: float
) -> FloatArray:
    """Clear top-of-atmosphere reflectance, `(band, y, x)` float32, about 0.001 to 0.6; any bands in any order."""
    spectra = _pure_spectra(land, traits)
    light = illumination(land.relief, sun_zenith_deg=sun_zenith_deg, sun_azimuth_deg=sun_azimuth_deg)
    water = land.where(LandCover.WATER)
    dryness = np.where(water, 0, traits.moisture - np.float32(0.42))
    leaf_tone = (traits.chlorophyll - np.float32(0.5)) * np.minimum(traits.green * 1.3, 1)
    seed = int(rng.integers(1 << 30))
    out = np.empty((len(bands), *land.cover.shape), np.float32)
    for number, band in enumerate(bands):
        at, resolution = L1C_BANDS.index(band), S2_BANDS[band].resolution_m
        ground = sum(share * np.float32(_PURE[name][at]) for name, share in spectra.items())
        ground = ground * (1 - np.float32(_SOAKED[band]) * dryness) * (1 + np.float32(_GREENED[band]) * leaf_tone)
        top = np.float32(PATH_REFLECTANCE[band]) + np.float32(_TRANSMITTED[band]) * ground * light
        top = ndimage.gaussian_filter(top, _BLUR_PX[resolution], truncate=3)
        grain = np.random.default_rng([seed, at]).standard_normal(top.shape, dtype=np.float32)
        strength = _NOISE[resolution] if band != "B10" else 0.00008
        out[number] = np.maximum(top + grain * np.float32(strength), np.float32(0.0003))
    return out


def illumination(relief: Relief, *, sun_zenith_deg: float, sun_azimuth_deg: float) -> FloatArray:
    """Sunlight on a slope relative to level ground, float32, softened by skylight (cosine law; Teillet, 1982)."""
    zenith, azimuth = np.deg2rad(sun_zenith_deg), np.deg2rad(sun_azimuth_deg)
    towards = -(relief.slope_east * np.sin(azimuth) + relief.slope_north * np.cos(azimuth))
    cosine = (1 + towards * np.tan(zenith)) / np.sqrt(1 + relief.slope_east**2 + relief.slope_north**2)
    out: FloatArray = (0.2 + 0.8 * np.clip(cosine, 0.2, 1.6)).astype(np.float32)
    return out


def _pure_spectra(land: Landscape, traits: Traits) -> dict[str, FloatArray]:
    """Shares of the pure spectra, each `(y, x)` float32; they add up to 1."""
    water, forest = land.where(LandCover.WATER), land.where(LandCover.FOREST)
    sealed = traits.roof * (1 - traits.green - traits.dry)
    soil = (1 - traits.green - traits.dry) - sealed
    # below a forest's crowns lie shade and litter, not field soil
    pale = np.where(forest, np.float32(0.1), traits.soil_tone)
    shares = {
        "crop leaves": traits.green * ~forest,
        "broadleaf": traits.green * forest * (1 - traits.conifer),
        "conifer": traits.green * forest * traits.conifer,
        "straw": traits.dry,
        "pale soil": soil * pale,
        "dark soil": soil * (1 - pale),
        "pale roof": sealed * traits.roof_tone**2,
        "tile roof": sealed * traits.roof_tone * (1 - traits.roof_tone),
        "dark roof": sealed * (1 - traits.roof_tone),
    }
    shares = {name: share * ~water for name, share in shares.items()}
    return shares | {"clear water": water * (1 - traits.turbidity), "turbid water": water * traits.turbidity}
