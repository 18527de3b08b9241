"""A small U-Net that fuses both modalities: geocr's own, trainable on a laptop, exact under tiling."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.card import ModelCard
from geocr.models.spec import Level, ModelSpec, OpticalUnits
from geocr.radiometry.normalize import DISPLAY_RANGE, Normalizer, SarNetworkUnits

VARIANCE_FLOOR = 1e-6
"""Least variance, squared network units: keeps a likelihood finite."""
VARIANCE_START = -4.0
"""Bias of the variance head: softplus(-4) = 0.018, a standard deviation of 0.13 before training."""


class FusionUNet(FusionModel):
    """A U-Net (Ronneberger et al., 2015, https://arxiv.org/abs/1505.04597) over stacked SAR, optical and mask.

    After the paper's figure 1 with four changes: convolutions keep the size; the way up is nearest-neighbour
    enlargement, which leaves no checkerboard; nothing is normalised by statistics of the tile, so that a
    pixel depends on its surroundings up to a finite radius and on nothing else; the answer is blended
    with the cloudy input by a predicted gate, so that clear pixels pass (after the attention of
    Zhang et al., 2023, Pattern Recognition Letters 175; adding a correction to the input instead leaves
    the texture of thick clouds behind).

    Args:
        optical_bands: Sentinel-2 bands of the input.
        optical_out: Bands to predict, or None for those of the input.
        sar_bands: Polarisations; empty for a model without Sentinel-1.
        level: Processing level of the reflectances it is trained on.
        sar_units: Units of the backscatter it is trained on.
        optical_units: Reflectance, or `display` for 8-bit pictures.
        widths: Channels per scale, from full resolution down; each further entry halves the resolution.
        batch_norm: Batch normalisation behind each convolution; its statistics are frozen in eval mode.
        use_mask: Take the cloud mask as one more input channel (1 is cloud or shadow).
        gated: Blend the prediction with the cloudy input; needs every predicted band in the input.
        variance: Predict a variance beside each mean.
        tile_px: Recommended side of a tile; the default spends two fifths of the work on the halo.
        normalizer: Units; None is `Normalizer.standard` for these Sentinel-1 bands, and pictures scaled to 0 to 1.

    Raises:
        InputError: When the arguments do not fit together.
    """

    card = ModelCard(
        title="U-Net with finite reach over stacked SAR, optical and mask, gated with the cloudy input",
        paper="none (geocr's own, after Ronneberger et al., 2015, MICCAI)",
        url="https://arxiv.org/abs/1505.04597",
        original_licence="-",
        small=(
            {"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A", "widths": [6, 8, 10], "variance": True},
            {
                "optical_bands": ["B10", "B04", "B03"],
                "optical_out": ["B04"],
                "sar_bands": ["VH"],
                "widths": [4, 6],
                "batch_norm": True,
                "use_mask": False,
                "gated": False,
                "tile_px": 64,
            },
        ),
        counts=(({}, 909_262),),
    )

    def __init__(
        self,
        *,
        optical_bands: Sequence[str] = L1C_BANDS,
        optical_out: Sequence[str] | None = None,
        sar_bands: Sequence[str] = S1_BANDS,
        level: Level = "L1C",
        sar_units: SarNetworkUnits = "db",
        optical_units: OpticalUnits = "reflectance",
        widths: Sequence[int] = (32, 64, 96, 128),
        batch_norm: bool = False,
        use_mask: bool = True,
        gated: bool = True,
        variance: bool = False,
        tile_px: int = 512,
        normalizer: Normalizer | None = None,
    ) -> None:
        if len(widths) == 0 or min(widths) < 1:
            raise InputError(f"widths must name at least one scale with at least one channel, got {tuple(widths)}")
        depth = len(widths) - 1
        spec = ModelSpec(
            optical_in=tuple(optical_bands),
            optical_out=tuple(optical_bands if optical_out is None else optical_out),
            sar_bands=tuple(sar_bands),
            level=level,
            sar_units=sar_units,
            optical_units=optical_units,
            channel_order="sar_first",
            multi_temporal=False,
            needs_mask=use_mask,
            has_std=variance,
            size_multiple_px=2**depth,
            min_size_px=2**depth,
            tile_px=tile_px,
            overlap_px=0,
            receptive_radius_px=_receptive_radius_px(depth),
            normalizer=_normalizer(tuple(sar_bands), sar_units, optical_units) if normalizer is None else normalizer,
        )
        super().__init__(spec)
        absent = [band for band in spec.optical_out if band not in spec.optical_in]
        if gated and absent:
            raise InputError(f"a gated model blends with bands of its input, which lacks {', '.join(absent)}; pass gated=False")
        channels = len(spec.sar_bands) + len(spec.optical_in) + int(use_mask)
        self.down = nn.ModuleList(_block(a, b, batch_norm=batch_norm) for a, b in zip((channels, *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(_block(widths[k] + widths[k + 1], widths[k], batch_norm=batch_norm) for k in reversed(range(depth)))
        self.head = nn.Conv2d(widths[0], len(spec.optical_out) * (2 if variance else 1) + int(gated), 1)
        self.base: Tensor | None
        base = torch.tensor([spec.optical_in.index(band) for band in spec.optical_out]) if gated else None
        self.register_buffer("base", base, persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        """He initialisation (https://arxiv.org/abs/1502.01852); the head starts small, the gate half open."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            if self.spec.has_std and self.head.bias is not None:
                bands = len(self.spec.optical_out)
                self.head.bias[bands : 2 * bands] = VARIANCE_START

    def fuse(self, given: FusionInput) -> FusionOutput:
        """Predict and blend; see `FusionModel.forward`.

        Channels of the head: means, variances if predicted, the gate if there is one (1 takes the
        prediction, 0 the cloudy input). The layers compute in the dtype of their weights; the blend is
        done in that of `cloudy`, so that bf16 weights do not round the image itself.
        """
        cloudy = given.cloudy
        x = self.stacked(given.sar, cloudy)[:, 0]
        if given.cloud_mask is not None:
            x = torch.cat((x, given.cloud_mask.to(x.dtype)), dim=1)
        x = x.to(self.compute_dtype)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat((skip, F.interpolate(x, scale_factor=2.0, mode="nearest")), dim=1))
        out = self.head(x).to(cloudy.dtype)
        bands = len(self.spec.optical_out)
        mean = out[:, :bands]
        variance = F.softplus(out[:, bands : 2 * bands]) + VARIANCE_FLOOR if self.spec.has_std else None
        if self.base is not None:
            seen = cloudy[:, 0].index_select(1, self.base)
            mean = seen + torch.sigmoid(out[:, -1:]) * (mean - seen)
        return FusionOutput(mean, variance)


def _normalizer(sar_bands: tuple[str, ...], sar_units: SarNetworkUnits, optical_units: OpticalUnits) -> Normalizer:
    """Units of the network: everything from 0 to 1."""
    standard = Normalizer.standard(sar_bands, sar_units)
    return standard if optical_units == "reflectance" else replace(standard, optical_clip=DISPLAY_RANGE, optical_scale=1 / DISPLAY_RANGE[1])


def _block(inputs: int, outputs: int, *, batch_norm: bool) -> nn.Sequential:
    """Two 3 x 3 convolutions, each with ReLU, batch normalisation between if asked for."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(nn.Conv2d(channels, outputs, 3, padding=1))
        layers.extend([nn.BatchNorm2d(outputs)] if batch_norm else [])
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _receptive_radius_px(depth: int) -> int:
    """Reach of the longest path, at the worst place on the grid of the coarsest scale.

    Walks from an output pixel's interval back to the input's: two 3 x 3 convolutions widen it by 2 on each
    side, enlarging halves it, pooling doubles it.
    """
    worst = 0
    for pixel in range(2**depth):
        first, last = pixel, pixel
        for _ in range(depth):
            first, last = (first - 2) // 2, (last + 2) // 2
        first, last = first - 2, last + 2
        for _ in range(depth):
            first, last = 2 * first - 2, 2 * last + 3
        worst = max(worst, pixel - first, last - pixel)
    return worst
