"""Settings of a training from a file, a recipe, a mapping, and single ones over them."""

from pathlib import Path
from typing import Any

import pytest

from geocr.core.errors import InputError, RegistryError
from geocr.training.config import TrainConfig
from geocr.training.recipe import read_recipe
from geocr.training.resolve import resolve_config

ROOT: dict[str, Any] = {"data.root": "somewhere"}


def test_all_ways_lead_to_the_same_settings(tmp_path: Path) -> None:
    by_recipe = resolve_config("sscr", ROOT)
    assert by_recipe.data.root == "somewhere"
    nested = read_recipe("sscr")
    nested["data"] = {**nested["data"], "root": "somewhere"}
    assert resolve_config(nested) == by_recipe
    path = tmp_path / "mine.yaml"
    path.write_text(by_recipe.to_yaml())
    assert resolve_config(path) == resolve_config(str(path)) == by_recipe
    assert resolve_config(by_recipe) is by_recipe


def test_single_settings_come_first() -> None:
    plain = resolve_config("sscr", ROOT)
    changed = resolve_config(plain, {"optimizer.lr": 5e-4, "data.batch": 3})
    assert (changed.optimizer.lr, changed.data.batch) == (5e-4, 3)
    assert plain.optimizer.lr != 5e-4
    assert TrainConfig.from_dict({**changed.to_dict(), "optimizer": plain.to_dict()["optimizer"]}).optimizer == plain.optimizer


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"recipes are .*got 'nonsense'"):
        resolve_config("nonsense")
    with pytest.raises(InputError, match=r"absent\.yaml"):
        resolve_config(tmp_path / "absent.yaml")
    (tmp_path / "list.yml").write_text("[1]")
    with pytest.raises(InputError, match=r"YAML mapping .*list\.yml holds list"):
        resolve_config(str(tmp_path / "list.yml"))
    with pytest.raises(InputError, match="optimizer"):
        resolve_config("sscr", {**ROOT, "optimizer.lrr": 1})
