"""The mean of what was clear, pixel by pixel: the second baseline of cloud removal over time."""

from collections.abc import Sequence

import torch

from geocr.core.bands import L1C_BANDS
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.baseline_spec import baseline_spec
from geocr.models.card import ModelCard
from geocr.models.spec import Level
from geocr.radiometry.normalize import Normalizer


class Mosaic(FusionModel):
    """Per pixel the mean over the dates on which it was clear.

    The baseline "mosaicing" of Ebel et al. (2022, https://arxiv.org/abs/2201.09613). A pixel that was clear on no date gets the mean over all dates, clouds included: the sources leave it open
    or fill in a constant, which would be no observation at all.

    Args:
        optical_bands: Sentinel-2 bands in and out.
        level: Processing level of the scenes.
        tile_px: Side of a tile; the result does not depend on it.
        normalizer: Units; None passes reflectance through.
    """

    card = ModelCard(
        title="Per pixel the mean of its clear dates",
        paper="Ebel, Xu, Schmitt & Zhu, 2022, IEEE TGRS",
        url="https://arxiv.org/abs/2201.09613",
        original_licence="none published",
        small=({"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A"},),
        counts=(({}, 0),),
    )

    def __init__(
        self, *, optical_bands: Sequence[str] = L1C_BANDS, level: Level = "L1C", tile_px: int = 256, normalizer: Normalizer | None = None
    ) -> None:
        super().__init__(baseline_spec(optical_bands, level, tile_px, normalizer, receptive_radius_px=0))

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Average the clear dates of each pixel; see `FusionModel.forward`."""
        everywhere = torch.ones_like(given.cloudy[:, :, :1])
        real = everywhere if given.date_valid is None else everywhere * given.date_valid[:, :, None, None, None]
        clear = real if given.cloud_mask is None else real * ~given.cloud_mask[:, :, None]
        counted = torch.where(clear.sum(dim=1, keepdim=True) > 0, clear, real)
        return FusionOutput((given.cloudy * counted).sum(dim=1) / counted.sum(dim=1))
