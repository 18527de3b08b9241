"""What a user may say about Sentinel-1."""

from dataclasses import dataclass
from typing import get_args

from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.radiometry.sar import SAR_UNITS, BorderNoise, SarRadiometry, SarUnits


@dataclass(frozen=True, slots=True, kw_only=True)
class SarOptions:
    """How Sentinel-1 is opened; the defaults take the products' own word."""

    units: SarUnits | None = None
    """What the files hold; told from their values when None."""
    radiometry: SarRadiometry | None = None
    """What their backscatter is normalised to; told from metadata when None."""
    border_noise: BorderNoise = "mask"
    gcps: bool = False
    """Warp an image in radar geometry by its ground control points instead of refusing it."""
    max_days: float | None = None
    """Refuse images further in time from the scene, and images whose time is not known."""

    def __post_init__(self) -> None:
        """Refuse words that mean nothing.

        Raises:
            InputError: When a value is none of those allowed.
        """
        if self.units is not None and self.units not in SAR_UNITS:
            raise InputError(f"--s1-units must be one of auto, {', '.join(SAR_UNITS)}, got {self.units!r}")
        if self.radiometry is not None and self.radiometry not in get_args(SarRadiometry):
            raise InputError(f"--s1-radiometry must be one of auto, {', '.join(get_args(SarRadiometry))}, got {self.radiometry!r}")
        if self.border_noise not in get_args(BorderNoise):
            raise InputError(f"--s1-border-noise must be one of {', '.join(get_args(BorderNoise))}, got {self.border_noise!r}")
        if self.max_days is not None and not self.max_days >= 0:
            raise InputError(f"--max-days is a number of days of 0 or more, got {self.max_days}")


def sar_options(config: PredictConfig) -> SarOptions:
    """What the settings of a run say of Sentinel-1.

    Raises:
        InputError: When a value is none of those allowed.
    """
    return SarOptions(
        units=config.s1_units,
        radiometry=config.s1_radiometry,
        border_noise=config.s1_border_noise,
        gcps=config.s1_gcps,
        max_days=config.max_days,
    )
