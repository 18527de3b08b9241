"""UnCRtainTS: cloud removal from one or several dates, with the variance of the answer."""

from collections.abc import Sequence

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.date_mean import Aggregation
from geocr.models.layers.full_resolution_trunk import FullResolutionTrunk
from geocr.models.layers.gaussian_head import Covariance, GaussianHead, Positive
from geocr.models.layers.initial_weights import start_xavier
from geocr.models.layers.mbconv import BlockType
from geocr.models.layers.sentinel_units import scaled_normalizer
from geocr.models.layers.trunk import by_date
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

_SMALL = {"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A", "encoder_widths": [16], "decoder_widths": [16, 16]}


class UnCRtainTS(FusionModel):
    """UnCRtainTS of Ebel et al. (2023, https://arxiv.org/abs/2304.05464), figure 3.

    The network is `FullResolutionTrunk`, the last layer `GaussianHead`. In the published settings it has
    518,541 parameters for one date without variance, and 570,010 for several dates with 13 variances.
    Attention maps over the dates are in `FusionOutput.attention`, on the `attention_px` square grid.

    Departs from the released code: padding dates are told by mask; `relu` variances work (there they fail
    when the model is built); predicted bands are those of the input, whatever their number. The paper's trick of scaling
    data tenfold (variances hundredfold) is `scale_by`, and lies in the normaliser, so that nothing has to be undone.

    Published parameter names map one to one: `in_conv.conv.conv` is `trunk.in_conv`; `*_block.<i>.conv.norm` and
    `.conv.fn` are `trunk.*_block.<i>.norm` and `.body`, there `6.fc` is `6.weigh`; in residual blocks `conv<k>.conv` is
    `conv<k>`; of `temporal_encoder`, `inconv`, `attention_heads.Q` and `attention_heads.fc1_k` are `in_conv`,
    `query` and `key`; `include_v` is `trunk.include_values`; `out_conv.conv.conv.0` is `head.conv`, or, with
    `separate_out`, the two `out_conv_*_1.conv.conv.0` one after the other. With weights moved so, answers agree with those of the
    released code (commit 5e1f1b5 of PatrickTUM/UnCRtainTS) to the rounding of float32.

    Args:
        optical_bands: Sentinel-2 bands in and out.
        sar_bands: Polarisations; empty for a model without Sentinel-1.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        multi_temporal: Take several dates.
        encoder_widths: Channels of each encoder block, one width throughout.
        decoder_widths: The same for the decoder.
        block_type: `mbconv` or `residual`.
        covariance: Structure of the predicted variance, or None for none. `uni` and `diag` compute the same and
            ask for another likelihood in training.
        variance_activation: What makes variances positive.
        bounded: Put means through a sigmoid.
        scale_by: Network units per reflectance.
        heads: Attention heads; this and the next five matter to several dates only.
        d_model: Inner width of the attention.
        d_k: Width of its keys.
        attention_px: Side of the grid on which attention is computed.
        aggregation: How attention weighs the dates.
        use_values: Add the values of the attention to the averaged features.
        tile_px: Recommended side of a tile, that of the training images.
        normalizer: Units; None is that of the paper.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="UnCRtainTS: residual blocks at full resolution, attention over dates, predicted variance",
        paper="Ebel, Garnot, Schmitt, Wegner & Zhu, 2023, CVPRW EarthVision",
        url="https://arxiv.org/abs/2304.05464",
        original_licence="none published (MIT in file headers)",
        small=(
            {**_SMALL, "multi_temporal": True, "covariance": "diag", "heads": 4, "d_model": 16},
            {**_SMALL, "encoder_widths": [8, 8], "decoder_widths": [8], "covariance": "iso", "block_type": "residual", "scale_by": 1.0},
            {
                **_SMALL,
                "multi_temporal": True,
                "covariance": "uni",
                "use_values": True,
                "heads": 4,
                "d_model": 24,
                "attention_px": 16,
                "aggregation": "att_mean",
                "variance_activation": "elu",
                "sar_bands": [],
                "bounded": False,
            },
        ),
        counts=(({}, 518_541), ({"multi_temporal": True, "covariance": "diag"}, 570_010)),
        needs_px=32,
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        multi_temporal: bool = False,
        encoder_widths: Sequence[int] = (128,),
        decoder_widths: Sequence[int] = (128, 128, 128, 128, 128),
        block_type: BlockType = "mbconv",
        covariance: Covariance | None = None,
        variance_activation: Positive = "softplus",
        bounded: bool = True,
        scale_by: float = 10.0,
        heads: int = 16,
        d_model: int = 256,
        d_k: int = 4,
        attention_px: int = 32,
        aggregation: Aggregation = "att_group",
        use_values: bool = False,
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        trunk = FullResolutionTrunk(
            len(sar_bands) + len(optical_bands),
            encoder_widths=encoder_widths,
            decoder_widths=decoder_widths,
            block_type=block_type,
            multi_temporal=multi_temporal,
            heads=heads,
            d_model=d_model,
            d_k=d_k,
            attention_px=attention_px,
            aggregation=aggregation,
            use_values=use_values,
        )
        spec = ModelSpec(
            optical_in=tuple(optical_bands),
            optical_out=tuple(optical_bands),
            sar_bands=tuple(sar_bands),
            level=level,
            sar_units=sar_units,
            channel_order="sar_first",
            multi_temporal=multi_temporal,
            needs_mask=False,
            needs_dates=multi_temporal,
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
        self.head = GaussianHead(
            trunk.decoded_width,
            len(spec.optical_out),
            covariance=covariance,
            scale_by=scale_by,
            bounded=bounded,
            positive=variance_activation,
        )
        start_xavier(self.head)

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Predict mean and variance; see `FusionModel.forward`."""
        x = self.stacked(given.sar, given.cloudy).to(self.compute_dtype)
        features = by_date(self.trunk.encode(x.flatten(0, 1)), x)
        decoded, attention = self.trunk.decode(features, given.dates, given.date_valid)
        mean, variance = self.head(decoded, given.cloudy.dtype)
        return FusionOutput(mean, variance, attention=attention)
