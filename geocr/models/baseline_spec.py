"""What the baselines over several dates eat and give: optical bands alone, each pixel or each tile by itself, nothing learnt."""

from collections.abc import Sequence

from geocr.models.spec import Level, ModelSpec
from geocr.radiometry.normalize import Normalizer


def baseline_spec(
    optical_bands: Sequence[str], level: Level, tile_px: int, normalizer: Normalizer | None, *, receptive_radius_px: int | None
) -> ModelSpec:
    """The contract of a baseline that chooses or averages dates by their cloud masks.

    Args:
        optical_bands: Sentinel-2 bands in and out.
        level: Processing level of the scenes.
        tile_px: Side of a tile.
        normalizer: Units; None passes reflectance through.
        receptive_radius_px: 0 where pixels are judged one by one, None where the whole tile is.
    """
    return ModelSpec(
        optical_in=tuple(optical_bands),
        optical_out=tuple(optical_bands),
        sar_bands=(),
        level=level,
        sar_units="db",
        channel_order="optical_first",
        multi_temporal=True,
        needs_mask=True,
        has_std=False,
        size_multiple_px=1,
        min_size_px=1,
        tile_px=tile_px,
        overlap_px=0,
        receptive_radius_px=receptive_radius_px,
        normalizer=Normalizer(sar_clip=(), optical_clip=None) if normalizer is None else normalizer,
    )
