"""Published splits, restated as package data: lists of regions and of patch numbers, no files."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def published_split(name: str) -> Any:  # noqa: ANN401 - JSON as it stands; each data set knows its own
    """The JSON of `geocr/data/splits/<name>.json`. Shared: not to be changed."""
    return json.loads((files("geocr.data") / "splits" / f"{name}.json").read_text(encoding="utf-8"))
