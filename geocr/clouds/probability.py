"""Sen2Cor's cloud probability (MSK_CLDPRB of a Level-2A product, percent) as a cloud mask, with shadows looked for in the bands.

The raster says nothing of shadows: they are found as for every score, by darkness beside the clouds. Sen2Cor names no cut for it; the
default is that of s2cloudless, 40 %. Its scene classification has the cuts of its authors, and shadows of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from geocr.clouds.darkness import shadow_bands
from geocr.clouds.detection import detect
from geocr.clouds.mask import MaskRequest
from geocr.clouds.raster import MaskReader, lay_over, sample_of
from geocr.clouds.working import CoarseMask
from geocr.core.errors import CloudMaskError
from geocr.core.types import BoolArray, FloatArray, Window
from geocr.io.raster import RasterReader
from geocr.io.scene import Scene, block_mean

THRESHOLD = 0.4
"""Cut of the probability, that of s2cloudless."""
PERCENT = 100.0
"""Probability 1 in the raster. Lossy copies exceed it a little here and there."""
MAX_STRAY_SHARE = 0.01
"""Share of values above `PERCENT` from which the raster is none of percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityDetector:
    """Cloud probability read from a raster."""

    reader: MaskReader
    """The raster on the scene's grid."""
    bands: tuple[str, ...]
    """Bands by which a pixel counts as observed."""
    threshold: float = THRESHOLD
    """Probability from which a pixel is cloud, 0 to 1."""
    source: str = "cldprb"
    """Its name in the table."""
    notes: tuple[str, ...] = field(default=())
    """How the raster lies on the scene."""

    def score(self, pixels: Mapping[str, FloatArray], valid: BoolArray) -> FloatArray:  # noqa: ARG002 - what is needed comes from the raster
        """No cloud: bands alone tell no probability."""
        return np.zeros(valid.shape, np.float32)

    def score_window(self, window: Window, factor: int) -> FloatArray:
        """Mean probability of squares of `factor` scene pixels, `(rows, columns)` float32, 0 to 1; 0 where the raster has none."""
        values, seen = self.reader.read_values(window)
        share = np.where(seen, np.clip(values, 0, PERCENT) / np.float32(PERCENT), np.float32(np.nan)).astype(np.float32)
        mean, any_seen = block_mean(share[None], factor)
        return np.where(any_seen[0], mean[0], np.float32(0))

    def outline(self, score: FloatArray, valid: BoolArray, resolution_m: float) -> BoolArray:  # noqa: ARG002 - pixel by pixel at any size
        """Cut: `(rows, columns)` bool, True is cloud."""
        cloud: BoolArray = (score >= np.float32(self.threshold)) & valid
        return cloud


def make_cldprb_mask(scene: Scene, request: MaskRequest) -> CoarseMask:
    """Clouds of the product's probability raster, or of one given as `cldprb=FILE`.

    Raises:
        CloudMaskError: When there is none, or it does not hold percent.
        GeoreferenceError: When it cannot be laid over the scene.
    """
    path = request.raster or scene.optical_facts.cloud_probability
    if path is None:
        raise CloudMaskError(
            "the cloud mask cldprb is read from the cloud probability of a Level-2A product (MSK_CLDPRB), and this scene has none; "
            "give it as --cloud-mask cldprb=FILE, or use --cloud-mask auto to find clouds in the bands"
        )
    raw = RasterReader(path)
    values = sample_of(raw)
    if values.size and float(((values < 0) | (values > PERCENT)).mean()) > MAX_STRAY_SHARE:
        raise CloudMaskError(
            f"a cloud probability is in percent, 0 to 100, got values from {values.min():g} to {values.max():g} in {path}; "
            "scale it to percent, or give a mask as --cloud-mask FILE"
        )
    aligned, notes = lay_over(raw, scene.grid)
    detector = ProbabilityDetector(
        reader=MaskReader(path, grid=scene.grid, aligned=aligned),
        bands=scene.bands[:1] + shadow_bands(scene.bands),
        threshold=THRESHOLD if request.threshold is None else request.threshold,
        notes=tuple(notes),
    )
    return detect(scene, request, detector)
