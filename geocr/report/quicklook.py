"""A before, after and provenance picture: where people look rather than read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from geocr.core.errors import OutputWriteError
from geocr.core.types import ByteArray, NumberArray
from geocr.io.open_optical import open_optical_dataset
from geocr.io.raster import open_raster
from geocr.report.rendering import band_names, class_colours, picture_of, read_shrunk, rgb_indexes, same_bands, shrunk_shape, stretch_of

PANEL_PX = 900
"""Longest side of a panel; a scene is read at that resolution from its overviews."""
_MARGIN_PX, _TITLE_PX, _TEXT_PX = 16, 34, 20
_PAPER, _INK = (255, 255, 255), (30, 30, 30)


def write_quicklook(before: str, after: str, provenance: str, destination: Path) -> Path:
    """Draw input, output and provenance side by side.

    Args:
        before: The cloudy Sentinel-2 raster or product.
        after: The cloud-free raster on the same grid.
        provenance: Its provenance raster, with colour table and class tags.
        destination: PNG to write; replaced in one step.

    Returns:
        `destination`.
    """
    with (
        open_raster(after) as result,
        open_optical_dataset(before, band_names(result)) as source,
        open_raster(provenance) as classes,
    ):
        shape = shrunk_shape(result.shape, PANEL_PX)
        names = band_names(result)
        bands = rgb_indexes(names)
        clear = classes.read(1, out_shape=shape, resampling=Resampling.nearest)
        pixels = [read_shrunk(source, same_bands(bands, names, band_names(source)), shape), read_shrunk(result, bands, shape)]
        valid = clear != 0
        stretch = stretch_of(pixels[1], valid)
        panels = [picture_of(array, stretch, valid) for array in pixels] + [class_colours(classes, clear)]
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
