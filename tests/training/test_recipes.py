"""Every recipe from the command line: listed, valid, sourced, trained for a few steps, its checkpoint measured and put to work."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from typer.testing import CliRunner

from geocr.checkpoint import load_checkpoint
from geocr.cli.app import app
from geocr.core.bands import L1C_BANDS
from geocr.core.errors import RegistryError
from geocr.data.datasets import DATASETS
from geocr.models.spec import ModelSpec
from geocr.training.config import TrainConfig
from geocr.training.recipe import read_recipe, recipe_lines, recipe_names, recipe_text
from tests.data_makers.scenes import Place, write_mask, write_s1, write_s2
from tests.training.small import EVALUATED, FEW_STEPS, MAKERS, SMALL, options

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


def invoke(*arguments: str) -> str:
    """Output of a command that ends well."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", RECIPES)
def test_it_runs_through_train_evaluate_and_predict_scene(name: str, tmp_path: Path) -> None:
    dataset = read_recipe(name)["data"]["dataset"]
    root, run = tmp_path / "data", tmp_path / "run"
    root.mkdir()
    MAKERS[dataset](root)
    source = ["--data", f"{dataset}={root}"]
    if dataset == "scenes":
        source = ["--s1", f"{root}/s1/*.tif", "--s2", f"{root}/s2/*.tif", "--set", f'data.cloud_mask="{root}/masks"']
    invoke("train", "--recipe", name, *source, "-o", str(run), *options([*FEW_STEPS, *SMALL[name]]))

    header = load_checkpoint(run / "last.safetensors").header
    assert header.config is not None
    assert header.config["steps"] == 2
    assert header.metrics["val_loss"] > 0
    rows = (run / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows if ",train,loss," in row] == ["1", "2"]
    assert (run / "samples" / "step_0000002.png").exists()
    _evaluate(run / "best.safetensors", dataset, root, tmp_path / "evaluation")
    _predict(run / "best.safetensors", header.spec, tmp_path)


def _evaluate(checkpoint: Path, dataset: str, root: Path, out: Path) -> None:
    """Measured on two samples, beside the input where the set has one: every figure a number, and the model's not the input's."""
    beside = ["--baseline", "input", "--reference", "input"] if "cloudy" in DATASETS.load(dataset).card.keys else []
    told = json.loads(
        invoke(
            "evaluate", str(checkpoint), "--data", f"{dataset}={root}", *options(EVALUATED.get(dataset, [])), *beside, "--split", "train",
            "--limit", "2", "--cloud-mask", "rule", "--resamples", "100", "--no-gallery", "--device", "cpu", "-o", str(out), "--json",
        )
    )  # fmt: skip
    values = {method: found["values"] for method, found in told["results"].items()}
    assert set(values) == {"best", *(["input"] if beside else [])}
    assert told["samples"] == 2
    assert all(values[method][key] is not None for method in values for key in ("psnr_db", "ssim", "mae", "rmse", "sam_deg"))
    if beside:
        assert values["best"]["mae"] != values["input"]["mae"]
        assert {(test["a"], test["b"]) for test in told["comparisons"]} == {("best", "input")}


def _predict(checkpoint: Path, spec: ModelSpec, folder: Path) -> None:
    """The checkpoint fills what a mask covers and nothing else; one trained on pictures is told what they showed."""
    place, covered = Place(size=(40, 48)), slice(0, 12)
    bands = L1C_BANDS if len(spec.optical_out) == len(L1C_BANDS) else spec.optical_out  # no band may stay cloudy
    optical, radar = folder / "S2_20230813T100559.tif", folder / "S1_20230812T053000.tif"  # a model that reads dates finds one in the name
    write_s2(optical, place, bands=bands)
    write_s1(radar, place)
    write_mask(folder / "mask.tif", place, cols=covered)
    shown = ["--stretch", "0,0.4"] if spec.optical_units == "display" else []
    shown += ["--s1-stretch", "-25,0"] if spec.sar_units == "display" and spec.sar_bands else []
    invoke(
        "predict-scene", str(radar), str(optical), "-o", str(folder / "clear.tif"), "--checkpoint", str(checkpoint), *shown,
        "--cloud-mask", str(folder / "mask.tif"), "--mask-buffer-px", "0", "--device", "cpu", "--quiet",
    )  # fmt: skip
    with rasterio.open(optical) as before, rasterio.open(folder / "clear.tif") as after:
        given, found = before.read(), after.read()
    assert np.array_equal(found[:, :, covered.stop :], given[:, :, covered.stop :])
    assert not np.array_equal(found[:, :, covered], given[:, :, covered])
