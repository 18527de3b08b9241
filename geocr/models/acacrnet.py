"""ACA-CRNet: DSen2-CR with two blocks that draw from the places of the image that look alike."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.core.bands import L1C_BANDS
from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.contextual_attention import ContextualAttention
from geocr.models.layers.initial_weights import start_he_uniform
from geocr.models.layers.residual_body import ScaledResidual
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits


class ACACRNet(FusionModel):
    """ACA-CRNet (Huang et al., 2024, IEEE TGRS, https://arxiv.org/abs/2411.13042).

    DSen2-CR's stack of 16 residual blocks, without biases inside them; two of the blocks, behind half and behind
    three quarters of the others, compute at half the resolution and end in attentive contextual attention over
    the whole image. The sum is added to the cloudy image.

    Departures: the released code takes no Sentinel-1, as is the default here; with `sar_bands` it is stacked behind the
    optical bands, which is our own choice, as in DSen2-CR. The code reads 8-bit pictures from 0 to 1; ours reads
    reflectance in the same range. Attention is computed for a bounded number of places at a time, with the same result.

    Args:
        optical_bands: Sentinel-2 bands, in and out.
        sar_bands: Polarisations; empty, as released, for a model without Sentinel-1.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        blocks: Residual blocks, at least 2.
        width: Channels of the residual blocks, at least 4.
        residual_scale: Factor of each block's residual.
        tile_px: Recommended side of a tile; time grows with its fourth power, and 128 is the crop of the paper's training.
        normalizer: Units; None is `Normalizer.standard`.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="ACA-CRNet: residual network with attentive contextual attention",
        paper="Huang et al., 2024, IEEE Transactions on Geoscience and Remote Sensing 62",
        url="https://arxiv.org/abs/2411.13042",
        original_licence="Apache-2.0 (its README says MIT)",
        small=(
            {"optical_bands": ["B02", "B03", "B04"], "blocks": 3, "width": 8, "tile_px": 64},
            {
                "optical_bands": ["B04", "B08"],
                "sar_bands": ["VV"],
                "level": "L2A",
                "blocks": 2,
                "width": 4,
                "residual_scale": 0.5,
                "tile_px": 64,
            },
        ),
        counts=(({}, 20_443_921), ({"sar_bands": ["VV", "VH"]}, 20_448_529)),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = (),
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        blocks: int = 16,
        width: int = 256,
        residual_scale: float = 0.1,
        tile_px: int = 128,
        normalizer: Normalizer | None = None,
    ) -> None:
        if blocks < 2 or width < 4:
            raise InputError(f"ACA-CRNet has at least 2 blocks and 4 channels, got blocks {blocks}, width {width}")
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
            size_multiple_px=2,
            min_size_px=2,
            tile_px=tile_px,
            overlap_px=tile_px // 4,
            receptive_radius_px=None,
            normalizer=Normalizer.standard(tuple(sar_bands), sar_units) if normalizer is None else normalizer,
        )
        super().__init__(spec)
        bands = len(spec.optical_in)
        attentive = {blocks // 2, blocks * 3 // 4}
        self.entry = nn.Conv2d(bands + len(spec.sar_bands), width, 3, padding=1)
        self.body = nn.Sequential(
            *(
                AttentiveResidual(width, scale=residual_scale)
                if block in attentive
                else ScaledResidual(width, scale=residual_scale, bias=False)
                for block in range(blocks)
            )
        )
        self.exit = nn.Conv2d(width, bands, 3, padding=1)
        start_he_uniform(self)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Correct the cloudy image; see `FusionModel.forward`."""
        cloudy = given.cloudy[:, 0]
        x = self.entry(self.stacked(given.sar, given.cloudy)[:, 0].to(self.compute_dtype)).relu()
        correction = cast("Tensor", self.exit(self.body(x)))
        return FusionOutput(cloudy + correction.to(cloudy.dtype))


class AttentiveResidual(nn.Module):
    """A residual block at half the resolution that ends in contextual attention, enlarged bilinearly from corner to corner.

    Args:
        channels: Of input and output.
        scale: Factor of the residual.
    """

    def __init__(self, channels: int, *, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.ReLU(),
            ContextualAttention(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine `(B, C, H, W)` of even sides."""
        half = cast("Tensor", self.layers(x))
        return x + self.scale * F.interpolate(half, scale_factor=2.0, mode="bilinear", align_corners=True)
