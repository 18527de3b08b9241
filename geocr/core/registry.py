"""Tables of plug-ins: a name maps to `"module:attribute"`, imported when it is asked for.

A table is a plain mapping, so that listing names costs no import. Other packages add entries through
an entry-point group of the table's name (`geocr.models` and so on); a name may exist only once.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from geocr.core.errors import RegistryError
from geocr.core.spelling import likely


class Registry(Mapping[str, str]):
    """Read-only table of names and where their objects live.

    Args:
        group: Entry-point group that third parties extend, for example `geocr.models`.
        entries: Name to `"package.module:attribute"`.
    """

    def __init__(self, group: str, entries: Mapping[str, str]) -> None:
        self.group = group
        self._own = dict(entries)

    @cached_property
    def _all(self) -> dict[str, str]:
        """Own entries and those of other packages; to look through what is installed takes a while, and it does not change."""
        found = dict(self._own)
        for point in entry_points(group=self.group):
            if point.name in found:
                msg = f"each name of {self.group} may stand once: {point.name!r} is {found[point.name]} and {point.value}; uninstall one of the two"
                raise RegistryError(msg)
            found[point.name] = point.value
        return found

    def __getitem__(self, name: str) -> str:
        """Where the object of this name lives."""
        entries = self._all
        if name not in entries:
            msg = f"{self.group} knows {', '.join(sorted(entries))}; got {name!r}{likely(name, entries)}"
            raise RegistryError(msg)
        return entries[name]

    def __iter__(self) -> Iterator[str]:
        """Names, own ones first."""
        return iter(self._all)

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._all)

    def load(self, name: str) -> Any:  # noqa: ANN401 - a table holds classes and functions of several kinds
        """Import and return the object behind a name.

        Raises:
            RegistryError: When the table has no such name.
        """
        module, _, attribute = self[name].partition(":")
        return getattr(import_module(module), attribute)
