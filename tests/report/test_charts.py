"""Charts as SVG: well-formed, and their lines lie where the figures say."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.bands import S2_BANDS
from geocr.report.charts import BINS, css_name, gradient, histogram, quartiles, spectra


def svg(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own text, a moment ago


def points(path: str) -> list[tuple[float, float]]:
    return [tuple(map(float, pair.split())) for pair in re.findall(r"[ML]([\d.-]+ [\d.-]+)", path)]  # type: ignore[misc]


def test_quartiles_are_numpys_without_nan() -> None:
    values = np.array([[1, 2, 3, 4, np.nan], [np.nan] * 5], np.float32)
    np.testing.assert_array_equal(quartiles(values)[:, 0], [1.75, 2.5, 3.25])
    assert np.isnan(quartiles(values)[:, 1]).all()


def test_a_histogram_is_shares_of_its_own_group() -> None:
    values = np.concatenate([np.zeros(30), np.ones(10)]).astype(np.float32)
    root = svg(histogram("B<1>", {"observed": values, "reconstructed": values[:20]}))
    assert root.get("role") == "img"
    assert (root.get("aria-label") or "").startswith("Histogram of reflectance in B<1>: median 0.000 observed")
    first, second = (points(path.get("d") or "") for path in root.iter("path"))
    assert len(first) == 2 * BINS
    base, top = 128, 22  # of the drawing; the second group is all in the first bin and sets the height
    assert first[0][1] == pytest.approx(base - (base - top) * 0.75, abs=0.1)
    assert first[-1][1] == pytest.approx(base - (base - top) * 0.25, abs=0.1)
    assert second[0][1] == pytest.approx(top, abs=0.1)
    assert [path.get("class") for path in root.iter("path")] == ["line observed", "line reconstructed"]


def test_charts_of_nothing_are_empty() -> None:
    nothing = np.full((2, 3), np.nan, np.float32)
    assert histogram("B02", {"observed": nothing[0]}) == ""
    assert spectra(("B02", "B03"), {"observed": nothing}) == ""


def test_spectra_lie_over_wavelengths() -> None:
    bands = ("B12", "B02", "B08")
    values = np.array([[0.1], [0.2], [0.4]], np.float32)
    root = svg(spectra(bands, {"observed": values}))
    dots = [(float(dot.get("cx") or 0), float(dot.get("cy") or 0)) for dot in root.iter("circle")]
    nm = [S2_BANDS[band].wavelength_nm for band in ("B02", "B08", "B12")]
    share = (dots[1][0] - dots[0][0]) / (dots[2][0] - dots[0][0])
    assert share == pytest.approx((nm[1] - nm[0]) / (nm[2] - nm[0]), abs=1e-3)
    assert dots[1][1] < dots[0][1] < dots[2][1]  # B08 is brightest, B12 darkest, and up is bright


@given(st.lists(st.floats(-1, 2, width=32), min_size=1, max_size=30), st.sampled_from([("B02",), (None,), ("B02", "B8A"), (None, "B03")]))
def test_any_values_give_well_formed_svg(numbers: list[float], bands: tuple[str | None, ...]) -> None:
    values = np.array([numbers] * len(bands), np.float32)
    for text in (spectra(bands, {"observed": values, "a & b": values}), histogram("B & 1", {"observed": values[0]})):
        root = svg(text)
        assert all(np.isfinite(pair).all() for path in root.iter("path") for pair in points(path.get("d") or ""))


def test_groups_have_their_own_lines() -> None:
    assert [css_name(name) for name in ("observed", "reconstructed", "observed on another date")] == ["observed", "reconstructed", "other"]


def test_a_gradient_ends_with_its_last_colour() -> None:
    root = svg(gradient([(0, 0, 0), (9, 8, 7)], 0.05))
    assert [stop.get("stop-color") for stop in root.iter("stop")] == ["rgb(0,0,0)", "rgb(9,8,7)"]
    assert [text.text for text in root.iter("text")] == ["0", "0.05"]
