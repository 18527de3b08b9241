"""How far two pictures of one place are shifted against each other: phase correlation of their edges.

Radar and optical sensors see different things in different units, but field borders, shores, roads and buildings are edges in both. So
both are reduced to the magnitude of their gradient, and chips of these are correlated by phase (Kuglin and Hines 1975, The Phase
Correlation Image Alignment Method): the inverse Fourier transform of the cross spectrum at unit magnitude is sharp where one
chip must be moved to lie on the other. High frequencies, in which radar has little but speckle, are damped. Surfaces of all chips are
added before the peak is sought, since one chip alone may have none; the position between pixels is that of a parabola through the
peak and its neighbours.

Clouds lie at the same place in both pictures once they are masked, and would pull the result towards no shift. So the rims of what is left
out are faded, and the measurement is repeated with the first picture moved back by what was found, until less than half a pixel is left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import hypot
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, sobel

from geocr.core.types import BoolArray, FloatArray

_Scalar = TypeVar("_Scalar", np.bool_, np.float64)

SEARCH_PX = 12
"""Largest shift looked for, along each axis."""
EDGE_BLUR_PX = 1.5
"""Standard deviation of the Gaussian before the gradient: speckle goes, borders of fields stay."""
SOFT_PX = 8
"""Width over which pictures fade out towards what may not be compared."""
PASSES = 5
"""Most repetitions."""
PASS_CYCLES_PER_PX = 0.12
"""Standard deviation of the low pass over the cross spectrum."""
CLEAR_PEAK = 5.0
"""Height of the peak, in standard deviations of the surface around it, from which a shift counts as found; unrelated pictures reach 4."""
AGREEING_PX = 1.0
"""Median distance of single chips' shifts from the common one up to which they count as agreeing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A measured shift of the first picture against the second."""

    rows: float
    """Pixels down; negative is up."""
    cols: float
    """Pixels to the right; negative is to the left."""
    peak: float
    """Height of the correlation's peak, in standard deviations of the surface."""
    spread_px: float
    """Median distance of single chips' shifts from this one."""
    chips: int
    """Chips that it was measured on."""

    @property
    def length_px(self) -> float:
        """Its length in pixels."""
        return hypot(self.rows, self.cols)

    @property
    def is_clear(self) -> bool:
        """Whether the peak stands out, the chips agree, and it does not lie at the edge of the search."""
        inside = max(abs(self.rows), abs(self.cols)) < SEARCH_PX - 0.5
        return self.peak >= CLEAR_PEAK and self.spread_px <= AGREEING_PX and inside


def measure_shift(chips: Iterable[tuple[FloatArray, FloatArray, BoolArray]]) -> Shift | None:
    """The shift of first pictures against second ones, over all chips together.

    Args:
        chips: Of each the first and the second picture, `(band, y, x)` float32, and `(y, x)` bool, True where both may be compared;
            values elsewhere are not read. All chips are squares of one size, of 32 pixels or more.

    Returns:
        The shift, or None without chips.
    """
    edges = [_Edges.of(*chip) for chip in chips]
    if not edges:
        return None
    row, col = 0, 0
    for _ in range(PASSES):
        surfaces = [chip.surface(row, col) for chip in edges]
        rows, cols, height = _peak(np.sum(surfaces, axis=0))
        found = Shift(rows=row + rows, cols=col + cols, peak=height, spread_px=_spread(surfaces, rows, cols), chips=len(edges))
        row, col = round(found.rows), round(found.cols)
        if max(abs(rows), abs(cols)) <= 0.5 or max(abs(row), abs(col)) > SEARCH_PX:
            break
    return found


def _spread(surfaces: Sequence[NDArray[np.float64]], rows: float, cols: float) -> float:
    return float(np.median([hypot(row - rows, col - cols) for row, col, _ in map(_peak, surfaces)]))


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Edges of both pictures of a chip, and where they may not be compared."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    excluded: BoolArray

    @classmethod
    def of(cls, first: FloatArray, second: FloatArray, usable: BoolArray) -> "_Edges":
        excluded: BoolArray = binary_dilation(~usable, iterations=round(3 * EDGE_BLUR_PX))
        return cls(_edges(first, usable, excluded), _edges(second, usable, excluded), excluded)

    def surface(self, row: int, col: int) -> NDArray[np.float64]:
        """Correlation with the first picture moved back by whole pixels, over what may be compared then."""
        weight = _soft(_moved(self.excluded, -row, -col, fill=True) | self.excluded)
        return _surface(_moved(self.first, -row, -col, fill=0.0) * weight, self.second * weight)


