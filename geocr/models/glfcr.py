"""GLF-CR: two streams, optical and SAR, that exchange what they know globally and locally."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.layers.drop_path import DropPath
from geocr.models.layers.dynamic_filter import FilterPredictor, dynamic_filter
from geocr.models.layers.paired_window_attention import PairedWindowAttention
from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer, SarNetworkUnits

Pair = tuple[Tensor, Tensor]
"""Optical and SAR features, each `(B, C, h, w)`."""

ENLARGED = 64
"""Channels at full resolution, before the last convolution."""


class GLFCR(FusionModel):
    """GLF-CR (Xu et al., 2022, ISPRS, https://arxiv.org/abs/2206.02850).

    Both images are folded to half the resolution (four pixels to channels) and pass two convolutions each. Six stages
    follow: a residual dense block per stream, whose five steps convolve, attend within windows and keep all that came
    before; the attention of the optical stream is guided by that of SAR (global fusion); then SAR features
    are filtered by kernels predicted from both streams and exchanged through gates (local fusion). The optical
    features of all stages are merged, unfolded to full resolution and added to the cloudy image.

    Departures from the released code: dynamic filters are plain PyTorch, not a CUDA extension; the edges of rolled
    windows are found from the image at hand, where the code bakes one size into the model, so that sides may be any
    multiples of 16; missing values are filled with 0, not with the mean of the image. Kept, for the sake of its
    weights: the gate that hands optical features back to SAR behind the last stage, which nothing reads
    (`stages.5.optical_gate`, 9,312 parameters that no loss reaches).

    Args:
        optical_bands: Sentinel-2 bands, in and out.
        sar_bands: Polarisations, at least one.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        stages: Residual dense blocks per stream.
        steps: Convolutions per block.
        width: Channels between blocks.
        growth: Channels that each step adds, a multiple of `heads`.
        heads: Attention heads.
        window_px: Side of an attention window, even, at half the resolution; sides must be multiples of twice as much.
        filter_px: Odd side of a dynamic filter.
        drop_path: Probability at which the last step's branches are left out in training; it rises linearly from 0.
        tile_px: Recommended side of a tile.
        normalizer: Units; None is the paper's, `Normalizer.standard`.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="GLF-CR: two streams with SAR-guided window attention and dynamic filters",
        paper="Xu et al., 2022, ISPRS Journal of Photogrammetry and Remote Sensing 192",
        url="https://arxiv.org/abs/2206.02850",
        original_licence="none published",
        small=(
            {
                "optical_bands": ["B02", "B03", "B04"],
                "stages": 2,
                "steps": 2,
                "width": 8,
                "growth": 4,
                "heads": 2,
                "window_px": 4,
                "filter_px": 3,
                "tile_px": 64,
            },
            {
                "optical_bands": ["B04", "B08"],
                "sar_bands": ["VV"],
                "level": "L2A",
                "stages": 2,
                "steps": 3,
                "width": 6,
                "growth": 3,
                "heads": 1,
                "window_px": 4,
                "filter_px": 5,
                "drop_path": 0.0,
                "tile_px": 64,
            },
        ),
        counts=(({}, 14_827_373),),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        stages: int = 6,
        steps: int = 5,
        width: int = 96,
        growth: int = 48,
        heads: int = 8,
        window_px: int = 8,
        filter_px: int = 5,
        drop_path: float = 0.2,
        tile_px: int = 256,
        normalizer: Normalizer | None = None,
    ) -> None:
        if min(stages, steps, width, growth, heads) < 1 or growth % heads:
            raise InputError(
                f"GLF-CR has at least 1 stage, step, channel and head, and a growth that is a multiple of its heads, "
                f"got stages {stages}, steps {steps}, width {width}, growth {growth}, heads {heads}"
            )
        if window_px < 2 or window_px % 2 or filter_px < 1 or filter_px % 2 == 0 or not 0 <= drop_path < 1:
            raise InputError(
                f"GLF-CR has an even window, an odd filter and a drop path from 0 to below 1, got {window_px}, {filter_px}, {drop_path}"
            )
        if len(sar_bands) == 0:
            raise InputError("GLF-CR fuses two streams and needs at least one Sentinel-1 band, got sar_bands=()")
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
            size_multiple_px=2 * window_px,
            min_size_px=2 * window_px,
            tile_px=tile_px,
            overlap_px=tile_px // 4,
            receptive_radius_px=None,
            normalizer=Normalizer.standard(tuple(sar_bands), sar_units) if normalizer is None else normalizer,
        )
        super().__init__(spec)
        bands = len(spec.optical_in)
        self.optical_shallow = _shallow(4 * bands, width)
        self.sar_shallow = _shallow(4 * len(spec.sar_bands), width)
        dropped = [drop_path * place / max(1, stages * steps - 1) for place in range(stages * steps)]
        self.stages = nn.ModuleList(
            FusionStage(
                width,
                growth,
                heads=heads,
                window_px=window_px,
                filter_px=filter_px,
                drop_path=dropped[stage * steps : (stage + 1) * steps],
            )
            for stage in range(stages)
        )
        self.merge = nn.Sequential(nn.Conv2d(stages * width, width, 1), nn.Conv2d(width, width, 3, padding=1))
        self.enlarge = nn.Sequential(
            nn.Conv2d(width, 4 * ENLARGED, 3, padding=1), nn.PixelShuffle(2), nn.Conv2d(ENLARGED, bands, 3, padding=1)
        )

    @property
    def idle_parameters(self) -> frozenset[str]:
        """The last stage's gate back to SAR; see `FusionModel.idle_parameters`."""
        last = f"stages.{len(self.stages) - 1}.optical_gate"
        return frozenset({f"{last}.weight", f"{last}.bias"})

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Correct the cloudy image; see `FusionModel.forward`."""
        cloudy = given.cloudy[:, 0]
        folded = nn.functional.pixel_unshuffle(cloudy.to(self.compute_dtype), 2)
        first = self.optical_shallow[0](folded)
        optical = self.optical_shallow[1](first)
        sar = self.sar_shallow(nn.functional.pixel_unshuffle(given.sar[:, 0].to(self.compute_dtype), 2))
        kept: list[Tensor] = []
        for stage in self.stages:
            optical, sar = stage(optical, sar)
            kept.append(optical)
        merged = self.merge(torch.cat(kept, dim=1)) + first
        correction = cast("Tensor", self.enlarge(merged))
        return FusionOutput(cloudy + correction.to(cloudy.dtype))


class FusionStage(nn.Module):
    """A residual dense block per stream, then GLF-CR's local fusion.

    Args:
        width: Channels in and out.
        growth: Channels that each step adds.
        heads: Attention heads.
        window_px: Side of an attention window.
        filter_px: Side of a dynamic filter.
        drop_path: Per step, the probability at which its branches are left out in training.
    """

    def __init__(self, width: int, growth: int, *, heads: int, window_px: int, filter_px: int, drop_path: Sequence[float]) -> None:
        super().__init__()
        self.filter_px = filter_px
        self.steps = nn.ModuleList(
            DenseStep(width + step * growth, growth, heads=heads, window_px=window_px, shifted=step % 2 == 1, drop_path=probability)
            for step, probability in enumerate(drop_path)
        )
        grown = width + len(drop_path) * growth
        self.optical_merge = nn.Conv2d(grown, width, 3, padding=1)
        self.sar_merge = nn.Conv2d(grown, width, 3, padding=1)
        self.kernels = FilterPredictor(width, filter_px)
        self.sar_gate = nn.Conv2d(width, width, 1)
        self.optical_gate = nn.Conv2d(width, width, 1)

    def forward(self, optical: Tensor, sar: Tensor) -> Pair:
        """Refine both streams, `(B, width, h, w)` each."""
        dense, sar_dense = optical, sar
        for step in self.steps:
            dense, sar_dense = step(dense, sar_dense)
        optical = self.optical_merge(dense) + optical
        sar = self.sar_merge(sar_dense) + sar
        filtered = dynamic_filter(sar, self.kernels(optical, sar), self.filter_px)
        ahead = filtered - optical
        optical = optical + ahead * torch.sigmoid(self.sar_gate(ahead))
        back = optical - filtered
        return optical, sar + back * torch.sigmoid(self.optical_gate(back))


class DenseStep(nn.Module):
    """Convolution, guided window attention and a perceptron per stream; the result joins what came before.

    Args:
        inputs: Channels that came before.
        growth: Channels that it adds.
        heads: Attention heads.
        window_px: Side of an attention window.
        shifted: Move the windows by half their side.
        drop_path: Probability at which a branch is left out in training.
    """

    def __init__(self, inputs: int, growth: int, *, heads: int, window_px: int, shifted: bool, drop_path: float) -> None:
        super().__init__()
        self.optical_conv = nn.Conv2d(inputs, growth, 3, padding=1)
        self.sar_conv = nn.Conv2d(inputs, growth, 3, padding=1)
        self.attention = PairedWindowAttention(growth, heads=heads, window_px=window_px, shifted=shifted)
        self.optical_mlp = ChannelPerceptron(growth)
        self.sar_mlp = ChannelPerceptron(growth)
        self.drop_path = DropPath(drop_path)

    def forward(self, optical: Tensor, sar: Tensor) -> Pair:
        """`(B, inputs, h, w)` of each stream to `(B, inputs + growth, h, w)`."""
        new, sar_new = self.optical_conv(optical).relu(), self.sar_conv(sar).relu()
        seen, sar_seen = self.attention(new, sar_new)
        new, sar_new = new + self.drop_path(seen), sar_new + self.drop_path(sar_seen)
        new, sar_new = new + self.drop_path(self.optical_mlp(new)), sar_new + self.drop_path(self.sar_mlp(sar_new))
        return torch.cat((optical, new), dim=1), torch.cat((sar, sar_new), dim=1)


class ChannelPerceptron(nn.Module):
    """Layer normalisation over the channels of a pixel, then two linear layers with GELU between, twice as wide.

    Args:
        channels: Of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.layers = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, h, w)` to the same shape, pixel by pixel."""
        return cast("Tensor", self.layers(self.norm(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)


def _shallow(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, width, 5, padding=2), nn.Conv2d(width, width, 3, padding=1))
