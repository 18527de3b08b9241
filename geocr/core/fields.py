"""Strict reading of a dataclass that was stored as JSON: exactly its own keys, nothing guessed."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from geocr.core.errors import InputError


def require_fields(kind: type, stored: Mapping[str, Any]) -> None:
    """Refuse stored values whose keys are not exactly the fields of a dataclass.

    Args:
        kind: The dataclass that is to be rebuilt.
        stored: What was read back from JSON.

    Raises:
        InputError: When it is no mapping, or keys are missing or unknown.
    """
    if not isinstance(stored, Mapping):
        raise InputError(f"a stored {kind.__name__} must be a JSON object, got {type(stored).__name__}")
    expected = {field.name for field in fields(kind)}
    missing, unknown = sorted(expected - stored.keys()), sorted(stored.keys() - expected)
    if missing or unknown:
        raise InputError(
            f"a stored {kind.__name__} must have exactly the keys {', '.join(sorted(expected))}; "
            f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}; it was written by another version of geocr"
        )
