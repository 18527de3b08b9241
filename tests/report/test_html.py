"""The report as a file: whole, closed to the network, small, and the same for the same run."""

import base64
import hashlib
import re
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

from geocr.core.errors import InputError, OutputExistsError, OutputWriteError
from geocr.io.qgis import std_range
from geocr.report import html as html_module
from geocr.report.html import require_report_place, write_report
from geocr.report.result import find_result
from tests.report.runs import BANDS, Run, make_run
from tests.scenes import TRANSFORM, write_raster


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inside.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report_of(run: Run, s2: str | None = None) -> str:
    return write_report(find_result(run.scene, s2), run.folder / "report.html").read_text()


def picture(uri: str | None) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode((uri or "").partition(",")[2]))).convert("RGBA"))


def test_nothing_is_fetched_and_nothing_else_may_run(tmp_path: Path) -> None:
    text = report_of(make_run(tmp_path))
    page = Page(text)
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'" in policy
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest|WebSocket", text)


def test_it_has_every_part_that_was_promised(tmp_path: Path) -> None:
    text = report_of(make_run(tmp_path))
    page = Page(text)
    figures = page.all("figure")
    assert [each["id"] for each in figures] == ["scene", "chip-1", "chip-2"][: len(figures)]
    assert len(figures) >= 2
    alts = [each["alt"] for each in page.all("img")]
    for start in ("After", "Before", "Provenance", "Standard deviation"):
        assert sum((alt or "").startswith(start) for alt in alts) == len(figures)
    ranges = [each for each in page.all("input") if each.get("type") == "range"]
    assert all(each.get("aria-label") for each in ranges)
    assert [each for each in page.all("meta") if each.get("name") == "viewport"]
    assert page.all("html")[0]["lang"] == "en"
    assert "prefers-color-scheme: dark" in text
    assert "0.0200" in text
    assert "0.0190 with Sentinel-1" in text
    assert "12,345 samples" in text
    assert "70% of those errors" in text
    command = unescape(re.findall(r'<pre id="command"[^>]*>(.*?)</pre>', text)[0])
    assert command == "geocr predict-scene s1.tif s2.tif -o clear.tif --uncertainty"
    labelled = {each.get("aria-label") or "" for each in page.all("svg")}
    assert any(words.startswith("Spectra: median") for words in labelled)
    assert sum(words.startswith("Histogram of reflectance in B") for words in labelled) == 4
    assert "Contains modified Copernicus Sentinel data [2021]" in text


