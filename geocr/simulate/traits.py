"""Latent factors of the ground that light and radar both depend on, and those that only one of them sees.

This is what makes backscatter informative about reflectance, but not a copy of it: leaves, moisture and
biomass show in both; soil colour and chlorophyll only in light; roughness, row direction and the corners
of buildings only in the radar.
"""

from dataclasses import dataclass

import numpy as np

from geocr.clouds.synthesize import fractal_noise
from geocr.core.types import FloatArray
from geocr.simulate.landscape import CROPS, LandCover, Landscape
from geocr.simulate.parcels import normal, uniform


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traits:
    """Latent factors, all `(y, x)` float32 within 0 to 1 unless said otherwise."""

    green: FloatArray
    """Share of the ground under green leaves."""
    dry: FloatArray
    """Share of the ground under straw and dry leaves; green + dry is at most 1."""
    moisture: FloatArray
    """Water in soil and canopy: both sensors."""
    biomass: FloatArray
    """Volume that scatters C-band: mostly radar; tied to `green` by the crop."""
    roughness: FloatArray
    """Of the soil surface: radar only."""
    rows: FloatArray
    """Effect of row direction and small structure on backscatter, dB around 0: radar only."""
    soil_tone: FloatArray
    """Brightness and redness of the soil: light only."""
    chlorophyll: FloatArray
    """Of leaves: light only."""
    roof: FloatArray
    """Share of the ground under roofs and pavement."""
    roof_tone: FloatArray
    """Brightness of roofs: light only."""
    conifer: FloatArray
    """Share of conifers in a forest."""
    turbidity: FloatArray
    """Of water: light only."""


def make_traits(land: Landscape, rng: np.random.Generator, *, pixel_size_m: float) -> Traits:
    """Draw the latent factors of a landscape."""
    shape = land.cover.shape
    extent = min(shape)

    def noise(metres: float, slope: float = 2.0) -> FloatArray:
        return fractal_noise(shape, rng, wavelength_px=max(3.0, min(metres / pixel_size_m, 0.5 * extent)), slope=slope)

    crop, forest = land.where(LandCover.CROP), land.where(LandCover.FOREST)
    town, water = land.where(LandCover.SETTLEMENT), land.where(LandCover.WATER)
    bare, track = land.where(LandCover.BARE), land.where(LandCover.TRACK)
    table = {
        key: np.array([getattr(kind, key) for kind in CROPS], np.float32)[land.crop] for key in ("green", "dry", "biomass", "roughness")
    }
    inner, patch, grain = noise(250, 2.2), noise(900, 2.2), noise(35, 1.3)

    wet = np.exp(-land.relief.river_m / np.float32(450))
    moisture = 0.42 + 0.13 * noise(2500, 2.4) + 0.20 * wet + 0.06 * inner + 0.11 * normal(land.parcel, 31) + 0.03 * grain + 0.10 * forest
    # within-field variation follows the soil and its water; each field shows it more or less
    unevenness = 0.03 + 0.11 * uniform(land.parcel, 34)
    vigour = 0.12 * normal(land.parcel, 37) + unevenness * (0.8 * inner + 0.5 * patch) + 0.03 * grain + 0.18 * (moisture - 0.42)
    green = table["green"] + vigour * (0.35 + table["green"])
    green = np.where(forest, 0.90 + 0.04 * grain + 0.05 * inner, green)
    green = np.where(track, 0.35 + 0.3 * uniform(land.parcel, 40), green)
    built = uniform(land.plot, 41) < 0.30 + 0.55 * land.density
    garden = 0.55 + 0.25 * uniform(land.plot, 42)
    green = np.where(town, np.where(land.street, 0.12, np.where(built, 0.10, garden)), green)
    green = np.clip(np.where(bare, 0.10 + 0.07 * inner, green), 0, 0.97) * ~water
    dry = (table["dry"] + 0.10 * normal(land.parcel, 43) + 0.05 * patch) * crop + 0.06 * forest + 0.2 * track + 0.12 * (town & ~built)
    roof = np.where(land.street, 0.70, np.where(built, 0.72 + 0.2 * uniform(land.plot, 44), 0.10)) * town + 0.35 * track
    biomass = (table["biomass"] * (0.75 + 0.6 * vigour) + 0.10 * normal(land.parcel, 46) * (table["biomass"] > 0)) * crop
    biomass = biomass + forest * (0.95 + 0.06 * noise(120)) + 0.25 * track + 0.4 * town * ~built + 0.08 * bare
    rough = table["roughness"] * crop + 0.12 * normal(land.parcel, 49) * crop + 0.5 * ~crop + 0.05 * inner
    return Traits(
        green=_unit(green),
        dry=_unit(np.clip(dry, 0, 1) * (1 - green)),
        moisture=_unit(moisture),
        biomass=_unit(biomass),
        roughness=_unit(rough),
        rows=(0.9 * normal(land.parcel, 52) * crop + 0.45 * noise(60, 1.6)).astype(np.float32),
        soil_tone=_unit(0.45 + 0.16 * noise(3500, 2.4) + 0.10 * normal(land.parcel, 55) + 0.08 * inner + 0.35 * bare + 0.03 * grain),
        chlorophyll=_unit(0.5 + 0.15 * normal(land.parcel, 58) + 0.08 * patch + 0.05 * grain),
        roof=_unit(roof),
        roof_tone=np.where(land.street, np.float32(0.2), uniform(land.plot, 61) ** np.float32(1.7)).astype(np.float32),
        conifer=_unit(0.5 + 0.55 * noise(1100, 2.6)),
        turbidity=_unit(np.where(land.relief.river, 0.65, 0.2) + 0.08 * noise(700, 2.4)),
    )


def _unit(values: FloatArray) -> FloatArray:
    return np.clip(values, 0, 1).astype(np.float32)
