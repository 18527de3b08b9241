"""Small files that are there whole or not at all, on this machine or in an object store."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocr.io.failure import naming_failure
from geocr.io.remote import is_object, write_object


def write_whole(place: Path | str, content: bytes) -> None:
    """Write a small file under a temporary name, then give it its own; in an object store in one request.

    Args:
        place: A path, or an `s3://` URL.
        content: All of it.

    Raises:
        OutputWriteError: When it cannot be written; what stood there before still does.
    """
    if is_object(place):
        write_object(str(place), content)
        return
    path = Path(place)
    with naming_failure(path):
        temporary = path.with_name(path.name + ".partial")
        temporary.write_bytes(content)
        temporary.replace(path)


def write_json(place: Path | str, content: Mapping[str, Any]) -> None:
    """Write a JSON object as `write_whole` does, for people to read: indented, in the order given.

    Raises:
        OutputWriteError: As `write_whole`.
    """
    write_whole(place, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")
