"""Reading one image file of a data set: bands by position, units, missing values as NaN.

Files are opened and closed for each read, so that no GDAL handle crosses a fork to a worker process. Sidecar files
beside a patch are not looked for: listing a folder of ten thousand patches costs more than reading one.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image as PillowImage
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from geocr.core.errors import GeocrError, RasterNotFoundError, RasterReadError, SampleError, UnitsError
from geocr.core.types import BoolArray, FloatArray, NumberArray
from geocr.io.grid import SceneGrid

REFLECTANCE_PER_DN = 1e-4
"""Of Sentinel-2 products (quantification value 10000)."""
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
"""Last chunk of every PNG (ISO/IEC 15948, section 11.2.5)."""
READ_OPTIONS: dict[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
"""GDAL settings for reading patches; set once for each sample, because making a `rasterio.Env` costs as much as opening a file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Image:
    """Pixels of one file."""

    pixels: NumberArray
    """`(band, y, x)`."""
    grid: SceneGrid | None
    """Where they lie; None without a georeference."""


def read_backscatter(path: Path, bands: Sequence[str], file_bands: Sequence[str], *, crop_px: int | None = None) -> Image:
    """Backscatter in dB, float32 `(band, y, x)`; NaN where the file has NaN, infinity or its nodata value.

    Args:
        path: A float GeoTIFF in dB.
        bands: Polarisations to read, in this order.
        file_bands: Polarisations of the file, in order.
        crop_px: Side of a square at the centre of the file to read. (default: all of it)

    Raises:
        RasterNotFoundError, RasterReadError: When there is no file, or it cannot be decoded.
        SampleError: When it has other bands than the set's layout says.
        UnitsError: When it is no float file, or its values are linear.
    """
    file = _read_geotiff(path, bands, file_bands, crop_px)
    if not np.issubdtype(file.dtype, np.floating):
        raise UnitsError(
            f"Sentinel-1 of this data set is float32 dB; {path} is {file.dtype}: calibrated backscatter is needed, not counts or a picture"
        )
    pixels = file.pixels
    if file.nodata is not None:
        pixels[pixels == np.float32(file.nodata)] = np.nan
    low, high = float(pixels.min(initial=np.inf)), float(pixels.max(initial=-np.inf))
    if not (np.isfinite(low) and np.isfinite(high)):
        pixels[~np.isfinite(pixels)] = np.nan
        low, high = float(np.nanmin(pixels, initial=np.inf)), float(np.nanmax(pixels, initial=-np.inf))
    if low == high == 0:
        pixels[:] = np.nan
    elif 0 <= low < np.inf:
        raise UnitsError(
            f"Sentinel-1 of this data set is in dB, where most values are negative; {path} has {low:g} to {high:g}: "
            "it is linear power or amplitude; convert it, dB = 10 log10(power)"
        )
    return Image(pixels=pixels, grid=file.grid)


def read_reflectance(
    path: Path,
    bands: Sequence[str],
    file_bands: Sequence[str],
    *,
    scale: float = REFLECTANCE_PER_DN,
    offset: float = 0.0,
    crop_px: int | None = None,
) -> Image:
    """Reflectance = DN x scale + offset, float32 `(band, y, x)`.

    NaN where all bands read are 0 (Sentinel-2's nodata; a single band may be 0 by right), and where a float file has NaN or
    the file's own nodata value stands.

    Args:
        path: A GeoTIFF of 16-bit counts or floats.
        bands: Bands to read, in this order.
        file_bands: Bands of the file, in order.
        scale: Reflectance per DN.
        offset: Reflectance at DN 0.
        crop_px: Side of a square at the centre of the file to read. (default: all of it)

    Raises:
        RasterNotFoundError, RasterReadError: When there is no file, or it cannot be decoded.
        SampleError: When it has other bands than the set's layout says, or 8 bits.
    """
    file = _read_geotiff(path, bands, file_bands, crop_px)
    if file.dtype.itemsize < 2:
        raise SampleError(
            f"reflectance needs 16-bit counts or floats; {path} is {file.dtype}: an 8-bit picture has lost its scale, get the original file"
        )
    pixels = file.pixels
    missing = None
    if pixels.shape[0] and not pixels[0].all():
        missing = ~pixels.any(axis=0)
    if file.nodata is not None and file.nodata != 0:
        pixels[pixels == np.float32(file.nodata)] = np.nan
    if np.issubdtype(file.dtype, np.floating):
        pixels[~np.isfinite(pixels)] = np.nan
    pixels *= np.float32(scale)
    if offset:
        pixels += np.float32(offset)
    if missing is not None:
        pixels[:, missing] = np.nan
    return Image(pixels=pixels, grid=file.grid)


def read_counts(path: Path) -> Image:
    """Digital numbers of a one-band file of 16 bits, `(1, y, x)` in the file's dtype.

    Raises:
        RasterNotFoundError, RasterReadError: When there is no file, or it cannot be decoded.
        SampleError: When it has several bands, or 8 bits.
    """
    with _naming_failure(path), _opened(path) as dataset:
        if dataset.count != 1 or np.dtype(dataset.dtypes[0]).itemsize < 2:
            raise SampleError(
                f"reflectance needs 16-bit counts or floats, here one band a file; {path} has {dataset.count} of {dataset.dtypes[0]}: "
                "an 8-bit picture has lost its scale, get the original file"
            )
        return Image(pixels=dataset.read(), grid=_grid_of(dataset, None))


