"""Settings files beside published weights: JSON, read strictly, and the messages when something in them cannot be had."""

import json
from pathlib import Path
from typing import Any

from geocr.core.errors import CheckpointError
from geocr.importing.method import Settings


def read_settings(path: str | Path) -> Settings:
    """Read a JSON object.

    Raises:
        CheckpointError: When the file is missing or holds anything else.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"a settings file must be readable; {path} is not: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"a settings file must be JSON; {path} is not: {error}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"a settings file must be a JSON object, got {type(found).__name__} in {path}")
    return found


def setting(settings: Settings, name: str, default: Any, kind: type | tuple[type, ...]) -> Any:  # noqa: ANN401 - as JSON holds it
    """One value of a kind, or the published code's default where it is absent.

    Raises:
        CheckpointError: When the value is of another kind.
    """
    value = settings.get(name, default)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise CheckpointError(f"{name} of the settings must be {' or '.join(one.__name__ for one in kinds)}, got {value!r}")
    return value


def require_setting(settings: Settings, name: str, value: object, *, default: object, why: str) -> None:
    """Refuse any other value.

    Raises:
        CheckpointError: Saying why geocr's model has only this one.
    """
    given = settings.get(name, default)
    if given != value or isinstance(given, bool) != isinstance(value, bool):
        raise CheckpointError(f"{name} of the settings must be {value!r}, because {why}; got {given!r}")


def integers(settings: Settings, name: str, default: list[int]) -> list[int]:
    """A list of whole numbers, or such a list as text (`[64,64]`), as the released code of UnCRtainTS writes either.

    Raises:
        CheckpointError: When it is neither.
    """
    value = settings.get(name, default)
    try:
        read = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        read = None
    if not isinstance(read, list) or not read or any(isinstance(one, bool) or not isinstance(one, int) for one in read):
        raise CheckpointError(f"{name} of the settings must be a list of whole numbers, got {value!r}")
    return list(read)
