"""Registering `ds.geocr` without importing xarray.

xarray takes a third of a second to import, which `geocr --help` and whoever only reads rasters should not pay. So the
accessor is registered at once where xarray is imported already, and otherwise right after it is: a finder at the head of
`sys.meta_path` waits for that one name, lets the ordinary finders find it, and leaves.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geocr.accessor.accessor import GeocrAccessor

NAME = "geocr"
"""The accessor's name: `ds.geocr`."""


def register_accessor() -> None:
    """Register `ds.geocr` on `Dataset` and `DataArray`: now if xarray is imported, else as soon as it is."""
    xarray = sys.modules.get("xarray")
    if xarray is not None and not _is_importing(xarray):
        _register(xarray)
    elif not any(isinstance(finder, _XarrayFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _XarrayFinder(xarray))


def _is_importing(module: ModuleType) -> bool:
    return not hasattr(module, "register_dataset_accessor")


def _register(xarray: Any) -> None:  # noqa: ANN401 - the module itself
    for kind, register in (("Dataset", xarray.register_dataset_accessor), ("DataArray", xarray.register_dataarray_accessor)):
        if NAME not in vars(getattr(xarray, kind)):
            register(NAME)(_open)


def _open(obj: Any) -> "GeocrAccessor":  # noqa: ANN401 - Dataset or DataArray, whose module is not to be imported here
    """The accessor of an object; its module is imported when the first is asked for."""
    from geocr.accessor.accessor import GeocrAccessor  # noqa: PLC0415 - see the module's docstring

    return GeocrAccessor(obj)


class _RegisteringLoader(Loader):
    """Runs a module by its own loader and then registers the accessor."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else importlib or a tool asks the real loader
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        _register(module)


class _XarrayFinder(MetaPathFinder):
    """Waits for the import of xarray.

    Args:
        unfinished: xarray as far as it is imported, where geocr is imported in the midst of that.
    """

    def __init__(self, unfinished: ModuleType | None) -> None:
        self._unfinished = unfinished

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002 - importlib's protocol
        if self._unfinished is not None and not _is_importing(self._unfinished):
            self._leave()
            _register(self._unfinished)
            return None
        if fullname != "xarray":
            return None
        self._leave()
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec

    def _leave(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
