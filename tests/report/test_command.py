"""The command that a report gives repeats the run: read back by the command line, it means the same settings."""

import json
import shlex
from typing import Any

import pytest
import typer.main

from geocr._version import __version__
from geocr.cli._options import config_of
from geocr.cli.app import app
from geocr.config import PredictConfig
from geocr.report.command import option_of, repeat_command


def tags_of(config: PredictConfig, *, s1: str = "s1.tif", version: str = __version__) -> dict[str, str]:
    settings = config.model_dump(mode="json", exclude_none=True, exclude={"max_memory"})
    return {"GEOCR_VERSION": version, "GEOCR_INPUT_S1": s1, "GEOCR_INPUT_S2": "s2.tif", "GEOCR_PARAMETERS": json.dumps(settings)}


def read_back(command: str) -> tuple[dict[str, Any], PredictConfig]:
    words = shlex.split(command)
    assert words[:2] == ["geocr", "predict-scene"]
    group: Any = typer.main.get_command(app)
    context = group.commands["predict-scene"].make_context("predict-scene", words[2:])
    return context.params, config_of(context.params)


def test_the_shortest_command() -> None:
    assert repeat_command(tags_of(PredictConfig()), "out.tif") == "geocr predict-scene s1.tif s2.tif -o out.tif"


def test_without_sentinel_1() -> None:
    params, _ = read_back(repeat_command(tags_of(PredictConfig(), s1="none"), "out.tif"))
    assert params["no_s1"] is True
    assert params["scenes"] == ["s2.tif"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"s2_bands": ("B02", "B03"), "s2_scale": 1e-5, "s2_offset": -0.1, "s1_units": "power"},
        {"cloud_mask": "my mask.tif", "mask_buffer_m": 12.5, "uncertainty": True, "seed": 7, "mode": "full"},
        {"checkpoint": "net.safetensors", "tile_px": 256, "overlap_px": 16, "batch": 2, "precision": "bf16", "compiled": True},
        {"aoi": "POLYGON((1 2,3 4,5 6,1 2))", "on_error": "nodata", "mask_buffer_px": 3, "scl": "-odd.tif"},
    ],
)
@pytest.mark.parametrize("version", [__version__, "0.0.1"])
def test_read_back_it_means_the_same(settings: dict[str, Any], version: str) -> None:
    config = PredictConfig(**settings)
    params, again = read_back(repeat_command(tags_of(config, version=version), "a b.tif"))
    assert again == config
    assert (params["scenes"], params["out"]) == (["s1.tif", "s2.tif"], "a b.tif")


def test_other_dates_are_named_though_no_setting_names_them() -> None:
    """Tags of a run leave folders out, and with them the setting: the dates have a tag of their own."""
    dates = [{"name": "S2_20240504.tif", "days": 3, "mask": {}, "s1": "S1_20240504.tif"}, {"name": "a b.SAFE", "days": -5, "mask": {}}]
    tags = tags_of(PredictConfig(max_days=9)) | {"GEOCR_REFERENCES": json.dumps(dates)}
    _, again = read_back(repeat_command(tags, "out.tif"))
    assert again == PredictConfig(max_days=9, references=("S2_20240504.tif,S1_20240504.tif", "a b.SAFE"))
    for broken in ("{", "{}", "[1]", '[{"days": 3}]'):
        assert "--reference" not in repeat_command(tags | {"GEOCR_REFERENCES": broken}, "out.tif")


def test_every_setting_has_an_option() -> None:
    group: Any = typer.main.get_command(app)
    options = {name for each in group.commands["predict-scene"].params for name in each.opts}
    assert [name for name in PredictConfig.model_fields if option_of(name) not in options] == []


def test_another_version_names_every_setting() -> None:
    command = repeat_command(tags_of(PredictConfig(), version="0.0.1"), "out.tif")
    assert "--seed 0" in command
    assert "--cloud-mask auto" in command
    assert "--uncertainty" not in command
