"""Samplers of patches over scenes, on torchgeo's `GeoSampler`: random and grid, held to a split, filtered.

Both cut patches on the pixels of the dataset, inside one scene, and in one pair of scenes (the one that holds the patch's centre).
torchgeo's grid runs past the edge of a scene and skips scenes smaller than a patch; here the last patch is moved inward.
"""

from collections.abc import Callable, Iterator, Sequence
from math import ceil, floor
from typing import Any, TypeAlias

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry
from torchgeo.datasets import GeoDataset
from torchgeo.samplers import GeoSampler

from geocr.core.errors import InputError, NoPatchError
from geocr.data.blocks import Bounds

Patch: TypeAlias = tuple[slice, slice, slice]
"""`[xmin:xmax, ymin:ymax, tmin:tmax]`, torchgeo's GeoSlice."""
Keep: TypeAlias = Callable[[Patch], bool]
"""Says whether a patch is used; see `geocr.data.shares`."""

MAX_TRIES = 200
"""Draws in a row without a patch that `keep` takes, after which a random sampler gives up."""
_SLACK_PX = 1e-6


class _Area:
    """Where patches may lie in one pair of scenes and one region: whole pixels from a corner."""

    def __init__(self, bounds: Bounds, corner: tuple[float, float], res: tuple[float, float]) -> None:
        west, south, east, north = bounds
        first_col = ceil((west - corner[0]) / res[0] - _SLACK_PX)
        first_row = ceil((corner[1] - north) / res[1] - _SLACK_PX)
        self.cols = floor((east - corner[0]) / res[0] + _SLACK_PX) - first_col
        self.rows = floor((corner[1] - south) / res[1] + _SLACK_PX) - first_row
        self.left, self.top = corner[0] + first_col * res[0], corner[1] - first_row * res[1]
        self.res = res

    def box(self, row: int, col: int, size: int) -> Bounds:
        left, top = self.left + col * self.res[0], self.top - row * self.res[1]
        return left, top - size * self.res[1], left + size * self.res[0], top


class _SceneSampler(GeoSampler):
    """What both samplers share: the areas patches may lie in."""

    def __init__(self, dataset: GeoDataset, size_px: int, regions: Sequence[Bounds] | None, keep: Keep | None) -> None:
        if size_px < 1:
            raise InputError(f"a patch must be at least one pixel wide, got {size_px}")
        self.index = dataset.index  # what the base class of torchgeo 0.8 does; that of 0.10 does nothing
        self.res = dataset.res
        self.size_px = size_px
        self.keep = keep
        self.areas: list[tuple[int, _Area]] = []
        corner = _corner_of(dataset)
        for number in range(len(self.index)):
            extent = self._extent(number)
            for region in regions if regions is not None else [extent]:
                common = _overlap(extent, region)
                if common is None:
                    continue
                area = _Area(common, corner, self.res)
                if area.rows >= size_px and area.cols >= size_px:
                    self.areas.append((number, area))
        if not self.areas:
            raise NoPatchError(
                f"patches of {size_px} pixels must fit into a scene{' and a region of the split' if regions is not None else ''}; none does: "
                f"choose smaller patches{', or larger blocks or a smaller gap' if regions is not None else ''}"
            )

    def _extent(self, number: int) -> Bounds:
        geometry = self.index["extent"].iloc[number] if "extent" in self.index else self.index.geometry.iloc[number]
        bounds: Bounds = geometry.bounds
        return bounds

    def _patch(self, number: int, box: Bounds) -> Patch | None:
        """The query of a box; None when its centre belongs to another pair, or the filter refuses it."""
        west, south, east, north = box
        geometry: BaseGeometry = self.index.geometry.iloc[number]
        if not geometry.covers(shapely.Point((west + east) / 2, (south + north) / 2)):
            return None
        interval = self.index.index[number]
        patch = (slice(west, east), slice(south, north), slice(interval.left, interval.right))
        return patch if self.keep is None or self.keep(patch) else None


