"""Parcels: irregular quadrilaterals in districts that each have their own direction, as farmland has them.

Parcels are never listed. A pixel's parcel is a 64-bit number worked out from its coordinates alone, and
whatever a parcel has (crop, vigour, roof) is a hash of that number, so a million pixels cost a few array
operations.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geocr.clouds.synthesize import fractal_noise
from geocr.core.types import BoolArray, FloatArray

Keys: TypeAlias = NDArray[np.uint64]
"""Parcel numbers, or hashes of them."""


def mix(keys: Keys, salt: int) -> Keys:
    """A well-spread 64-bit hash (the finaliser of splitmix64; Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        x = keys + np.uint64((salt * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFFFFFFFFFFFFFF)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniform(keys: Keys, salt: int) -> FloatArray:
    """One number in [0, 1) per key, float32."""
    return (mix(keys, salt) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def normal(keys: Keys, salt: int) -> FloatArray:
    """One number per key, float32, near-Gaussian of mean 0 and deviation 1 (sum of three uniforms), within +-3."""
    return (uniform(keys, salt) + uniform(keys, salt + 1) + uniform(keys, salt + 2) - np.float32(1.5)) * np.float32(2)


def lay_districts(shape: tuple[int, int], rng: np.random.Generator, *, spacing_px: float) -> Keys:
    """Districts: Voronoi cells with wavy borders, numbered from 1, `shape` uint64."""
    rows, cols = shape
    count = max(2, round(1.2 * rows * cols / spacing_px**2))
    centres = np.ones(shape, bool)
    centres[rng.integers(0, rows, count), rng.integers(0, cols, count)] = False
    nearest = ndimage.distance_transform_edt(centres, return_distances=False, return_indices=True)
    number = nearest[0].astype(np.int64) * cols + nearest[1] + 1
    wave = [fractal_noise(shape, rng, wavelength_px=spacing_px, slope=2.6) * (spacing_px * 0.12) for _ in range(2)]
    row = np.clip(np.rint(np.arange(rows)[:, None] + wave[0]), 0, rows - 1).astype(np.intp)
    col = np.clip(np.rint(np.arange(cols)[None, :] + wave[1]), 0, cols - 1).astype(np.intp)
    districts: Keys = number[row, col].astype(np.uint64)
    return districts


def lay_parcels(districts: Keys, rng: np.random.Generator, *, length_px: float, width_px: float, bend_px: float = 2.0) -> Keys:
    """Cut each district into strips and each strip into parcels.

    Args:
        districts: From `lay_districts`.
        rng: Seeds the bends and the hashes.
        length_px: Usual length of a parcel; districts vary from half to twice as much.
        width_px: Usual width.
        bend_px: How far borders stray from straight lines.

    Returns:
        Parcel numbers, same shape, uint64.
    """
    salt = int(rng.integers(1 << 30))
    rows, cols = districts.shape
    bend = [fractal_noise((rows, cols), rng, wavelength_px=6 * length_px, slope=2.8) * bend_px for _ in range(2)]
    y = np.arange(rows, dtype=np.float32)[:, None] + bend[0]
    x = np.arange(cols, dtype=np.float32)[None, :] + bend[1]
    turn = uniform(districts, salt) * np.float32(np.pi)
    scale = np.float32(0.55) + np.float32(1.1) * uniform(districts, salt + 1) ** 2
    across = (y * np.cos(turn) - x * np.sin(turn)) / (np.float32(width_px) * scale)
    along = (y * np.sin(turn) + x * np.cos(turn)) / (np.float32(length_px) * scale)
    strip = _cell(across, mix(districts, salt + 2))
    lengths = np.float32(0.6) + np.float32(0.9) * uniform(strip, salt + 3)
    return _cell(along / lengths + np.float32(7) * uniform(strip, salt + 4), mix(strip, salt + 5))


def _cell(t: FloatArray, keys: Keys) -> Keys:
    """Number of the cell that `t` falls into on a line whose cells are about 1 long; keys tell lines apart."""
    low = np.floor(t).astype(np.int64)

    def border(cell: NDArray[np.int64]) -> FloatArray:
        jitter = uniform(keys + cell.astype(np.uint64) * np.uint64(0x2545F491), 11)
        out: FloatArray = cell.astype(np.float32) + np.float32(0.75) * (jitter - np.float32(0.5))
        return out

    cell = low - (t < border(low)) + (t >= border(low + 1))
    return mix(keys + cell.astype(np.uint64) * np.uint64(0x9E3779B1), 12)


def parcel_borders(parcels: Keys) -> BoolArray:
    """True on the pixels whose right or lower neighbour is of another parcel: tracks, hedges, streets."""
    edge = np.zeros(parcels.shape, bool)
    edge[:, :-1] |= parcels[:, :-1] != parcels[:, 1:]
    edge[:-1] |= parcels[:-1] != parcels[1:]
    return edge
