"""The network of UnCRtainTS: residual blocks at full resolution, and attention over the dates on a coarse grid."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.layers.coarse_maxima import coarse_maxima
from geocr.models.layers.conv_norm import GROUPS, conv_norm
from geocr.models.layers.date_mean import Aggregation, DateMean
from geocr.models.layers.initial_weights import start_xavier
from geocr.models.layers.ltae import TemporalAttention
from geocr.models.layers.mbconv import BlockType, residual_block
from geocr.models.layers.trunk import Trunk, by_date

ATTENTION_DROPOUT = 0.1
"""Share of the enlarged attention weights dropped in training."""


class FullResolutionTrunk(Trunk):
    """UnCRtainTS without its head (Ebel et al., 2023, https://arxiv.org/abs/2304.05464, figure 3).

    Encoder, per date: 1 x 1 convolution, group normalisation, ReLU, then blocks with group normalisation.
    Several dates: maxima of the features on an `attention_px` square grid, L-TAE on them, dates averaged by
    the attention. Decoder: blocks with batch normalisation.

    Args:
        inputs: Channels of the stacked inputs.
        encoder_widths: Channels of each encoder block; all blocks keep the same width.
        decoder_widths: The same for the decoder.
        block_type: Kind of all blocks.
        multi_temporal: Take several dates.
        heads: Attention heads.
        d_model: Inner width of the attention.
        d_k: Width of its keys.
        attention_px: Side of the grid on which attention is computed.
        aggregation: How attention weighs the dates.
        use_values: Add what the attention computes of the coarse features, enlarged, by a 1 x 1 convolution.

    Raises:
        InputError: When the widths are not one width.
    """

    stride_px = 1

    def __init__(
        self,
        inputs: int,
        *,
        encoder_widths: Sequence[int],
        decoder_widths: Sequence[int],
        block_type: BlockType,
        multi_temporal: bool,
        heads: int = 16,
        d_model: int = 256,
        d_k: int = 4,
        attention_px: int = 32,
        aggregation: Aggregation = "att_group",
        use_values: bool = False,
    ) -> None:
        super().__init__()
        width = _one_width(encoder_widths, decoder_widths)
        self.encoded_width = self.decoded_width = width
        self.multi_temporal = multi_temporal
        self.min_px = attention_px if multi_temporal else 2
        self.in_conv = conv_norm(inputs, width, kernel=1, padding=0, norm="group")
        self.in_block = nn.ModuleList(residual_block(block_type, width, "group") for _ in encoder_widths)
        self.out_block = nn.ModuleList(residual_block(block_type, width, "batch") for _ in decoder_widths)
        start_xavier(self)
        if not multi_temporal:
            return
        require_heads(heads, d_model, width)
        self.attention_px = attention_px
        self.temporal_encoder = TemporalAttention(width, heads=heads, d_model=d_model, d_k=d_k, values=use_values)
        self.temporal_aggregator = DateMean(aggregation, ATTENTION_DROPOUT)
        self.include_values = nn.Conv2d(2 * width, width, 1) if use_values else None

    def encode(self, x: Tensor) -> Tensor:
        """Each date by itself."""
        x = self.in_conv(x)
        for block in self.in_block:
            x = block(x)
        return x

    def decode(self, features: Tensor, dates: Tensor | None, date_valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Dates to one, then the decoder's blocks."""
        attention = None
        if dates is None:
            x = features[:, 0]
        else:
            coarse = by_date(coarse_maxima(features.flatten(0, 1), self.attention_px), features)
            attention, values = self.temporal_encoder(coarse, dates, date_valid)
            x = self.temporal_aggregator(features, attention, date_valid)
            if self.include_values is not None:
                enlarged = nn.functional.interpolate(values, size=tuple(x.shape[-2:]), mode="bilinear", align_corners=False)
                x = self.include_values(torch.cat((x, enlarged), dim=1))
        for block in self.out_block:
            x = block(x)
        return x, attention


def require_heads(heads: int, d_model: int, width: int) -> None:
    """Refuse attention whose heads cannot share the channels.

    Raises:
        InputError: When `width` is no multiple of `heads`, or `d_model` no even multiple.
    """
    if heads < 1 or width % heads or d_model % (2 * heads):
        raise InputError(
            f"attention heads must divide the width they weigh and, twice, d_model: got heads={heads}, width={width}, d_model={d_model}"
        )


def _one_width(encoder_widths: Sequence[int], decoder_widths: Sequence[int]) -> int:
    widths = {*encoder_widths, *decoder_widths}
    if not encoder_widths or len(widths) != 1 or min(widths) < GROUPS or min(widths) % GROUPS:
        raise InputError(
            f"encoder_widths and decoder_widths of blocks at full resolution must be one width throughout, a multiple of {GROUPS}, "
            f"got {tuple(encoder_widths)} and {tuple(decoder_widths)}"
        )
    return widths.pop()