def read_mask(path: Path) -> BoolArray:
    """The band of a mask file, `(y, x)` bool: True where it is not 0.

    Raises:
        RasterNotFoundError, RasterReadError: When there is no file, or it cannot be decoded.
    """
    mask: BoolArray = read_layers(path, (1,))[0] != 0
    return mask


def read_picture(path: Path) -> NumberArray:
    """An 8-bit picture as `(band, y, x)` uint8, one band when grey and three when coloured; alpha is dropped, palettes are resolved.

    By GDAL, which decodes PNG twice as fast as Pillow. By Pillow where the picture has a palette, whose colours it knows, and where a
    PNG does not end as one should: GDAL takes a truncated PNG for a whole one and gives wrong pixels without a word.

    Raises:
        RasterNotFoundError, RasterReadError: When there is no file, or it cannot be decoded.
        SampleError: When it has 16 bits.
    """
    with _naming_failure(path):
        if path.suffix.lower() == ".png" and not _ends_as_png(path):
            return _by_pillow(path)
        with _opened(path) as dataset:
            if dataset.dtypes[0] != "uint8":
                raise SampleError(
                    f"pictures of this data set have 8 bits; {path} is {dataset.dtypes[0]}: it would lose its values; use the original picture"
                )
            if dataset.colorinterp[0] != ColorInterp.palette:
                pixels: NumberArray = dataset.read([1, 2, 3] if dataset.count >= 3 else [1])
                return pixels
        return _by_pillow(path)


def _ends_as_png(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-min(len(_PNG_END), path.stat().st_size), SEEK_END)
        return file.read() == _PNG_END


def _by_pillow(path: Path) -> NumberArray:
    with PillowImage.open(path) as picture:
        pixels = np.asarray(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def read_layers(path: Path, indexes: Sequence[int], *, crop_px: int | None = None) -> NumberArray:
    """Some bands of a file that holds more, `(band, y, x)` in the file's dtype.

    Args:
        path: Any raster.
        indexes: 1-based numbers of the bands.
        crop_px: Side of a square at the centre of the file to read. (default: all of it)

    Raises:
        RasterNotFoundError, RasterReadError: When there is no file, or it cannot be decoded.
        SampleError: When it has fewer bands, or is smaller than the crop.
    """
    with _naming_failure(path), _opened(path) as dataset:
        if dataset.count < max(indexes):
            raise SampleError(
                f"files of this kind have {max(indexes)} bands or more; {path} has {dataset.count}: it belongs to another set"
            )
        layers: NumberArray = dataset.read(list(indexes), window=_centre(dataset, crop_px, path))
        return layers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _File:
    """What was read of a GeoTIFF."""

    pixels: FloatArray
    """`(band, y, x)` float32, the file's own values (16-bit counts are exact in it)."""
    dtype: np.dtype[Any]
    """Of the file."""
    grid: SceneGrid | None
    nodata: float | None


def _read_geotiff(path: Path, bands: Sequence[str], file_bands: Sequence[str], crop_px: int | None) -> _File:
    """The bands' values as float32: GDAL converts while it reads, which saves a copy."""
    with _naming_failure(path), _opened(path) as dataset:
        if dataset.count != len(file_bands):
            raise SampleError(
                f"files of this kind have {len(file_bands)} bands ({', '.join(file_bands)}); {path} has {dataset.count}: "
                "it belongs to another set or level"
            )
        indexes = None if tuple(bands) == tuple(file_bands) else [file_bands.index(band) + 1 for band in bands]
        window = _centre(dataset, crop_px, path)
        return _File(
            pixels=dataset.read(indexes, window=window, out_dtype=np.float32),
            dtype=np.dtype(dataset.dtypes[0]),
            grid=_grid_of(dataset, window),
            nodata=dataset.nodata,
        )


def _centre(dataset: DatasetReader, crop_px: int | None, path: Path) -> RasterioWindow | None:
    """The square at the centre, as AllClear's loader cuts it; None for the whole file."""
    if crop_px is None or (dataset.height, dataset.width) == (crop_px, crop_px):
        return None
    if min(dataset.height, dataset.width) < crop_px:
        raise SampleError(
            f"images must be at least {crop_px} pixels wide and high to be cropped; {path} is {dataset.height} x {dataset.width}"
        )
    return RasterioWindow(dataset.width // 2 - crop_px // 2, dataset.height // 2 - crop_px // 2, crop_px, crop_px)


def _opened(path: Path) -> DatasetReader:
    """The open file, without rasterio's warning that it has no georeference: half of the public sets have none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


@contextmanager
def _naming_failure(path: Path) -> Iterator[None]:
    """Turns errors of GDAL, Pillow (`OSError`, `SyntaxError`) and the disk into ours, naming the file."""
    try:
        yield
    except GeocrError:
        raise
    except (RasterioError, OSError, SyntaxError) as error:
        if not path.exists():
            raise RasterNotFoundError(f"files of a data set must stay where they were indexed; there is nothing at {path}") from error
        cause: Any = error.__cause__ or error
        raise RasterReadError(
            f"files of a data set must decode; {path} does not ({cause}); it is truncated or damaged: fetch it again"
        ) from error


def _grid_of(dataset: DatasetReader, window: RasterioWindow | None) -> SceneGrid | None:
    if dataset.crs is None:
        return None
    if window is None:
        return SceneGrid(crs=dataset.crs, transform=dataset.transform, shape=(dataset.height, dataset.width))
    return SceneGrid(crs=dataset.crs, transform=dataset.window_transform(window), shape=(int(window.height), int(window.width)))
