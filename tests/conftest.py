"""Fixtures that every test may use."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.object_store import Store

settings.register_profile("geocr", deadline=None, derandomize=True)  # shared machines are slow by turns; the same cases each run
settings.load_profile("geocr")

REPOSITORY = Path(__file__).resolve().parent.parent


def real_data_folder() -> Path:
    return Path(os.environ.get("GEOCR_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real Sentinel data; skips where it is absent."""
    folder = real_data_folder()
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set GEOCR_TEST_DATA to run this test")
    return folder


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator["Store"]:
    """An object store on loopback with an empty bucket; the environment points to it."""
    from tests.object_store import running_store

    with running_store(monkeypatch) as store:
        yield store


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where the real data is required (CI sets GEOCR_REQUIRE_REAL_DATA), a skipped real-data test is a failure."""
    report = yield
    reads_it = item.get_closest_marker("real_data") is not None or "real_data" in getattr(item, "fixturenames", ())
    if report.skipped and os.environ.get("GEOCR_REQUIRE_REAL_DATA") and reads_it:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped although the real data is required"
    return report
