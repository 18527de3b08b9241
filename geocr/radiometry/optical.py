"""Digital numbers and reflectance, by GDAL's convention: reflectance = DN x scale + offset.

Sentinel-2 products store reflectance x 10000. Since processing baseline 04.00 (January 2022) 1000 is
added before storing, so scale 0.0001 comes with offset -0.1 (ESA, Sentinel-2 Products Specification
Document, RADIO_ADD_OFFSET and BOA_ADD_OFFSET). DN 0 is nodata in both.
"""

from dataclasses import dataclass

import numpy as np

from geocr.core.errors import UnitsError
from geocr.core.types import BoolArray, FloatArray, NumberArray


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalScale:
    """How one scene stores reflectance.

    Attributes:
        scale: Reflectance per DN, not 0.
        offset: Reflectance at DN 0 (before nodata is considered).
        nodata: The DN that means "nothing here", NaN for float files, or None when every DN is a value.
        dtype: NumPy name of the file's type.
    """

    scale: float
    offset: float
    nodata: float | None
    dtype: str

    def __post_init__(self) -> None:
        """Refuse scales that cannot be inverted."""
        if not np.isfinite(self.scale) or self.scale == 0 or not np.isfinite(self.offset):
            raise UnitsError(
                f"reflectance = DN x scale + offset needs a finite scale other than 0 and a finite offset, "
                f"got scale={self.scale!r}, offset={self.offset!r}; give --s2-scale and --s2-offset"
            )

    def observed(self, dn: NumberArray) -> BoolArray:
        """Where a DN is a value: bool of the same shape, True is observed."""
        named = self.nodata is not None and not np.isnan(self.nodata)
        if np.issubdtype(dn.dtype, np.floating):
            finite: BoolArray = np.isfinite(dn)
            return finite & (dn != self.nodata) if named else finite
        if self.nodata is None or not named or not float(self.nodata).is_integer():
            return np.ones(dn.shape, bool)
        info = np.iinfo(dn.dtype)
        if not info.min <= self.nodata <= info.max:
            return np.ones(dn.shape, bool)
        seen: BoolArray = dn != dn.dtype.type(self.nodata)  # in the file's own dtype: against a float all would be converted first
        return seen

    def to_reflectance(self, dn: NumberArray, seen: BoolArray | None = None) -> FloatArray:
        """Reflectance, float32, NaN where the DN is nodata. Negative values survive.

        Args:
            dn: Digital numbers.
            seen: What `observed` says of them, when it is known already.
        """
        out: FloatArray = np.multiply(dn, np.float32(self.scale), dtype=np.float32)
        if self.offset:
            out += np.float32(self.offset)
        seen = self.observed(dn) if seen is None else seen
        if not seen.all():
            out[~seen] = np.nan
        return out

    def to_dn(self, reflectance: FloatArray) -> NumberArray:
        """Digital numbers of reflectances: rounded, clamped to the dtype, never the nodata value.

        A value that would land on nodata moves to the next DN inside the dtype's range, so that a
        reconstructed pixel can never read as empty. What is not finite gives some valid DN.
        """
        dtype = np.dtype(self.dtype)
        # 16-bit counts are exact in float32, which is half the work of float64
        exact = np.dtype(np.float32 if dtype.itemsize <= 2 else np.float64)
        dn: NumberArray = reflectance.astype(exact)
        if self.offset:
            dn -= exact.type(self.offset)
        dn /= exact.type(self.scale)
        if np.issubdtype(dtype, np.floating):
            dn = dn.astype(dtype)
            if self.nodata is not None and np.isfinite(self.nodata):
                dn[dn == self.nodata] = np.nextafter(dtype.type(self.nodata), dtype.type(np.inf))
            return dn
        low, high = self.valid_range()
        np.rint(dn, out=dn)
        np.clip(dn, low, high, out=dn)
        if self.nodata is not None and low < self.nodata < high:
            dn[dn == self.nodata] += 1
        with np.errstate(invalid="ignore"):
            counts: NumberArray = dn.astype(dtype)
        return counts

    def valid_range(self) -> tuple[float, float]:
        """Least and greatest DN a reconstruction may take; infinite for float files."""
        dtype = np.dtype(self.dtype)
        if np.issubdtype(dtype, np.floating):
            return -np.inf, np.inf
        info = np.iinfo(dtype)
        low, high = float(info.min), float(info.max)
        if self.nodata == low:
            low += 1
        if self.nodata == high:
            high -= 1
        return low, high
