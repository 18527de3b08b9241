"""The mono-temporal U-Net beside U-TAE: the same scales, no attention."""

from collections.abc import Sequence

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.gaussian_head import Covariance, GaussianHead
from geocr.models.layers.initial_weights import start_xavier
from geocr.models.layers.pyramid_trunk import PyramidTrunk
from geocr.models.layers.sentinel_units import scaled_normalizer
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

_SMALL = {"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A"}


class MonoUNet(FusionModel):
    """The U-Net on which UnCRtainTS (Ebel et al., 2023, https://arxiv.org/abs/2304.05464) pre-trains U-TAE.

    The network is `PyramidTrunk` for one date: U-TAE (Garnot and Landrieu, 2021, https://arxiv.org/abs/2107.07933,
    figure 2) with its attention left out, skips passing as they are. With 15 channels in and 13 out it has 947,501 parameters with
    the decoder's two finest scales at 32 channels, and 1,177,869 with 64.

    Departs from the released code: nothing known. Published parameter names map as those of `UTAE` do.

    Args:
        optical_bands: Sentinel-2 bands in and out.
        sar_bands: Polarisations; empty for a model without Sentinel-1.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        encoder_widths: Channels per scale, from full resolution down; multiples of 4.
        decoder_widths: The same for the decoder; as many, equal at the coarsest scale.
        covariance: Structure of the predicted variance, or None for none.
        bounded: Put means through a sigmoid.
        scale_by: Network units per reflectance.
        tile_px: Recommended side of a tile, that of the training images.
        normalizer: Units; None is that of UnCRtainTS.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="U-Net for one date with strided convolutions, the sibling of U-TAE",
        paper="Ebel, Garnot, Schmitt, Wegner & Zhu, 2023, CVPRW EarthVision (after Garnot & Landrieu, 2021, ICCV)",
        url="https://arxiv.org/abs/2304.05464",
        original_licence="none published (MIT in file headers)",
        small=(
            {**_SMALL, "encoder_widths": [8, 12], "decoder_widths": [6, 12], "covariance": "diag", "scale_by": 10.0, "sar_bands": ["VH"]},
            {**_SMALL, "encoder_widths": [8, 8, 16], "decoder_widths": [4, 8, 16]},
            {**_SMALL, "encoder_widths": [4, 8], "decoder_widths": [4, 8], "covariance": "iso", "bounded": False},
        ),
        counts=(({}, 947_501), ({"decoder_widths": [64, 64, 64, 128]}, 1_177_869)),
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
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        trunk = PyramidTrunk(
            len(sar_bands) + len(optical_bands),
            encoder_widths=encoder_widths,
            decoder_widths=decoder_widths,
            multi_temporal=False,
        )
        spec = ModelSpec(
            optical_in=tuple(optical_bands),
            optical_out=tuple(optical_bands),
            sar_bands=tuple(sar_bands),
            level=level,
            sar_units=sar_units,
            channel_order="sar_first",
            multi_temporal=False,
            needs_mask=False,
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
        """Predict from the one date; see `FusionModel.forward`."""
        x = self.stacked(given.sar, given.cloudy)[:, 0].to(self.compute_dtype)
        decoded, _ = self.trunk.decode(self.trunk.encode(x)[:, None], None, None)
        mean, variance = self.head(decoded, given.cloudy.dtype)
        return FusionOutput(mean, variance)
