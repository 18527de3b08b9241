"""Stored dataclasses are read strictly."""

from dataclasses import dataclass

import pytest

from geocr.core.errors import InputError
from geocr.core.fields import require_fields


@dataclass
class Pair:
    left: int
    right: int = 0


def test_exactly_the_fields_pass() -> None:
    require_fields(Pair, {"left": 1, "right": 2})


def test_a_default_does_not_stand_in_for_a_missing_key() -> None:
    with pytest.raises(InputError, match="exactly the keys left, right; missing: right; unknown: none"):
        require_fields(Pair, {"left": 1})


def test_unknown_keys_and_other_types_are_refused() -> None:
    with pytest.raises(InputError, match="missing: none; unknown: up"):
        require_fields(Pair, {"left": 1, "right": 2, "up": 3})
    with pytest.raises(InputError, match="a stored Pair must be a JSON object, got list"):
        require_fields(Pair, [1, 2])  # type: ignore[arg-type]
