"""Every recipe from the command line: listed, valid, sourced, trained for a few steps, and its checkpoint put to work."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from geocr.checkpoint import load_checkpoint
from geocr.cli.app import app
from geocr.core.bands import L1C_BANDS
from geocr.core.errors import RegistryError
from geocr.data.datasets import DATASETS
from geocr.training.config import TrainConfig
from geocr.training.recipe import read_recipe, recipe_lines, recipe_names, recipe_text
from tests.data_makers.scenes import Place, write_mask, write_s1, write_s2
from tests.training.small import FEW_STEPS, MAKERS, SMALL, options

ISSUE = {
    "mdfcr", "attention_gan", "sscr", "sar2optical", "pix2pix", "uncrtaints", "uncrtaints_mono", "utae", "unet", "dsen2cr", "glfcr", "acacrnet",
    "sar_opt_cgan", "simulation_fusion_gan",
}  # fmt: skip
"""Published methods that must have a recipe."""
RECIPES = [pytest.param(name, marks=() if name in ("dsen2cr", "sar2optical") else pytest.mark.slow) for name in recipe_names()]
"""Two kinds of task by default, all of them with the slow tests."""


def test_every_published_method_has_a_recipe() -> None:
    assert set(recipe_names()) >= ISSUE
    assert set(SMALL) == set(recipe_names())


def test_alone_it_lists_them_with_a_line_each() -> None:
    shown = CliRunner().invoke(app, ["train"]).output
    for name, line in recipe_lines().items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", shown, re.MULTILINE), name


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RegistryError, match=r"recipes are acacrnet, .*; got 'nafnet'"):
        read_recipe("nafnet")


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_a_valid_configuration_and_survives_yaml(name: str) -> None:
    config = TrainConfig.from_dict(read_recipe(name), source=name)
    assert config.data.dataset in DATASETS
    assert TrainConfig.from_dict(yaml.safe_load(config.to_yaml())) == config
    assert config.data.root is None


@pytest.mark.parametrize("name", recipe_names())
def test_each_value_of_a_recipe_has_a_source(name: str) -> None:
    """A value of data, loss, optimiser, schedule, metrics or run stands on a line that ends with its source; the model's class has its own."""
    text = recipe_text(name)
    assert text.startswith("# ")
    bare = []
    for line in text.splitlines():
        value = re.match(
            r"^\s*(batch|crop_px|augment|holdout|optimizer|schedule|run|metrics|model_terms|weight|kind|pool|first): [^#]+$", line
        )
        term = re.match(r"^  \w+: \{loss: [^#]+$", line)
        if (value or term) and "constant" not in line:
            bare.append(line)
    assert not bare
    if name not in ("scenes", "mdfcr"):
        assert "Departures" in text or "no code of the authors" in text
    if name == "mdfcr":
        assert all(
            "own choice" in line for line in text.splitlines() if re.match(r"^\s*[a-z_0-9]+: .*\S", line) and not line.startswith("about")
        )


@pytest.mark.parametrize("name", RECIPES)
def test_it_trains_from_the_command_line_and_its_checkpoint_fills_a_scene(name: str, tmp_path: Path) -> None:
    dataset = read_recipe(name)["data"]["dataset"]
    root = tmp_path / "data"
    root.mkdir()
    MAKERS[dataset](root)
    source = ["--data", f"{dataset}={root}"]
    if dataset == "scenes":
        source = ["--s1", f"{root}/s1/*.tif", "--s2", f"{root}/s2/*.tif", "--set", f'data.cloud_mask="{root}/masks"']
    run = tmp_path / "run"
    arguments = ["train", "--recipe", name, *source, "-o", str(run), *options([*FEW_STEPS, *SMALL[name]])]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output

    header = load_checkpoint(run / "last.safetensors").header
    assert header.config is not None
    assert header.config["steps"] == 2
    assert header.metrics["val_loss"] > 0
    rows = (run / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows if ",train,loss," in row] == ["1", "2"]
    assert (run / "samples" / "step_0000002.png").exists()

    spec = header.spec
    if spec.optical_units != "reflectance" or spec.sar_units != "db":
        return  # pictures without a physical unit: there is no scene in reflectance for them
    place = Place(size=(40, 48))
    bands = L1C_BANDS if len(spec.optical_out) == len(L1C_BANDS) else spec.optical_out  # no band may stay cloudy
    write_s2(tmp_path / "S2_20230813T100559.tif", place, bands=bands)  # a model that reads dates finds one in the name
    write_s1(tmp_path / "S1_20230812T053000.tif", place)
    write_mask(tmp_path / "mask.tif", place, cols=slice(0, 12))
    predicted = CliRunner().invoke(
        app,
        [
            "predict-scene", str(tmp_path / "S1_20230812T053000.tif"), str(tmp_path / "S2_20230813T100559.tif"), "-o", str(tmp_path / "clear.tif"),
            "--checkpoint", str(run / "best.safetensors"), "--cloud-mask", str(tmp_path / "mask.tif"), "--mask-buffer-px", "0", "--device", "cpu", "--quiet",
        ],
        catch_exceptions=False,
    )  # fmt: skip
    assert predicted.exit_code == 0, predicted.output
    assert (tmp_path / "clear.tif").stat().st_size > 0
