"""Settings of a training from wherever they come: a file, a recipe, a mapping, and single ones over them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from geocr.core.errors import InputError
from geocr.training.config import TrainConfig, read_yaml
from geocr.training.overrides import apply_overrides
from geocr.training.recipe import read_recipe
from geocr.training.scene_model import fit_to_scenes

TrainSettings: TypeAlias = TrainConfig | Mapping[str, Any] | str | Path
"""A configuration, the same as nested mappings, the path of a YAML file, or the name of a recipe."""
_YAML = (".yaml", ".yml")


def resolve_config(given: TrainSettings, settings: Mapping[str, Any] | None = None) -> TrainConfig:
    """The configuration that settings mean.

    Args:
        given: From where; a string that ends in .yaml or .yml is a file, another the name of a recipe.
        settings: Single settings by path, before the others: `{"optimizer.lr": 5e-4}`, as `--set` of `geocr train`.

    Raises:
        InputError: When settings are not valid, or the file cannot be read.
        RegistryError: When there is no such recipe.
    """
    if isinstance(given, TrainConfig) and not settings:
        return given
    pairs = [f"{path}={json.dumps(value, default=str)}" for path, value in (settings or {}).items()]
    return fit_to_scenes(TrainConfig.from_dict(apply_overrides(_mapping(given), pairs)))


def _mapping(given: TrainSettings) -> Mapping[str, Any]:
    if isinstance(given, TrainConfig):
        return given.to_dict()
    if isinstance(given, Mapping):
        return given
    if isinstance(given, str) and not given.endswith(_YAML):
        return read_recipe(given)
    found = read_yaml(given)
    if not isinstance(found, dict):
        raise InputError(f"settings are a YAML mapping with keys such as model and data; {given} holds {type(found).__name__}")
    return found
