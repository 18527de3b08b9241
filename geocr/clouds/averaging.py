"""A scene averaged onto the working grid, part by part; blocks of JPEG 2000, which each read decodes anew and slowly, once each."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from geocr.clouds.working import WorkingGrid
from geocr.core.types import BoolArray, FloatArray, NumberArray, Window
from geocr.io.scene import Scene, block_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragedPart:
    """A part of the scene."""

    window: Window
    """In scene pixels."""
    coarse: Window
    """In working pixels."""
    mean: FloatArray
    """`(bands, rows, columns)` float32 reflectance of the working pixels, NaN where nothing was observed."""
    seen: BoolArray
    """The same shape, True where anything was."""


def averaged_parts(scene: Scene, bands: tuple[str, ...], working: WorkingGrid, *, in_windows: bool = False) -> Iterator[AveragedPart]:
    """Averages over the squares of a working grid, in parts that cover the scene.

    Args:
        scene: The scene.
        bands: Which of its bands, in the order of the averages.
        working: The squares.
        in_windows: Whether parts must be of bounded width, for a caller that reads more of each.
    """
    jp2_rows = None if working.factor == 1 or in_windows else scene.optical.jp2_rows
    if jp2_rows is not None:
        yield from _by_blocks(scene, bands, working, max(jp2_rows, working.factor))
        return
    block_width = scene.optical.handle.block_shapes[0][1]
    for window, coarse in working.chunks(bands=len(bands), block_width=block_width):
        mean, seen = block_mean(scene.read_reflectance(window, bands), working.factor)
        yield AveragedPart(window=window, coarse=coarse, mean=mean, seen=seen)


def _by_blocks(scene: Scene, bands: tuple[str, ...], working: WorkingGrid, step: int) -> Iterator[AveragedPart]:
    """Full rows of blocks, a file at a time; rows that fill no square yet wait for the next."""
    rows, cols = scene.grid.shape
    factor = working.factor
    indexes = [scene.indexes[scene.bands.index(band)] for band in bands]
    one_file = scene.optical.handle.driver != "VRT"  # a block of it holds all bands: decoded together or once for each
    groups = [indexes] if one_file else [[index] for index in indexes]
    waiting: list[NumberArray] = [np.empty((len(group), 0, cols), scene.scale.dtype) for group in groups]
    done = 0
    for row in range(0, rows, step):
        read = Window(row=row, col=0, height=min(step, rows - row), width=cols)
        stop = rows if read.row_stop == rows else read.row_stop // factor * factor
        means, seens = [], []
        for number, group in enumerate(groups):
            dn = np.concatenate([waiting[number], scene.read_dn(read, group)], axis=1)
            waiting[number] = dn[:, stop - done :].copy()
            mean, seen = block_mean(scene.scale.to_reflectance(dn[:, : stop - done]), factor)
            means.append(mean)
            seens.append(seen)
        window = Window(row=done, col=0, height=stop - done, width=cols)
        coarse = Window(row=done // factor, col=0, height=ceil(window.height / factor), width=ceil(cols / factor))
        yield AveragedPart(window=window, coarse=coarse, mean=np.concatenate(means), seen=np.concatenate(seens))
        done = stop
