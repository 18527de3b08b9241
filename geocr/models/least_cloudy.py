"""The least cloudy date as it is: the first baseline of cloud removal over time."""

from collections.abc import Sequence

import torch

from geocr.core.bands import L1C_BANDS
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.baseline_spec import baseline_spec
from geocr.models.card import ModelCard
from geocr.models.spec import Level
from geocr.radiometry.normalize import Normalizer


class LeastCloudy(FusionModel):
    """Of the given dates, the image with the smallest share of cloud, clouds included.

    The baseline "least cloudy" of Ebel et al. (2022, https://arxiv.org/abs/2201.09613). Nothing is learnt and nothing repaired. Of dates with equal shares it takes the first given.

    Args:
        optical_bands: Sentinel-2 bands in and out.
        level: Processing level of the scenes.
        tile_px: Side of a tile, in which the share of cloud is counted.
        normalizer: Units; None passes reflectance through.
    """

    card = ModelCard(
        title="The least cloudy of the given dates, unchanged",
        paper="Ebel, Xu, Schmitt & Zhu, 2022, IEEE TGRS",
        url="https://arxiv.org/abs/2201.09613",
        original_licence="none published",
        small=({"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A"},),
        counts=(({}, 0),),
    )

    def __init__(
        self, *, optical_bands: Sequence[str] = L1C_BANDS, level: Level = "L1C", tile_px: int = 256, normalizer: Normalizer | None = None
    ) -> None:
        super().__init__(baseline_spec(optical_bands, level, tile_px, normalizer, receptive_radius_px=None))

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Choose a date per sample; see `FusionModel.forward`."""
        shares = self._cloud_shares(given)
        chosen = shares.argmin(dim=1)
        batch = torch.arange(given.cloudy.shape[0], device=given.cloudy.device)
        return FusionOutput(given.cloudy[batch, chosen])

    @staticmethod
    def _cloud_shares(given: FusionInput) -> torch.Tensor:
        """`(B, T)` float32, 0 to 1; above 1 where a date only fills the batch."""
        mask = torch.zeros_like(given.cloudy[:, :, 0], dtype=torch.bool) if given.cloud_mask is None else given.cloud_mask
        shares = mask.flatten(2).float().mean(dim=2)
        return shares if given.date_valid is None else shares.masked_fill(~given.date_valid, 2.0)
