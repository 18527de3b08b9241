"""Cloud-free Sentinel-2 scenes from cloudy ones and Sentinel-1.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import Any

from geocr._version import __version__

_PUBLIC = {
    "GeocrError": "geocr.core.errors",
    "PredictConfig": "geocr.config",
    "PredictResult": "geocr.inference.run",
    "open_scene": "geocr.io.open",
    "predict_scene": "geocr.inference.run",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - the table above is the list


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'geocr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
