"""A before, after and provenance picture: where people look rather than read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from geocr.core.bands import canonical_s2_band
from geocr.core.errors import OutputWriteError
from geocr.core.types import BoolArray, ByteArray, FloatArray, NumberArray
from geocr.io.raster import open_raster

PANEL_PX = 900
"""Longest side of a panel; a scene is read at that resolution from its overviews."""
_MARGIN_PX, _TITLE_PX, _TEXT_PX = 16, 34, 20
_PAPER, _INK = (255, 255, 255), (30, 30, 30)


def write_quicklook(before: str, after: str, provenance: str, destination: Path) -> Path:
    """Draw input, output and provenance side by side.

    Args:
        before: The cloudy Sentinel-2 raster.
        after: The cloud-free raster on the same grid.
        provenance: Its provenance raster, with colour table and class tags.
        destination: PNG to write; replaced in one step.

    Returns:
        `destination`.
    """
    with open_raster(after) as result, open_raster(before) as source, open_raster(provenance) as classes:
        shape = _panel_shape(result.shape)
        bands = _rgb_indexes(result)
        clear = classes.read(1, out_shape=shape, resampling=Resampling.nearest)
        pixels = [_read_shrunk(dataset, bands, shape) for dataset in (source, result)]
        valid = clear != 0
        low, high = _stretch(pixels[1], valid)
        panels = [_picture(array, low, high, valid) for array in pixels] + [_colours(classes, clear)]
        titles = ["before", "after", _legend(classes, clear)]
        notice = result.tags().get("ATTRIBUTION", "Contains modified Copernicus Sentinel data")
    image = _compose(panels, titles, notice)
    temporary = destination.with_name(destination.name + ".partial")
    try:
        image.save(temporary, format="PNG", optimize=True)
        temporary.replace(destination)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputWriteError(
            f"the quicklook must be writable; {destination} is not: {error}; free space or choose another folder with -o"
        ) from error
    return destination


def _panel_shape(shape: tuple[int, int]) -> tuple[int, int]:
    shrink = max(1.0, max(shape) / PANEL_PX)
    return max(1, round(shape[0] / shrink)), max(1, round(shape[1] / shrink))


def _rgb_indexes(dataset: DatasetReader) -> list[int]:
    """1-based bands to show as red, green, blue: true colour where it is, else the first three, else grey."""
    names = [canonical_s2_band(text or "") for text in dataset.descriptions]
    wanted = ("B04", "B03", "B02")
    if all(name in names for name in wanted):
        return [names.index(name) + 1 for name in wanted]
    return [1, 2, 3] if dataset.count >= 3 else [1, 1, 1]


def _read_shrunk(dataset: DatasetReader, bands: list[int], shape: tuple[int, int]) -> FloatArray:
    """Bands averaged to the size of a panel, `(3, *shape)` float32 DN; NaN where a band holds nothing."""
    pixels = dataset.read(bands, out_shape=(3, *shape), resampling=Resampling.average, masked=True)
    values: FloatArray = pixels.astype(np.float32).filled(np.nan)
    values[~np.isfinite(values)] = np.nan
    return values


def _stretch(pixels: FloatArray, valid: BoolArray) -> tuple[float, float]:
    """DN range that fills the picture: 1st to 99th percentile of the cloud-free result, a common one so that colours stay true."""
    values = pixels[:, valid]
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, [1, 99])
    return float(low), float(max(high, low + 1e-6))


def _picture(pixels: FloatArray, low: float, high: float, valid: BoolArray) -> ByteArray:
    scaled = np.clip((pixels - low) / (high - low), 0, 1) ** (1 / 1.4)  # mild gamma: reflectance is dark to the eye
    picture: ByteArray = (np.nan_to_num(scaled).transpose(1, 2, 0) * 255).astype(np.uint8)
    picture[~valid] = 255
    return picture


def _colours(dataset: DatasetReader, classes: NumberArray) -> ByteArray:
    table = dataset.colormap(1)
    palette = np.array([table.get(value, (0, 0, 0, 255))[:3] for value in range(256)], np.uint8)
    palette[0] = 255
    return palette[classes]


def _legend(dataset: DatasetReader, classes: NumberArray) -> str:
    tags = dataset.tags()
    counts = np.bincount(classes.ravel(), minlength=256)
    total = max(1, int(counts[1:].sum()))
    return ", ".join(
        f"{tags.get(f'PROVENANCE_{value}', str(value))} {counts[value] / total:.0%}" for value in range(1, 256) if counts[value]
    )


def _compose(panels: Sequence[ByteArray], titles: Sequence[str], notice: str) -> Image.Image:
    height, width = panels[0].shape[:2]
    column = max(width, 420)
    canvas = Image.new("RGB", (len(panels) * (column + _MARGIN_PX) + _MARGIN_PX, height + 2 * _TITLE_PX + 2 * _MARGIN_PX), _PAPER)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_TEXT_PX)
    for number, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        left = _MARGIN_PX + number * (column + _MARGIN_PX)
        draw.text((left, _MARGIN_PX), title, fill=_INK, font=_fitting_font(draw, title, column, font))
        canvas.paste(Image.fromarray(panel), (left, _MARGIN_PX + _TITLE_PX))
    draw.text((_MARGIN_PX, height + _TITLE_PX + _MARGIN_PX + 6), notice, fill=_INK, font=ImageFont.load_default(15))
    return canvas


def _fitting_font(
    draw: ImageDraw.ImageDraw, text: str, width: int, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont"
) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    """The font, or a smaller one in which the text fits the column."""
    for size in range(_TEXT_PX, 9, -1):
        font = ImageFont.load_default(size)
        if draw.textlength(text, font=font) <= width:
            break
    return font
