"""Into which classes samples and pixels fall: cloud coverage in steps of 20 %, land cover from a map."""

from dataclasses import dataclass

import numpy as np
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from torch import Tensor

from geocr.core.errors import InputError
from geocr.core.types import NumberArray
from geocr.data.sample import FusionSample
from geocr.io.grid import SceneGrid
from geocr.io.raster import open_raster

COVERAGE_STEPS = 5
"""Classes of cloud coverage."""
COVERAGE_NAMES: tuple[str, ...] = tuple(f"{20 * step}-{20 * step + 20} %" for step in range(COVERAGE_STEPS))
"""Their names: the lower end belongs to a class, and 100 % to the last."""


def cloud_share(sample: FusionSample) -> float | None:
    """Share of the valid pixels under cloud or shadow, mean over dates; None without a mask, or without a valid pixel."""
    mask: Tensor | None = sample.get("cloud_mask")
    valid = sample["valid_mask"]
    if mask is None or not valid.any():
        return None
    return float(mask[:, valid].double().mean())


def coverage_name(share: float | None) -> str | None:
    """The class of a share of 0 to 1."""
    return None if share is None else COVERAGE_NAMES[min(int(share * COVERAGE_STEPS + 1e-9), COVERAGE_STEPS - 1)]


@dataclass(frozen=True, slots=True)
class LandCoverMap:
    """A raster of classes in any CRS, read on the grid of a sample: WorldCover, Dynamic World, CORINE."""

    path: str
    """A raster of whole numbers that GDAL opens; its nodata value is no class."""

    def read(self, grid: SceneGrid | None) -> NumberArray:
        """`(y, x)` int64 class of each pixel by nearest neighbour; -1 where the map has none.

        Raises:
            InputError: When the sample has no georeference, or the map is not of whole numbers.
        """
        if grid is None:
            raise InputError("a land-cover map is laid over samples by their georeference, and these have none; leave --land-cover out")
        with open_raster(self.path) as source:
            if np.dtype(source.dtypes[0]).kind not in "iu" or source.crs is None:
                raise InputError(
                    f"a land-cover map is a georeferenced raster of whole numbers; {self.path} has {source.dtypes[0]} and CRS {source.crs}"
                )
            how = {"crs": grid.crs, "transform": grid.transform, "height": grid.shape[0], "width": grid.shape[1]}
            with WarpedVRT(source, resampling=Resampling.nearest, add_alpha=source.nodata is None, **how) as warped:
                classes = warped.read(1).astype(np.int64)
                known = warped.read_masks(1) > 0
        return np.where(known, classes, -1)
