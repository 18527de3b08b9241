"""Cloud masks of single patches, by the detectors that scenes use."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

from geocr.clouds.selection import CLOUD_MASKS, READ_FROM_FILES, make_cloud_mask
from geocr.core.errors import CloudMaskError, InputError
from geocr.core.types import BoolArray, FloatArray
from geocr.io.open import open_scene

_GREATEST_REFLECTANCE = 7.0


class MaskedPatch(NamedTuple):
    """A patch's mask and what it is made of."""

    mask: BoolArray
    """`(y, x)`; True is cloud or shadow, widened by the buffer."""
    cloud_share: float
    """Share of the observed pixels under cloud, before widening."""
    shadow_share: float
    """Share in shadow, before widening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMasker:
    """Finds clouds and shadows in a patch; give it to a data set as `cloud_mask`, or to `geocr data index`.

    A patch shows less of a cloud's surroundings than a scene: near its border masks are less sure, and without the sun's place
    shadows are dark land near clouds.
    """

    method: str = "auto"
    """`auto` or a name of `geocr.clouds.selection.CLOUD_MASKS`."""
    pixel_size_m: float = 10.0
    """Side of a pixel."""
    buffer_m: float | None = None
    """Metres by which masks are widened; the detectors' own when None."""

    def __post_init__(self) -> None:
        """Refuse unknown detectors, and those that read files."""
        known = ("auto", *(name for name in CLOUD_MASKS if name not in READ_FROM_FILES))
        if self.method not in known:
            raise InputError(f"patches are masked by one of {', '.join(known)}; got {self.method!r}")

    def __call__(self, cloudy: FloatArray, bands: tuple[str, ...]) -> BoolArray:
        """The mask of a patch.

        Args:
            cloudy: `(band, y, x)` float32 reflectance; NaN where not observed.
            bands: Canonical names of its bands.

        Returns:
            `(y, x)` bool, True is cloud or shadow.

        Raises:
            CloudMaskError: For pictures, and for bands the detector cannot use.
        """
        return self.measure(cloudy, bands).mask

    def measure(self, cloudy: FloatArray, bands: tuple[str, ...]) -> MaskedPatch:
        """The mask with its shares of cloud and shadow; arguments as when called."""
        if np.nanmax(cloudy, initial=0) > _GREATEST_REFLECTANCE:
            raise CloudMaskError(
                "detectors need reflectance, and the patch holds values up to 255: 8-bit pictures have no scale; bring masks of your own"
            )
        if not np.isfinite(cloudy).any():
            return MaskedPatch(np.zeros(cloudy.shape[1:], bool), 0.0, 0.0)
        with MemoryFile() as memory:
            with memory.open(
                driver="GTiff",
                count=cloudy.shape[0],
                height=cloudy.shape[1],
                width=cloudy.shape[2],
                dtype="float32",
                nodata=float("nan"),
                crs=CRS.from_epsg(32631),
                transform=from_origin(500000, 5000000, self.pixel_size_m, self.pixel_size_m),
            ) as out:
                out.write(cloudy)
                out.descriptions = bands
            scene = open_scene(memory.name, s2_bands=bands, s2_scale=1.0, s2_offset=0.0)
            mask = make_cloud_mask(scene, self.method, buffer_m=self.buffer_m)
            facts = mask.describe()
            found = mask.read(scene.grid.window)
            scene.optical.handle.close()
        return MaskedPatch(found, _share(facts.get("cloud_share")), _share(facts.get("shadow_share")))


def _share(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
