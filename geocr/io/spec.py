"""What a product is, apart from its pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rasterio.enums import Resampling

from geocr.io.grid import SceneGrid

COG_BLOCK_PX = 512
"""Rows and columns of a block nearly always."""
_BLOCKS = (COG_BLOCK_PX, 256, 1024, 128, 2048, 64, 4096)
"""What else GDAL can make for overviews, most wanted first."""
_PREDICTORS = {"i": 2, "u": 2, "f": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterSpec:
    """What a product is, apart from its pixels."""

    grid: SceneGrid
    """Exactly the grid of the input."""
    count: int
    """Number of bands."""
    dtype: str
    """NumPy name of the pixel type."""
    nodata: float | None
    """Nodata value, or None."""
    descriptions: tuple[str | None, ...]
    """Band names, one a band."""
    scale: float = 1.0
    """GDAL scale tag of every band."""
    offset: float = 0.0
    """GDAL offset tag of every band."""
    colorinterp: tuple[str, ...] = ()
    """GDAL colour interpretation by band, for example `red`; empty leaves it undefined."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Dataset tags."""
    categories: Mapping[int, tuple[str, tuple[int, int, int, int]]] = field(default_factory=dict)
    """Class value to name and RGBA, for a categorical band."""
    resampling: Resampling = Resampling.average
    """How overviews are made."""

    def creation_options(self, block: int) -> dict[str, Any]:
        """How GDAL's GeoTIFF driver lays out and compresses tiles of `block` pixels, in parts and in the COG alike."""
        return {
            "tiled": True,
            "blockxsize": block,
            "blockysize": block,
            "interleave": "band",
            "compress": "zstd",
            "zstd_level": 1,
            "predictor": _PREDICTORS[np.dtype(self.dtype).kind],
            "bigtiff": "if_safer",
        }


def block_px(shapes: Sequence[tuple[int, int]]) -> int:
    """Side of the blocks of rasters such that no large one is just one block wide: validators take that for a raster without tiles.

    Args:
        shapes: Rows and columns of the raster, or of all its overviews.
    """
    taken = {cols for rows, cols in shapes if max(rows, cols) > COG_BLOCK_PX}
    return next((side for side in _BLOCKS if side not in taken), COG_BLOCK_PX)
