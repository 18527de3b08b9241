"""The attention GAN: SAR translated to optical, clouds found by attention, and only what they hide painted anew."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.models.adversarial import AdversarialModel
from geocr.models.base import FusionInput, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.initial_weights import start_xavier
from geocr.models.layers.unet256 import UNet256
from geocr.models.pictures import RGB_BANDS, picture_spec, sar_channels, sar_picture
from geocr.models.spec import Level, OpticalUnits
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

AttentionActivation: TypeAlias = Literal["sigmoid", "abs_tanh"]
"""What makes a share of the attention's last layer."""


class AttentionGAN(AdversarialModel):
    """The attention GAN of Zhang, Li, Zhou, Wang and Hu (2023, Pattern Recognition Letters 175, 8-15).

    Three U-Net-256: T translates SAR to optical; A finds in the cloudy image the share that must be replaced; G
    paints the clear image from the cloudy and the translated one. The answer is `A G + (1 - A) cloudy`: where A is 0 the
    cloudy image passes unchanged. Given beside it: A as `attention`, T's image as `simulated`. The paper trains T
    on L1 and SSIM of `simulated`, G and A on an LSGAN term, L1 and SSIM of `mean`, and A towards 0. T learns
    from G's loss as well. The discriminator sees SAR and the image.

    By default 8-bit pictures, RGB and VV; with `optical_bands` of 13 names and `optical_units="reflectance"`,
    `sar_units="db"` the same networks work on Level-1C reflectance.

    Departures from the released code (https://github.com/Shuaizhang7/AttentionGAN-for-Cloud-removal), and why:

    - The share is a sigmoid. The code takes `|tanh|`, cut to 0 to 1: its two signs mean the same, so that
      weights can settle on either side of 0 and must pass through it to get from one to the other.
      `attention_activation="abs_tanh"` is for weights trained with the code.
    - The code's target of A, meant as zeros, is memory that nothing has filled; a loss on `attention` must use zeros.
    - The code computes SSIM with the constants of a range of 1 on images of a range of 2, and multiplies L1 by
      10 and by 100 where the paper says 100. Both belong to the training, not to the model.
    - The code normalises by the statistics of each image at prediction too, since it never leaves training mode; so
      does this model. Running means in its files are therefore of no use.
    - Pictures are paired by name, by whoever reads them; the code pairs them by order.

    Args:
        optical_bands: Sentinel-2 bands, in and out.
        sar_bands: Polarisations, at least one; a single picture is seen three times, as grey in RGB.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        optical_units: Units of the optical bands it is trained on.
        width: Channels behind the first convolution of each network.
        depth: Halvings; sides are multiples of `2**depth`.
        attention_activation: What makes a share of A's last layer.
        dropout: Drop values while training; the released scripts do not.
        tile_px: Recommended side of a tile.
        normalizer: Units; None maps everything to -1 to 1.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="Attention GAN: SAR translated to optical, composited with the cloudy image by attention",
        paper="Zhang et al., 2023, Pattern Recognition Letters 175",
        url="https://github.com/Shuaizhang7/AttentionGAN-for-Cloud-removal",
        original_licence="none published",
        small=(
            {"width": 4, "depth": 3, "tile_px": 64},
            {
                "optical_bands": ["B02", "B03", "B04", "B08"],
                "sar_bands": ["VV", "VH"],
                "level": "L2A",
                "sar_units": "db",
                "optical_units": "reflectance",
                "width": 3,
                "depth": 2,
                "attention_activation": "abs_tanh",
                "dropout": True,
                "tile_px": 64,
            },
        ),
        counts=(({}, 163_211_271),),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = RGB_BANDS,
        sar_bands: Sequence[str] = ("VV",),
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "display",
        optical_units: OpticalUnits = "display",
        width: int = 64,
        depth: int = 8,
        attention_activation: AttentionActivation = "sigmoid",
        dropout: bool = False,
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        if attention_activation not in get_args(AttentionActivation):
            raise InputError(f"attention_activation is one of {', '.join(get_args(AttentionActivation))}, got {attention_activation!r}")
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
            radius_px=None,
            normalizer=normalizer,
        )
        super().__init__(spec, condition_channels=sar_channels(spec), discriminator_norm="instance")
        bands = len(spec.optical_in)

        def make(inputs: int, outputs: int, *, activated: bool = True) -> UNet256:
            return UNet256(inputs, outputs, depth=depth, width=width, norm="instance", dropout=dropout, activated=activated)

        self.translation = make(sar_channels(spec), bands)
        self.attention = make(bands, 1, activated=False)
        self.generator = make(2 * bands, bands)
        self.attention_activation = attention_activation
        start_xavier(self)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Translate, find clouds, paint and composite; see `FusionModel.forward`."""
        exact = given.cloudy[:, 0]
        cloudy = exact.to(self.compute_dtype)
        simulated = cast("Tensor", self.translation(sar_picture(self.spec, given.sar).to(self.compute_dtype)))
        share = self._share(cast("Tensor", self.attention(cloudy))).to(exact.dtype)
        painted = cast("Tensor", self.generator(torch.cat((cloudy, simulated), dim=1))).to(exact.dtype)
        return FusionOutput(share * painted + (1 - share) * exact, attention=share[:, None], simulated=simulated)

    def condition(self, sar: Tensor, cloudy: Tensor) -> Tensor:  # noqa: ARG002 - the paper's discriminator does not see it
        """The radar picture; see `AdversarialModel.condition`."""
        return sar_picture(self.spec, sar)

    def _share(self, raw: Tensor) -> Tensor:
        """`(B, 1, H, W)`, 0 to 1: 1 is replaced. A tanh is never beyond 1, so that nothing has to be cut."""
        return torch.sigmoid(raw) if self.attention_activation == "sigmoid" else torch.tanh(raw).abs()
