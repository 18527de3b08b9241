"""A spatial split: square blocks go to train, validation or test, with a gap between any two of them.

Neighbouring patches look alike, so a split by patches tests what was trained on (Roberts et al., Ecography 40, 2017, on
block cross-validation). Here a patch belongs to a split only when it lies inside one block shrunk by half the gap: two
patches of different splits are at least the gap apart, whatever their dates. What lies on the borders is not used.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import TypeAlias

from geocr.core.errors import InputError

Bounds: TypeAlias = tuple[float, float, float, float]
"""`(west, south, east, north)` in units of a CRS."""
SPLITS = ("train", "val", "test")
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSplit:
    """Blocks of a square lattice in a CRS, each in one split."""

    size: float
    """Side of a block, in units of the CRS."""
    gap: float
    """Least distance between patches of different splits, same unit."""
    origin: tuple[float, float]
    """Corner of block `(0, 0)`; blocks grow to the east and north."""
    blocks: Mapping[tuple[int, int], str]
    """`(column, row)` of a block to its split."""

    def __post_init__(self) -> None:
        """Refuse gaps that leave nothing of a block."""
        if not (self.size > 0 and 0 <= self.gap < self.size):
            raise InputError(
                f"a split needs blocks wider than its gap, and no negative gap; got blocks of {self.size} and a gap of {self.gap}"
            )

    def region(self, block: tuple[int, int]) -> Bounds:
        """What of a block may be used: all but half the gap along its sides."""
        west, south = self.origin[0] + block[0] * self.size, self.origin[1] + block[1] * self.size
        half = self.gap / 2
        return west + half, south + half, west + self.size - half, south + self.size - half

    def regions(self, split: str) -> list[Bounds]:
        """The usable parts of all blocks of a split, in a fixed order.

        Raises:
            InputError: When there is no such split.
        """
        known = sorted(set(self.blocks.values()))
        if split not in known:
            raise InputError(f"a split must be one of {', '.join(known)}, got {split!r}")
        return [self.region(block) for block in sorted(self.blocks) if self.blocks[block] == split]

    def split_of(self, bounds: Bounds) -> str | None:
        """The split a patch belongs to; None when it is on a border, or in no block."""
        west, south, east, north = bounds
        block = (floor((west - self.origin[0]) / self.size), floor((south - self.origin[1]) / self.size))
        if block not in self.blocks:
            return None
        region = self.region(block)
        inside = region[0] <= west and region[1] <= south and east <= region[2] and north <= region[3]
        return self.blocks[block] if inside else None


def split_blocks(
    extents: Sequence[Bounds],
    *,
    size: float,
    gap: float,
    least: float = 0.0,
    fractions: Mapping[str, float] = DEFAULT_FRACTIONS,
    seed: int = 0,
    origin: tuple[float, float] | None = None,
) -> BlockSplit:
    """Split the blocks that the extents touch.

    Every split with a fraction gets at least one block, the others by largest remainder. Which ones is decided by a hash of
    the seed and the block's place, so the order of the extents does not matter.

    Args:
        extents: What is to be split, for example the bounds of scenes.
        size: Side of a block.
        gap: Least distance between patches of different splits.
        least: Side of a square that must fit into the usable part of a block and one extent; blocks in which it does not, such as strips
            along the edge of a scene, are in no split, so that no split is made of them alone.
        fractions: Split to share of the blocks; must sum to 1.
        seed: Another seed is another split.
        origin: Corner of a block; the lower left of all extents when None.

    Raises:
        InputError: When fractions do not sum to 1, or there are fewer blocks than splits.
    """
    if not extents:
        raise InputError("a split needs at least one extent, got none")
    if any(value < 0 for value in fractions.values()) or abs(sum(fractions.values()) - 1) > 1e-9:
        raise InputError(f"fractions of a split must not be negative and sum to 1, got {dict(fractions)} (sum {sum(fractions.values()):g})")
    if not size > 0:
        raise InputError(f"blocks must have a positive side, got {size}")
    corner = origin or (min(extent[0] for extent in extents), min(extent[1] for extent in extents))
    found = sorted(
        {block for extent in extents for block in _touched(extent, size, corner) if _room(block, extent, size, gap, corner) >= least},
        key=lambda block: _rank(seed, block),
    )
    wanted = [name for name in fractions if fractions[name] > 0]
    if len(found) < len(wanted):
        raise InputError(
            f"a split into {', '.join(wanted)} needs at least {len(wanted)} blocks; blocks of {size:g} give {len(found)}"
            f"{f' in which a patch of {least:g} fits beside the gap of {gap:g}' if least else ''}; choose smaller blocks"
            f"{', smaller patches or a smaller gap' if least else ''}"
        )
    blocks: dict[tuple[int, int], str] = {}
    first = 0
    for name, count in _counts(len(found), {name: fractions[name] for name in wanted}).items():
        blocks |= dict.fromkeys(found[first : first + count], name)
        first += count
    return BlockSplit(size=size, gap=gap, origin=corner, blocks=blocks)


def _touched(extent: Bounds, size: float, origin: tuple[float, float]) -> list[tuple[int, int]]:
    cols = range(
        floor((extent[0] - origin[0]) / size), max(ceil((extent[2] - origin[0]) / size), 1 + floor((extent[0] - origin[0]) / size))
    )
    rows = range(
        floor((extent[1] - origin[1]) / size), max(ceil((extent[3] - origin[1]) / size), 1 + floor((extent[1] - origin[1]) / size))
    )
    return [(col, row) for col in cols for row in rows]


def _room(block: tuple[int, int], extent: Bounds, size: float, gap: float, origin: tuple[float, float]) -> float:
    """The shorter side of what an extent and the usable part of a block have in common, to a millionth of a block."""
    west, south = origin[0] + block[0] * size + gap / 2, origin[1] + block[1] * size + gap / 2
    width = min(west + size - gap, extent[2]) - max(west, extent[0])
    height = min(south + size - gap, extent[3]) - max(south, extent[1])
    return min(width, height) + 1e-6 * size


def _rank(seed: int, block: tuple[int, int]) -> bytes:
    return hashlib.sha256(f"{seed}/{block[0]}/{block[1]}".encode()).digest()


def _counts(total: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Largest remainders, at least one each."""
    spare = total - len(fractions)
    shares = {name: max(0.0, value * total - 1) for name, value in fractions.items()}
    scale = spare / sum(shares.values()) if sum(shares.values()) > 0 else 0.0
    exact = {name: share * scale for name, share in shares.items()}
    counts = {name: 1 + floor(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: (-(exact[name] - floor(exact[name])), name)):
        if sum(counts.values()) == total:
            break
        counts[name] += 1
    while sum(counts.values()) < total:  # all fractions were met by one block each
        counts[max(fractions, key=lambda name: fractions[name])] += 1
    return counts
