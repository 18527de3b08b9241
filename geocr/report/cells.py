"""Where in a scene something was replaced: pixels by class, cell by cell, counted while the provenance is read once in strips of rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocr.core.types import BoolArray, FloatArray, Window
from geocr.io.raster import rasterio_window
from geocr.report.classes import provenance_classes, values_of
from geocr.report.result import OpenResult

CELL_PX = 384
"""Side of a cell, and of the chips shown at full resolution: fits a phone with the scene's own pixels."""

FEW_CELLS = 16
"""A scene of so many cells is shown by half as many chips: more would be the scene once again."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellCounts:
    """Pixels by class in every cell. Cells start every `CELL_PX` pixels from the first; those at the end are smaller."""

    shape: tuple[int, int]
    """Rows and columns of the scene."""
    counts: NDArray[np.int64]
    """`(256, rows of cells, columns of cells)`, by class value."""

    def window(self, row: int, col: int) -> Window:
        """The chip of a cell: always full-sized unless the scene is smaller, shifted inward at the end."""
        height, width = min(CELL_PX, self.shape[0]), min(CELL_PX, self.shape[1])
        return Window(
            row=min(row * CELL_PX, self.shape[0] - height), col=min(col * CELL_PX, self.shape[1] - width), height=height, width=width
        )

    def totals(self) -> dict[int, int]:
        """Pixels of the scene by class value, for values that occur."""
        sums = self.counts.sum(axis=(1, 2))
        return {int(value): int(sums[value]) for value in np.flatnonzero(sums)}


def count_cells(result: OpenResult) -> CellCounts:
    """Count every pixel of the provenance raster; one strip of `CELL_PX` rows is held at a time."""
    rows, cols = result.provenance.shape
    down, across = -(-rows // CELL_PX), -(-cols // CELL_PX)
    counts = np.zeros((256, down, across), np.int64)
    cell_of_col = np.arange(cols) // CELL_PX
    for row in range(down):
        height = min(CELL_PX, rows - row * CELL_PX)
        strip = result.provenance.read(1, window=rasterio_window(Window(row=row * CELL_PX, col=0, height=height, width=cols)))
        together = strip.astype(np.intp) + 256 * cell_of_col
        counts[:, row] = np.bincount(together.ravel(), minlength=256 * across).reshape(across, 256).T
    return CellCounts(shape=(rows, cols), counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A part of the scene to be shown pixel by pixel."""

    window: Window
    reason: str
    """Why this one."""


def choose_chips(result: OpenResult, cells: CellCounts, unsureness: FloatArray | None, *, each: int | None = None) -> tuple[Chip, ...]:
    """Chips where the most was replaced, where that is least sure, and of the middling kind; the same for the same scene.

    Args:
        result: The run.
        cells: Its pixels by class.
        unsureness: `(rows of cells, columns of cells)` mean standard deviation of what was replaced, NaN where nothing was; None without.
        each: How many of each kind; 2, or 1 in a scene of few cells, when None.
    """
    each = each or (2 if cells.counts[0].size > FEW_CELLS else 1)
    replaced = cells.counts[values_of(provenance_classes(result.provenance), replaced=True)].sum(axis=0)
    area = cells.counts[1:].sum(axis=0)
    taken: BoolArray = replaced < np.maximum(1, 0.01 * area)
    chips: list[Chip] = []

    def take(order: NDArray[np.intp], reason: str) -> None:
        found = 0
        for flat in order:
            row, col = (int(index) for index in np.unravel_index(flat, replaced.shape))
            if not taken[row, col] and found < each:
                taken[row, col] = True
                found += 1
                chips.append(Chip(window=cells.window(row, col), reason=reason))

    take(np.argsort(-replaced, axis=None, kind="stable"), "most replaced")
    if unsureness is not None:
        unsure = np.where(np.isfinite(unsureness) & (replaced >= 0.05 * CELL_PX**2), unsureness, -1.0)
        order = np.argsort(-unsure, axis=None, kind="stable")
        take(order[unsure.ravel()[order] >= 0], "least sure")
    touched = np.sort(replaced[replaced > 0])
    middle = touched[len(touched) // 2] if touched.size else 0
    take(np.argsort(np.abs(replaced - middle), axis=None, kind="stable"), "typical")
    return tuple(chips)
