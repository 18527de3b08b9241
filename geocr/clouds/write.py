"""A clear scene under clouds, as files: the cloudy raster on the scene's own grid and its mask, window by window."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from geocr.clouds.painters import Painter
from geocr.core.errors import InputError, OutputExistsError
from geocr.core.types import FloatArray, NumberArray, Window
from geocr.io.failure import naming_failure
from geocr.io.raster import GDAL_OPTIONS, rasterio_window
from geocr.io.scene import Scene

WINDOW_PX = (512, 2048)
"""Rows and columns painted at a time: 54 MB for each image of 13 bands, whatever the size of the scene."""
CLOUD, SHADOW = 1, 2
"""Values of the mask; 0 is neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudySummary:
    """What was written."""

    scene: Path
    """The cloudy raster."""
    mask: Path
    """Its mask: 1 cloud, 2 shadow, 0 neither."""
    cloud_share: float
    """Of the observed pixels."""
    shadow_share: float
    """Of the observed pixels."""


def require_free(clear: str | Path, destination: Path, mask: Path | None, *, overwrite: bool) -> Path:
    """The mask's place, when it and the scene's may be written.

    Raises:
        InputError: When one of them is the clear scene.
        OutputExistsError: When a file is there and `overwrite` is not set.
    """
    mask = mask or destination.with_name(f"{destination.stem}_mask.tif")
    for path in (destination, mask):
        if path.resolve() == Path(clear).resolve():
            raise InputError(f"a cloudy scene may not replace its clear one; -o and the input are both {path}: choose another name")
        if path.exists() and not overwrite:
            raise OutputExistsError(f"outputs must not exist yet; {path} does; give --overwrite to replace it, or another -o")
    return mask


def write_cloudy_scene(
    scene: Scene,
    painter: Painter,
    destination: Path,
    *,
    mask: Path | None = None,
    overwrite: bool = False,
    advance: Callable[[int], None] | None = None,
) -> CloudySummary:
    """Write a scene under clouds.

    Grid, dtype, scale, nodata and band names stay; outside the mask every digital number does, too. Both files take their names
    when they are whole.

    Args:
        scene: The clear scene.
        painter: Made for it.
        destination: GeoTIFF to write.
        mask: GeoTIFF of the mask; `<destination>_mask.tif` beside it when None.
        overwrite: Replace existing files.
        advance: Told after each window.

    Raises:
        OutputExistsError: When a file is there and `overwrite` is not set.
        OutputWriteError: When writing fails.
        RasterReadError: When a block of the scene does not decode.
    """
    mask = require_free(scene.optical.path, destination, mask, overwrite=overwrite)
    with naming_failure(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
    partial = (destination.with_name(f"{destination.name}.partial"), mask.with_name(f"{mask.name}.partial"))
    try:
        with rasterio.Env(**GDAL_OPTIONS):
            counts = _write(scene, painter, partial[0], partial[1], advance)
        for temporary, path in zip(partial, (destination, mask), strict=True):
            temporary.replace(path)
    finally:
        for temporary in partial:
            temporary.unlink(missing_ok=True)
    seen = max(1, counts[0])
    return CloudySummary(scene=destination, mask=mask, cloud_share=counts[1] / seen, shadow_share=counts[2] / seen)


def windows_of(shape: tuple[int, int]) -> list[Window]:
    """Windows that partition a scene, row by row."""
    return [
        Window(row=row, col=col, height=min(WINDOW_PX[0], shape[0] - row), width=min(WINDOW_PX[1], shape[1] - col))
        for row in range(0, shape[0], WINDOW_PX[0])
        for col in range(0, shape[1], WINDOW_PX[1])
    ]


def _write(scene: Scene, painter: Painter, destination: Path, mask: Path, advance: Callable[[int], None] | None) -> tuple[int, int, int]:
    source = scene.optical.handle
    profile = {
        "driver": "GTiff",
        "height": scene.grid.shape[0],
        "width": scene.grid.shape[1],
        "crs": scene.grid.crs,
        "transform": scene.grid.transform,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "zstd",
        "zstd_level": 1,
        "bigtiff": "if_safer",
    }
    dtype = source.dtypes[0]
    predictor = 3 if np.dtype(dtype).kind == "f" else 2
    seen = clouds = shadows = 0
    with (
        naming_failure(destination),
        rasterio.open(
            destination, "w", count=len(scene.bands), dtype=dtype, nodata=source.nodata, interleave="band", predictor=predictor, **profile
        ) as out,
        rasterio.open(mask, "w", count=1, dtype="uint8", **profile) as out_mask,
    ):
        out.descriptions = scene.bands
        out.scales, out.offsets = (scene.scale.scale,) * out.count, (scene.scale.offset,) * out.count
        out.update_tags(**(source.tags() | painter.describe()))
        out_mask.descriptions = ("cloud mask: 1 cloud, 2 shadow",)
        out_mask.update_tags(**painter.describe())
        for window in windows_of(scene.grid.shape):
            dn = scene.read_dn(window)
            clear = _reflectance(scene, dn)
            painted = painter.paint(clear, window)
            touched = painted.cloud | painted.shadow
            changed = touched & np.isfinite(clear)
            out.write(np.where(changed, scene.scale.to_dn(painted.cloudy), dn), window=rasterio_window(window))
            classes = np.where(painted.cloud, CLOUD, np.where(painted.shadow, SHADOW, 0)).astype(np.uint8)
            out_mask.write(classes, 1, window=rasterio_window(window))
            observed = np.isfinite(clear).any(axis=0)
            seen, clouds, shadows = seen + int(observed.sum()), clouds + int(painted.cloud.sum()), shadows + int(painted.shadow.sum())
            if advance is not None:
                advance(1)
    return seen, clouds, shadows


def _reflectance(scene: Scene, dn: NumberArray) -> FloatArray:
    """Reflectance, NaN where no band was observed: a single band may be stored as 0 by right (cirrus over clear land)."""
    clear = scene.scale.to_reflectance(dn)
    if np.dtype(dn.dtype).kind == "f":
        return clear
    dark = ~scene.scale.observed(dn)
    dark &= ~dark.all(axis=0)
    clear[dark] = dn[dark] * np.float32(scene.scale.scale) + np.float32(scene.scale.offset)
    return clear
