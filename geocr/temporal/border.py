"""Bending a borrowed patch to what lies around it, so that its border does not show.

Where both are known, the difference between what is there and what is borrowed is averaged over cells of 4 pixels and their
neighbourhood (normalised convolution, Knutsson and Westin, CVPR 1993); into the patch it fades out within about 20 pixels. Only sums in a
fixed order are used: a pixel comes out the same, to the last bit, in every window that begins at a multiple of 4 and holds `REACH_PX`
around it.
"""

import numpy as np
from scipy import ndimage

from geocr.core.types import BoolArray, FloatArray
from geocr.scenefit.pyramid import double, halve, pad_to_multiple

_HALVINGS = 2
"""To cells of 4 pixels."""
_RADIUS = 5
"""Of the kernel, in cells."""
_KERNEL = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / 2.0) ** 2)
_KERNEL /= _KERNEL.sum()
_FADE = np.float32(0.05)
"""Weight of no correction: a hundredth of the kernel's at the border, all of it far inside."""
REACH_PX = 32
"""How far a pixel's correction depends on others: 5 cells, one more for each interpolation, rounded up."""


def border_correction(
    known: FloatArray, has_known: BoolArray, borrowed: FloatArray, has_borrowed: BoolArray, limit: FloatArray
) -> FloatArray:
    """What to add to a borrowed patch.

    Args:
        known: `(bands, h, w)` float32, what is there.
        has_known: `(h, w)`, True where it counts.
        borrowed: Like `known`.
        has_borrowed: Like `has_known`.
        limit: `(bands, 1, 1)`, largest difference that counts: beyond it the ground changed, or a mask is wrong.

    Returns:
        `(bands, h, w)` float32.
    """
    both = has_known & has_borrowed
    with np.errstate(invalid="ignore"):
        difference = np.where(both, np.clip(known - borrowed, -limit, limit), np.float32(0)).astype(np.float32, copy=False)
    weight = both[None].astype(np.float32)
    for _ in range(_HALVINGS):
        difference, weight = (halve(pad_to_multiple(array, 2)) for array in (difference, weight))
    correction = _spread(difference) / (_spread(weight) + _FADE)
    for _ in range(_HALVINGS):
        correction = double(correction)
    return correction[:, : known.shape[1], : known.shape[2]]


def _spread(cells: FloatArray) -> FloatArray:
    across: FloatArray = ndimage.correlate1d(cells, _KERNEL, axis=-1, mode="constant")
    both: FloatArray = ndimage.correlate1d(across, _KERNEL, axis=-2, mode="constant")
    return both
