"""Cloud masks of scenes, on the pixels of any patch: found on the fly, or from files made before."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform_bounds

from geocr.clouds.mask import CloudMask
from geocr.clouds.selection import CLOUD_MASKS, make_cloud_mask
from geocr.core.errors import InputError, RasterNotFoundError
from geocr.core.types import BoolArray, Window
from geocr.data.lattice import common_window
from geocr.io.grid import SceneGrid
from geocr.io.scene import Scene


class SceneMasks:
    """Cloud and shadow masks of a set of scenes.

    Args:
        source: A name of `geocr.clouds.selection.CLOUD_MASKS` or `auto`: each scene's mask is found once in each process, when
            its first patch is read. Or a folder of mask rasters named as their scenes, in which all but 0 is cloud.
        open_one: Opens a scene by its path.

    Raises:
        InputError: When the source is neither a name nor a folder.
    """

    def __init__(self, source: str | Path, open_one: Callable[[str], Scene]) -> None:
        self.folder = Path(source) if Path(source).is_dir() else None
        if self.folder is None and str(source) not in ("auto", *CLOUD_MASKS):
            raise InputError(
                f"cloud masks come from one of auto, {', '.join(CLOUD_MASKS)}, or from a folder of rasters named as their scenes; got {str(source)!r}"
            )
        self.source = str(source)
        self._open_one = open_one
        self._made: dict[str, tuple[CloudMask, SceneGrid]] = {}
        self._owner = os.getpid()

    def read(self, path: str, grid: SceneGrid) -> BoolArray:
        """The mask of a scene on a patch.

        Args:
            path: The scene.
            grid: The patch's pixels.

        Returns:
            `(y, x)` bool, True is cloud or shadow; False outside the scene. Nearest neighbour where grids differ.

        Raises:
            RasterNotFoundError: When the folder has no mask of this scene.
            CloudMaskError: When the detector does not fit the scene.
        """
        mask, native = self._mask(path)
        a, e = native.transform.a, native.transform.e
        same = native.crs == grid.crs and np.allclose((a, e), (grid.transform.a, grid.transform.e), rtol=1e-9)
        if same and _aligned(native, grid):
            return _cut(mask, native, grid)
        return _warped(mask, native, grid)

    def _mask(self, path: str) -> tuple[CloudMask, SceneGrid]:
        if self._owner != os.getpid():  # GDAL handles do not survive a fork
            self._made, self._owner = {}, os.getpid()
        if path not in self._made:
            scene = self._open_one(path)
            if self.folder is None:
                self._made[path] = (make_cloud_mask(scene, self.source), scene.grid)
            else:
                self._made[path] = (make_cloud_mask(scene, str(self._file_of(path)), buffer_m=0), scene.grid)
        return self._made[path]

    def _file_of(self, path: str) -> Path:
        folder = self.folder or Path()
        stem = Path(path).stem
        found = sorted(file for file in folder.iterdir() if file.stem == stem)
        if not found:
            raise RasterNotFoundError(f"each scene needs a mask of its own name in {folder}; there is no {stem}.tif for {path}")
        return found[0]


def _aligned(one: SceneGrid, other: SceneGrid) -> bool:
    col = (one.transform.c - other.transform.c) / one.transform.a
    row = (one.transform.f - other.transform.f) / one.transform.e
    return abs(col - round(col)) < 0.01 and abs(row - round(row)) < 0.01


def _cut(mask: CloudMask, native: SceneGrid, grid: SceneGrid) -> BoolArray:
    out = np.zeros(grid.shape, bool)
    common = common_window(grid, native)
    if common is not None:
        window, (rows, cols) = common
        out[rows, cols] = mask.read(window)
    return out


def _warped(mask: CloudMask, native: SceneGrid, grid: SceneGrid) -> BoolArray:
    window = _window_under(native, grid)
    out = np.zeros(grid.shape, np.uint8)
    if window is not None:
        part = mask.read(window).astype(np.uint8)
        reproject(
            part,
            out,
            src_transform=native.transform * rasterio.Affine.translation(window.col, window.row),
            src_crs=native.crs,
            dst_transform=grid.transform,
            dst_crs=grid.crs,
            resampling=Resampling.nearest,
        )
    found: BoolArray = out != 0
    return found


def _window_under(native: SceneGrid, grid: SceneGrid) -> Window | None:
    """The part of a scene under a patch, with a pixel to spare; None when they do not meet."""
    height, width = grid.shape
    left, top = grid.transform * (0, 0)
    right, bottom = grid.transform * (width, height)
    west, south, east, north = transform_bounds(grid.crs, native.crs, left, bottom, right, top)
    corners = [~native.transform * corner for corner in ((west, south), (west, north), (east, south), (east, north))]
    cols, rows = zip(*corners, strict=True)
    first_row, first_col = max(0, int(min(rows)) - 1), max(0, int(min(cols)) - 1)
    stop_row, stop_col = min(native.shape[0], int(max(rows)) + 2), min(native.shape[1], int(max(cols)) + 2)
    if stop_row <= first_row or stop_col <= first_col:
        return None
    return Window(row=first_row, col=first_col, height=stop_row - first_row, width=stop_col - first_col)
