"""The scripts in benchmarks/ import each other by name, as they do when run."""

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest

from tests.conftest import REPOSITORY

Script = Callable[[str], ModuleType]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Imports a script of benchmarks/ by name."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    return importlib.import_module
