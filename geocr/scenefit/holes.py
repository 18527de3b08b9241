"""Synthetic clouds that look like the scene's own: where clear pixels are hidden to learn from and to be tested on."""

import numpy as np
from scipy import ndimage

from geocr.core.types import BoolArray

_LEAST_SHARE = 0.02
"""A mask with less cloud than that gives holes too few or too small; smooth noise is added."""
_MOST_HIDDEN = 0.35
"""Largest share of the clear pixels that one hole may take: more, and the context left is thinner than the real one."""
_PATCH_PX = 96
"""Size of the patches that a hole is thinned by when it would take more."""


def draw_hole(shapes: list[BoolArray], clear: BoolArray, rng: np.random.Generator) -> BoolArray:
    """A mask to lay over clear pixels: a turned, mirrored and shifted piece of the scene's own clouds.

    Args:
        shapes: Cloud masks of sampled windows, `(rows, columns)` bool, True is cloud; at least one.
        clear: `(h, w)` bool, True where a pixel is clear.
        rng: Source of chance.

    Returns:
        `(h, w)` bool, True where pixels are to be hidden.
    """
    mask = shapes[int(rng.integers(len(shapes)))]
    if rng.random() < 0.5:
        mask = mask.T
    if rng.random() < 0.5:
        mask = mask[::-1]
    if rng.random() < 0.5:
        mask = mask[:, ::-1]
    rows, cols = clear.shape
    row_at = (np.arange(rows) + int(rng.integers(mask.shape[0]))) % mask.shape[0]
    col_at = (np.arange(cols) + int(rng.integers(mask.shape[1]))) % mask.shape[1]
    hole: BoolArray = mask[row_at[:, None], col_at]
    if hole.mean() < _LEAST_SHARE:
        hole = hole | _blobs(clear.shape, rng)
    hidden = float((hole & clear).sum() / max(int(clear.sum()), 1))
    if hidden > _MOST_HIDDEN:
        hole = hole & _patches(clear.shape, _MOST_HIDDEN / hidden, rng)
    return hole


def _blobs(shape: tuple[int, int], rng: np.random.Generator) -> BoolArray:
    """Smooth noise above its 70th percentile: cloud shapes of a few hundred metres to a kilometre."""
    small = tuple(-(-size // 8) + 16 for size in shape)
    noise = np.zeros(small)
    for sigma, weight in ((4, 1.0), (2, 0.4), (1, 0.2)):
        octave = np.asarray(ndimage.gaussian_filter(rng.standard_normal(small), sigma))
        noise += weight * octave / octave.std()
    field = np.asarray(ndimage.zoom(noise, 8, order=1))[: shape[0], : shape[1]]
    blobs: BoolArray = field > np.quantile(field, 0.7)
    return blobs


def _patches(shape: tuple[int, int], share: float, rng: np.random.Generator) -> BoolArray:
    """Smooth regions that cover about `share` of the area."""
    small = tuple(-(-size // _PATCH_PX) + 3 for size in shape)
    field = np.asarray(ndimage.zoom(rng.standard_normal(small), _PATCH_PX, order=1))[: shape[0], : shape[1]]
    patches: BoolArray = field > np.quantile(field, 1 - share)
    return patches
