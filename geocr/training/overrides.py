"""`--set a.b=c`: single settings by their path."""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import yaml

from geocr.core.errors import InputError


def apply_overrides(settings: Mapping[str, Any], pairs: Iterable[str]) -> dict[str, Any]:
    """Settings with some replaced; what a path leads through is made where it is missing.

    Args:
        settings: Nested mappings, not changed.
        pairs: `PATH=VALUE` each, the path's parts joined by dots. Values are JSON, else YAML: `5e-4` is a number, `null` none.

    Raises:
        InputError: When a pair has no `=`, or its path leads through a value.
    """
    changed = deepcopy(dict(settings))
    for pair in pairs:
        path, equals, text = pair.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            raise InputError(f"--set takes PATH=VALUE, for example --set optimizer.lr=5e-4; got {pair!r}")
        place = changed
        for part in parts[:-1]:
            inner = place.get(part)
            if inner is None:
                inner = place[part] = {}
            if not isinstance(inner, dict):
                raise InputError(f"--set {path}: {part} is the value {inner!r} and has nothing inside")
            place = inner
        place[parts[-1]] = parse_value(text)
    return changed


def parse_value(text: str) -> Any:  # noqa: ANN401 - JSON or YAML as it came
    """A value as JSON, else as YAML, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
