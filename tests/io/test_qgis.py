"""Styles for QGIS: the elements that QGIS reads, with ranges and classes of the raster they lie beside."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import OutputWriteError
from geocr.inference.products import PROVENANCE_CATEGORIES
from geocr.io.qgis import STD_COLOURS, std_range, write_class_style, write_std_style
from tests.scenes import write_raster


def renderer(path: Path) -> ET.Element:
    text = path.read_text()
    assert text.startswith('<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM">\n<qgis version="3')
    root = ET.fromstring(text)  # noqa: S314 - our own file, a moment ago
    assert root.tag == "qgis"
    found = root.find("pipe/rasterrenderer")
    assert found is not None
    assert (found.get("opacity"), found.get("alphaBand")) == ("1", "-1")
    return found


def std_raster(folder: Path, counts: np.ndarray, names: tuple[str, ...]) -> Path:
    texts = tuple(f"{band} standard deviation" for band in names)
    return Path(write_raster(folder / "x_std.tif", counts.astype(np.uint16), nodata=65535, scale=1e-4, descriptions=texts))


def test_the_uncertainty_is_pseudocolour_of_red_in_reflectance(tmp_path: Path) -> None:
    counts = np.zeros((3, 40, 50))
    counts[1, :20] = np.linspace(1, 400, 1000).reshape(20, 50)
    counts[1, 30:] = 65535
    found = renderer(write_std_style(tmp_path / "x_std.qml", std_raster(tmp_path, counts, ("B02", "B04", "B08"))))
    assert (found.get("type"), found.get("band")) == ("singlebandpseudocolor", "2")
    top = float(found.get("classificationMax") or 0)
    assert (found.get("classificationMin"), top) == ("0", 0.04)  # the 98th percentile is 0.0392
    (clear,) = found.iter("pixelListEntry")
    assert clear.attrib == {"min": "0", "max": "0", "percentTransparent": "100"}
    (shader,) = found.iter("colorrampshader")
    assert shader.get("colorRampType") == "INTERPOLATED"
    assert (float(shader.get("minimumValue") or -1), float(shader.get("maximumValue") or 0)) == (0, top)
    items = list(shader.iter("item"))
    np.testing.assert_allclose([float(item.get("value") or -1) for item in items], np.linspace(0, top, len(STD_COLOURS)))
    assert [item.get("color") for item in items] == ["#{:02x}{:02x}{:02x}".format(*colour) for colour in STD_COLOURS]
    (ramp,) = shader.iter("colorramp")
    options = {option.get("name"): option.get("value") for option in ramp.iter("Option") if option.get("name")}
    assert options["color1"] == "255,244,194,255"
    assert (options["stops"] or "").count(":") == len(STD_COLOURS) - 3


def test_without_red_the_first_band_and_without_values_some_range(tmp_path: Path) -> None:
    found = renderer(write_std_style(tmp_path / "a.qml", std_raster(tmp_path, np.zeros((2, 5, 5)), ("B08", "B11"))))
    assert (found.get("band"), found.get("classificationMax")) == ("1", "0.1")


def test_the_colours_darken_step_by_step() -> None:
    light = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in STD_COLOURS]
    assert (np.diff(light) < 0).all()


def test_every_class_and_no_other_is_in_the_legend(tmp_path: Path) -> None:
    found = renderer(write_class_style(tmp_path / "p.qml", PROVENANCE_CATEGORIES))
    assert (found.get("type"), found.get("band")) == ("paletted", "1")
    entries = [
        (int(each.get("value") or -1), each.get("label"), each.get("color"), each.get("alpha"))
        for each in found.findall("colorPalette/paletteEntry")
    ]
    assert entries == [
        (int(value), name, "#{:02x}{:02x}{:02x}".format(*rgba[:3]), "255") for value, (name, rgba) in PROVENANCE_CATEGORIES.items() if value
    ]


def test_names_are_escaped(tmp_path: Path) -> None:
    found = renderer(write_class_style(tmp_path / "p.qml", {1: ('<a> & "b"', (1, 2, 3, 255))}))
    assert [each.get("label") for each in found.iter("paletteEntry")] == ['<a> & "b"']


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=50))
def test_a_range_holds_what_it_should_and_little_more(values: list[float]) -> None:
    edge = float(np.percentile(values, 98))
    top = std_range(np.array(values))
    assert edge * (1 - 1e-6) <= top <= edge * 1.1 + 1e-12
    assert float(f"{top:.2g}") == pytest.approx(top, rel=1e-9)  # two digits


def test_a_style_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputWriteError, match=r"absent.*p\.qml failed"):
        write_class_style(tmp_path / "absent" / "p.qml", PROVENANCE_CATEGORIES)
