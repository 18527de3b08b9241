"""What networks that paint pictures from -1 to 1 share: their units and their contract."""

from collections.abc import Sequence

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.models.spec import ChannelOrder, Level, ModelSpec, OpticalUnits
from geocr.radiometry.normalize import DISPLAY_RANGE, SAR_CLIP_DB, Normalizer, SarNetworkUnits

RGB_BANDS: tuple[str, ...] = ("B04", "B03", "B02")
"""Bands of a colour picture, red first."""

GREY_AS_RGB = 3
"""Channels of a grey picture that was opened as RGB: the same value three times."""


def picture_spec(
    *,
    optical_in: Sequence[str],
    optical_out: Sequence[str],
    sar_bands: Sequence[str],
    level: Level,
    sar_units: SarNetworkUnits,
    optical_units: OpticalUnits,
    channel_order: ChannelOrder,
    size_multiple_px: int,
    min_size_px: int | None = None,
    tile_px: int,
    radius_px: int | None,
    normalizer: Normalizer | None,
) -> ModelSpec:
    """The contract of a mono-temporal network whose output is a tanh.

    Args:
        optical_in: Bands of the cloudy input; empty for a network that sees only Sentinel-1.
        optical_out: Bands that it paints.
        sar_bands: Polarisations, at least one.
        level: Processing level of the reflectances.
        sar_units: Units of the backscatter.
        optical_units: Units of the optical bands.
        channel_order: Which modality leads where both are stacked.
        size_multiple_px: Sides must be multiples of it.
        min_size_px: Least side, or None for the multiple itself.
        tile_px: Recommended side of a tile.
        radius_px: Reach, or None for a network that sees its whole tile; half of its tile then overlaps.
        normalizer: Units, or None for `symmetric_normalizer`.

    Raises:
        InputError: When there is no Sentinel-1 band, or the spec refuses.
    """
    if len(sar_bands) == 0:
        raise InputError("a network that translates Sentinel-1 needs at least one of its bands, got sar_bands=()")
    return ModelSpec(
        optical_in=tuple(optical_in),
        optical_out=tuple(optical_out),
        sar_bands=tuple(sar_bands),
        level=level,
        sar_units=sar_units,
        optical_units=optical_units,
        channel_order=channel_order,
        multi_temporal=False,
        needs_mask=False,
        has_std=False,
        size_multiple_px=size_multiple_px,
        min_size_px=size_multiple_px if min_size_px is None else min_size_px,
        tile_px=tile_px,
        overlap_px=tile_px // 2 if radius_px is None else 0,
        receptive_radius_px=radius_px,
        normalizer=symmetric_normalizer(tuple(sar_bands), sar_units, optical_units) if normalizer is None else normalizer,
    )


def symmetric_normalizer(sar_bands: tuple[str, ...], sar_units: SarNetworkUnits, optical_units: OpticalUnits) -> Normalizer:
    """Everything from -1 to 1, the range of a tanh: `(x - 0.5) / 0.5` of values scaled to 0 to 1.

    Pictures are 0 to 255; reflectance is clipped to 0 to 1, backscatter to `SAR_CLIP_DB`. What is missing is -1, black.
    """
    high = DISPLAY_RANGE[1] if optical_units == "display" else 1.0
    return Normalizer(
        sar_clip=tuple(SAR_CLIP_DB[band] if sar_units == "db" else DISPLAY_RANGE for band in sar_bands),
        sar_range=(-1.0, 1.0),
        sar_fill=-1.0,
        optical_clip=(0.0, high),
        optical_scale=2.0 / high,
        optical_offset=-1.0,
        optical_fill=-1.0,
    )


def sar_channels(spec: ModelSpec) -> int:
    """Channels in which these networks see Sentinel-1: a grey picture counts three times, as their authors' loaders open it."""
    return GREY_AS_RGB if spec.sar_units == "display" and len(spec.sar_bands) == 1 else len(spec.sar_bands)


def sar_picture(spec: ModelSpec, sar: Tensor) -> Tensor:
    """`(B, 1, Cs, H, W)` as `(B, sar_channels(spec), H, W)`."""
    image = sar[:, 0]
    return torch.cat([image] * GREY_AS_RGB, dim=1) if sar_channels(spec) != image.shape[1] else image