def test_places_and_deviations_are_those_of_the_rasters(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    text = report_of(run)
    x, y = TRANSFORM * (100, 75)  # the one chip is the whole scene of 150 x 200
    assert f"centre {x:.8g}, {y:.8g}; rows from 0, columns from 0" in text
    assert run.std_counts is not None
    seen = run.std_counts[:, np.isin(run.classes, (2, 3))] * 1e-4
    assert f"Colours of the standard deviation from 0 to {std_range(seen.mean(axis=0)):g} reflectance" in text
    middle = np.median(run.std_counts[0, ::3, ::3][np.isin(run.classes, (2, 3))[::3, ::3]] * np.float32(1e-4))
    assert f"<td>B02</td><td>0.0100</td><td>{middle:.4f}</td>" in text
    observed = (run.after[0, ::3, ::3][run.classes[::3, ::3] == 1]).astype(np.float32) * np.float32(1e-4) - np.float32(0.1)
    low, median, high = np.percentile(observed, [25, 50, 75])
    assert f"<td>B02</td><td>{median:.4f}</td><td>{low:.4f}</td><td>{high:.4f}</td>" in text


def test_pixels_are_counted_exactly(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    text = report_of(run)
    for value, name in ((0, "nodata"), (1, "observed"), (2, "reconstructed with SAR"), (4, "observed on another date")):
        count = int((run.classes == value).sum())
        assert f"<td>{name}</td><td>{count:,}</td><td>{count / run.classes.size:.2%}</td>" in text
    seen = int((run.classes[::3, ::3] == 1).sum())
    assert f"Of {seen:,} observed pixels of the sample, {seen:,} hold the very values of the input in every band." in text


def test_pictures_show_what_the_rasters_hold(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    images = {(each["alt"] or "").split()[0]: picture(each["src"]) for each in Page(report_of(run)).all("img")[:4]}
    assert {name: image.shape for name, image in images.items()} == dict.fromkeys(
        ("After:", "Before:", "Provenance:", "Standard"), (150, 200, 4)
    )
    assert (images["Provenance:"][run.classes == 1][:, 3] == 0).all()
    assert (images["Provenance:"][run.classes == 2] == (240, 150, 40, 255)).all()
    shown = images["Standard"][..., 3] == 255
    np.testing.assert_array_equal(shown, np.isin(run.classes, (2, 3)))
    brightness = images["Standard"][100, :, :3].astype(int).sum(axis=1)[shown[100]]
    assert (np.diff(brightness) <= 0).all()
    assert brightness[0] > brightness[-1]
    assert images["Before:"][run.classes == 2][:, :3].mean() > 250  # cloud
    assert images["After:"][run.classes == 2][:, :3].mean() < 200


@pytest.mark.parametrize("name", ['<script>alert("x")<', "a'&\" onload=alert(1) b", "ü{}%s<b>"])
def test_names_cannot_become_markup(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path, name=name)
    with rasterio.open(run.scene, "r+") as dataset:
        dataset.update_tags(
            GEOCR_METHOD='{"name": "</script><img src=x onerror=alert(1)>"}', GEOCR_INPUT_S1="<i>.tif", ATTRIBUTION="</p><script>1</script>"
        )
    text = report_of(run, run.s2)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert not page.all("i")
    assert not page.all("b")
    assert all((each["src"] or "").startswith("data:") for each in page.all("img"))
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert f"{name}.tif" in unescape(text)


def test_without_the_input_before_is_left_out_with_a_reason(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    Path(run.s2).unlink()
    text = report_of(run)
    page = Page(text)
    assert "name it with --s2" in text
    assert not any((each["alt"] or "").startswith("Before") for each in page.all("img"))
    assert not [each for each in page.all("input") if "position" in (each.get("class") or "")]


def test_a_scene_made_of_arrays_has_no_command(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    kept = {key: text for key, text in run.tags.items() if key in ("GEOCR_VERSION", "GEOCR_PARAMETERS")}
    write_raster(tmp_path / "clear.tif", run.after, nodata=0, descriptions=BANDS, tags=kept)
    text = report_of(run, run.s2)
    median = np.median(run.after[0, ::3, ::3][run.classes[::3, ::3] == 1].astype(np.float32)) * 1e-4
    assert f"<td>B02</td><td>{median:.4f}</td>" in text  # reflectance, though no tag tells of a scale
    assert "<h3>Method</h3>" not in text
    assert "made from arrays in Python" in text
    assert "predict-scene" not in text


def test_without_uncertainty_and_without_clouds(tmp_path: Path) -> None:
    text = report_of(make_run(tmp_path, std=False, replaced=False))
    assert "Nothing was replaced in this scene." in text
    assert "The run estimated no uncertainty" in text
    assert len(Page(text).all("figure")) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 6)])
def test_scenes_of_any_shape(tmp_path: Path, shape: tuple[int, int]) -> None:
    run = make_run(tmp_path, shape)  # the first is nodata throughout
    assert len(Page(report_of(run)).all("figure")) >= 1


def test_the_same_run_gives_the_same_report(tmp_path: Path) -> None:
    run = make_run(tmp_path, overviews=True)
    assert report_of(run) == report_of(run)
    assert not list(tmp_path.glob("*.partial"))


def test_it_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(OutputWriteError, match=r"report must be writable; .*taken\.html is not"):
        write_report(find_result(run.scene), tmp_path / "taken.html")
    assert not list(tmp_path.glob("*.partial"))


def test_where_a_report_may_go(tmp_path: Path) -> None:
    there = tmp_path / "there.html"
    there.touch()
    with pytest.raises(OutputExistsError, match=r"never overwritten unasked, and .*there\.html exists; add --overwrite"):
        require_report_place(there, overwrite=False)
    require_report_place(there, overwrite=True)
    with pytest.raises(OutputWriteError, match="the report's folder must exist"):
        require_report_place(tmp_path / "absent" / "a.html", overwrite=False)
    for bad in (tmp_path / "a.tif", tmp_path, Path("s3://bucket/a.html")):
        with pytest.raises(InputError, match=r"ends in \.html"):
            require_report_place(bad, overwrite=True)


def test_large_scenes_are_read_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_module, "OVERVIEW_PX", 64)
    run = make_run(tmp_path, (300, 400), overviews=True)
    assert picture(Page(report_of(run)).all("img")[0]["src"]).shape == (48, 64, 4)


@pytest.mark.slow
def test_the_hardest_scene_stays_under_ten_megabytes(tmp_path: Path) -> None:
    """Noise does not compress; scenes larger than the overview are no larger in the report."""
    run = make_run(tmp_path, (1800, 1800), noise=3000)
    assert len(Page(report_of(run)).all("figure")) == 7
    assert (tmp_path / "report.html").stat().st_size < 10e6
