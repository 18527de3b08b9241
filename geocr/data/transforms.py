"""Augmentations of samples: geometry moves every image and mask alike, radiometry changes one modality.

Flips and right-angle turns move pixels without resampling them, so that masks stay exact and the georeference follows
(`meta["grid"]`). Draws come from torch's generator: `torch.manual_seed` and the seeds that a `DataLoader` gives its workers decide them.
Chain them with `torchvision.transforms.v2.Compose`.
"""

from collections.abc import Callable
from copy import copy
from typing import Any

import torch
from affine import Affine
from torch import Tensor
from torchvision.transforms.v2 import functional

from geocr.core.errors import InputError, SampleError
from geocr.data.sample import FusionSample
from geocr.io.grid import SceneGrid
from geocr.radiometry.normalize import DISPLAY_RANGE

_IMAGES = ("sar", "cloudy", "clear", "cloud_mask", "valid_mask")


def flip_columns(sample: FusionSample) -> FusionSample:
    """Mirror from left to right."""
    return _moved(sample, functional.horizontal_flip, lambda grid: _shifted(grid, Affine(-1, 0, grid.shape[1], 0, 1, 0), grid.shape))


def flip_rows(sample: FusionSample) -> FusionSample:
    """Mirror from top to bottom."""
    return _moved(sample, functional.vertical_flip, lambda grid: _shifted(grid, Affine(1, 0, 0, 0, -1, grid.shape[0]), grid.shape))


def turn(sample: FusionSample, quarters: int) -> FusionSample:
    """Turn counterclockwise by right angles.

    Radar looks from one side: slopes that face it are bright, and a turn moves them. A model for scenes as they come may
    learn better without turns.

    Args:
        sample: To turn.
        quarters: How many right angles, any integer.
    """
    for _ in range(quarters % 4):
        sample = _moved(sample, lambda tensor: torch.rot90(tensor, 1, (-2, -1)), _turned)
    return sample


def crop(sample: FusionSample, row: int, col: int, size: tuple[int, int]) -> FusionSample:
    """Cut out a window.

    Args:
        sample: To cut.
        row: First row.
        col: First column.
        size: `(rows, columns)` to keep.

    Raises:
        SampleError: When the window reaches outside.
    """
    height, width = sample["valid_mask"].shape
    if row < 0 or col < 0 or row + size[0] > height or col + size[1] > width:
        raise SampleError(
            f"a crop lies inside its sample of {height} x {width} pixels; got {size[0]} x {size[1]} at row {row}, column {col}"
        )
    return _moved(
        sample,
        lambda tensor: functional.crop(tensor, row, col, size[0], size[1]),
        lambda grid: _shifted(grid, Affine.translation(col, row), size),
    )


class RandomTurns:
    """One of the eight flips and turns of a square, each equally likely; of samples that are not square, one of four.

    Args:
        turns: Take right angles too, not only flips.
    """

    def __init__(self, *, turns: bool = True) -> None:
        self.turns = turns

    def __call__(self, sample: FusionSample) -> FusionSample:
        """Flip and turn at random."""
        height, width = sample["valid_mask"].shape
        if self.turns and height == width and _draw(2):
            sample = turn(sample, 1)
        if _draw(2):
            sample = flip_columns(sample)
        return flip_rows(sample) if _draw(2) else sample


class RandomCrop:
    """A window at a random place.

    Args:
        size_px: Its side.

    Raises:
        InputError: When it is not positive.
    """

    def __init__(self, size_px: int) -> None:
        self.size_px = _positive(size_px)

    def __call__(self, sample: FusionSample) -> FusionSample:
        """Cut at random; a sample of the very size stays.

        Raises:
            SampleError: When the sample is smaller.
        """
        height, width = sample["valid_mask"].shape
        rows, cols = max(1, height - self.size_px + 1), max(1, width - self.size_px + 1)
        return crop(sample, _draw(rows), _draw(cols), (self.size_px, self.size_px))


