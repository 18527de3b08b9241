"""Backscatter units: amplitude, power and decibel.

power = amplitude squared; dB = 10 log10(power). Averages and interpolations are taken in power, because
the mean of decibels is biased low by speckle (about 2.5 dB for one look; Oliver and Quegan, Understanding
Synthetic Aperture Radar Images, 2004, section 4.3).
"""

from typing import Literal, TypeAlias, get_args

import numpy as np

from geocr.core.errors import UnitsError
from geocr.core.types import FloatArray, NumberArray

SarUnits: TypeAlias = Literal["db", "power", "amplitude", "display"]
"""What a Sentinel-1 file holds. `display` is a stretched picture with no physical unit, used as it is."""

SarRadiometry: TypeAlias = Literal["sigma0", "gamma0"]
"""Backscatter per unit of ground area, or per unit of area facing the radar (terrain-flattened: RTC)."""

BorderNoise: TypeAlias = Literal["mask", "keep"]
"""Whether dark rims of the swath are read as unmeasured."""

SAR_UNITS: tuple[SarUnits, ...] = get_args(SarUnits)


def power_to_db(power: FloatArray) -> FloatArray:
    """Backscatter in dB, float32; NaN where power is NaN, zero or negative (no echo is no measurement)."""
    out = np.full(power.shape, np.nan, np.float32)
    positive = power > 0
    np.log10(power, out=out, where=positive)
    out *= np.float32(10)
    return out


def detect_units(sample: NumberArray, path: str) -> SarUnits:
    """Decide dB or power from a sample of a float file's values.

    Args:
        sample: Observed values from all over the file, any shape, nodata already left out.
        path: Named in the error.

    Returns:
        `db` when any value is negative, `power` when none is.

    Raises:
        UnitsError: For integer files, whose counts may be amplitude, scaled dB or a picture; and for an
            empty sample.
    """
    if np.issubdtype(sample.dtype, np.integer):
        raise UnitsError(
            f"units of integer Sentinel-1 counts cannot be told from their values; {path} is {sample.dtype}: "
            f"say what it holds with --s1-units amplitude (uncalibrated GRD counts), power, db or display (a stretched picture)"
        )
    finite = sample[np.isfinite(sample)]
    if finite.size == 0:
        raise UnitsError(
            f"units are detected from observed values, and {path} shows none; give --s1-units, or --no-s1 to go on without Sentinel-1"
        )
    return "db" if bool((sample < 0).any()) else "power"  # all of the sample: minus infinity is the dB of no echo
