"""Real clouds from one scene over another: their shapes, their opacity and their spectra.

Of the donor's cloudy image c, its ground d (a clear image of the same place, or one typical spectrum) and the spectrum C of its
brightest clouds, each pixel under the mask gets in each band

    brighter than its ground:  alpha = (c - d) / (C - d),    result = t + alpha (C - t)
    darker (shadow):           result = t c / d

over the target t. Laid over the donor's own ground this gives the donor's cloudy image back.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from geocr.core.errors import InputError
from geocr.core.types import BoolArray, FloatArray

Opacity: TypeAlias = Literal["measured", "solid"]
"""`measured` lets the target shine through thin cloud; `solid` puts the donor's pixels in its place as they are."""
OPACITIES: tuple[Opacity, ...] = get_args(Opacity)

MAX_OPACITY = 1.5
"""Greatest alpha: a few cloud tops are brighter than the donor's typical ones."""
TOP_PERCENTILE = 99.5
"""Of the donor's cloudy pixels, band by band: C."""
_LEAST_CONTRAST = 1e-3
"""Reflectance between cloud and ground below which a band shows no cloud: the difference is added instead."""
_LEAST_GROUND = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DonorSpectra:
    """What is known about a donor as a whole, by band in its order."""

    top: FloatArray
    """`(band,)` float32 reflectance of its brightest clouds."""
    ground: FloatArray
    """`(band,)` float32 reflectance of its typical clear ground."""


def measure_donor(cloudy: FloatArray, mask: BoolArray) -> DonorSpectra:
    """Spectra of clouds and ground from sampled pixels.

    Args:
        cloudy: `(band, n)` float32 reflectance; NaN where not observed.
        mask: `(n,)` True is cloud or shadow.

    Raises:
        InputError: When fewer than 50 pixels are cloudy.
    """
    seen = np.isfinite(cloudy).all(axis=0)
    hidden = cloudy[:, mask & seen]
    if hidden.shape[1] < 50:
        raise InputError(
            f"a donor must have clouds: of {int(seen.sum())} sampled pixels {hidden.shape[1]} are cloudy, at least 50 must be; choose another scene or mask"
        )
    clear = cloudy[:, ~mask & seen]
    top = np.percentile(hidden, TOP_PERCENTILE, axis=1)
    ground = np.median(clear, axis=1) if clear.shape[1] >= 50 else np.percentile(hidden, 1, axis=1)
    return DonorSpectra(top=top.astype(np.float32), ground=ground.astype(np.float32))


def transplant_clouds(
    target: FloatArray,
    cloudy: FloatArray,
    mask: BoolArray,
    spectra: DonorSpectra,
    *,
    ground: FloatArray | None = None,
    opacity: Opacity = "measured",
) -> tuple[FloatArray, BoolArray]:
    """Lay a donor's clouds over a target.

    Args:
        target: `(band, y, x)` float32 reflectance of the clear scene; NaN (nodata) stays NaN.
        cloudy: Same shape and bands, the donor as observed; NaN where it was not.
        mask: `(y, x)` True is the donor's cloud or shadow.
        spectra: Of the donor, same bands.
        ground: Same shape, the donor's clear image, if there is one.
        opacity: How thin cloud is taken.

    Returns:
        `(band, y, x)` float32, equal to `target` bit for bit where the returned mask is False; and `(y, x)` bool, True is
        cloud or shadow: the donor's mask where both were observed.

    Raises:
        InputError: When shapes differ or the opacity is unknown.
    """
    if opacity not in OPACITIES:
        raise InputError(f"opacity must be one of {', '.join(OPACITIES)}, got {opacity!r}")
    if target.shape != cloudy.shape or mask.shape != target.shape[1:] or (ground is not None and ground.shape != target.shape):
        raise InputError(
            f"target and donor must have the same bands and size: target {target.shape}, donor {cloudy.shape}, mask {mask.shape}"
            + ("" if ground is None else f", its clear image {ground.shape}")
        )
    placed: BoolArray = mask & np.isfinite(cloudy).all(axis=0) & np.isfinite(target).any(axis=0)
    if ground is not None:
        placed &= np.isfinite(ground).all(axis=0)
    index = np.nonzero(placed)
    out = target.copy()
    for band in range(target.shape[0]):
        below = spectra.ground[band] if ground is None else ground[band][index]
        seen = cloudy[band][index]
        out[band][index] = seen if opacity == "solid" else _through(target[band][index], seen, below, float(spectra.top[band]))
    nodata = ~np.isfinite(target)
    out[nodata] = np.nan
    return out, placed


def _through(target: FloatArray, cloudy: FloatArray, ground: FloatArray | np.float32, top: float) -> FloatArray:
    contrast = top - ground
    shows = contrast > _LEAST_CONTRAST
    alpha = np.clip((cloudy - ground) / np.where(shows, contrast, 1), 0, MAX_OPACITY)
    brighter = np.where(shows, target + alpha * (top - target), target + (cloudy - ground))
    darker = target * cloudy / np.maximum(ground, _LEAST_GROUND)
    out: FloatArray = np.where(cloudy >= ground, brighter, darker).astype(np.float32)
    return out
