"""Tables of plug-ins: lazy, extensible, each name once."""

import sys
from importlib.metadata import EntryPoint

import pytest

from geocr.core.errors import RegistryError
from geocr.core.registry import Registry

TABLE = Registry("geocr.test", {"path": "pathlib:Path", "never": "geocr.no_such_module:thing"})


@pytest.fixture(autouse=True)
def _look_anew() -> None:
    TABLE.__dict__.pop("_all", None)


def extend(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = [EntryPoint(name=name, value=value, group="geocr.test") for name, value in points]
    monkeypatch.setattr("geocr.core.registry.entry_points", lambda group: found if group == "geocr.test" else [])


def test_listing_imports_nothing() -> None:
    assert list(TABLE) == ["path", "never"]
    assert len(TABLE) == 2
    assert "never" in TABLE
    assert TABLE["never"] == "geocr.no_such_module:thing"
    assert "geocr.no_such_module" not in sys.modules


def test_load_gives_the_object() -> None:
    from pathlib import Path

    assert TABLE.load("path") is Path


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RegistryError, match=r"geocr\.test knows never, path; got 'paht'; did you mean 'path'\?$"):
        TABLE.load("paht")
    with pytest.raises(LookupError):
        TABLE["paht"]


def test_other_packages_add_names(monkeypatch: pytest.MonkeyPatch) -> None:
    extend(monkeypatch, ("ordered", "collections:OrderedDict"))
    from collections import OrderedDict

    assert list(TABLE) == ["path", "never", "ordered"]
    assert TABLE.load("ordered") is OrderedDict


def test_a_name_given_twice_is_refused_and_both_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    extend(monkeypatch, ("path", "elsewhere:Path"))
    with pytest.raises(RegistryError, match=r"'path' is pathlib:Path and elsewhere:Path; uninstall one"):
        TABLE.load("path")


def test_membership_answers_for_unknown_names() -> None:
    assert "absent" not in TABLE
    assert TABLE.get("absent") is None
