"""Widen masks by a disc and drop specks, in bounded memory."""

from math import floor

import numpy as np
from scipy import ndimage

from geocr.core.types import BoolArray

PIECE_PX = (256, 1024)
"""Rows and columns of distances computed at a time: they take 32 bytes a pixel."""
_ROUNDING = 1e-6
"""Slack in pixels, so that 30 m of 10 m pixels reach the third pixel whatever the division left over."""


def disc_margin(radius_px: float) -> int:
    """Rows and columns of context that `dilate_disc` needs on each side."""
    return floor(radius_px + _ROUNDING)


def dilate_disc(mask: BoolArray, radius_px: float) -> BoolArray:
    """Every pixel whose centre lies at most `radius_px` from the centre of a True pixel.

    Args:
        mask: `(y, x)` bool.
        radius_px: Euclidean radius in pixels; below 1 nothing changes.

    Returns:
        A new `(y, x)` bool array. What lies outside the array counts as False.
    """
    margin = disc_margin(radius_px)
    if margin < 1:
        return mask.copy()
    wide = np.zeros_like(mask)
    height, width = (max(side, 4 * margin) for side in PIECE_PX)
    for row in range(0, mask.shape[0], height):
        for col in range(0, mask.shape[1], width):
            top, left = max(0, row - margin), max(0, col - margin)
            part = mask[top : row + height + margin, left : col + width + margin]
            if part.any():
                near = ndimage.distance_transform_edt(~part) <= radius_px + _ROUNDING
                target = wide[row : row + height, col : col + width]
                target[:] = near[row - top :, col - left :][: target.shape[0], : target.shape[1]]
    return wide


def drop_specks(mask: BoolArray, min_px: int) -> BoolArray:
    """The mask without its connected parts of fewer than `min_px` pixels (touching at corners connects).

    Args:
        mask: `(y, x)` bool.
        min_px: Pixels a part must have to stay; 1 or less keeps all.
    """
    if min_px <= 1 or not mask.any():
        return mask.copy()
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3), bool))
    keep = np.bincount(labels.ravel()) >= min_px
    keep[0] = False
    kept: BoolArray = keep[labels]
    return kept


def odd_size(width_m: float, resolution_m: float) -> int:
    """Pixels of a centred window `width_m` wide: the nearest odd number, at least 1."""
    return 2 * max(0, round((width_m / resolution_m - 1) / 2)) + 1