class GridSceneSampler(_SceneSampler):
    """All patches of a grid over each scene, the last ones moved inward to end with it; the same in every epoch.

    Args:
        dataset: `ScenePairs`, or any torchgeo `GeoDataset`.
        size_px: Side of a patch.
        stride_px: Distance between patches; `size_px` when None.
        regions: Where patches may lie, for example `BlockSplit.regions("train")`; everywhere when None.
        keep: Filter of patches.

    Raises:
        NoPatchError: When nothing of the size fits, or the filter refuses all.
    """

    def __init__(
        self,
        dataset: GeoDataset,
        size_px: int,
        *,
        stride_px: int | None = None,
        regions: Sequence[Bounds] | None = None,
        keep: Keep | None = None,
    ) -> None:
        super().__init__(dataset, size_px, regions, keep)
        stride = size_px if stride_px is None else stride_px
        if stride < 1:
            raise InputError(f"the distance between patches must be at least one pixel, got {stride}")
        self.rows: list[int] = []
        self.patches: list[Patch] = []
        for number, area in self.areas:
            for row in positions(area.rows, size_px, stride):
                for col in positions(area.cols, size_px, stride):
                    patch = self._patch(number, area.box(row, col, size_px))
                    if patch is not None:
                        self.rows.append(number)
                        self.patches.append(patch)
        if not self.patches:
            raise NoPatchError(f"at least one patch of {size_px} pixels must pass the filter; none of the grid does: relax it")

    def __iter__(self) -> Iterator[Patch]:
        """The patches, scene by scene, from the upper left."""
        return iter(self.patches)

    def __len__(self) -> int:
        return len(self.patches)


class RandomSceneSampler(_SceneSampler):
    """Patches at random places, each place equally likely; the same seed and epoch give the same patches.

    Args:
        dataset: `ScenePairs`, or any torchgeo `GeoDataset`.
        size_px: Side of a patch.
        length: Patches in an epoch.
        seed: Another seed is another sequence.
        regions: Where patches may lie, for example `BlockSplit.regions("train")`; everywhere when None.
        keep: Filter of patches.

    Raises:
        NoPatchError: When nothing of the size fits; while drawing, when the filter refuses nearly all.
    """

    def __init__(
        self,
        dataset: GeoDataset,
        size_px: int,
        *,
        length: int,
        seed: int = 0,
        regions: Sequence[Bounds] | None = None,
        keep: Keep | None = None,
    ) -> None:
        super().__init__(dataset, size_px, regions, keep)
        if length < 1:
            raise InputError(f"an epoch must have at least one patch, got {length}")
        self.length = length
        self.seed = seed
        self.epoch = 0
        places = np.array([(area.rows - size_px + 1) * (area.cols - size_px + 1) for _, area in self.areas], np.float64)
        self._shares = places / places.sum()

    def set_epoch(self, epoch: int) -> None:
        """Draw the patches of another epoch; Lightning calls it where it is told to by its name."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Patch]:
        """Draw the patches of the epoch."""
        rng = np.random.default_rng([self.seed, self.epoch])
        for _ in range(self.length):
            yield self._draw(rng)

    def __len__(self) -> int:
        return self.length

    def _draw(self, rng: np.random.Generator) -> Patch:
        for _ in range(MAX_TRIES):
            number, area = self.areas[int(rng.choice(len(self.areas), p=self._shares))]
            row = int(rng.integers(area.rows - self.size_px + 1))
            col = int(rng.integers(area.cols - self.size_px + 1))
            patch = self._patch(number, area.box(row, col, self.size_px))
            if patch is not None:
                return patch
        raise NoPatchError(f"a random sampler needs places that pass its filter; {MAX_TRIES} draws in a row did not: relax the filter")


def positions(length: int, size: int, stride: int) -> list[int]:
    """Starts of patches along an axis: every `stride`, the last moved inward to end with the axis.

    Together they cover it when the stride is at most the size.
    """
    last = length - size
    return sorted({*range(0, last, stride), last})


def _corner_of(dataset: GeoDataset) -> tuple[float, float]:
    """A pixel corner of the dataset's lattice; of torchgeo's own datasets the upper left of all files."""
    owner: Any = getattr(dataset, "cloudy", dataset)
    lattice = getattr(owner, "lattice", None)
    if lattice is not None:
        corner: tuple[float, float] = lattice.origin
        return corner
    x, y, _ = dataset.bounds
    return float(x.start), float(y.stop)


def _overlap(one: Bounds, other: Bounds) -> Bounds | None:
    west, south = max(one[0], other[0]), max(one[1], other[1])
    east, north = min(one[2], other[2]), min(one[3], other[3])
    return (west, south, east, north) if west < east and south < north else None
