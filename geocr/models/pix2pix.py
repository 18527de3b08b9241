"""Pix2pix from Sentinel-1 to Sentinel-2: paints an optical picture from a radar picture alone."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, TypeAlias, cast, get_args

from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.adversarial import AdversarialModel
from geocr.models.base import FusionInput, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.initial_weights import start_normal
from geocr.models.layers.reach import radius_within, worst_radius_px
from geocr.models.layers.resnet_generator import HALVINGS, MIN_SIDE_PX, ResNetGenerator, before_resnet
from geocr.models.layers.translation_unet import TranslationUNet, Upsampling, before_translation_unet
from geocr.models.layers.unet256 import UNet256, before_unet256
from geocr.models.pictures import RGB_BANDS, picture_spec, sar_channels, sar_picture
from geocr.models.spec import Level, ModelSpec, OpticalUnits
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

GeneratorName: TypeAlias = Literal["unet", "plain", "resnet9"]
"""`unet`: SAR2Optical's. `plain`: pix2pix's U-Net-256. `resnet9`: CycleGAN's nine residual blocks."""


class Pix2Pix(AdversarialModel):
    """Pix2pix (Isola et al., 2017, https://arxiv.org/abs/1611.07004) from SAR to optical, as SAR2Optical trains it on SEN1-2.

    The cloudy image is not seen: with `optical_in=()` the model paints every pixel, clear or not. By default it reads and
    writes 8-bit pictures, a grey VV picture to RGB; with `sar_units="db"` and `optical_units="reflectance"` it works in
    physical units and any bands. The discriminator sees the radar picture and the optical one, stacked.

    Departures from the released code of SAR2Optical (https://github.com/yuuIind/SAR2Optical): its inference scales
    the answer to 0 to 1 twice, which washes the picture out, and its test feeds 0 to 1 to a network trained on -1 to 1;
    here one normaliser serves both ways. Training on a single image of the least size is refused in words, since batch
    normalisation has one value there. Sides are multiples of 256 for both U-Nets and of 4 for the residual generator.

    Args:
        optical_bands: Sentinel-2 bands to paint.
        sar_bands: Polarisations, at least one; a single picture is seen three times, as grey in RGB.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        optical_units: Units of the optical bands it is trained on.
        generator: Which generator.
        upsampling: Enlarge and convolve on the way up of `unet`; None is a transposed convolution.
        width: Channels behind the first convolution.
        depth: Halvings of both U-Nets.
        blocks: Residual blocks of `resnet9`.
        dropout: Drop values in `plain` and `resnet9` while training, as pix2pix does; `unet` always does.
        tile_px: Recommended side of a tile; None is 256, the side of the training images, or 512 for `resnet9`.
        normalizer: Units; None maps everything to -1 to 1.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="pix2pix from Sentinel-1 alone, with SAR2Optical's, the plain U-Net-256 or the ResNet-9 generator",
        paper="Isola et al., 2017, CVPR; SAR2Optical (yuuIind, 2025)",
        url="https://arxiv.org/abs/1611.07004",
        original_licence="MIT (SAR2Optical), BSD (pix2pix)",
        small=(
            {"width": 4, "depth": 3, "tile_px": 64},
            {"generator": "unet", "upsampling": "bilinear", "width": 3, "depth": 2, "sar_bands": ["VV", "VH"], "tile_px": 64},
            {"generator": "unet", "upsampling": "nearest", "width": 3, "depth": 2, "tile_px": 64},
            {"generator": "unet", "upsampling": "bicubic", "width": 3, "depth": 2, "tile_px": 64},
            {
                "generator": "plain",
                "width": 4,
                "depth": 3,
                "optical_bands": ["B02", "B08"],
                "level": "L2A",
                "sar_units": "db",
                "optical_units": "reflectance",
                "sar_bands": ["VV", "VH"],
                "tile_px": 64,
            },
            {"generator": "resnet9", "width": 3, "blocks": 2, "dropout": False, "tile_px": 128},
        ),
        counts=(
            ({}, 54_541_827),
            ({"upsampling": "nearest"}, 39_230_979),
            ({"generator": "plain"}, 54_413_955),
            ({"generator": "resnet9"}, 11_383_427),
        ),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = RGB_BANDS,
        sar_bands: Sequence[str] = ("VV",),
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "display",
        optical_units: OpticalUnits = "display",
        generator: GeneratorName = "unet",
        upsampling: Upsampling | None = None,
        width: int = 64,
        depth: int = 8,
        blocks: int = 9,
        dropout: bool = True,
        tile_px: int | None = None,
        normalizer: Normalizer | None = None,
    ) -> None:
        if generator not in get_args(GeneratorName):
            raise InputError(f"a generator of pix2pix is one of {', '.join(get_args(GeneratorName))}, got {generator!r}")
        if upsampling is not None and (generator != "unet" or upsampling not in get_args(Upsampling)):
            raise InputError(
                f"upsampling belongs to the generator 'unet' and is None or one of {', '.join(get_args(Upsampling))}, "
                f"got {upsampling!r} with {generator!r}"
            )
        if depth < 2:
            raise InputError(f"a U-Net-256 halves its image at least twice, got depth {depth}")
        residual = generator == "resnet9"
        stride = 2**HALVINGS if residual else 2**depth
        tile = (512 if residual else 256) if tile_px is None else tile_px
        walks = {
            "unet": partial(before_translation_unet, depth=depth, upsampling=upsampling),
            "plain": partial(before_unet256, depth=depth),
            "resnet9": partial(before_resnet, blocks=blocks),
        }
        spec = picture_spec(
            optical_in=(),
            optical_out=optical_bands,
            sar_bands=sar_bands,
            level=level,
            sar_units=sar_units,
            optical_units=optical_units,
            channel_order="sar_first",
            size_multiple_px=stride,
            min_size_px=MIN_SIDE_PX if residual else None,
            tile_px=tile,
            radius_px=radius_within(tile, worst_radius_px(stride, walks[generator])),
            normalizer=normalizer,
        )
        super().__init__(spec, condition_channels=sar_channels(spec), discriminator_norm="batch")
        self.generator = _make_generator(spec, generator, upsampling, width=width, depth=depth, blocks=blocks, dropout=dropout)
        start_normal(self)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Paint the optical picture; see `FusionModel.forward`. `cloudy` has no band."""
        painted = cast("Tensor", self.generator(sar_picture(self.spec, given.sar).to(self.compute_dtype)))
        return FusionOutput(painted)

    def condition(self, sar: Tensor, cloudy: Tensor) -> Tensor:  # noqa: ARG002 - it has no band here
        """The radar picture, as the generator sees it; see `AdversarialModel.condition`."""
        return sar_picture(self.spec, sar)


def _make_generator(
    spec: ModelSpec, name: GeneratorName, upsampling: Upsampling | None, *, width: int, depth: int, blocks: int, dropout: bool
) -> nn.Module:
    inputs, outputs = sar_channels(spec), len(spec.optical_out)
    if name == "unet":
        return TranslationUNet(inputs, outputs, depth=depth, width=width, upsampling=upsampling)
    if name == "plain":
        return UNet256(inputs, outputs, depth=depth, width=width, dropout=dropout)
    return ResNetGenerator(inputs, outputs, width=width, blocks=blocks, dropout=dropout)
