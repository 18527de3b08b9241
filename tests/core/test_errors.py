"""Every error is ours and a builtin's."""

import builtins
import inspect

import pytest

from geocr.core import errors
from geocr.core.errors import GeocrError

LEAVES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GeocrError) and kind is not GeocrError]


def test_there_are_leaves() -> None:
    assert len(LEAVES) >= 12


@pytest.mark.parametrize("kind", LEAVES)
def test_a_leaf_is_caught_as_ours_and_as_the_builtin(kind: type[GeocrError]) -> None:
    parents = [
        base for base in kind.__mro__[1:] if vars(builtins).get(base.__name__) is base and base not in (Exception, BaseException, object)
    ]
    assert parents
    for parent in (GeocrError, *parents):
        with pytest.raises(parent, match=r"^what came and the cure$"):
            raise kind("what came and the cure")


@pytest.mark.parametrize("kind", [GeocrError, *LEAVES])
def test_a_leaf_is_documented(kind: type[GeocrError]) -> None:
    assert kind.__doc__
