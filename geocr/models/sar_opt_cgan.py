"""SAR-Opt-cGAN: pix2pix on the cloudy image and Sentinel-1, stacked."""

from collections.abc import Sequence
from functools import partial
from typing import cast

from torch import Tensor

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.models.adversarial import AdversarialModel
from geocr.models.base import FusionInput, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.initial_weights import start_normal
from geocr.models.layers.reach import radius_within, worst_radius_px
from geocr.models.layers.unet256 import UNet256, before_unet256
from geocr.models.pictures import picture_spec, sar_channels, sar_picture
from geocr.models.spec import Level, OpticalUnits
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits


class SarOptCGAN(AdversarialModel):
    """SAR-Opt-cGAN (Grohnfeldt et al., 2018, IGARSS): a conditional GAN from cloudy optical and SAR to clear optical.

    The generator is pix2pix's U-Net-256 over the cloudy bands and SAR, stacked; the discriminator sees both and the clear
    or predicted image.

    The authors' code is not public. Taken from the paper's idea are the generator, its inputs and the condition; widths,
    norms and dropout are those of pix2pix, and the bands, all 13 of Level-1C and both polarisations, are our own choice.
    The one public re-implementation (`Saroptgan` in Shuaizhang7/AttentionGAN-for-Cloud-removal) works on 8-bit RGB
    and multiplies its L1 term twice; RGB is had here with `optical_units="display"`, weights of losses belong to training.

    Args:
        optical_bands: Sentinel-2 bands, in and out.
        sar_bands: Polarisations, at least one; a single picture is seen three times, as grey in RGB.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        optical_units: Units of the optical bands it is trained on.
        width: Channels behind the first convolution.
        depth: Halvings; sides are multiples of `2**depth`.
        dropout: Drop values while training, as pix2pix does.
        tile_px: Recommended side of a tile.
        normalizer: Units; None maps everything to -1 to 1.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="SAR-Opt-cGAN: pix2pix on the cloudy image and Sentinel-1",
        paper="Grohnfeldt et al., 2018, IGARSS",
        original_licence="no code published",
        small=(
            {"optical_bands": ["B02", "B03", "B04"], "width": 4, "depth": 3, "dropout": False, "tile_px": 64},
            {
                "optical_bands": ["B04", "B08"],
                "sar_bands": ["VV"],
                "level": "L2A",
                "sar_units": "display",
                "optical_units": "display",
                "width": 3,
                "depth": 2,
                "tile_px": 64,
            },
        ),
        counts=(({}, 54_446_733),),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        optical_units: OpticalUnits = "reflectance",
        width: int = 64,
        depth: int = 8,
        dropout: bool = True,
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        if depth < 2:
            raise InputError(f"a U-Net-256 halves its image at least twice, got depth {depth}")
        spec = picture_spec(
            optical_in=optical_bands,
            optical_out=optical_bands,
            sar_bands=sar_bands,
            level=level,
            sar_units=sar_units,
            optical_units=optical_units,
            channel_order="optical_first",
            size_multiple_px=2**depth,
            tile_px=tile_px,
            radius_px=radius_within(tile_px, worst_radius_px(2**depth, partial(before_unet256, depth=depth))),
            normalizer=normalizer,
        )
        seen = len(spec.optical_in) + sar_channels(spec)
        super().__init__(spec, condition_channels=seen, discriminator_norm="batch")
        self.generator = UNet256(seen, len(spec.optical_out), depth=depth, width=width, dropout=dropout)
        start_normal(self)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Paint the clear image; see `FusionModel.forward`."""
        return FusionOutput(cast("Tensor", self.generator(self.condition(given.sar, given.cloudy).to(self.compute_dtype))))

    def condition(self, sar: Tensor, cloudy: Tensor) -> Tensor:
        """The cloudy image, then SAR: what the generator sees; see `AdversarialModel.condition`."""
        return self.stacked(sar_picture(self.spec, sar), cloudy[:, 0])
