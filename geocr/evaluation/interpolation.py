"""Filling holes of an image from their rims: what any method that knows more must beat."""

import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import binary_dilation, distance_transform_edt
from scipy.spatial import QhullError

from geocr.core.types import BoolArray, FloatArray


def interpolate_holes(image: FloatArray, hole: BoolArray, known: BoolArray) -> FloatArray:
    """Fill holes linearly over a Delaunay triangulation of their rims, and from the nearest known pixel outside it.

    A plane comes back as it was inside the triangulation.

    Args:
        image: `(band, y, x)` float32.
        hole: `(y, x)`, True is a pixel to fill.
        known: `(y, x)`, True is a pixel to fill from, finite in every band and no hole; at least one.

    Returns:
        `(band, y, x)` float32: the image with its holes filled.
    """
    filled = image.copy()
    if not hole.any():
        return filled
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled[:, hole] = image[:, nearest[0][hole], nearest[1][hole]]
    rim = known & binary_dilation(hole, np.ones((3, 3), bool))
    places, wanted = np.argwhere(rim), np.argwhere(hole)
    if len(places) < 3:
        return filled
    try:
        linear = LinearNDInterpolator(places, image[:, rim].T.astype(np.float64))(wanted).T
    except QhullError:  # all rim pixels on one line: no triangle
        return filled
    inside = np.isfinite(linear).all(axis=0)
    rows, cols = wanted[inside].T
    filled[:, rows, cols] = linear[:, inside]
    return filled
