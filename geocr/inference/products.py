"""The rasters a run writes: the cloud-free scene, its provenance, and its uncertainty."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from rasterio.enums import Resampling

from geocr.core.types import BoolArray, ByteArray, FloatArray, NumberArray, Window
from geocr.inference.inputs import RowStrip
from geocr.io.cog import colour_names
from geocr.io.scene import Scene
from geocr.io.spec import RasterSpec

STD_NODATA = 65535
"""Value of the uncertainty raster where there is no pixel."""
FLOAT_STD_SCALE = 1e-4
"""Scale of the uncertainty raster when the scene itself is stored as float reflectance."""
DAYS_NODATA = -32768
"""Value of the raster of source days where a pixel has no source in time: nodata, or a reconstruction."""


MASK_NODATA = 255
"""Value of the written cloud mask where there is no pixel; 0 is clear, 1 is cloud or shadow."""


class Provenance(IntEnum):
    """Where a pixel of the output comes from."""

    NODATA = 0
    OBSERVED = 1
    RECONSTRUCTED_WITH_SAR = 2
    RECONSTRUCTED_WITHOUT_SAR = 3
    OBSERVED_ON_ANOTHER_DATE = 4


PROVENANCE_CATEGORIES: Mapping[int, tuple[str, tuple[int, int, int, int]]] = {
    Provenance.NODATA: ("nodata", (0, 0, 0, 0)),
    Provenance.OBSERVED: ("observed", (90, 130, 80, 255)),
    Provenance.RECONSTRUCTED_WITH_SAR: ("reconstructed with SAR", (240, 150, 40, 255)),
    Provenance.RECONSTRUCTED_WITHOUT_SAR: ("reconstructed without SAR", (200, 50, 90, 255)),
    Provenance.OBSERVED_ON_ANOTHER_DATE: ("observed on another date", (70, 140, 200, 255)),
}
"""Name and RGBA of each provenance class; green, orange and red stay apart for colour-blind readers by lightness."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FinishedRows:
    """Rows of every product. Starts as the observation; reconstructed pixels are put in block by block."""

    row: int
    """First scene row."""
    scene: NumberArray
    """`(band, y, x)` in the input's dtype."""
    provenance: ByteArray
    """`(1, y, x)` uint8 `Provenance`."""
    std: NumberArray | None
    """`(band, y, x)` uint16, or None without uncertainty."""
    source_days: NumberArray | None = None
    """`(1, y, x)` int16, or None where no other date is used."""
    mask: NumberArray | None = None
    """`(1, y, x)` uint8: 0 clear, 1 cloud or shadow, `MASK_NODATA`; None unless it is wanted."""

    @classmethod
    def empty(
        cls, window: Window, *, bands: int, dtype: str, with_std: bool, with_days: bool = False, with_mask: bool = False
    ) -> "FinishedRows":
        """Room for full-width rows; every column must then be `put` once."""
        return cls(
            row=window.row,
            scene=np.empty((bands, *window.shape), dtype),
            provenance=np.empty((1, *window.shape), np.uint8),
            std=np.empty((bands, *window.shape), np.uint16) if with_std else None,
            source_days=np.empty((1, *window.shape), np.int16) if with_days else None,
            mask=np.empty((1, *window.shape), np.uint8) if with_mask else None,
        )

    def put(self, strip: RowStrip, observed: BoolArray, needed: BoolArray, filled: list[FloatArray] | None) -> None:
        """Write a block of columns: observed pixels as they are, needed ones from the reconstruction.

        Every pixel that is not needed stays bit-identical to the input, and a band that holds nodata keeps it.

        Args:
            strip: Input pixels of the block; its rows are the rows of this object.
            observed: `(band, y, x)`, True where a band holds a value.
            needed: `(y, x)`, True where a pixel is to be replaced; must be valid there.
            filled: Mean of the block in reflectance, share of SAR in it, with uncertainty its standard deviation, and with other dates
                the days of its source, `(band, y, x)` each; None where nothing is needed.
        """
        cols = slice(strip.window.col, strip.window.col_stop)
        self.scene[:, :, cols] = strip.dn
        np.logical_or.reduce(observed, axis=0, out=self.provenance[0, :, cols], dtype=bool)  # NODATA is 0 and OBSERVED is 1
        if self.std is not None:
            self.std[:, :, cols] = np.where(observed, np.uint16(0), np.uint16(STD_NODATA))
        if self.mask is not None:
            self.mask[0, :, cols] = np.where(self.provenance[0, :, cols], strip.cloud_mask, np.uint8(MASK_NODATA))
        if self.source_days is not None:
            self.source_days[0, :, cols] = np.where(self.provenance[0, :, cols], np.int16(0), np.int16(DAYS_NODATA))
        if filled is None or not needed.any():
            return
        kinds = np.where(filled[1][0] > 0.5, np.uint8(Provenance.RECONSTRUCTED_WITH_SAR), np.uint8(Provenance.RECONSTRUCTED_WITHOUT_SAR))
        if self.source_days is not None:
            seen = np.isfinite(filled[-1][0])
            kinds = np.where(seen, np.uint8(Provenance.OBSERVED_ON_ANOTHER_DATE), kinds)
            days = np.where(seen, filled[-1][0], np.float32(DAYS_NODATA)).astype(np.int16)
            np.copyto(self.source_days[0, :, cols], days, where=needed)
        np.copyto(self.provenance[0, :, cols], kinds, where=needed)
        scale = strip.scene.scale
        for band, seen in enumerate(observed):
            put = seen & needed
            np.copyto(self.scene[band, :, cols], scale.to_dn(filled[0][band]), where=put)
            if self.std is not None:
                np.copyto(self.std[band, :, cols], _quantise_std(filled[2][band], std_scale(strip.scene)), where=put)


