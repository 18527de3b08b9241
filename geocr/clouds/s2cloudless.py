"""Sentinel Hub's s2cloudless: gradient-boosted trees on ten L1C bands, pixel by pixel.

Zupanc, "Improving cloud detection with machine learning", 2017; model and threshold are those of the
s2cloudless package (v0.1, trained on TOA reflectance). The trees are run by LightGBM, on the cores OpenMP
allows, straight from the package's model file: importing the package itself pulls in a download client.
Its settings in the field (SEN12MS-CR) are threshold 0.4, averaging over a disc of 4 pixels and dilation
by 2, on 10 m pixels: here the disc is 40 m, at least one working pixel, and the dilation is part of the
mask's buffer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from geocr.clouds.detection import detect
from geocr.clouds.mask import MaskRequest
from geocr.clouds.working import CoarseMask
from geocr.core.errors import CloudMaskError
from geocr.core.types import BoolArray, FloatArray
from geocr.io.scene import Scene

BANDS = ("B01", "B02", "B04", "B05", "B08", "B8A", "B09", "B10", "B11", "B12")
"""The model's features, in its order."""
THRESHOLD = 0.4
"""Cut of the averaged cloud probability."""
AVERAGE_RADIUS_M = 40.0
"""Radius of the averaging disc: 4 pixels of 10 m."""
MAX_REFLECTANCE = 2.0
"""Reflectances are clipped to 0 .. 2: sun glint and defects lie beyond."""
PREDICT_PIXELS = 2**14
"""Pixels classified by one call of LightGBM, which hears no Ctrl-C before it returns: 0.2 s, or 1 s on a machine
five times overbooked. More at once is not faster, and the answer is the same to the last bit."""
_MODEL = "models/pixel_s2_cloud_detector_lightGBM_v0.1.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class S2CloudlessDetector:
    """Cloud probability by the published trees."""

    threshold: float = THRESHOLD
    """Averaged probability above which a pixel is cloud, 0 to 1."""
    bands: tuple[str, ...] = BANDS
    """The ten bands, in the model's order."""
    source: str = "s2cloudless"
    """Its name in the table."""
    notes: tuple[str, ...] = field(default=())
    """Nothing to add."""

    def score(self, pixels: Mapping[str, FloatArray], valid: BoolArray) -> FloatArray:
        """Cloud probability, `(rows, columns)` float32 in 0 to 1; 0 where not valid.

        Args:
            pixels: Band name to `(rows, columns)` float32 TOA reflectance.
            valid: `(rows, columns)`, True where observed; only these are classified.
        """
        score = np.zeros(valid.shape, np.float32)
        count = int(valid.sum())
        if count:
            features = np.empty((count, len(BANDS)), np.float32)
            for column, band in enumerate(BANDS):
                features[:, column] = np.clip(pixels[band][valid], 0, MAX_REFLECTANCE)
            trees = _load_trees()
            score[valid] = np.concatenate(
                [trees.predict(features[first : first + PREDICT_PIXELS]) for first in range(0, count, PREDICT_PIXELS)]
            )
        return score

    def outline(self, score: FloatArray, valid: BoolArray, resolution_m: float) -> BoolArray:
        """Average over a disc of observed pixels, and cut: `(rows, columns)` bool, True is cloud."""
        disc = _disc(max(1, round(AVERAGE_RADIUS_M / resolution_m)))
        total = ndimage.correlate(np.where(valid, score, np.float32(0)), disc, mode="nearest")
        weight = ndimage.correlate(valid.astype(np.float32), disc, mode="nearest")
        cloud: BoolArray = (total > self.threshold * weight) & valid
        return cloud


def why_unavailable(bands: tuple[str, ...]) -> str | None:
    """Why s2cloudless cannot run on a scene with these bands here, or None when it can."""
    missing = [band for band in BANDS if band not in bands]
    if missing:
        return f"s2cloudless needs the L1C bands {', '.join(BANDS)}; the scene lacks {', '.join(missing)}"
    try:
        _load_trees()
    except (ImportError, OSError) as error:
        return f"s2cloudless needs its package and a working LightGBM; here: {error}"
    return None


def make_s2cloudless_mask(scene: Scene, request: MaskRequest) -> CoarseMask:
    """The s2cloudless mask of an L1C scene.

    Raises:
        CloudMaskError: When the scene lacks bands, or LightGBM does not run here.
    """
    reason = why_unavailable(scene.bands)
    if reason is not None:
        raise CloudMaskError(f"{reason}; use --cloud-mask rule, --cloud-mask scl with --scl FILE, or a mask of your own: --cloud-mask FILE")
    threshold = THRESHOLD if request.threshold is None else request.threshold
    return detect(scene, request, S2CloudlessDetector(threshold=threshold))


@cache
def _load_trees() -> Any:  # noqa: ANN401 - LightGBM's Booster has no annotations
    import lightgbm  # noqa: PLC0415 - a third of a second, and OpenMP, for those who use it

    package = find_spec("s2cloudless")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the package s2cloudless is not installed")
    return lightgbm.Booster(model_file=str(Path(package.submodule_search_locations[0]) / _MODEL))


def _disc(radius: int) -> FloatArray:
    """A `(2 radius + 1)` square float32 array, 1 within `radius` of its centre and 0 beyond."""
    axis = np.arange(-radius, radius + 1)
    return (axis[:, None] ** 2 + axis**2 <= radius**2).astype(np.float32)
