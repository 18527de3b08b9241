"""The network of U-TAE and of its mono-temporal sibling: a U-Net with strided convolutions, and attention over the dates."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.layers.conv_norm import GROUPS, conv_norm, norm_layer
from geocr.models.layers.date_mean import Aggregation, DateMean
from geocr.models.layers.full_resolution_trunk import require_heads
from geocr.models.layers.initial_weights import start_xavier
from geocr.models.layers.ltae import TemporalAttention
from geocr.models.layers.trunk import Trunk, by_date

ATTENTION_DROPOUT = 0.1
"""Share of attention weights dropped in training, before they are enlarged."""


class PyramidTrunk(Trunk):
    """U-TAE without its head (Garnot and Landrieu, 2021, https://arxiv.org/abs/2107.07933, figure 2), as UnCRtainTS trains it.

    Encoder, per date and with group normalisation: 1 x 1 convolution; then per scale a 4 x 4 convolution of
    stride 2, a 3 x 3, and a residual 3 x 3. Several dates: L-TAE at the coarsest scale; its attention,
    enlarged, averages the dates of every skip. Decoder, with batch normalisation: 4 x 4 transposed convolution,
    1 x 1 on the skip, a 3 x 3, and a residual 3 x 3. Residual convolutions have no ReLU of their own. (The paper's own
    encoder starts with two 3 x 3, and its code has a ReLU behind every convolution.)

    Args:
        inputs: Channels of the stacked inputs.
        encoder_widths: Channels per scale, from full resolution down.
        decoder_widths: The same for the decoder; as many, and equal at the coarsest scale.
        multi_temporal: Take several dates; otherwise there is no attention and skips pass as they are.
        heads: Attention heads.
        d_model: Inner width of the attention.
        d_k: Width of its keys.
        aggregation: How attention weighs the dates of a skip.

    Raises:
        InputError: When the widths do not fit together.
    """

    def __init__(
        self,
        inputs: int,
        *,
        encoder_widths: Sequence[int],
        decoder_widths: Sequence[int],
        multi_temporal: bool,
        heads: int = 16,
        d_model: int = 256,
        d_k: int = 4,
        aggregation: Aggregation = "att_group",
    ) -> None:
        super().__init__()
        _require_widths(encoder_widths, decoder_widths)
        scales = range(len(encoder_widths) - 1)
        self.encoded_width, self.decoded_width = encoder_widths[0], decoder_widths[0]
        self.multi_temporal = multi_temporal
        self.stride_px = 2 ** len(scales)
        self.min_px = 2 * self.stride_px
        self.in_conv = conv_norm(inputs, encoder_widths[0], kernel=1, padding=0, norm="group")
        self.down_blocks = nn.ModuleList(_Down(encoder_widths[k], encoder_widths[k + 1]) for k in scales)
        self.up_blocks = nn.ModuleList(_Up(decoder_widths[k + 1], decoder_widths[k], encoder_widths[k]) for k in reversed(scales))
        start_xavier(self)
        if not multi_temporal:
            return
        for width in encoder_widths:
            require_heads(heads, d_model, width)
        self.temporal_encoder = TemporalAttention(
            encoder_widths[-1], heads=heads, d_model=d_model, d_k=d_k, values=True, dropout=ATTENTION_DROPOUT
        )
        self.temporal_aggregator = DateMean(aggregation)

    def encode(self, x: Tensor) -> Tensor:
        """Full resolution only: the scales below belong to `decode`."""
        encoded: Tensor = self.in_conv(x)
        return encoded

    def decode(self, features: Tensor, dates: Tensor | None, date_valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Down through all scales, dates to one, and up again."""
        maps = [features]
        for down in self.down_blocks:
            maps.append(by_date(down(maps[-1].flatten(0, 1)), features))
        attention: Tensor | None = None
        x = maps[-1][:, 0]
        if dates is not None:
            attention, x = self.temporal_encoder(maps[-1], dates, date_valid)
        for up, skip in zip(self.up_blocks, reversed(maps[:-1]), strict=True):
            x = up(x, skip[:, 0] if attention is None else self.temporal_aggregator(skip, attention, date_valid))
        return x, attention


class _Down(nn.Module):
    """Half the resolution, per date."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = conv_norm(inputs, inputs, kernel=4, stride=2, norm="group")
        self.conv1 = conv_norm(inputs, outputs, norm="group")
        self.conv2 = conv_norm(outputs, outputs, norm="group", relu=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.down(x))
        change: Tensor = self.conv2(x)
        return x + change


class _Up(nn.Module):
    """Double the resolution, and join the skip."""

    def __init__(self, inputs: int, outputs: int, skip: int) -> None:
        super().__init__()
        self.skip_conv = nn.Sequential(nn.Conv2d(skip, skip, 1), norm_layer("batch", skip), nn.ReLU())
        self.up = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), norm_layer("batch", outputs), nn.ReLU())
        self.conv1 = conv_norm(outputs + skip, outputs)
        self.conv2 = conv_norm(outputs, outputs, relu=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.conv1(torch.cat((self.up(x), self.skip_conv(skip)), dim=1))
        change: Tensor = self.conv2(x)
        return x + change


def _require_widths(encoder_widths: Sequence[int], decoder_widths: Sequence[int]) -> None:
    fits = len(encoder_widths) == len(decoder_widths) >= 2 and encoder_widths[-1] == decoder_widths[-1]
    if not fits or min(*encoder_widths, *decoder_widths) < 1 or any(width % GROUPS for width in encoder_widths):
        raise InputError(
            f"encoder_widths and decoder_widths must have one entry per scale, at least two scales, the last ones equal, and encoder widths "
            f"that are multiples of {GROUPS}; got {tuple(encoder_widths)} and {tuple(decoder_widths)}"
        )
