"""How synthetic scenes lie on disk: tiled, compressed GeoTIFFs with names, scales and sun angles."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter

from geocr.core.errors import OutputWriteError
from geocr.io.grid import SceneGrid
from geocr.radiometry.optical import OpticalScale

BLOCK_PX = 512
"""Side of the files' tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePaths:
    """The files of one synthetic scene."""

    s1: Path
    """VV and VH sigma0, float32 dB."""
    s2: Path
    """The cloudy image, DN."""
    truth: Path | None
    """The clear image, DN; None when it was not asked for."""
    mask: Path
    """uint8; 1 is cloud or shadow."""

    @classmethod
    def inside(cls, folder: Path, *, truth: bool) -> "ScenePaths":
        """The usual names in a folder, which is made when missing."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputWriteError(f"a synthetic scene needs a folder it may write; {folder} failed: {error}; choose another") from error
        return cls(
            s1=folder / "scene_s1.tif",
            s2=folder / "scene_s2.tif",
            truth=folder / "truth_s2.tif" if truth else None,
            mask=folder / "truth_mask.tif",
        )


def sun_tags(zenith_deg: float, azimuth_deg: float) -> dict[str, str]:
    """Tags that tell the sun's place, in degrees, under the names of Sentinel-2's own metadata."""
    return {"MEAN_SUN_ZENITH_ANGLE": repr(float(zenith_deg)), "MEAN_SUN_AZIMUTH_ANGLE": repr(float(azimuth_deg))}


@contextmanager
def create_raster(
    path: Path,
    *,
    grid: SceneGrid,
    dtype: str,
    nodata: float | None,
    descriptions: Sequence[str],
    scale: OpticalScale | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[DatasetWriter]:
    """Open a new GeoTIFF for writing: 512 px tiles, band after band, ZSTD level 1 with predictor, all cores.

    Raises:
        OutputWriteError: When the file cannot be made or filled.
    """
    try:
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=grid.shape[0],
            width=grid.shape[1],
            count=len(descriptions),
            dtype=dtype,
            nodata=nodata,
            crs=grid.crs,
            transform=grid.transform,
            tiled=True,
            blockxsize=BLOCK_PX,
            blockysize=BLOCK_PX,
            interleave="band",
            compress="zstd",
            zstd_level=1,
            predictor=3 if dtype.startswith("float") else 2,
            num_threads="all_cpus",
            bigtiff="if_safer",
        ) as out:
            out.descriptions = tuple(descriptions)
            if scale is not None:
                out.scales, out.offsets = (scale.scale,) * out.count, (scale.offset,) * out.count
            out.update_tags(ATTRIBUTION="Simulated by geocr: invented, no Sentinel data", **(tags or {}))
            yield out
    except (RasterioError, OSError) as error:
        raise OutputWriteError(
            f"a synthetic scene must be writable; {path} failed: {error}; check the folder and its free space"
        ) from error
