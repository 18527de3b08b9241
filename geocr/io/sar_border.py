"""Border noise of Sentinel-1: dark rims along the edge of the swath that are no echo of the ground.

GRD products of before March 2018 (IPF older than 2.90) carry near-zero values instead of zeros along their edges, in strips from
a few to a few hundred pixels wide (Ali et al. 2018, Methods to Remove the Border Noise From Sentinel-1 SAR Data, IEEE JSTARS
11(3); Stasolla and Neyt 2018, Sensors 18(10)). Taken for backscatter, they are as dark as nothing on Earth.

A pixel counts as border noise when it is dark (`BORDER_DARK_DB` in every polarisation that is measured there) and chained to a pixel
without measurement by at most `BORDER_REACH_PX` dark neighbours, diagonals included. So a dark lake inside the swath stays,
and whether a pixel is noise is decided by the pixels up to that far around it and by nothing else: not by the window it is read in.
"""

import numpy as np
from scipy.ndimage import binary_dilation

from geocr.core.types import BoolArray, FloatArray

BORDER_DARK_DB = -30.0
"""Backscatter below which nothing is measured: the noise floor of IW is -22 dB or better by specification, about -25 to -30 dB in fact."""
BORDER_REACH_PX = 64
"""How far from the edge a dark pixel is still taken for its rim: 640 m of 10 m pixels."""
_AROUND = np.ones((3, 3), bool)


def dark_pixels(backscatter: FloatArray) -> BoolArray:
    """Pixels that are measured, and dark in every polarisation that is.

    Args:
        backscatter: `(band, y, x)` float32 dB, NaN where nothing is measured.

    Returns:
        `(y, x)` bool.
    """
    dark: BoolArray = np.logical_or.reduce(backscatter < BORDER_DARK_DB, axis=0)  # NaN is neither dark nor bright
    dark &= ~np.logical_or.reduce(backscatter >= BORDER_DARK_DB, axis=0)
    return dark


def border_noise(backscatter: FloatArray) -> BoolArray:
    """Dark pixels chained to the unmeasured ones; right at least `BORDER_REACH_PX` away from a cut through the raster.

    Args:
        backscatter: `(band, y, x)` float32 dB, NaN where nothing is measured.

    Returns:
        `(y, x)` bool, True is border noise.
    """
    dark = dark_pixels(backscatter)
    outside: BoolArray = ~np.logical_or.reduce(np.isfinite(backscatter), axis=0)
    reached = binary_dilation(outside, structure=_AROUND, iterations=BORDER_REACH_PX, mask=dark | outside)
    noise: BoolArray = reached & dark
    return noise
