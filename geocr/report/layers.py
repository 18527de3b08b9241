"""One part of a scene as pictures that lie on each other: before, after, provenance, uncertainty."""

import base64
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from rasterio.enums import Resampling

from geocr.core.types import BoolArray, ByteArray, FloatArray, NumberArray, Window
from geocr.io.qgis import STD_COLOURS
from geocr.io.raster import rasterio_window
from geocr.report.classes import ProvenanceClass
from geocr.report.rendering import class_colours, picture_of, read_shrunk, rgb_indexes, same_bands, stretch_of
from geocr.report.result import OpenResult


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pixels:
    """One part of a scene, as read."""

    after: FloatArray
    """`(3, y, x)` DN of the bands shown."""
    before: FloatArray | None
    """The same of the input; None without it."""
    classes: NumberArray
    """`(y, x)` provenance."""
    std: FloatArray | None
    """`(y, x)` standard deviation in reflectance, the mean of all bands; NaN where nothing was reconstructed. None without."""

    @property
    def valid(self) -> BoolArray:
        """`(y, x)`, True where the scene holds a pixel."""
        return np.asarray(self.classes != 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """How pixels become colours; one for all pictures of a report."""

    stretch: tuple[float, float]
    """DN of black and of white."""
    std_top: float
    """Reflectance of the last colour of the uncertainty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Pictures of one part of a scene, as `data:` URIs."""

    shape: tuple[int, int]
    """Rows and columns of each."""
    after: str
    before: str | None
    provenance: str
    std: str | None


def read_pixels(result: OpenResult, shape: tuple[int, int], window: Window | None = None) -> Pixels:
    """Read a part of a scene at some size; of a whole scene only overviews are read where there are such.

    Args:
        result: The run.
        shape: Rows and columns of the answer.
        window: The part; the whole scene when None.
    """
    names = result.bands
    bands = rgb_indexes(names)
    where = rasterio_window(window) if window is not None else None
    classes = result.provenance.read(1, window=where, out_shape=shape, resampling=Resampling.nearest)
    before = None
    if result.before is not None and result.files.before is not None:
        before = read_shrunk(result.before, same_bands(bands, names, result.files.before.bands), shape, window)
    return Pixels(
        after=read_shrunk(result.scene, bands, shape, window), before=before, classes=classes, std=_read_std(result, shape, window)
    )


def _read_std(result: OpenResult, shape: tuple[int, int], window: Window | None) -> FloatArray | None:
    """The mean of all bands, one band at a time."""
    if result.std is None:
        return None
    where = rasterio_window(window) if window is not None else None
    total, seen = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for band in range(1, result.std.count + 1):
        counts = result.std.read(band, window=where, out_shape=shape, resampling=Resampling.nearest, masked=True)
        known = ~np.ma.getmaskarray(counts) & (counts.data > 0)
        total[known] += counts.data[known] * np.float32(result.std.scales[band - 1])
        seen += known
    with np.errstate(invalid="ignore"):
        mean: FloatArray = total / seen
    return mean


def palette_of(pixels: Pixels, std_top: float) -> Palette:
    """Colours for a whole report, from the whole scene at small size."""
    return Palette(stretch=stretch_of(pixels.after, pixels.valid), std_top=std_top)


def draw_layers(result: OpenResult, pixels: Pixels, palette: Palette, classes: tuple[ProvenanceClass, ...], *, limit: int) -> Layers:
    """Turn pixels into pictures.

    Args:
        result: The run, for its colour table.
        pixels: What to draw.
        palette: The colours.
        classes: Classes of the provenance; those that are not replaced become transparent.
        limit: Most bytes of one photograph; quality falls until it fits.
    """
    valid = pixels.valid
    kept = {kind.value for kind in classes if kind.replaced}
    shown = np.isin(pixels.classes, list(kept))
    provenance = np.dstack([class_colours(result.provenance, pixels.classes), shown.astype(np.uint8) * 255])
    return Layers(
        shape=(valid.shape[0], valid.shape[1]),
        after=photograph(picture_of(pixels.after, palette.stretch, valid), limit),
        before=None if pixels.before is None else photograph(picture_of(pixels.before, palette.stretch, valid), limit),
        provenance=drawing(provenance),
        std=None if pixels.std is None else drawing(std_colours(pixels.std, palette.std_top)),
    )


def std_colours(std: FloatArray, top: float) -> ByteArray:
    """`(y, x, 4)` uint8: the colours of the QGIS style in 24 steps, transparent where there is none.

    Args:
        std: Reflectance, NaN where none.
        top: What gets the last colour.
    """
    steps = 24
    stops = np.linspace(0, 1, len(STD_COLOURS))
    ramp = np.stack([np.interp(np.linspace(0, 1, steps), stops, [c[i] for c in STD_COLOURS]) for i in range(3)], axis=1).astype(np.uint8)
    known = np.isfinite(std)
    index = np.clip(np.where(known, std, 0) / top * steps, 0, steps - 1).astype(np.intp)
    colours: ByteArray = np.dstack([ramp[index], known.astype(np.uint8) * 255])
    colours[~known] = 0
    return colours


def photograph(pixels: ByteArray, limit: int) -> str:
    """A `data:` URI of `(y, x, 3)` uint8 as WebP, at the best quality that stays within `limit` bytes (the least is 20)."""
    image = Image.fromarray(pixels)
    for quality in (90, 80, 70, 55, 40, 20):
        stream = BytesIO()
        image.save(stream, format="WEBP", quality=quality, method=4)
        if stream.tell() <= limit:
            break
    return _data_uri(stream.getvalue(), "image/webp")


def drawing(pixels: ByteArray) -> str:
    """A `data:` URI of `(y, x, 4)` uint8 with few colours as a PNG with a palette: exact, and small."""
    flat = pixels.reshape(-1, 4)
    packed = np.ascontiguousarray(flat).view(np.uint32).ravel()
    colours, index = np.unique(packed, return_inverse=True)
    table = colours.view(np.uint8).reshape(-1, 4)
    image = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8), mode="P")
    image.putpalette(table[:, :3].tobytes())
    stream = BytesIO()
    image.save(stream, format="PNG", optimize=True, transparency=table[:, 3].tobytes())
    return _data_uri(stream.getvalue(), "image/png")


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
