"""Pixels as people see them: which bands are red, green and blue, one stretch for all pictures of a scene, colours of classes."""

from collections.abc import Sequence

import numpy as np
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from geocr.core.bands import canonical_s2_band
from geocr.core.types import BoolArray, ByteArray, FloatArray, NumberArray, Window
from geocr.io.raster import rasterio_window

TRUE_COLOUR = ("B04", "B03", "B02")


def band_names(dataset: DatasetReader) -> tuple[str | None, ...]:
    """Canonical Sentinel-2 names of a raster's bands; None for a band that its description does not name."""
    return tuple(canonical_s2_band(text or "") for text in dataset.descriptions)


def rgb_indexes(names: Sequence[str | None]) -> list[int]:
    """1-based bands to show as red, green, blue: true colour where it is, else the first three, else grey."""
    if all(name in names for name in TRUE_COLOUR):
        return [names.index(name) + 1 for name in TRUE_COLOUR]
    return [1, 2, 3] if len(names) >= 3 else [1, 1, 1]


def same_bands(indexes: Sequence[int], names: Sequence[str | None], others: Sequence[str | None]) -> list[int]:
    """The bands of another raster that show what `indexes` show: by name where both name them, else by position.

    Args:
        indexes: 1-based bands of the raster whose bands are `names`.
        names: Names of its bands.
        others: Names of the other raster's bands.
    """
    return [others.index(names[i - 1]) + 1 if names[i - 1] and names[i - 1] in others else min(i, len(others)) for i in indexes]


def read_shrunk(dataset: DatasetReader, bands: Sequence[int], shape: tuple[int, int], window: Window | None = None) -> FloatArray:
    """Bands averaged to a size, `(band, *shape)` float32 DN; NaN where a band holds nothing.

    Args:
        dataset: An open raster.
        bands: 1-based.
        shape: Rows and columns of the answer.
        window: The part to read; the whole raster when None.
    """
    where = rasterio_window(window) if window is not None else None
    pixels = dataset.read(list(bands), window=where, out_shape=(len(bands), *shape), resampling=Resampling.average, masked=True)
    values: FloatArray = pixels.astype(np.float32).filled(np.nan)
    values[~np.isfinite(values)] = np.nan
    return values


def shrunk_shape(shape: tuple[int, int], longest_px: int) -> tuple[int, int]:
    """Rows and columns of a picture whose longest side has at most so many pixels."""
    shrink = max(1.0, max(shape) / longest_px)
    return max(1, round(shape[0] / shrink)), max(1, round(shape[1] / shrink))


def stretch_of(pixels: FloatArray, valid: BoolArray) -> tuple[float, float]:
    """DN range that fills the picture: 1st to 99th percentile of the cloud-free result, a common one so that colours stay true."""
    values = pixels[:, valid]
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99])
    return float(low), float(max(high, low + 1e-6))


def picture_of(pixels: FloatArray, stretch: tuple[float, float], valid: BoolArray) -> ByteArray:
    """`(y, x, 3)` uint8 of `(3, y, x)` DN; white where a pixel is not valid."""
    low, high = stretch
    scaled = np.clip((pixels - low) / (high - low), 0, 1) ** (1 / 1.4)  # mild gamma: reflectance is dark to the eye
    picture: ByteArray = (np.nan_to_num(scaled).transpose(1, 2, 0) * 255).astype(np.uint8)
    picture[~valid] = 255
    return picture


def class_colours(dataset: DatasetReader, classes: NumberArray) -> ByteArray:
    """`(y, x, 3)` uint8: the colours that the raster's own table gives its classes, white for nodata."""
    table = dataset.colormap(1)
    palette = np.array([table.get(value, (0, 0, 0, 255))[:3] for value in range(256)], np.uint8)
    palette[0] = 255
    colours: ByteArray = palette[classes]
    return colours
