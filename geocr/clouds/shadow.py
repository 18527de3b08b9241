"""Shadows of detected clouds: dark land where the sun throws them, or near the cloud when the sun is unknown."""

from math import ceil

import numpy as np
from scipy import ndimage

from geocr.clouds.heights import match_heights, project_clouds, project_matched, project_unseen
from geocr.clouds.morphology import dilate_disc, odd_size
from geocr.core.types import BoolArray, FloatArray

REACH_M = 1000.0
"""Without the sun's place: how far from a cloud a shadow may lie, on any side. On T33TWM (SCL as truth) and six
SEN12MS-CR triplets (darker than on the clear date as truth), 2 km found hardly more shadows than 1 km and, under
few clouds, two and a half times as much dark forest; 500 m lost a third of the shadows."""
DARK_NEAR, DARK_POSSIBLE, DARK_MATCHED = 0.35, 0.45, 0.2
"""Least relative darkness of a shadow near a cloud, where the sun may throw one, and where the cloud's outline fits:
the better the place is known, the less the light has to tell."""
MAX_SHADOW_SHARE = 4
"""Without the sun's place: area of a dark patch, at most, in units of the cloud within reach of it. A larger one is
forest or water beside a small cloud; shadows of clouds too thin to be found make up for the rest (SEN12MS-CR 05349:
twice as much shadow as cloud)."""
UNSEEN_COVER = 0.1
"""Cloud cover of the observed part from which clouds are believed to go on beyond its edge, and to throw shadows in."""
SMOOTHING_M = 50.0
"""Width of the majority filter (5 x 5 pixels of 10 m in DSen2-CR: Meraner et al., ISPRS J. 166, 2020)."""


def find_shadows(
    cloud: BoolArray, darkness: FloatArray, valid: BoolArray, *, resolution_m: float, step: tuple[float, float] | None
) -> BoolArray:
    """Dark land where a cloud may throw its shadow.

    Args:
        cloud: `(rows, columns)`, True is cloud.
        darkness: Same shape, from `relative_darkness`; NaN is not clear land.
        valid: Same shape, True is observed.
        resolution_m: Side of a pixel in metres.
        step: Pixels `(rows, columns)` a shadow moves per metre of cloud height, or None when the sun is unknown.

    Returns:
        `(rows, columns)` bool, True is shadow, after a majority filter of 50 m.
    """
    if not cloud.any():
        return np.zeros_like(cloud)
    if step is None:
        region = dilate_disc(cloud, REACH_M / resolution_m)
        shadow = _drop_oversized(region & (darkness > DARK_NEAR), cloud, REACH_M / resolution_m)
    else:
        heights = match_heights(cloud, darkness, resolution_m=resolution_m, step=step)
        matched = project_matched(cloud, heights, step)
        region = matched | project_clouds(cloud, step)
        if cloud.sum() >= UNSEEN_COVER * valid.sum():
            region |= project_unseen(valid, heights, step)
        shadow = (region & (darkness > DARK_POSSIBLE)) | (matched & (darkness > DARK_MATCHED))
    size = odd_size(SMOOTHING_M, resolution_m)
    if size > 1:
        shadow = (ndimage.uniform_filter(shadow.astype(np.float32), size, mode="nearest") > 0.5) & region & ~cloud
    return shadow


def _drop_oversized(dark: BoolArray, cloud: BoolArray, reach_px: float) -> BoolArray:
    """Connected dark patches that the cloud nearby could shade."""
    labels, count = ndimage.label(dark)
    size = 2 * ceil(reach_px) + 1
    near = ndimage.uniform_filter(cloud.astype(np.float32), size, mode="constant") * size**2
    most = np.asarray(ndimage.maximum(near, labels, np.arange(count + 1)))
    keep = np.bincount(labels.ravel(), minlength=count + 1) <= MAX_SHADOW_SHARE * most
    keep[0] = False
    kept: BoolArray = keep[labels]
    return kept
