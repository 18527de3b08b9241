"""One straight line per band from another date's reflectance to the scene's, over the ground that did not change."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from geocr.core.types import BoolArray, FloatArray

_Numbers: TypeAlias = NDArray[np.float64]

NO_CHANGE = 2.5
"""Root mean square over the bands of residuals in robust standard deviations, up to which a pixel counts as unchanged."""
_ROUNDS = 12
_GAINS = (0.25, 4.0)
"""Gains outside are taken for a fit that failed: the difference of medians remains."""
_LEAST_SPREAD = 1e-4
"""Reflectance; a smaller spread of residuals is that of rounding to counts."""
_NORMAL_IQR = 1.3489795
"""Interquartile range of the normal distribution in standard deviations; 0.6744898 of one is its median absolute deviation."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """`scene = gain x other + offset`, band by band, in reflectance; all `(bands,)` float64."""

    gain: _Numbers
    offset: _Numbers
    centre: _Numbers
    """Mean of the other date's reflectance over unchanged ground."""
    variance: _Numbers
    """Its variance there."""
    spread: _Numbers
    """Robust standard deviation of the residuals."""

    def residual(self, other: NDArray[Any], scene: NDArray[Any]) -> _Numbers:
        """What the line leaves of the scene: `(bands, ...)` float64."""
        shape = (-1, *(1,) * (other.ndim - 1))
        out: _Numbers = scene - (self.gain.reshape(shape) * other + self.offset.reshape(shape))
        return out

    def unchanged(self, residual: _Numbers) -> BoolArray:
        """Pixels whose residuals are ordinary: `(...)` bool."""
        scaled = residual / self.spread.reshape(-1, *(1,) * (residual.ndim - 1))
        ordinary: BoolArray = np.mean(scaled * scaled, axis=0) <= NO_CHANGE**2
        return ordinary


def fit_line(other: FloatArray, scene: FloatArray) -> Line:
    """Fit by least squares on the pixels that the fit itself finds unchanged, until these no longer change.

    Regression over a no-change set, after Elvidge et al. (1995, Photogrammetric Engineering & Remote Sensing 61, 1255-1260); the set is
    what lies within `NO_CHANGE` robust standard deviations of the line, and the first line maps quartiles onto quartiles, so that nearly a
    quarter of changed ground or missed cloud, however bright, does not turn it.

    Args:
        other: `(bands, n)` reflectance of the other date at pixels that are clear on both.
        scene: The same pixels of the scene. At least two pixels.
    """
    x, y = other.astype(np.float64), scene.astype(np.float64)
    line = _quartile_line(x, y)
    kept: BoolArray = np.zeros(x.shape[1], bool)
    for _ in range(_ROUNDS):
        before, kept = kept, line.unchanged(line.residual(x, y))
        if np.array_equal(before, kept) or kept.sum() < 2:
            break
        line = _least_squares(x[:, kept], y[:, kept])
    return line


def _quartile_line(x: _Numbers, y: _Numbers) -> Line:
    low_x, middle_x, high_x = np.quantile(x, (0.25, 0.5, 0.75), axis=1)
    low_y, middle_y, high_y = np.quantile(y, (0.25, 0.5, 0.75), axis=1)
    gain = _plausible((high_y - low_y) / np.maximum(high_x - low_x, 1e-12))
    offset = middle_y - gain * middle_x
    variance = ((high_x - low_x) / _NORMAL_IQR) ** 2
    return _line(gain=gain, offset=offset, centre=middle_x, variance=variance, x=x, y=y)


def _least_squares(x: _Numbers, y: _Numbers) -> Line:
    centre, middle = x.mean(axis=1), y.mean(axis=1)
    u, v = x - centre[:, None], y - middle[:, None]
    variance = (u * u).mean(axis=1)
    gain = _plausible((u * v).mean(axis=1) / np.maximum(variance, 1e-12))
    return _line(gain=gain, offset=middle - gain * centre, centre=centre, variance=variance, x=x, y=y)


def _plausible(gain: _Numbers) -> _Numbers:
    low, high = _GAINS
    kept: _Numbers = np.where((gain >= low) & (gain <= high), gain, 1.0)
    return kept


def _line(*, gain: _Numbers, offset: _Numbers, centre: _Numbers, variance: _Numbers, x: _Numbers, y: _Numbers) -> Line:
    residual = y - (gain[:, None] * x + offset[:, None])
    spread = np.median(np.abs(residual), axis=1) / (_NORMAL_IQR / 2)
    return Line(gain=gain, offset=offset, centre=centre, variance=np.maximum(variance, 1e-8), spread=np.maximum(spread, _LEAST_SPREAD))
