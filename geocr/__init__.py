"""Cloud-free Sentinel-2 scenes from cloudy ones and Sentinel-1.

The public names are loaded when they are first used, so that importing the package costs nothing. Importing it registers the
accessor `.geocr` on xarray's Dataset and DataArray, at once or as soon as xarray is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geocr._version import __version__
from geocr.accessor.register import register_accessor

if TYPE_CHECKING:  # for type checkers and editors, which do not follow `__getattr__`
    from geocr.checkpoint import load_checkpoint as load_checkpoint
    from geocr.config import PredictConfig as PredictConfig
    from geocr.core.errors import GeocrError as GeocrError
    from geocr.evaluation.study import evaluate as evaluate
    from geocr.inference.run import PredictResult as PredictResult
    from geocr.inference.run import predict_scene as predict_scene
    from geocr.io.open import open_scene as open_scene
    from geocr.training.run import train as train

_PUBLIC = {
    "GeocrError": "geocr.core.errors",
    "PredictConfig": "geocr.config",
    "PredictResult": "geocr.inference.run",
    "evaluate": "geocr.evaluation.study",
    "load_checkpoint": "geocr.checkpoint",
    "open_scene": "geocr.io.open",
    "predict_scene": "geocr.inference.run",
    "train": "geocr.training.run",
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - the table above is the list


_SPOKEN = ("open_scene", "predict_scene")
"""Functions of the flow whose errors and notes are written for the command line."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    if name in _PUBLIC:
        public = getattr(import_module(_PUBLIC[name]), name)
        if name in _SPOKEN:
            public = globals()[name] = import_module("geocr.accessor.wording").public_function(public)
        return public
    raise AttributeError(f"module 'geocr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


register_accessor()
