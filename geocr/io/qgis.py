"""Styles for QGIS beside the rasters of a run, so that they look right when they are dropped on the map.

QGIS reads `name.qml` beside `name.tif` by itself. It hands a renderer values that scale and offset have been applied to, so that a style of
the deviations is in reflectance and not in counts. Without a style, the provenance has the right colours and names too (they are in the file
and its `.aux.xml`), but a legend of 256 entries: a colour table of TIFF always has so many. The elements and attributes are those that QGIS 3
writes for a layer saved with "singleband pseudocolor" and "paletted"; it fills in what a style leaves out.
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from rasterio.enums import Resampling

from geocr.core.bands import canonical_s2_band
from geocr.io.failure import naming_failure
from geocr.io.raster import open_raster

STD_COLOURS = ((255, 244, 194), (252, 196, 92), (240, 125, 50), (190, 50, 75), (92, 18, 96), (30, 6, 50))
"""Sure to unsure, light to dark: lightness falls at every step, so the order reads without seeing hues."""
_SAMPLE_PX = 1024
_EMPTY_TOP = 0.1
"""Top of the range of a scene in which nothing was reconstructed, in reflectance."""


def write_std_style(destination: Path, std: Path) -> Path:
    """Write a QGIS style for a raster of standard deviations.

    The range is 0 to the 98th percentile of the deviations above 0, rounded up to two digits; 0 (observed) is transparent. The band shown
    first is red (B04) where there is one.

    Args:
        destination: The `.qml`; replaced when it exists.
        std: The raster: counts with a scale tag, 0 where observed.

    Returns:
        `destination`.

    Raises:
        RasterReadError: When the raster cannot be read.
        OutputWriteError: When the style cannot be written.
    """
    with open_raster(str(std)) as dataset:
        names = [canonical_s2_band(text or "") for text in dataset.descriptions]
        band = names.index("B04") + 1 if "B04" in names else 1
        shape = tuple(min(side, _SAMPLE_PX) for side in dataset.shape)
        counts = dataset.read(band, out_shape=shape, resampling=Resampling.nearest, masked=True).compressed()
        top = std_range(counts[counts > 0] * dataset.scales[band - 1])
    root, pipe = _document()
    _pseudocolour(pipe, band, top)
    return _write(destination, root, pipe)


def write_class_style(destination: Path, categories: Mapping[int, tuple[str, tuple[int, int, int, int]]]) -> Path:
    """Write a QGIS style for a categorical raster of one band: its classes and no others, by name.

    Args:
        destination: The `.qml`; replaced when it exists.
        categories: Class value to name and RGBA; classes that are transparent throughout are left out.

    Returns:
        `destination`.

    Raises:
        OutputWriteError: When the style cannot be written.
    """
    root, pipe = _document()
    renderer = ET.SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1", nodataColor="")
    ET.SubElement(renderer, "rasterTransparency")
    palette = ET.SubElement(renderer, "colorPalette")
    for value, (name, (red, green, blue, alpha)) in sorted(categories.items()):
        if alpha:
            colour = f"#{red:02x}{green:02x}{blue:02x}"
            ET.SubElement(palette, "paletteEntry", value=str(int(value)), color=colour, alpha=str(alpha), label=name)
    return _write(destination, root, pipe)


def std_range(deviations: "np.typing.NDArray[np.floating]") -> float:
    """Top of a range of colours for standard deviations: their 98th percentile, rounded up to two digits.

    Args:
        deviations: Above 0, reflectance, any shape; NaN is left out.
    """
    seen = deviations[np.isfinite(deviations)]
    if seen.size == 0:
        return _EMPTY_TOP
    value = float(np.percentile(seen, 98))
    if value <= 0:
        return _EMPTY_TOP
    digit = floor(log10(value)) - 1
    return float(f"{ceil(round(value * 10.0**-digit, 6)) * 10.0**digit:.12g}")


def _document() -> tuple[ET.Element, ET.Element]:
    """The root of a style and its pipe, in which pixels are shown as they are, without smoothing."""
    root = ET.Element("qgis", version="3.22.0", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    ET.SubElement(
        ET.SubElement(pipe, "provider"), "resampling", enabled="false", zoomedInResamplingMethod="nearestNeighbour",
        zoomedOutResamplingMethod="nearestNeighbour", maxOversampling="2",
    )  # fmt: skip
    return root, pipe


def _write(destination: Path, root: ET.Element, pipe: ET.Element) -> Path:
    ET.SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    ET.SubElement(pipe, "rasterresampler", maxOversampling="2")
    ET.SubElement(root, "blendMode").text = "0"
    text = '<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM">\n' + ET.tostring(root, encoding="unicode") + "\n"
    with naming_failure(destination):
        destination.write_text(text)
    return destination


def _pseudocolour(pipe: ET.Element, band: int, top: float) -> None:
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="singlebandpseudocolor", band=str(band), opacity="1", alphaBand="-1", nodataColor="",
        classificationMin="0", classificationMax=f"{top:.12g}",
    )  # fmt: skip
    transparent = ET.SubElement(ET.SubElement(renderer, "rasterTransparency"), "singleValuePixelList")
    ET.SubElement(transparent, "pixelListEntry", min="0", max="0", percentTransparent="100")
    origin = ET.SubElement(renderer, "minMaxOrigin")
    for name, value in (("limits", "None"), ("extent", "WholeRaster"), ("statAccuracy", "Estimated")):
        ET.SubElement(origin, name).text = value
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"), "colorrampshader", colorRampType="INTERPOLATED", classificationMode="1", clip="0",
        minimumValue="0", maximumValue=f"{top:.12g}", labelPrecision="4",
    )  # fmt: skip
    shader.append(_ramp(STD_COLOURS))
    for number, colour in enumerate(STD_COLOURS):
        value = f"{top * number / (len(STD_COLOURS) - 1):.6g}"
        ET.SubElement(shader, "item", value=value, label=value, color="#{:02x}{:02x}{:02x}".format(*colour), alpha="255")


def _ramp(colours: Sequence[tuple[int, int, int]]) -> ET.Element:
    """The gradient that QGIS offers for changing the colours later."""
    ramp = ET.Element("colorramp", type="gradient", name="[source]")
    options = ET.SubElement(ramp, "Option", type="Map")
    written = ["{},{},{},255".format(*colour) for colour in colours]
    stops = ":".join(f"{number / (len(colours) - 1):g};{written[number]}" for number in range(1, len(colours) - 1))
    facts = {"color1": written[0], "color2": written[-1], "discrete": "0", "rampType": "gradient", "stops": stops}
    for name, value in facts.items():
        ET.SubElement(options, "Option", name=name, type="QString", value=value)
        ET.SubElement(ramp, "prop", k=name, v=value)
    return ramp
