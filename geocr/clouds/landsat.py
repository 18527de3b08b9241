"""Clouds of 38-Cloud patches over reflectance: MDF-CR's idea without its faults, for 16 bits and all Sentinel-2 bands.

What differs from the published recipe: counts become reflectance and keep their 16 bits; one opacity for all bands instead of
one for each, so that clouds are white and not coloured by the stretch; the patch's own mask decides where cloud is, so that
bright ground does not pass for it; bands that Landsat's patches lack get the brightness of water cloud relative to the
nearest band (`geocr.clouds.synthesize`); nothing is cut off, and outside the mask no pixel changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from geocr.clouds.synthesize import WATER_CLOUD
from geocr.core.bands import S2_BANDS
from geocr.core.errors import BandError, InputError
from geocr.core.types import BoolArray, FloatArray, NumberArray

PATCH_BANDS = ("B02", "B03", "B04", "B08")
"""Blue, green, red and near infrared of Landsat-8 (OLI 2, 3, 4, 5) by the Sentinel-2 bands they lie on."""
_SCALE, _OFFSET = 2e-5, -0.1
"""Landsat-8 L1TP: reflectance at the top of the atmosphere, not yet divided by the sine of the sun's elevation (USGS,
Landsat 8 Data Users Handbook, section 5.2)."""
_EDGE_PX = 4.0
"""Width over which opacity fades beyond the patch's mask, which was drawn by hand with hard edges."""
_LEAST = 0.01
"""Opacity below which a pixel counts as clear, and is left exactly as it was."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchCloud:
    """The cloud of a patch, ready for any bands."""

    opacity: FloatArray
    """`(y, x)` float32, 0 (clear, exactly) to 1."""
    brightness: FloatArray
    """`(y, x)` float32: cloud tops relative to the patch's brightest, about 0.5 to 1."""
    reflectance: Mapping[str, float]
    """Reflectance of the brightest tops by Sentinel-2 band."""

    @property
    def mask(self) -> BoolArray:
        """`(y, x)`; True is cloud."""
        found: BoolArray = self.opacity > 0
        return found


def measure_cloud(counts: NumberArray, gt: NumberArray) -> PatchCloud:
    """Opacity and brightness of a patch's cloud.

    Opacity is how far the visible bands lie between the patch's clear ground (the median outside the mask) and its brightest
    cloud (95th percentile inside), fading to 0 over 4 pixels outside the mask.

    Args:
        counts: `(4, y, x)` uint16 in the order of `PATCH_BANDS`.
        gt: `(y, x)`; all but 0 is cloud.

    Raises:
        InputError: When shapes do not fit, or the patch holds no cloud.
    """
    if counts.ndim != 3 or counts.shape[0] != len(PATCH_BANDS) or counts.shape[1:] != gt.shape:
        raise InputError(f"a patch has the bands {', '.join(PATCH_BANDS)} and a mask of its size; got {counts.shape} and {gt.shape}")
    cloud = gt > 0
    if not cloud.any():
        raise InputError("a patch lends its clouds, and this one has none in its mask; choose another")
    reflectance = np.maximum(counts.astype(np.float32) * np.float32(_SCALE) + np.float32(_OFFSET), 0)
    visible = reflectance[:3].mean(axis=0)
    ground = float(np.median(visible[~cloud])) if (~cloud).any() else float(visible.min())
    top = float(np.percentile(visible[cloud], 95))
    if top <= ground:
        raise InputError("the clouds of a patch must be brighter than its ground; this one's mask covers darker pixels: choose another")
    fade = np.clip(1 - ndimage.distance_transform_edt(~cloud) / _EDGE_PX, 0, 1)
    opacity = np.clip((visible - ground) / (top - ground), 0, 1) * fade
    opacity[opacity < _LEAST] = 0
    tops = reflectance[:, cloud & (visible >= top)]
    known = dict(zip(PATCH_BANDS, (float(value) for value in np.median(tops, axis=1)), strict=True))
    brightness = np.clip(ndimage.gaussian_filter(visible, 1.0) / top, 0.5, 1.1)
    return PatchCloud(
        opacity=opacity.astype(np.float32),
        brightness=np.where(opacity > 0, brightness, 1).astype(np.float32),
        reflectance={band: _reflectance_of(band, known) for band in S2_BANDS},
    )


def blend_cloud(clear: FloatArray, bands: Sequence[str], cloud: PatchCloud) -> FloatArray:
    """Lay a patch's cloud over reflectance.

    Args:
        clear: `(band, y, x)` float32 reflectance; NaN (nodata) stays NaN.
        bands: Canonical names of its bands, any set in any order.
        cloud: On the same `(y, x)`.

    Returns:
        `(band, y, x)` float32, equal to `clear` bit for bit where `cloud.mask` is False.

    Raises:
        BandError: When a band is unknown, or their number does not fit.
        InputError: When image and cloud differ in shape.
    """
    unknown = [band for band in bands if band not in S2_BANDS]
    if unknown or clear.ndim != 3 or clear.shape[0] != len(bands):
        raise BandError(f"an image must be (band, y, x) with one Sentinel-2 name per band, got shape {clear.shape} and {', '.join(bands)}")
    if clear.shape[1:] != cloud.opacity.shape:
        raise InputError(f"image and cloud must share one grid: image {clear.shape[1:]}, cloud {cloud.opacity.shape}")
    index = np.nonzero(cloud.mask)
    opacity, brightness = cloud.opacity[index], cloud.brightness[index]
    out = clear.copy()
    for number, band in enumerate(bands):
        below = clear[number][index]
        out[number][index] = below + opacity * (np.float32(cloud.reflectance[band]) * brightness - below)
    return out


def _reflectance_of(band: str, known: Mapping[str, float]) -> float:
    """That of the nearest band the patch has, by the ratio in which water clouds reflect both."""
    if band in known:
        return known[band]
    nearest = min(known, key=lambda name: abs(S2_BANDS[name].wavelength_nm - S2_BANDS[band].wavelength_nm))
    return known[nearest] * WATER_CLOUD[band] / WATER_CLOUD[nearest]
