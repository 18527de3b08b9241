"""U-TAE: a U-Net over several dates with attention at its coarsest scale."""

from collections.abc import Sequence

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.date_mean import Aggregation
from geocr.models.layers.gaussian_head import Covariance, GaussianHead
from geocr.models.layers.initial_weights import start_xavier
from geocr.models.layers.pyramid_trunk import PyramidTrunk
from geocr.models.layers.sentinel_units import scaled_normalizer
from geocr.models.layers.trunk import by_date
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

_SMALL = {"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A", "heads": 4, "d_model": 16}


class UTAE(FusionModel):
    """U-TAE of Garnot and Landrieu (2021, https://arxiv.org/abs/2107.07933), in the form that UnCRtainTS compares with.

    The network is `PyramidTrunk`, the last layer `GaussianHead`. With 15 channels in and 13 out it has 1,030,701
    parameters with the decoder's two finest scales at 32 channels, and 1,261,069 with 64. Attention maps over
    the dates are in `FusionOutput.attention`, on the grid of the coarsest scale.

    Departs from the paper and its code (VSainteuf/utae-paps): the first layer is one 1 x 1 convolution instead of two 3 x 3,
    residual convolutions are added without a ReLU of their own, the last layer is a regression. UnCRtainTS has it so.
    Departs from the code of UnCRtainTS: padding dates are told by mask, not by pixels that are all 0.

    Published parameter names map one to one: `in_conv.conv.conv` is `trunk.in_conv`; `down_blocks.<i>.<part>.conv`
    and `up_blocks.<i>.<conv1 or conv2>.conv` are the same under `trunk` without the last `.conv`, the other parts
    of `up_blocks` the same under `trunk`; of `temporal_encoder`, `inconv`, `attention_heads.Q` and
    `attention_heads.fc1_k` are `in_conv`, `query` and `key`; `out_conv.conv.conv.0` is `head.conv`. With weights
    moved so, answers agree with those of that code (commit 5e1f1b5 of PatrickTUM/UnCRtainTS) to the rounding of float32.

    Args:
        optical_bands: Sentinel-2 bands in and out.
        sar_bands: Polarisations; empty for a model without Sentinel-1.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        encoder_widths: Channels per scale, from full resolution down; multiples of `heads`.
        decoder_widths: The same for the decoder; as many, equal at the coarsest scale.
        covariance: Structure of the predicted variance, or None for none.
        bounded: Put means through a sigmoid.
        scale_by: Network units per reflectance.
        heads: Attention heads.
        d_model: Inner width of the attention.
        d_k: Width of its keys.
        aggregation: How attention weighs the dates of the skips.
        tile_px: Recommended side of a tile, that of the training images.
        normalizer: Units; None is that of UnCRtainTS.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="U-TAE: U-Net over several dates, attention at the coarsest scale weighs every skip",
        paper="Garnot & Landrieu, 2021, ICCV",
        url="https://arxiv.org/abs/2107.07933",
        original_licence="MIT",
        small=(
            {
                **_SMALL,
                "encoder_widths": [8, 12],
                "decoder_widths": [6, 12],
                "covariance": "iso",
                "scale_by": 10.0,
                "aggregation": "att_mean",
                "sar_bands": ["VH"],
            },
            {**_SMALL, "encoder_widths": [8, 8, 16], "decoder_widths": [4, 8, 16]},
            {**_SMALL, "encoder_widths": [4, 8], "decoder_widths": [4, 8], "aggregation": "mean", "bounded": False},
        ),
        counts=(({}, 1_030_701), ({"decoder_widths": [64, 64, 64, 128]}, 1_261_069)),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        encoder_widths: Sequence[int] = (64, 64, 64, 128),
        decoder_widths: Sequence[int] = (32, 32, 64, 128),
        covariance: Covariance | None = None,
        bounded: bool = True,
        scale_by: float = 1.0,
        heads: int = 16,
        d_model: int = 256,
        d_k: int = 4,
        aggregation: Aggregation = "att_group",
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        trunk = PyramidTrunk(
            len(sar_bands) + len(optical_bands),
            encoder_widths=encoder_widths,
            decoder_widths=decoder_widths,
            multi_temporal=True,
            heads=heads,
            d_model=d_model,
            d_k=d_k,
            aggregation=aggregation,
        )
        spec = ModelSpec(
            optical_in=tuple(optical_bands),
            optical_out=tuple(optical_bands),
            sar_bands=tuple(sar_bands),
            level=level,
            sar_units=sar_units,
            channel_order="sar_first",
            multi_temporal=True,
            needs_mask=False,
            needs_dates=True,
            has_std=covariance is not None,
            size_multiple_px=trunk.stride_px,
            min_size_px=trunk.min_px,
            tile_px=tile_px,
            overlap_px=tile_px // 4,
            receptive_radius_px=None,
            normalizer=scaled_normalizer(tuple(sar_bands), sar_units, scale_by) if normalizer is None else normalizer,
        )
        super().__init__(spec)
        self.trunk = trunk
        self.head = GaussianHead(trunk.decoded_width, len(spec.optical_out), covariance=covariance, scale_by=scale_by, bounded=bounded)
        start_xavier(self.head)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Predict from all dates; see `FusionModel.forward`."""
        x = self.stacked(given.sar, given.cloudy).to(self.compute_dtype)
        features = by_date(self.trunk.encode(x.flatten(0, 1)), x)
        decoded, attention = self.trunk.decode(features, given.dates, given.date_valid)
        mean, variance = self.head(decoded, given.cloudy.dtype)
        return FusionOutput(mean, variance, attention=attention)
