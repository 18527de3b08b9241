"""Pixels of a scene for its statistics: a fixed sample, the same for the same scene, in memory that its size does not decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocr.core.types import BoolArray, FloatArray, Window
from geocr.io.raster import rasterio_window
from geocr.report.cells import CellCounts
from geocr.report.classes import ProvenanceClass, values_of
from geocr.report.result import OpenResult

MOST_CELLS = 32
"""Cells that are read, at most."""
STEP_PX = 3
"""Of a cell every third pixel of every third row: neighbours say nearly the same."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelSample:
    """Pixels of a scene at full resolution."""

    groups: dict[str, FloatArray]
    """What kind of pixel to `(band, n)` reflectance, NaN where a band holds nothing."""
    std: FloatArray | None
    """`(band, n)` standard deviation of the reconstructed pixels, reflectance; None without."""
    cells: int
    """How many parts of the scene were read."""
    unchanged: tuple[int, int] | None
    """Observed pixels that were compared with the input, and how many of them are the same in every band; None without the input."""


def sample_pixels(result: OpenResult, cells: CellCounts, classes: Sequence[ProvenanceClass]) -> PixelSample:
    """Read a sample of observed and replaced pixels.

    Half of the parts read are spread evenly over the cells that hold a replaced pixel, half over those that hold an observed one.

    Args:
        result: The run.
        cells: Its pixels by class.
        classes: What the classes are.
    """
    scale, offset = result.scale
    pixels: dict[str, list[FloatArray]] = {}
    deviations: list[FloatArray] = []
    compared = same = 0
    windows = _spread(cells, classes)
    for window in windows:
        kinds = result.provenance.read(1, window=rasterio_window(window))[::STEP_PX, ::STEP_PX]
        dn = _read(result, window)
        reflectance = dn * np.float32(scale) + np.float32(offset)
        for name, values in _groups(classes).items():
            chosen = np.isin(kinds, values)
            pixels.setdefault(name, []).append(reflectance[:, chosen])
        if result.std is not None:
            deviations.append(_read_std(result, window)[:, np.isin(kinds, _reconstructed(classes))])
        if result.before is not None:
            equal = _equal_to_input(result, window)[kinds == _observed(classes)]
            compared, same = compared + equal.size, same + int(equal.sum())
    empty = np.zeros((result.scene.count, 0), np.float32)
    return PixelSample(
        groups={name: np.concatenate([empty, *parts], axis=1) for name, parts in pixels.items() if any(part.size for part in parts)},
        std=np.concatenate(deviations, axis=1) if deviations else None,
        cells=len(windows),
        unchanged=(compared, same) if result.before is not None else None,
    )


def _groups(classes: Sequence[ProvenanceClass]) -> dict[str, list[int]]:
    """Observed, reconstructed by whatever means, and every other class by its own name."""
    groups: dict[str, list[int]] = {}
    for kind in classes:
        if kind.value != 0:
            groups.setdefault("reconstructed" if kind.reconstructed else kind.name, []).append(kind.value)
    return groups


def _reconstructed(classes: Sequence[ProvenanceClass]) -> list[int]:
    return [kind.value for kind in classes if kind.reconstructed]


def _observed(classes: Sequence[ProvenanceClass]) -> int:
    return next((kind.value for kind in classes if kind.value != 0 and not kind.replaced), -1)


def _spread(cells: CellCounts, classes: Sequence[ProvenanceClass]) -> list[Window]:
    chosen: list[tuple[int, int]] = []
    for replaced in (True, False):
        held = cells.counts[values_of(classes, replaced=replaced)].sum(axis=0)
        places = np.argwhere(held > 0)
        picks = np.linspace(0, max(0, len(places) - 1), min(len(places), MOST_CELLS // 2)).round().astype(np.intp)
        chosen += [(int(places[pick][0]), int(places[pick][1])) for pick in picks]
    return [cells.window(row, col) for row, col in sorted(set(chosen))]


def _read(result: OpenResult, window: Window) -> FloatArray:
    """Every third pixel of all bands, `(band, y, x)` float32 DN; NaN where a band holds nothing."""
    parts = []
    for band in range(1, result.scene.count + 1):
        pixels = result.scene.read(band, window=rasterio_window(window), masked=True)[::STEP_PX, ::STEP_PX]
        parts.append(pixels.astype(np.float32).filled(np.nan))
    return np.stack(parts)


def _read_std(result: OpenResult, window: Window) -> FloatArray:
    """The same of the standard deviation, in reflectance; NaN where there is none."""
    if result.std is None:
        raise ValueError("the run has no standard deviation")
    parts = []
    for band in range(1, result.std.count + 1):
        counts = result.std.read(band, window=rasterio_window(window), masked=True)[::STEP_PX, ::STEP_PX]
        known = counts.astype(np.float32).filled(np.nan) * np.float32(result.std.scales[band - 1])
        parts.append(np.where(known > 0, known, np.float32(np.nan)))
    return np.stack(parts)


def _equal_to_input(result: OpenResult, window: Window) -> BoolArray:
    """`(y, x)`, True where the bands that both name hold the very same value."""
    before = result.files.before
    if result.before is None or before is None:
        raise ValueError("the input is not open")
    pairs = [(i, before.bands.index(name) + 1) for i, name in enumerate(result.bands, start=1) if name and name in before.bands]
    if not pairs:
        pairs = [(i, i) for i in range(1, min(result.scene.count, result.before.count) + 1)]
    shape = (-(-window.height // STEP_PX), -(-window.width // STEP_PX))
    equal: BoolArray = np.ones(shape, bool)
    for ours, theirs in pairs:
        one, two = (
            dataset.read(band, window=rasterio_window(window))[::STEP_PX, ::STEP_PX]
            for dataset, band in ((result.scene, ours), (result.before, theirs))
        )
        equal &= _same_values(one, two)
    return equal


def _same_values(one: NDArray[np.generic], two: NDArray[np.generic]) -> BoolArray:
    both_nan = (one != one) & (two != two)  # noqa: PLR0124 - NaN alone is not itself, and integers have none
    return np.asarray((one == two) | both_nan, bool)
