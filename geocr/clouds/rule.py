"""The rule-based cloud score of DSen2-CR, and what becomes of it when bands are missing.

Meraner et al., ISPRS J. Photogramm. 166, 2020 (after Schmitt et al., ISPRS Annals IV-2/W7, 2019): a pixel is
as cloudy as the weakest of five ramps says, each 0 at its first and 1 at its second end, in TOA reflectance:

    B02             0.1  to 0.5      blue is bright
    B01             0.1  to 0.3      the aerosol band is bright
    B01 + B10       0.15 to 0.2      aerosol and cirrus bands are bright
    B02 + B03 + B04 0.2  to 0.8      the visible is bright
    NDSI(B03, B11)  0.8  to 0.6      it is no snow

The score is closed (grey closing over 50 m), averaged (box of 70 m) and cut at 0.2. Without a band, the ramps
that use it are left out. A scene that lacks B01 or B11 gets, where B04 is there, a sixth ramp instead: the
haze-optimised transform B02 - B04 / 2 from 0.04 to 0.24, which bright soil and sand fail; at the usual cut
of 0.2 it asks for the 0.08 of Fmask (Zhu and Woodcock, Remote Sens. Environ. 118, 2012, equation 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from geocr.clouds.detection import detect
from geocr.clouds.mask import MaskRequest
from geocr.clouds.morphology import odd_size
from geocr.clouds.working import CoarseMask
from geocr.core.errors import CloudMaskError
from geocr.core.types import BoolArray, FloatArray
from geocr.io.scene import Scene

THRESHOLD = 0.2
"""Cut of DSen2-CR."""
RULE_BANDS = ("B01", "B02", "B03", "B04", "B10", "B11")
"""Bands of the published score. (Its shadow rule adds B08.)"""
CLOSING_M = 50.0
"""Width of the closing: 5 pixels of 10 m."""
BOX_M = 70.0
"""Width of the averaging box: 7 pixels of 10 m."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDetector:
    """The score from the bands that are there."""

    bands: tuple[str, ...]
    """Those of `RULE_BANDS` that the scene has; B02 at least."""
    threshold: float = THRESHOLD
    """Score from which a pixel is cloud, 0 to 1."""
    source: str = "rule"
    """Its name in the table."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Which ramps are missing, and what that costs."""
        missing = [band for band in RULE_BANDS if band not in self.bands]
        if not missing:
            return ()
        costs = ["thin cloud may be missed"]
        if "B11" in missing:
            costs.append("snow passes for cloud")
        if self.uses_haze:
            costs.append("a haze test (B02 - B04 / 2) stands in for them")
        return (f"The rule-based cloud score goes without {', '.join(missing)}: {', '.join(costs)}.",)

    @property
    def uses_haze(self) -> bool:
        """True when the haze ramp stands in for missing bands."""
        return "B04" in self.bands and not {"B01", "B11"} <= set(self.bands)

    def score(self, pixels: Mapping[str, FloatArray], valid: BoolArray) -> FloatArray:
        """Least of the ramps, `(rows, columns)` float32, at most 1; unclosed and not averaged.

        Args:
            pixels: Band name to `(rows, columns)` float32 reflectance; more bands than `bands` do no harm.
            valid: `(rows, columns)`, True where observed; the score is 0 elsewhere.
        """
        have = set(self.bands)
        blue = pixels["B02"]
        score = np.minimum(np.float32(1), _ramp(blue, 0.1, 0.5))
        if "B01" in have:
            np.minimum(score, _ramp(pixels["B01"], 0.1, 0.3), out=score)
        if {"B01", "B10"} <= have:
            np.minimum(score, _ramp(pixels["B01"] + pixels["B10"], 0.15, 0.2), out=score)
        if {"B03", "B04"} <= have:
            np.minimum(score, _ramp(blue + pixels["B03"] + pixels["B04"], 0.2, 0.8), out=score)
        if {"B03", "B11"} <= have:
            total = pixels["B03"] + pixels["B11"]
            ndsi = np.divide(pixels["B03"] - pixels["B11"], total, out=np.zeros_like(total), where=total > 0)
            np.minimum(score, _ramp(ndsi, 0.8, 0.6), out=score)
        if self.uses_haze:
            np.minimum(score, _ramp(blue - np.float32(0.5) * pixels["B04"], 0.04, 0.24), out=score)
        return np.where(valid, score, np.float32(0))

    def outline(self, score: FloatArray, valid: BoolArray, resolution_m: float) -> BoolArray:
        """Close, average over observed pixels, and cut: `(rows, columns)` bool, True is cloud."""
        closing, box = odd_size(CLOSING_M, resolution_m), odd_size(BOX_M, resolution_m)
        if closing > 1:
            score = ndimage.grey_closing(score, (closing, closing))
        if box > 1:
            weight = ndimage.uniform_filter(valid.astype(np.float32), box, mode="nearest")
            total = ndimage.uniform_filter(np.where(valid, score, np.float32(0)), box, mode="nearest")
            score = (total / np.maximum(weight, 1e-6)).astype(np.float32)
        cloud: BoolArray = (score >= self.threshold) & valid
        return cloud


def make_rule_mask(scene: Scene, request: MaskRequest) -> CoarseMask:
    """The rule-based mask of a scene.

    Raises:
        CloudMaskError: When the scene has no B02, without which none of it means anything.
    """
    bands = tuple(band for band in RULE_BANDS if band in scene.bands)
    if "B02" not in bands:
        raise CloudMaskError(
            f"the rule-based cloud mask needs the blue band B02 at least (and is best with {', '.join(RULE_BANDS)}), got {', '.join(scene.bands)}; "
            "give a mask of your own: --cloud-mask FILE"
        )
    threshold = THRESHOLD if request.threshold is None else request.threshold
    return detect(scene, request, RuleDetector(bands=bands, threshold=threshold))


def _ramp(values: FloatArray, zero: float, one: float) -> FloatArray:
    """0 at `zero`, 1 at `one`, straight on beyond."""
    return (values - np.float32(zero)) / np.float32(one - zero)
