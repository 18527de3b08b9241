"""Do tiles show? The jump across tile lines against the jump elsewhere, over reconstructed pixels.

A reconstruction that depends on its tile (normalisation or attention over the whole tile) leaves steps where one tile ends. The
figure is the mean absolute difference between neighbouring pixels across the lines where a tile's weight begins or ends, divided
by the same mean half a tile away: about 1 when tiles do not show.
"""

from dataclasses import dataclass, field

import numpy as np

from geocr.core.types import NumberArray
from geocr.grid.lattice import AxisTile, Lattice
from geocr.inference.products import FinishedRows, Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamSums:
    """Sums of absolute differences, in digital numbers, that add up over parts of a scene."""

    on: float = 0.0
    """Across tile lines."""
    on_pairs: int = 0
    """How many pairs of pixels."""
    off: float = 0.0
    """Half a tile away from them."""
    off_pairs: int = 0
    """How many pairs of pixels."""

    def __add__(self, other: "SeamSums") -> "SeamSums":
        return SeamSums(
            on=self.on + other.on,
            on_pairs=self.on_pairs + other.on_pairs,
            off=self.off + other.off,
            off_pairs=self.off_pairs + other.off_pairs,
        )

    @property
    def ratio(self) -> float | None:
        """Mean jump on tile lines over the mean jump off them; None where there is nothing to compare."""
        if not self.on_pairs or not self.off_pairs or not self.off:
            return None
        return (self.on / self.on_pairs) / (self.off / self.off_pairs)


@dataclass(slots=True, kw_only=True)
class SeamCounter:
    """Collects seam sums from finished rows, which come from top to bottom.

    Attributes:
        lattice: Where tiles begin and end.
    """

    lattice: Lattice
    _last: tuple[int, NumberArray, NumberArray] | None = field(default=None)

    def count(self, rows: FinishedRows) -> SeamSums:
        """Sums of a chunk of rows, its upper edge to the chunk before included."""
        pixels, rebuilt = rows.scene, rows.provenance[0] >= Provenance.RECONSTRUCTED_WITH_SAR
        above, self._last = self._last, (rows.row + pixels.shape[1], pixels[:, -1:].copy(), rebuilt[-1:].copy())
        on, off = _lines(self.lattice.rows)
        sums = SeamSums()
        if above is not None and above[0] == rows.row:  # the edge between the chunks alone: joining them would copy both
            edge, edge_rebuilt = np.concatenate([above[1], pixels[:, :1]], axis=1), np.concatenate([above[2], rebuilt[:1]])
            sums += _both_sums(edge, edge_rebuilt, [line - rows.row + 1 for line in on], [line - rows.row + 1 for line in off])
        if not rebuilt.any():
            return sums
        sums += _both_sums(pixels, rebuilt, [line - rows.row for line in on], [line - rows.row for line in off])
        return sums + _both_sums(pixels.transpose(0, 2, 1), rebuilt.T, *_lines(self.lattice.cols))


def _lines(tiles: tuple[AxisTile, ...]) -> tuple[list[int], list[int]]:
    """First pixels behind each line where a tile's weight begins or ends, and of lines midway between."""
    on = sorted({line for tile in tiles[:-1] for line in (tile.own_stop, tile.keep_stop)})
    off = [(tile.keep_start + tile.own_stop) // 2 for tile in tiles]
    return on, [line for line in off if line not in on]


def _both_sums(pixels: NumberArray, rebuilt: NumberArray, on: list[int], off: list[int]) -> SeamSums:
    return _sums(pixels, rebuilt, on, on=True) + _sums(pixels, rebuilt, off, on=False)


def _sums(pixels: NumberArray, rebuilt: NumberArray, lines: list[int], *, on: bool) -> SeamSums:
    """Sums over pairs of rows `line - 1` and `line` in which both pixels were reconstructed."""
    inside = [line for line in lines if 0 < line < pixels.shape[1]]
    if not inside:
        return SeamSums()
    upper, lower = np.array(inside) - 1, np.array(inside)
    both = rebuilt[upper] & rebuilt[lower]
    jumps = np.abs(pixels[:, lower].astype(np.float64) - pixels[:, upper].astype(np.float64))
    total, pairs = float(jumps[:, both].sum()), int(both.sum()) * pixels.shape[0]
    return SeamSums(on=total, on_pairs=pairs) if on else SeamSums(off=total, off_pairs=pairs)
