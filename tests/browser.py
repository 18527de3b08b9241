"""A headless Chromium for tests of pages: the system's, or Playwright's own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserType, Error, Page, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMEOUT_MS = 120_000


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser; where there is none the test is skipped, or fails where GEOCR_REQUIRE_BROWSER is set."""
    with sync_playwright() as playwright:
        browser = _launch(playwright.chromium)
        try:
            yield browser
        finally:
            browser.close()


def _launch(chromium: BrowserType) -> Browser:
    found = os.environ.get("GEOCR_BROWSER") or next((path for path in map(shutil.which, NAMES) if path), None)
    sandbox = hasattr(os, "getuid") and os.getuid() != 0  # Chromium refuses to run its sandbox as root
    try:
        return chromium.launch(executable_path=found, chromium_sandbox=sandbox, timeout=TIMEOUT_MS)
    except Error as error:
        reason = f"no Chromium could be started ({found or 'none on PATH, none of Playwright'}): {str(error).splitlines()[0]}"
    if os.environ.get("GEOCR_REQUIRE_BROWSER"):
        pytest.fail(f"{reason}; GEOCR_REQUIRE_BROWSER is set")
    pytest.skip(f"{reason}; `make browser` fetches one, GEOCR_BROWSER names one")


@contextmanager
def quiet_page(browser: Browser, *, width: int = 1000, height: int = 800, dark: bool = False, offline: bool = False) -> Iterator[Page]:
    """A page on which every console message of a problem, script error and failed request fails the test when the block ends."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", offline=offline, device_scale_factor=1
    )
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(f"failed: {request.url[:99]}"))
    yield page
    context.close()
    assert problems == []
