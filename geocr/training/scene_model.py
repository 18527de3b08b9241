"""A model's arguments from the scenes it is to be trained on, where the settings do not name them."""

import inspect
from typing import Any

from geocr.core.bands import is_l1c
from geocr.models import MODELS
from geocr.training.config import TrainConfig
from geocr.training.painted import open_scenes


def fit_to_scenes(config: TrainConfig) -> TrainConfig:
    """Fill in bands, level and units of the scenes, as far as the model has such arguments and they are not given.

    Args:
        config: Settings; those of data sets come back as they are.

    Raises:
        RasterNotFoundError: When a pattern names no file.
    """
    if not (config.data.s1 or config.data.s2):
        return config
    pairs = open_scenes(config.data.model_copy(update={"cloud_mask": None}))
    bands = tuple(pairs.cloudy.bands)
    found: dict[str, Any] = {
        "optical_bands": list(bands),
        "sar_bands": list(pairs.sar.bands),
        "level": "L1C" if is_l1c(bands) else "L2A",
        "sar_units": "display" if pairs.sar.units == "display" else "db",
        "optical_units": "display" if pairs.cloudy.units == "display" else "reflectance",
    }
    takes = inspect.signature(MODELS.load(config.model.name)).parameters
    args = {name: value for name, value in found.items() if name in takes} | config.model.args
    return config.model_copy(update={"model": config.model.model_copy(update={"args": args})})
