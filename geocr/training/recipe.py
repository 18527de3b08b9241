"""Recipes: configurations of published methods, one YAML file each in `geocr/training/recipes`."""

from importlib.resources import files
from typing import Any

import yaml

from geocr.core.errors import RegistryError
from geocr.core.spelling import likely

_FOLDER = "recipes"
_ENDING = ".yaml"


def recipe_names() -> tuple[str, ...]:
    """Names of all recipes, sorted."""
    found = (entry.name for entry in files(__package__).joinpath(_FOLDER).iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING)))


def recipe_text(name: str) -> str:
    """A recipe as it stands in its file, with the sources of its values in comments.

    Raises:
        RegistryError: When there is none of this name.
    """
    names = recipe_names()
    if name not in names:
        raise RegistryError(f"recipes are {', '.join(names)}; got {name!r}{likely(name, names)}")
    return files(__package__).joinpath(_FOLDER, name + _ENDING).read_text(encoding="utf-8")


def read_recipe(name: str) -> dict[str, Any]:
    """A recipe's settings, without the data's folder.

    Raises:
        RegistryError: When there is none of this name.
    """
    settings: dict[str, Any] = yaml.safe_load(recipe_text(name))
    return settings


def recipe_lines() -> dict[str, str]:
    """Name to its line for the list."""
    return {name: str(read_recipe(name)["about"]) for name in recipe_names()}