def _moved(array: NDArray[_Scalar], row: int, col: int, *, fill: float) -> NDArray[_Scalar]:
    """An array moved down and right by whole pixels."""
    out = np.full_like(array, fill)
    rows, cols = array.shape
    to, source = (
        (slice(max(0, row), rows + min(0, row)), slice(max(0, col), cols + min(0, col))),
        (
            slice(max(0, -row), rows + min(0, -row)),
            slice(max(0, -col), cols + min(0, -col)),
        ),
    )
    out[to] = array[source]
    return out


def _soft(excluded: BoolArray) -> NDArray[np.float64]:
    """Weights that rise from 0 at what is excluded to 1 a few pixels away: a hard border would be an edge in both pictures."""
    if not excluded.any():
        return np.ones(excluded.shape)
    rise: NDArray[np.float64] = np.clip(distance_transform_edt(~excluded) / SOFT_PX, 0, 1)
    return rise * rise * (3 - 2 * rise)


def _edges(picture: FloatArray, usable: BoolArray, excluded: BoolArray) -> NDArray[np.float64]:
    """Gradient magnitude of all bands together, at zero mean and unit deviation; 0 where it is excluded."""
    if excluded.all():
        return np.zeros(usable.shape)
    edges = np.zeros(usable.shape)
    for band in picture:
        filled = np.where(usable, band, np.median(band[usable])).astype(np.float64)
        smooth = gaussian_filter(filled, EDGE_BLUR_PX)
        gradient = np.hypot(sobel(smooth, 0), sobel(smooth, 1))
        edges += gradient / (gradient[~excluded].std() + 1e-12)
    inside = edges[~excluded]
    if inside.std() < 1e-6:
        return np.zeros(usable.shape)
    return np.where(excluded, 0.0, np.clip((edges - inside.mean()) / inside.std(), -2, 4))  # clipped: one bright ship is not the place


def _surface(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation by phase over the shifts looked for, `(2 SEARCH_PX + 1)` squared, no shift in the middle; unit deviation."""
    size = first.shape[0]
    taper = np.hanning(size)[:, None] * np.hanning(size)[None, :]
    cross = np.fft.fft2(first * taper) * np.conj(np.fft.fft2(second * taper))
    frequency = np.fft.fftfreq(size)
    damping = np.exp(-(frequency[:, None] ** 2 + frequency[None, :] ** 2) / (2 * PASS_CYCLES_PER_PX**2))
    surface = np.real(np.fft.ifft2(cross / (np.abs(cross) + 1e-12) * damping))
    reach = min(SEARCH_PX, size // 2 - 1)
    near: NDArray[np.float64] = np.roll(surface, (reach, reach), (0, 1))[: 2 * reach + 1, : 2 * reach + 1]
    return near / (surface.std() or 1.0)


def _peak(surface: NDArray[np.float64]) -> tuple[float, float, float]:
    """Rows and columns of the peak from the middle, between pixels, and its height in standard deviations."""
    reach = surface.shape[0] // 2
    row, col = (int(place) for place in np.unravel_index(int(surface.argmax()), surface.shape))
    height = float((surface.max() - surface.mean()) / (surface.std() or 1.0))
    return row - reach + _between(surface[:, col], row), col - reach + _between(surface[row], col), height


def _between(line: NDArray[np.float64], place: int) -> float:
    """Where the parabola through a maximum and its two neighbours peaks, from the maximum."""
    if not 0 < place < line.size - 1:
        return 0.0
    before, here, after = (float(value) for value in line[place - 1 : place + 2])
    curvature = before - 2 * here + after
    return 0.0 if curvature == 0 else 0.5 * (before - after) / curvature
