"""STAC's own schemas: the core ones as pystac bundles them, without a network."""

import json
from pathlib import Path
from typing import Any

from pystac.validation import JsonSchemaSTACValidator, set_validator, validate_dict


def validate_core(content: dict[str, Any]) -> None:
    """Raise unless an item or collection is valid by the core specification; extensions are not looked at."""
    set_validator(JsonSchemaSTACValidator())
    checked = validate_dict({**content, "stac_extensions": []})
    assert checked, "no schema was applied"
    assert content["stac_version"] == "1.1.0"  # the version whose schemas are bundled


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
