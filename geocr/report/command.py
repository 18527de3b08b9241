"""The command that repeats a run, from the tags that the run left in its result."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from geocr._version import __version__
from geocr.config import PredictConfig
from geocr.report.result import json_list_tag, settings_of

OPTION_NAMES = {
    "tile_px": "--tile",
    "overlap_px": "--overlap",
    "compiled": "--compile",
    "references": "--reference",
    "resolution_m": "--resolution",
}
"""Options of `predict-scene` whose setting has another name."""
_COMMA = {"--s2-bands", "--stretch", "--s1-stretch"}
"""Options that take several values in one word; others are repeated."""


def option_of(setting: str) -> str:
    """The option of `predict-scene` that sets a field of `PredictConfig`."""
    return OPTION_NAMES.get(setting, "--" + setting.replace("_", "-"))


def repeat_command(tags: Mapping[str, str], out: str) -> str:
    """The command line of a run.

    Files are named without their folders, as the tags name them. Settings that have this version's default are left out when the run was
    made by this version, and all are named when it was not.

    Args:
        tags: Of the cloud-free scene.
        out: Name of the cloud-free scene.
    """
    s1, s2 = tags.get("GEOCR_INPUT_S1", "none"), tags.get("GEOCR_INPUT_S2", "S2")
    words = ["geocr", "predict-scene", *(["--no-s1"] if s1 == "none" else [s1]), s2, "-o", out]
    same_version = tags.get("GEOCR_VERSION") == __version__
    for name, value in settings_of(dict(tags)).items():
        if same_version and _is_default(name, value):
            continue
        words += _option_words(option_of(name), value)
    words += [word for date in other_dates(tags) for word in ("--reference", date)]
    return shlex.join(words)


def other_dates(tags: Mapping[str, str]) -> list[str]:
    """The other dates that the run read, `S2` or `S2,S1`; settings in the tags leave them out."""
    dates = json_list_tag(tags, "GEOCR_REFERENCES")
    return [",".join(str(date[key]) for key in ("name", "s1") if key in date) for date in dates if "name" in date]


def _is_default(name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    field = PredictConfig.model_fields.get(name)
    return field is not None and json.loads(json.dumps(field.default, default=str)) == value


def _option_words(option: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, bool):
        return [option] if value else []
    if value is None:
        return []
    if isinstance(value, list):
        texts = [",".join(map(str, value))] if option in _COMMA else [str(item) for item in value]
    else:
        texts = [str(value)]
    return [word for text in texts for word in ([f"{option}={text}"] if text.startswith("-") else [option, text])]
