"""What a fit expects to be wrong by: measured on clear pixels it hid from itself."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FitError:
    """Errors on clear pixels that were hidden under synthetic clouds and left out of the fit, square by square."""

    rmse: tuple[float | None, ...]
    """Per band of the scene, reflectance; None for a band that is nodata all over."""
    rmse_overall: float
    """Over all bands. This and the figures per band weigh pixels with and without Sentinel-1 as the scene's clouds do."""
    rmse_with_sar: float | None
    """Of pixels that Sentinel-1 covers; None where it covers none that could be learnt from."""
    rmse_without_sar: float
    """Of pixels without it."""
    within_one_std: float
    """Share of errors, all bands together, within one standard deviation; on pixels that the deviation was not fitted on."""
    within_two_std: float
    """The same for two."""
    held_out_px: int
    """Pixels it was measured on."""
    clear_px: int
    """Clear pixels of the scene."""

    def describe(self) -> dict[str, Any]:
        """JSON-able."""
        facts: dict[str, Any] = asdict(self)
        facts["rmse"] = list(self.rmse)
        return facts
