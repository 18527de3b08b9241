"""DSen2-CR: a deep residual network at full resolution that corrects the cloudy image."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.initial_weights import start_he_uniform
from geocr.models.layers.residual_body import ScaledResidual
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import DISPLAY_RANGE, SAR_CLIP_DB, Normalizer, SarNetworkUnits


class DSen2CR(FusionModel):
    """DSen2-CR (Meraner et al., 2020, ISPRS, https://doi.org/10.1016/j.isprsjprs.2020.05.013).

    A 3 x 3 convolution to 256 channels and ReLU; 16 residual blocks, scaled by 0.1; a 3 x 3 convolution to the bands,
    added to the cloudy image. Units are the paper's: reflectance times 5 (DN / 2000), VV from -25 to 0 dB and VH from
    -32.5 to 0 dB to the range 0 to 2.

    Departures from the released code: its class builds 32 blocks unless told otherwise, ours the paper's 16; it
    fills missing values with the mean of the image, ours with 0, so that a pixel does not depend on its tile; the cloud
    mask, which the code carries as one more output for its loss, stays with the loss.

    Args:
        optical_bands: Sentinel-2 bands, in and out.
        sar_bands: Polarisations; empty for the paper's variant without Sentinel-1.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        blocks: Residual blocks.
        width: Channels of the residual blocks.
        residual_scale: Factor of each block's residual.
        tile_px: Recommended side of a tile.
        normalizer: Units; None is the paper's.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="DSen2-CR: deep residual network that corrects the cloudy image",
        paper="Meraner et al., 2020, ISPRS Journal of Photogrammetry and Remote Sensing 166",
        url="https://doi.org/10.1016/j.isprsjprs.2020.05.013",
        original_licence="GPL-3.0",
        small=(
            {"optical_bands": ["B02", "B03", "B04"], "blocks": 2, "width": 6, "tile_px": 64},
            {
                "optical_bands": ["B04", "B08"],
                "sar_bands": [],
                "level": "L2A",
                "blocks": 1,
                "width": 5,
                "residual_scale": 0.5,
                "tile_px": 64,
            },
        ),
        counts=(({}, 18_947_341),),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        blocks: int = 16,
        width: int = 256,
        residual_scale: float = 0.1,
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        if blocks < 1 or width < 1:
            raise InputError(f"DSen2-CR has at least 1 block and 1 channel, got blocks {blocks}, width {width}")
        spec = ModelSpec(
            optical_in=tuple(optical_bands),
            optical_out=tuple(optical_bands),
            sar_bands=tuple(sar_bands),
            level=level,
            sar_units=sar_units,
            channel_order="optical_first",
            multi_temporal=False,
            needs_mask=False,
            has_std=False,
            size_multiple_px=1,
            min_size_px=1,
            tile_px=tile_px,
            overlap_px=0,
            receptive_radius_px=2 + 2 * blocks,
            normalizer=_paper_units(tuple(sar_bands), sar_units) if normalizer is None else normalizer,
        )
        super().__init__(spec)
        bands = len(spec.optical_in)
        self.entry = nn.Conv2d(bands + len(spec.sar_bands), width, 3, padding=1)
        self.body = nn.Sequential(*(ScaledResidual(width, scale=residual_scale, bias=True) for _ in range(blocks)))
        self.exit = nn.Conv2d(width, bands, 3, padding=1)
        start_he_uniform(self)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Correct the cloudy image; see `FusionModel.forward`."""
        cloudy = given.cloudy[:, 0]
        x = self.entry(self.stacked(given.sar, given.cloudy)[:, 0].to(self.compute_dtype)).relu()
        correction = cast("Tensor", self.exit(self.body(x)))
        return FusionOutput(cloudy + correction.to(cloudy.dtype))


def _paper_units(sar_bands: tuple[str, ...], sar_units: SarNetworkUnits) -> Normalizer:
    """The paper's: DN / 2000, backscatter to 0 to 2."""
    clip = tuple(SAR_CLIP_DB[band] if sar_units == "db" else DISPLAY_RANGE for band in sar_bands)
    return Normalizer(sar_clip=clip, sar_range=(0.0, 2.0), optical_scale=5.0)
