"""SSCR: cloud removal guided by the structure that Sentinel-1 sees."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.conv_norm import conv_norm
from geocr.models.layers.full_resolution_trunk import FullResolutionTrunk
from geocr.models.layers.gaussian_head import Covariance, GaussianHead
from geocr.models.layers.initial_weights import start_xavier
from geocr.models.layers.mbconv import BlockType
from geocr.models.layers.pyramid_trunk import PyramidTrunk
from geocr.models.layers.sentinel_units import scaled_normalizer
from geocr.models.layers.structure import EdgePerception, StructureMask
from geocr.models.layers.trunk import Trunk, by_date
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

Backbone: TypeAlias = Literal["sscr", "uncrtaints", "utae", "unet"]
"""Optical path: `sscr` is the blocks of UnCRtainTS for one date, `uncrtaints` the same for several; `unet` and `utae` likewise."""

_WIDTHS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "sscr": ((128,), (128,) * 5),
    "uncrtaints": ((128,), (128,) * 5),
    "utae": ((64, 64, 64, 128), (32, 32, 64, 128)),
    "unet": ((64, 64, 64, 128), (32, 32, 64, 128)),
}
"""Encoder and decoder widths of each backbone where none are given: those that its authors train."""

_SMALL = {"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A", "structure_width": 8}


class SSCR(FusionModel):
    """SSCR of Cheng et al., after the framework figure of its repository (https://github.com/RSIR25/sscr).

    Sentinel-1 goes through a 1 x 1 convolution; from there, edge perception (fixed Scharr kernels, then an
    encoder) gives features, and a second path the structure mask `m`. The optical path encodes the stacked
    inputs; fusion adds to its features `F` a 1 x 1 convolution of both; the gate is `F <- (1 - b) F + b F m`
    with a learnable `b` that starts at 0.5; the decoder of the backbone and the head follow. The structure
    loss (0.9 L1 + 0.001 (1 - Pearson r) between mask and mean of the clear bands) reads
    `FusionOutput.structure_mask`; over several dates it is the mean of their masks.

    Departs from the released code (536,158 parameters), in which the branch cannot change the image: there the
    encoded Sentinel-1 features are used by nothing, `b` is the constant 0, and the Scharr kernels are
    overwritten by random weights before training. Here they are used, learnt, and fixed. This has 556,143
    parameters at the default configuration: 20,608 more for the fusion, 1 for `b`; 576 less because the kernels
    are no weights, and 48 less for biases that a normalisation behind them would cancel.

    A state dict of the released code fits the optical path (`trunk`, named as in `UnCRtainTS`, and `head`); with the
    fusion's weights and `b` at 0 it computes what that code computes.

    Args:
        optical_bands: Sentinel-2 bands in and out.
        sar_bands: Polarisations, at least one.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        backbone: The optical path.
        encoder_widths: Of the optical path; None takes the backbone's own.
        decoder_widths: The same for its decoder.
        block_type: `mbconv` or `residual`; of `sscr` and `uncrtaints` only.
        structure_width: Channels of the Sentinel-1 branch, a multiple of 8.
        covariance: Structure of the predicted variance, or None for none.
        scale_by: Network units per reflectance.
        heads: Attention heads, of `uncrtaints` and `utae` only, as are the next two.
        d_model: Inner width of the attention.
        d_k: Width of its keys.
        tile_px: Recommended side of a tile, that of the training images.
        normalizer: Units; None is that of UnCRtainTS, on which the code is built.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="SSCR: features and a gate from the structure that Sentinel-1 sees, over a choice of backbones",
        paper="Cheng et al., SSCR (code release; no paper text found)",
        url="https://github.com/RSIR25/sscr",
        original_licence="none published",
        small=(
            {**_SMALL, "encoder_widths": [16], "decoder_widths": [16]},
            {**_SMALL, "backbone": "unet", "encoder_widths": [8, 16], "decoder_widths": [4, 16], "covariance": "iso", "scale_by": 1.0},
            {
                **_SMALL,
                "backbone": "utae",
                "encoder_widths": [8, 16],
                "decoder_widths": [4, 16],
                "heads": 4,
                "d_model": 16,
                "sar_bands": ["VV"],
            },
            {
                **_SMALL,
                "backbone": "uncrtaints",
                "encoder_widths": [8],
                "decoder_widths": [8],
                "block_type": "residual",
                "covariance": "diag",
                "heads": 4,
                "d_model": 16,
            },
        ),
        counts=(
            ({}, 556_143),
            ({"backbone": "uncrtaints"}, 605_935),
            ({"backbone": "unet"}, 970_703),
            ({"backbone": "utae"}, 1_053_903),
        ),
        needs_px=32,
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        backbone: Backbone = "sscr",
        encoder_widths: Sequence[int] | None = None,
        decoder_widths: Sequence[int] | None = None,
        block_type: BlockType = "mbconv",
        structure_width: int = 32,
        covariance: Covariance | None = None,
        scale_by: float = 10.0,
        heads: int = 16,
        d_model: int = 256,
        d_k: int = 4,
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        if backbone not in get_args(Backbone):
            raise InputError(f"backbone of sscr must be one of {', '.join(get_args(Backbone))}, got {backbone!r}")
        if not sar_bands or structure_width < 8 or structure_width % 8:
            raise InputError(
                f"sscr needs Sentinel-1 and a structure_width that is a multiple of 8, got sar_bands={tuple(sar_bands)}, {structure_width}"
            )
        trunk = _build_trunk(
            backbone,
            len(sar_bands) + len(optical_bands),
            _WIDTHS[backbone][0] if encoder_widths is None else encoder_widths,
            _WIDTHS[backbone][1] if decoder_widths is None else decoder_widths,
            block_type=block_type,
            heads=heads,
            d_model=d_model,
            d_k=d_k,
        )
        spec = ModelSpec(
            optical_in=tuple(optical_bands),
            optical_out=tuple(optical_bands),
            sar_bands=tuple(sar_bands),
            level=level,
            sar_units=sar_units,
            channel_order="sar_first",
            multi_temporal=trunk.multi_temporal,
            needs_mask=False,
            needs_dates=trunk.multi_temporal,
            has_std=covariance is not None,
            size_multiple_px=trunk.stride_px,
            min_size_px=trunk.min_px,
            tile_px=tile_px,
            overlap_px=tile_px // 4,
            receptive_radius_px=None,
            normalizer=scaled_normalizer(tuple(sar_bands), sar_units, scale_by) if normalizer is None else normalizer,
        )
        super().__init__(spec)
        self.sar_conv = conv_norm(len(spec.sar_bands), structure_width, kernel=1, padding=0, norm="group")
        self.edge_perception = EdgePerception(structure_width)
        self.mask_path = StructureMask(structure_width)
        self.fusion = nn.Conv2d(trunk.encoded_width + structure_width, trunk.encoded_width, 1)
        self.gate = nn.Parameter(torch.tensor(0.5))
        self.trunk = trunk
        self.head = GaussianHead(trunk.decoded_width, len(spec.optical_out), covariance=covariance, scale_by=scale_by)
        for part in (self.sar_conv, self.edge_perception, self.mask_path, self.fusion, self.head):
            start_xavier(part)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Predict with the structure of Sentinel-1; see `FusionModel.forward`."""
        stacked = self.stacked(given.sar, given.cloudy).to(self.compute_dtype)
        sar = self.sar_conv(given.sar.to(self.compute_dtype).flatten(0, 1))
        mask = self.mask_path(sar)
        features = self.trunk.encode(stacked.flatten(0, 1))
        features = features + self.fusion(torch.cat((features, self.edge_perception(sar)), dim=1))
        features = (1 - self.gate) * features + self.gate * (features * mask)
        decoded, attention = self.trunk.decode(by_date(features, stacked), given.dates, given.date_valid)
        mean, variance = self.head(decoded, given.cloudy.dtype)
        return FusionOutput(mean, variance, attention=attention, structure_mask=_mean_over_dates(by_date(mask, stacked), given.date_valid))


def _mean_over_dates(mask: Tensor, date_valid: Tensor | None) -> Tensor:
    """`(B, T, 1, H, W)` to `(B, 1, H, W)`, over the dates that count."""
    if date_valid is None:
        return mask.mean(dim=1)
    count = date_valid[:, :, None, None, None].to(mask.dtype)
    return (mask * count).sum(dim=1) / count.sum(dim=1)


def _build_trunk(
    backbone: Backbone,
    inputs: int,
    encoder_widths: Sequence[int],
    decoder_widths: Sequence[int],
    *,
    block_type: BlockType,
    heads: int,
    d_model: int,
    d_k: int,
) -> Trunk:
    """The optical path."""
    if backbone in {"sscr", "uncrtaints"}:
        return FullResolutionTrunk(
            inputs,
            encoder_widths=encoder_widths,
            decoder_widths=decoder_widths,
            block_type=block_type,
            multi_temporal=backbone == "uncrtaints",
            heads=heads,
            d_model=d_model,
            d_k=d_k,
        )
    return PyramidTrunk(
        inputs,
        encoder_widths=encoder_widths,
        decoder_widths=decoder_widths,
        multi_temporal=backbone == "utae",
        heads=heads,
        d_model=d_model,
        d_k=d_k,
    )