def sar_cover(sar: FloatArray) -> FloatArray:
    """`(1, y, x)` float32: 1 where every SAR band is there, 0 elsewhere and in a scene without Sentinel-1."""
    seen: BoolArray = np.logical_and.reduce(np.isfinite(sar), axis=0) if len(sar) else np.zeros(sar.shape[1:], bool)
    return seen[None].astype(np.float32)


def std_scale(scene: Scene) -> float:
    """Reflectance per count of the uncertainty raster: the scene's own scale, or 0.0001 for float scenes."""
    return FLOAT_STD_SCALE if np.issubdtype(np.dtype(scene.scale.dtype), np.floating) else abs(scene.scale.scale)


def _quantise_std(std: FloatArray, scale: float) -> NumberArray:
    """Counts of 1 to 65534: 0 is kept for observed pixels, 65535 for nodata."""
    with np.errstate(invalid="ignore"):  # pixels that nobody needs may be NaN
        counts: NumberArray = np.clip(np.rint(std / np.float32(scale)), 1, STD_NODATA - 1).astype(np.uint16)
    return counts


def scene_spec(scene: Scene, tags: Mapping[str, str]) -> RasterSpec:
    """The cloud-free scene: dtype, nodata, scale, offset and band names of the input, unchanged."""
    source, kept = scene.optical.handle, scene.only(scene.written)
    return RasterSpec(
        grid=scene.grid,
        count=len(scene.written),
        dtype=scene.scale.dtype,
        nodata=source.nodata,
        descriptions=tuple(source.descriptions[index - 1] or band for index, band in zip(kept.indexes, kept.bands, strict=True)),
        scale=source.scales[0],
        offset=source.offsets[0],
        colorinterp=colour_names(scene.written),
        tags=tags,
    )


def provenance_categories(*, with_days: bool) -> dict[int, tuple[str, tuple[int, int, int, int]]]:
    """Names and colours of the classes that a run can give a pixel: that of other dates only where they are used."""
    return {value: look for value, look in PROVENANCE_CATEGORIES.items() if with_days or value != Provenance.OBSERVED_ON_ANOTHER_DATE}


def provenance_spec(scene: Scene, tags: Mapping[str, str], *, with_days: bool = False) -> RasterSpec:
    """The provenance raster: one uint8 band with class names and colours; that of other dates only where they are used."""
    categories = provenance_categories(with_days=with_days)
    names = {f"PROVENANCE_{value}": name for value, (name, _) in categories.items()}
    return RasterSpec(
        grid=scene.grid,
        count=1,
        dtype="uint8",
        nodata=float(Provenance.NODATA),
        descriptions=("provenance",),
        tags={**tags, **names},
        categories=categories,
        resampling=Resampling.nearest,
    )


def days_spec(scene: Scene, tags: Mapping[str, str]) -> RasterSpec:
    """Days of a pixel's source minus days of the scene, int16: 0 where observed, nodata where reconstructed."""
    return RasterSpec(
        grid=scene.grid,
        count=1,
        dtype="int16",
        nodata=float(DAYS_NODATA),
        descriptions=("days from the scene to the source",),
        tags=tags,
        resampling=Resampling.nearest,
    )


def std_spec(scene: Scene, tags: Mapping[str, str]) -> RasterSpec:
    """The uncertainty raster: one standard deviation of the reconstruction, uint16 counts of reflectance."""
    return RasterSpec(
        grid=scene.grid,
        count=len(scene.written),
        dtype="uint16",
        nodata=float(STD_NODATA),
        descriptions=tuple(f"{band} standard deviation" for band in scene.written),
        scale=std_scale(scene),
        tags=tags,
    )


def mask_spec(scene: Scene, tags: Mapping[str, str]) -> RasterSpec:
    """The cloud mask that was used, one uint8 band: 0 clear, 1 cloud or shadow, `MASK_NODATA` where there is no pixel."""
    return RasterSpec(
        grid=scene.grid,
        count=1,
        dtype="uint8",
        nodata=float(MASK_NODATA),
        descriptions=("cloud mask: 0 clear, 1 cloud or shadow",),
        tags=tags,
        resampling=Resampling.nearest,
    )
