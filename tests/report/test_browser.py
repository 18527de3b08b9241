"""The report and the viewer in a real headless Chromium: no errors, and what moves moves."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page

from geocr.report.html import write_report
from geocr.report.rendering import picture_of
from geocr.report.result import find_result
from geocr.report.server import ViewServer
from geocr.report.tiles import SceneTiles
from tests.browser import quiet_page, running_browser
from tests.report.runs import Run, make_run


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(tmp_path_factory.mktemp("run"), (420, 600), overviews=True)
    write_report(find_result(run.scene), run.folder / "report.html")
    return run


@pytest.fixture
def report(browser: Browser, run: Run) -> Iterator[Page]:
    with quiet_page(browser, offline=True) as page:
        page.goto((run.folder / "report.html").as_uri())
        yield page


def shot(what: Locator) -> NDArray[np.int_]:
    return np.asarray(Image.open(BytesIO(what.screenshot())).convert("RGB")).astype(int)


def divider(figure: Locator) -> float:
    """Where the divider is drawn, as a share of the picture's width."""
    stage, line = figure.locator(".stage").bounding_box(), figure.locator(".divider").bounding_box()
    assert stage is not None
    assert line is not None
    return (line["x"] + line["width"] / 2 - stage["x"]) / stage["width"]


def share_of_cloud(picture: NDArray[np.int_]) -> float:
    return float((picture.min(axis=2) > 250).mean())


def test_the_swipe_moves_with_keys(report: Page) -> None:
    scene = report.locator("#scene")
    assert divider(scene) == pytest.approx(0.5, abs=0.01)
    half = share_of_cloud(shot(scene.locator(".stage")))
    scene.locator("input.position").focus()
    for _ in range(10):
        report.keyboard.press("ArrowRight")
    assert divider(scene) == pytest.approx(0.6, abs=0.01)
    assert "60 percent before" in (scene.locator("input.position").get_attribute("aria-valuetext") or "")
    assert share_of_cloud(shot(scene.locator(".stage"))) > half
    report.keyboard.press("Home")
    after = shot(scene.locator(".stage"))
    report.keyboard.press("End")
    before = shot(scene.locator(".stage"))
    assert share_of_cloud(before) > share_of_cloud(after) + 0.1
    scene.get_by_role("button", name="After").click()
    np.testing.assert_array_equal(shot(scene.locator(".stage")), after)


def test_the_swipe_moves_with_the_pointer(report: Page) -> None:
    stage = report.locator("#scene .stage")
    box = stage.bounding_box()
    assert box is not None
    shots = []
    for share in (0.2, 0.8):
        report.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
        report.mouse.down()
        report.mouse.move(box["x"] + box["width"] * share, box["y"] + 20, steps=3)
        report.mouse.up()
        assert divider(report.locator("#scene")) == pytest.approx(share, abs=0.01)
        shots.append(shot(stage))
    assert np.abs(shots[0] - shots[1]).max() > 50
    report.mouse.move(box["x"] + 5, box["y"] + 20)
    assert divider(report.locator("#scene")) == pytest.approx(0.8, abs=0.01)  # not followed without a button


def test_overlays_and_chips(report: Page) -> None:
    scene = report.locator("#scene")
    plain = shot(scene.locator(".stage"))
    for layer in ("Provenance", "Uncertainty"):
        scene.get_by_label(layer).check()
        assert np.abs(shot(scene.locator(".stage")) - plain).max() > 30
        scene.get_by_label(layer).uncheck()
        np.testing.assert_array_equal(shot(scene.locator(".stage")), plain)
    chip = report.locator("#chip-1")
    image = chip.locator("img.after")
    assert image.evaluate("each => [each.clientWidth, each.naturalWidth]") == [384, 384]
    chip.get_by_role("button", name="2:1").click()
    assert image.evaluate("each => each.clientWidth") == 768
    assert chip.get_by_role("button", name="2:1").get_attribute("aria-pressed") == "true"
    link = scene.locator(".marks a").first
    link.focus()
    report.keyboard.press("Enter")
    report.wait_for_url("**#chip-1")


def test_keys_reach_everything_and_show_where_they_are(report: Page) -> None:
    seen = set()
    for _ in range(40):
        report.keyboard.press("Tab")
        seen.add(report.evaluate("() => document.activeElement.outerHTML.slice(0, 40)"))
        style = report.evaluate("() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth; }")
        if not report.evaluate("() => document.activeElement.closest('svg') !== null"):
            assert style != "none0px"
    assert len(seen) > 15


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_light_and_dark(browser: Browser, run: Run, dark: bool) -> None:
    with quiet_page(browser, width=360, height=740, dark=dark, offline=True) as page:
        page.goto((run.folder / "report.html").as_uri())
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
        assert page.evaluate("() => innerWidth") == 360
        paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)")
        assert all(page.evaluate("() => [...document.images].map(each => each.complete && each.naturalWidth > 0)"))


def test_the_viewer(browser: Browser, run: Run) -> None:
    with ViewServer(SceneTiles(find_result(run.scene)), name="clear.tif") as server, quiet_page(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url)

        def settled() -> NDArray[np.int_]:
            page.wait_for_selector("#map[data-ready=true]")
            return shot(page.locator("#map"))

        half = settled()
        page.locator("#position").focus()
        page.keyboard.press("Home")
        after = settled()
        page.keyboard.press("End")
        before = settled()
        assert share_of_cloud(after) < share_of_cloud(half) < share_of_cloud(before)
        assert page.evaluate("() => getComputedStyle(document.getElementById('map')).getPropertyValue('--x')") == "100%"
        page.get_by_label("Provenance").check()
        assert np.abs(settled() - before).max() > 30
        page.get_by_label("Provenance").uncheck()
        page.get_by_role("button", name="After").click()
        page.get_by_role("button", name="1:1").click()
        page.locator("#map").focus()
        assert "1.00:1" in place_of(page)
        one = settled()
        top, left = ((side - scene) // 2 for side, scene in zip(one.shape, run.classes.shape, strict=False))
        shown = one[top : top + 420, left : left + 600]
        expected = picture_of(run.after[[2, 1, 0]].astype(np.float32), server.tiles.palette.stretch, run.classes != 0)
        np.testing.assert_array_equal(shown[:, 5:], expected[:, 5:])  # left of it lies nodata
        page.keyboard.press("+")
        settled()
        assert "2.00:1" in place_of(page)
        corner = settled()
        page.keyboard.press("ArrowRight")
        assert np.abs(settled() - corner).max() > 20
        page.keyboard.press("0")
        np.testing.assert_array_equal(settled()[5:-5, 5:-5], after[5:-5, 5:-5])  # without the frame of what has the focus
        assert all(url.startswith((server.url, "data:")) for url in asked)
        assert any("/before/" in url for url in asked)
        assert any("/provenance/" in url for url in asked)


def place_of(page: Page) -> str:
    """What the page says of the pixel under the pointer, after the pointer moved."""
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
    return page.locator("#place").inner_text()


def test_a_page_without_the_input_has_no_divider(browser: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path, std=False)
    Path(run.s2).unlink()
    files = find_result(run.scene)
    write_report(files, tmp_path / "report.html")
    with quiet_page(browser, offline=True) as page:
        page.goto((tmp_path / "report.html").as_uri())
        assert page.locator("input.position").count() == 0
        assert page.locator("img.before").count() == 0
    with ViewServer(SceneTiles(files), name="clear.tif") as server, quiet_page(browser) as page:
        page.goto(server.url)
        page.wait_for_selector("#map[data-ready=true]")
        assert page.locator(".divider").is_hidden()
