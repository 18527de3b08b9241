"""One `Normalizer` between physical units and a network's: the same object trains, predicts and is stored.

Published methods differ in every number here (SAR clip -25 or -32.5 dB, reflectance x 1, x 5 or -1 to 1),
and weights are worth nothing under another method's scale; so the numbers travel with the weights.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from geocr.core.errors import InputError
from geocr.core.fields import require_fields
from geocr.core.types import FloatArray

SarNetworkUnits: TypeAlias = Literal["db", "display"]
"""What a network was trained on: backscatter in dB, or the values of a stretched picture."""

SAR_CLIP_DB: dict[str, tuple[float, float]] = {"VV": (-25.0, 0.0), "VH": (-32.5, 0.0)}
"""Clip ranges of DSen2-CR (Meraner et al., ISPRS 2020) and most methods after it."""

DISPLAY_RANGE: tuple[float, float] = (0.0, 255.0)
"""Values of an 8-bit picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalizer:
    """Backscatter and reflectance to network units, and predictions back.

    Every array is `(..., band, y, x)`; leading axes (dates, a batch) pass through. A value that is not
    finite is missing and becomes the fill, so that a network never meets a NaN.
    """

    sar_clip: tuple[tuple[float, float], ...] = (SAR_CLIP_DB["VV"], SAR_CLIP_DB["VH"])
    """`(low, high)` per Sentinel-1 band in the model's order, dB (display data: picture values). Clipped to."""
    sar_range: tuple[float, float] = (0.0, 1.0)
    """Network units at `low` and at `high`."""
    sar_fill: float = 0.0
    """Network units of a missing backscatter value."""
    optical_clip: tuple[float, float] | None = (0.0, 1.0)
    """Least and greatest reflectance that the network sees, or None for all. Predictions are never clipped."""
    optical_scale: float = 1.0
    """Network units per reflectance: 1 for 0 to 1, 5 for DSen2-CR's DN / 2000, 2 with offset -1 for -1 to 1."""
    optical_offset: float = 0.0
    """Network units at reflectance 0."""
    optical_fill: float = 0.0
    """Network units of a missing reflectance."""

    def __post_init__(self) -> None:
        """Refuse ranges that cannot be scaled or inverted."""
        pairs = [*self.sar_clip, self.sar_range, *([] if self.optical_clip is None else [self.optical_clip])]
        numbers = [*(n for pair in pairs for n in pair), self.sar_fill, self.optical_scale, self.optical_offset, self.optical_fill]
        if not np.isfinite(numbers).all() or self.optical_scale <= 0:
            raise InputError(f"a normaliser needs finite numbers and an optical scale above 0, got {self!r}")
        if any(len(pair) != 2 or pair[0] >= pair[1] for pair in pairs):
            raise InputError(f"each clip and range of a normaliser is a pair (low, high) with low < high, got {self!r}")

    @classmethod
    def standard(cls, sar_bands: tuple[str, ...], sar_units: SarNetworkUnits = "db") -> Self:
        """The usual ranges for these polarisations: the clip of `SAR_CLIP_DB`, or 0 to 255 for pictures."""
        clip = tuple(SAR_CLIP_DB[band] if sar_units == "db" else DISPLAY_RANGE for band in sar_bands)
        return cls(sar_clip=clip)

    def sar_to_network(self, sar: FloatArray) -> FloatArray:
        """Backscatter in network units, float32, finite.

        Args:
            sar: `(..., band, y, x)` float32, dB or picture values, bands as in `sar_clip`; NaN is missing.
        """
        if sar.shape[-3] != len(self.sar_clip):
            raise InputError(f"Expected backscatter (..., {len(self.sar_clip)}, y, x) for as many clip ranges, got {sar.shape}")
        low, high = np.asarray(self.sar_clip, np.float32).reshape(-1, 2, 1, 1).transpose(1, 0, 2, 3)
        start, stop = np.asarray(self.sar_range, np.float32)
        scaled = np.clip(sar, low, high, dtype=np.float32)
        scaled -= low
        scaled /= high - low
        return _filled(_linear(scaled, stop - start, start), sar, self.sar_fill)

    def optical_to_network(self, reflectance: FloatArray) -> FloatArray:
        """Reflectance in network units, clipped, float32, finite.

        Args:
            reflectance: `(..., band, y, x)` float32; NaN is missing.
        """
        if self.optical_clip is None:
            clipped = reflectance.astype(np.float32)
        else:
            clipped = np.clip(reflectance, *np.asarray(self.optical_clip, np.float32), dtype=np.float32)
        return _filled(_linear(clipped, self.optical_scale, self.optical_offset), reflectance, self.optical_fill)

    def mean_to_reflectance(self, mean: FloatArray) -> FloatArray:
        """A network's prediction in reflectance, float32, not clipped (the writer clamps to the file's range).

        The very same array where the network's units are reflectance.
        """
        shifted = mean - np.float32(self.optical_offset) if self.optical_offset else mean
        return (shifted / np.float32(self.optical_scale) if self.optical_scale != 1 else shifted).astype(np.float32, copy=False)

    def std_to_reflectance(self, std: FloatArray) -> FloatArray:
        """A standard deviation in network units as reflectance, float32: scaled, never shifted."""
        return (std / np.float32(self.optical_scale)).astype(np.float32, copy=False)

    def of_optical(self, factor: float, term: float) -> Self:
        """The normaliser that does the same from optical values that `value * factor + term` turns into those this one takes.

        Args:
            factor: Above 0.
            term: In the units that this one takes.
        """
        clip = None if self.optical_clip is None else ((self.optical_clip[0] - term) / factor, (self.optical_clip[1] - term) / factor)
        return replace(
            self,
            optical_clip=clip,
            optical_scale=self.optical_scale * factor,
            optical_offset=self.optical_offset + self.optical_scale * term,
        )

    def of_sar(self, factor: float, term: float) -> Self:
        """The same for Sentinel-1."""
        return replace(self, sar_clip=tuple(((low - term) / factor, (high - term) / factor) for low, high in self.sar_clip))

    def to_dict(self) -> dict[str, Any]:
        """Its fields as JSON keeps them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave, after any number of JSON round trips.

        Raises:
            InputError: When keys are missing or unknown, or a value is not allowed.
        """
        require_fields(cls, stored)
        clip = stored["optical_clip"]
        return cls(
            sar_clip=tuple(_pair(pair) for pair in stored["sar_clip"]),
            sar_range=_pair(stored["sar_range"]),
            sar_fill=float(stored["sar_fill"]),
            optical_clip=None if clip is None else _pair(clip),
            optical_scale=float(stored["optical_scale"]),
            optical_offset=float(stored["optical_offset"]),
            optical_fill=float(stored["optical_fill"]),
        )


def _linear(values: FloatArray, scale: float, offset: float) -> FloatArray:
    """`values x scale + offset` in place: tiles are large, and a pass over one that changes nothing is left out."""
    if scale != 1:
        values *= np.float32(scale)
    if offset:
        values += np.float32(offset)
    return values


def _filled(values: FloatArray, source: FloatArray, fill: float) -> FloatArray:
    """The values with a fill, put in place, wherever their source is not finite."""
    finite = np.isfinite(source)
    if not finite.all():
        values[~finite] = fill
    return values


def _pair(values: Any) -> tuple[float, float]:  # noqa: ANN401 - JSON as it came
    low, high = values
    return float(low), float(high)