class CentreCrop:
    """The window in the middle, as many published evaluations take it.

    Args:
        size_px: Its side.

    Raises:
        InputError: When it is not positive.
    """

    def __init__(self, size_px: int) -> None:
        self.size_px = _positive(size_px)

    def __call__(self, sample: FusionSample) -> FusionSample:
        """Cut the middle.

        Raises:
            SampleError: When the sample is smaller.
        """
        height, width = sample["valid_mask"].shape
        return crop(sample, (height - self.size_px) // 2, (width - self.size_px) // 2, (self.size_px, self.size_px))


class SarJitter:
    """A random offset in dB to each polarisation, as calibration and incidence angle differ between overflights.

    Optical images and masks stay. Pictures (`display`) get the offset in their own unit and stay in their range.

    Args:
        std_db: Standard deviation of the offset.

    Raises:
        InputError: When it is negative.
    """

    def __init__(self, std_db: float = 0.5) -> None:
        if not std_db >= 0:
            raise InputError(f"the deviation of a jitter must not be negative, got {std_db!r}")
        self.std_db = std_db

    def __call__(self, sample: FusionSample) -> FusionSample:
        """Shift backscatter at random."""
        sar = sample["sar"] + self.std_db * torch.randn(1, sample["sar"].shape[1], 1, 1)
        return _with(sample, sar=_in_range(sar, display=sample["meta"]["sar_unit"] == "display"))


class OpticalJitter:
    """A random factor to all of `cloudy` and `clear` together, as illumination differs between dates.

    Both get the same, so that the target still fits its input; Sentinel-1 and masks stay.

    Args:
        std: Standard deviation of the factor's logarithm: 0.05 is about 5 %.

    Raises:
        InputError: When it is negative.
    """

    def __init__(self, std: float = 0.05) -> None:
        if not std >= 0:
            raise InputError(f"the deviation of a jitter must not be negative, got {std!r}")
        self.std = std

    def __call__(self, sample: FusionSample) -> FusionSample:
        """Scale reflectance at random."""
        factor = float(torch.exp(self.std * torch.randn(())))
        display = sample["meta"]["optical_unit"] == "display"
        images = {
            key: _in_range(tensor * factor, display=display) for key, tensor in _tensors(sample).items() if key in ("cloudy", "clear")
        }
        return _with(sample, **images)


def _moved(sample: FusionSample, move: Callable[[Tensor], Tensor], follow: Callable[[SceneGrid], SceneGrid]) -> FusionSample:
    moved = _with(sample, **{key: move(tensor).contiguous() for key, tensor in _tensors(sample).items()})
    grid = sample["meta"]["grid"]
    if grid is not None:
        moved["meta"] = copy(sample["meta"])
        moved["meta"]["grid"] = follow(grid)
    return moved


def _tensors(sample: FusionSample) -> dict[str, Tensor]:
    every: dict[str, Any] = dict(sample)
    return {key: every[key] for key in _IMAGES if key in every}


def _with(sample: FusionSample, **tensors: Tensor) -> FusionSample:
    """A copy with other tensors; the sample given stays as it is."""
    changed: Any = {**sample, **tensors}
    out: FusionSample = changed
    return out


def _shifted(grid: SceneGrid, pixels: Affine, shape: tuple[int, int]) -> SceneGrid:
    """The grid whose pixel coordinates are the old ones' after `pixels` (new to old)."""
    return SceneGrid(crs=grid.crs, transform=grid.transform * pixels, shape=shape)


def _turned(grid: SceneGrid) -> SceneGrid:
    rows, cols = grid.shape
    return _shifted(grid, Affine(0, -1, cols, 1, 0, 0), (cols, rows))


def _in_range(tensor: Tensor, *, display: bool) -> Tensor:
    return tensor.clamp(*DISPLAY_RANGE) if display else tensor


def _draw(choices: int) -> int:
    return int(torch.randint(choices, ()))


def _positive(size_px: int) -> int:
    if size_px < 1:
        raise InputError(f"a crop must be at least one pixel wide, got {size_px}")
    return size_px
