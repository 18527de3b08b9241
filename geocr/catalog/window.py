"""The part of a raster's grid that an area needs, cut at whole pixels."""

from math import ceil, floor

import numpy as np
import shapely
import shapely.affinity
from affine import Affine
from pyproj import Transformer
from shapely.geometry.base import BaseGeometry

from geocr.catalog.footprint import footprint_of
from geocr.core.types import Window
from geocr.io.grid import SceneGrid

_TINY = 1e-6
"""Pixels within which a coordinate lies on a pixel's edge."""


def window_of(geometry: BaseGeometry, grid: SceneGrid, *, margin_px: int = 0) -> Window | None:
    """The smallest window that holds a geometry.

    Args:
        geometry: In degrees (WGS 84).
        grid: The raster's grid, north up or not.
        margin_px: Pixels more on each side, as far as there are.

    Returns:
        The window, or None where the geometry does not touch the grid.
    """
    transformer = Transformer.from_crs("EPSG:4326", grid.crs.to_wkt(), always_xy=True)
    dense = shapely.segmentize(geometry, 0.01)  # long edges bend under projection
    laid = shapely.transform(dense, lambda points: np.column_stack(transformer.transform(points[:, 0], points[:, 1])))
    a, b, c, d, e, f = (~grid.transform)[:6]
    in_pixels = shapely.affinity.affine_transform(laid, [a, b, d, e, c, f])
    rows, cols = grid.shape
    inside = in_pixels.intersection(shapely.box(0, 0, cols, rows))
    if inside.is_empty or inside.area <= 0:
        return None
    west, north, east, south = inside.bounds
    row, col = max(0, floor(north + _TINY) - margin_px), max(0, floor(west + _TINY) - margin_px)
    return Window(
        row=row,
        col=col,
        height=min(rows, ceil(south - _TINY) + margin_px) - row,
        width=min(cols, ceil(east - _TINY) + margin_px) - col,
    )


def part_of(grid: SceneGrid, window: Window) -> SceneGrid:
    """The grid of a window."""
    return SceneGrid(crs=grid.crs, transform=grid.transform * Affine.translation(window.col, window.row), shape=window.shape)


def coarser(grid: SceneGrid, metres: float) -> SceneGrid:
    """A grid from the same corner with pixels of so many metres, as many as cover it; itself where its own are no finer."""
    factor = metres / grid.pixel_size_m
    if factor <= 1 + _TINY:
        return grid
    rows, cols = (ceil(size / factor - _TINY) for size in grid.shape)
    return SceneGrid(crs=grid.crs, transform=grid.transform * Affine.scale(factor), shape=(rows, cols))


def outline_of(grid: SceneGrid) -> BaseGeometry:
    """The outline of a grid in degrees (WGS 84); split at the antimeridian."""
    return shapely.geometry.shape(footprint_of(grid).geometry)
