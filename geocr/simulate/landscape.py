"""Land cover: what stands where, on a relief, with the parcels that give farmland and towns their pattern."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geocr.clouds.synthesize import fractal_noise
from geocr.core.types import BoolArray, ByteArray, FloatArray
from geocr.simulate.parcels import Keys, lay_districts, lay_parcels, mix, parcel_borders, uniform
from geocr.simulate.relief import Relief, make_relief


class LandCover(IntEnum):
    """Codes of `Landscape.cover`."""

    CROP = 1
    FOREST = 2
    WATER = 3
    SETTLEMENT = 4
    BARE = 5
    TRACK = 6
    """Roads, tracks and hedges between parcels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """A crop at one date (high summer), by what light and radar see of it."""

    name: str
    share: float
    """Relative frequency."""
    green: float
    """Share of the ground under green leaves, 0 to 1."""
    dry: float
    """Share of the remaining ground under straw or dry leaves, 0 to 1."""
    biomass: float
    """Volume that scatters C-band, 0 (bare) to 1 (forest)."""
    roughness: float
    """Of the soil surface, 0 (rolled) to 1 (ploughed)."""


CROPS: tuple[Crop, ...] = (
    Crop(name="ripe wheat", share=0.15, green=0.10, dry=0.75, biomass=0.26, roughness=0.35),
    Crop(name="barley stubble", share=0.10, green=0.08, dry=0.50, biomass=0.10, roughness=0.30),
    Crop(name="maize", share=0.18, green=0.80, dry=0.05, biomass=0.62, roughness=0.50),
    Crop(name="rape", share=0.08, green=0.32, dry=0.50, biomass=0.75, roughness=0.50),
    Crop(name="sugar beet", share=0.09, green=0.90, dry=0.00, biomass=0.55, roughness=0.45),
    Crop(name="potato", share=0.05, green=0.70, dry=0.05, biomass=0.50, roughness=0.70),
    Crop(name="sunflower", share=0.06, green=0.60, dry=0.15, biomass=0.60, roughness=0.40),
    Crop(name="alfalfa", share=0.07, green=0.75, dry=0.05, biomass=0.35, roughness=0.25),
    Crop(name="meadow", share=0.10, green=0.58, dry=0.35, biomass=0.22, roughness=0.22),
    Crop(name="ploughed", share=0.06, green=0.03, dry=0.05, biomass=0.00, roughness=0.85),
    Crop(name="seedbed", share=0.06, green=0.05, dry=0.10, biomass=0.00, roughness=0.18),
)
"""The mosaic of a central European July; 11 kinds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Landscape:
    """Land cover on a relief; arrays are `(y, x)`."""

    relief: Relief
    """The ground."""
    cover: ByteArray
    """`LandCover` codes, uint8."""
    crop: NDArray[np.intp]
    """Index into `CROPS`; meaningful where the cover is CROP."""
    parcel: Keys
    """Fields, uint64."""
    plot: Keys
    """Plots of the settlements: gardens and buildings, uint64."""
    density: FloatArray
    """How built-up a place is, float32, 0 outside settlements to 1 in a centre."""
    street: BoolArray
    """True on streets inside settlements."""

    def where(self, cover: LandCover) -> BoolArray:
        """True where this cover is."""
        mask: BoolArray = self.cover == cover
        return mask


def make_landscape(shape: tuple[int, int], rng: np.random.Generator, *, pixel_size_m: float = 10.0) -> Landscape:
    """A landscape: fields, forest, river and lake, a town with villages, bare patches.

    Feature sizes are metres where nature sets them (fields) and a share of the scene where a small scene
    must still show everything (town, river, lake).

    Args:
        shape: `(rows, columns)`.
        rng: Seed.
        pixel_size_m: Side of a pixel.
    """
    extent = min(shape)
    relief = make_relief(shape, rng, pixel_size_m=pixel_size_m)
    districts = lay_districts(shape, rng, spacing_px=min(1800 / pixel_size_m, 0.45 * extent))
    parcel = lay_parcels(districts, rng, length_px=480 / pixel_size_m, width_px=210 / pixel_size_m)
    density = _settle(relief, rng)
    blocks = lay_districts(shape, rng, spacing_px=min(45.0, 0.2 * extent))
    plot = lay_parcels(blocks, rng, length_px=6.5, width_px=4.5, bend_px=1.0)

    wild = fractal_noise(shape, rng, wavelength_px=min(220.0, 0.4 * extent), slope=2.1)
    steep = np.hypot(relief.slope_east, relief.slope_north)
    wild = wild + 0.35 * np.minimum(steep / (steep.mean() + 1e-6), 3) - 2.5 * (density > 0.02)
    forest = wild > np.quantile(wild, 0.76)
    rock = fractal_noise(shape, rng, wavelength_px=0.08 * extent, slope=2.2) + 0.3 * steep / (steep.mean() + 1e-6) - 4 * (density > 0.02)
    bare = rock > np.quantile(rock, 0.985)
    gravel = relief.river_m < (0.012 * extent * pixel_size_m) * (0.5 + uniform(mix(plot, 91), 0))

    cover = np.full(shape, LandCover.CROP, np.uint8)
    cover[parcel_borders(parcel) & (uniform(parcel, 21) < 0.6)] = LandCover.TRACK
    cover[forest] = LandCover.FOREST
    cover[bare | (gravel & (uniform(parcel, 22) < 0.35))] = LandCover.BARE
    cover[density > 0] = LandCover.SETTLEMENT
    cover[_roads(density, rng) & (density == 0)] = LandCover.TRACK
    cover[relief.water] = LandCover.WATER
    shares = np.cumsum([crop.share for crop in CROPS])
    # neighbours in a district grow alike: mix the field's own number with the district's
    draw = np.where(uniform(parcel, 23) < 0.3, uniform(districts, 24), uniform(parcel, 25))
    crop = np.minimum(np.searchsorted(shares / shares[-1], draw), len(CROPS) - 1)
    return Landscape(
        relief=relief, cover=cover, crop=crop, parcel=parcel, plot=plot, density=density, street=parcel_borders(plot) & (density > 0)
    )


def _settle(relief: Relief, rng: np.random.Generator) -> FloatArray:
    """Density of a town on the river and of villages around, ragged at their edges."""
    shape = relief.river.shape
    extent = min(shape)
    ragged = 0.38 * fractal_noise(shape, rng, wavelength_px=0.06 * extent + 6, slope=1.8)
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    steep = ndimage.gaussian_filter(np.hypot(relief.slope_east, relief.slope_north), 0.02 * extent)
    density = np.zeros(shape, np.float32)
    places = _places(relief, steep, rng, count=7)
    for number, (row, col) in enumerate(places):
        radius = extent * (0.105 if number == 0 else float(rng.uniform(0.018, 0.042)))
        away = np.hypot(rows - row, cols - col) / radius
        density = np.maximum(density, np.clip((1.0 + ragged - away) * 0.9, 0, 1))
    density[relief.water] = 0
    return density.astype(np.float32)


def _places(relief: Relief, steep: FloatArray, rng: np.random.Generator, *, count: int) -> list[tuple[int, int]]:
    """Centres of settlements: the first beside the river, all on level ground and apart from each other."""
    rows, cols = steep.shape
    extent = min(rows, cols)
    span_m = float(relief.river_m.max())
    chosen: list[tuple[int, int]] = []
    for number in range(count):
        row, col = rng.integers(rows // 8, rows - rows // 8, 40), rng.integers(cols // 8, cols - cols // 8, 40)
        cost = steep[row, col] / (steep.mean() + 1e-6)
        if number == 0:
            cost = cost + 8 * np.abs(relief.river_m[row, col] / span_m - 0.12)
        for other in chosen:
            cost = cost + 6 * np.exp(-np.hypot(row - other[0], col - other[1]) / (0.12 * extent))
        best = int(np.argmin(cost))
        chosen.append((int(row[best]), int(col[best])))
    return chosen


def _roads(density: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Roads two pixels wide from the middle of the town to the scene's edges, gently bent."""
    rows, cols = density.shape
    weight = density.sum()
    row, col = (np.arange(rows) @ density.sum(axis=1)) / weight, (np.arange(cols) @ density.sum(axis=0)) / weight
    road = np.zeros(density.shape, bool)
    steps = np.linspace(0, 1, 3 * max(rows, cols))
    for start in rng.uniform(0, 1) + np.arange(4) / 4:
        angle = 2 * np.pi * start + 0.28 * np.sin(2 * np.pi * steps * float(rng.uniform(0.5, 1.5)))
        y = np.rint(row + steps * max(rows, cols) * np.sin(angle)).astype(np.intp)
        x = np.rint(col + steps * max(rows, cols) * np.cos(angle)).astype(np.intp)
        inside = (y >= 0) & (y < rows - 1) & (x >= 0) & (x < cols - 1)
        for dy, dx in ((0, 0), (1, 0), (0, 1)):
            road[y[inside] + dy, x[inside] + dx] = True
    return road
