"""Simulation-Fusion GAN: first an optical picture from SAR, then SAR, cloudy and simulated image fused."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.adversarial import AdversarialModel
from geocr.models.base import FusionInput, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.initial_weights import start_normal
from geocr.models.layers.reach import Reach, radius_within, worst_radius_px
from geocr.models.layers.resnet_generator import HALVINGS, MIN_SIDE_PX, ResNetGenerator, before_resnet
from geocr.models.layers.unet256 import UNet256, before_unet256
from geocr.models.pictures import RGB_BANDS, picture_spec, sar_channels, sar_picture
from geocr.models.spec import Level, OpticalUnits
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

GeneratorName: TypeAlias = Literal["resnet9", "unet128"]
"""`resnet9`: CycleGAN's nine residual blocks. `unet128`: pix2pix's U-Net with seven halvings."""

LEAST_SPREAD = 1e-3
"""Least standard deviation that a band is divided by when it is re-coloured."""


class SimulationFusionGAN(AdversarialModel):
    """Simulation-Fusion GAN (Gao et al., 2020, Remote Sensing 12(1), 191, https://doi.org/10.3390/rs12010191).

    One generator simulates the optical image from SAR; a second takes SAR, the cloudy image and the simulated one,
    stacked in this order, and gives the clear image. No gradient flows from the second into the first, which learns from
    `simulated` alone (L1 with the truth). While training, contrast and brightness of the simulated image are changed
    at random and its bands shuffled before the fusion sees it, so that the fusion takes structure from it, not colour.
    The discriminator sees SAR and the image.

    Departures from the released code (https://github.com/jianhaogao/cloud-removal-with-fusion-of-SAR-and-optical-images): it
    changes the colours at prediction too, so that its answer differs from run to run, ours while training only; it takes
    means and deviations over the whole batch, ours per image; it needs a cloud mask beside each image, which only
    its loss reads, so that the model needs none; it knows 8-bit RGB only, ours any bands and units.

    Args:
        optical_bands: Sentinel-2 bands, in and out.
        sar_bands: Polarisations, at least one; a single picture is seen three times, as grey in RGB.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        optical_units: Units of the optical bands it is trained on.
        generator: Which generator, for both stages.
        width: Channels behind the first convolution.
        depth: Halvings of `unet128`.
        blocks: Residual blocks of `resnet9`.
        dropout: Drop values while training.
        recolour: Strength of the random colours, network units; 1 is the released code's, 0 leaves the image as it is.
        tile_px: Recommended side of a tile; None is 1024 for `resnet9`, whose two stages reach 168 px, and 128 otherwise.
        normalizer: Units; None maps everything to -1 to 1.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="Simulation-Fusion GAN: optical simulated from SAR, then fused with SAR and the cloudy image",
        paper="Gao et al., 2020, Remote Sensing 12(1), 191",
        url="https://doi.org/10.3390/rs12010191",
        original_licence="none published",
        small=(
            {"width": 3, "blocks": 1, "dropout": False, "tile_px": 64},
            {
                "optical_bands": ["B02", "B03", "B04", "B08"],
                "sar_bands": ["VV", "VH"],
                "level": "L2A",
                "sar_units": "db",
                "optical_units": "reflectance",
                "generator": "unet128",
                "width": 4,
                "depth": 2,
                "recolour": 0.0,
                "tile_px": 64,
            },
        ),
        counts=(({}, 22_785_670), ({"generator": "unet128"}, 83_664_134)),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = RGB_BANDS,
        sar_bands: Sequence[str] = ("VV",),
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "display",
        optical_units: OpticalUnits = "display",
        generator: GeneratorName = "resnet9",
        width: int = 64,
        depth: int = 7,
        blocks: int = 9,
        dropout: bool = True,
        recolour: float = 1.0,
        tile_px: int | None = None,
        normalizer: Normalizer | None = None,
    ) -> None:
        if generator not in get_args(GeneratorName):
            raise InputError(f"a generator of the Simulation-Fusion GAN is one of {', '.join(get_args(GeneratorName))}, got {generator!r}")
        if depth < 2 or recolour < 0:
            raise InputError(
                f"a U-Net halves its image at least twice and re-colours by at least 0, got depth {depth}, recolour {recolour}"
            )
        residual = generator == "resnet9"
        stride = 2**HALVINGS if residual else 2**depth
        tile = (1024 if residual else 128) if tile_px is None else tile_px
        walk: Callable[[Reach], Reach] = partial(before_resnet, blocks=blocks) if residual else partial(before_unet256, depth=depth)
        spec = picture_spec(
            optical_in=optical_bands,
            optical_out=optical_bands,
            sar_bands=sar_bands,
            level=level,
            sar_units=sar_units,
            optical_units=optical_units,
            channel_order="sar_first",
            size_multiple_px=stride,
            min_size_px=MIN_SIDE_PX if residual else None,
            tile_px=tile,
            radius_px=radius_within(tile, worst_radius_px(stride, lambda reach: walk(walk(reach)))),
            normalizer=normalizer,
        )
        super().__init__(spec, condition_channels=sar_channels(spec), discriminator_norm="batch")
        self.recolour = recolour
        bands = len(spec.optical_in)

        def make(inputs: int) -> nn.Module:
            if residual:
                return ResNetGenerator(inputs, bands, width=width, blocks=blocks, dropout=dropout)
            return UNet256(inputs, bands, depth=depth, width=width, dropout=dropout)

        self.simulation = make(sar_channels(spec))
        self.fusion = make(sar_channels(spec) + 2 * bands)
        start_normal(self)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Simulate, then fuse; see `FusionModel.forward`."""
        sar = sar_picture(self.spec, given.sar).to(self.compute_dtype)
        simulated = cast("Tensor", self.simulation(sar))
        hint = simulated.detach()
        if self.training and self.recolour > 0:
            hint = recoloured(hint, self.recolour)
        fused = self.fusion(torch.cat((sar, given.cloudy[:, 0].to(self.compute_dtype), hint), dim=1))
        return FusionOutput(fused, simulated=simulated)

    def condition(self, sar: Tensor, cloudy: Tensor) -> Tensor:  # noqa: ARG002 - the paper's discriminator does not see it
        """The radar picture; see `AdversarialModel.condition`."""
        return sar_picture(self.spec, sar)


def recoloured(image: Tensor, strength: float) -> Tensor:
    """The same structure in random colours: contrast, brightness and order of the bands.

    Each band becomes `(x - mean) / std * (std + strength a) + strength b`, with `a` and `b` drawn from N(0, 1) and the
    mean and standard deviation those of the band in its image; then bands change places.

    Args:
        image: `(B, C, H, W)` float.
        strength: At least 0; 0 changes the mean to 0 and nothing else but the places.
    """
    mean, spread = image.mean(dim=(2, 3), keepdim=True), image.std(dim=(2, 3), keepdim=True)
    contrast, brightness = torch.randn_like(mean), torch.randn_like(mean)
    drawn = (image - mean) / spread.clamp(min=LEAST_SPREAD) * (spread + strength * contrast) + strength * brightness
    return drawn[:, torch.randperm(image.shape[1], device=image.device)]
