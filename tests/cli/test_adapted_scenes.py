"""Options that adapt a scene to a model and choose masks, as typed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from typer.testing import CliRunner

from geocr.checkpoint import save_checkpoint
from geocr.cli.app import app
from geocr.core.errors import InputError
from geocr.models.pix2pix import Pix2Pix
from tests.scenes import TRANSFORM, write_raster

KWARGS: dict[str, Any] = {"width": 3, "depth": 2, "tile_px": 64}
SHAPE = (64, 72)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(1)
    bands = ("B02", "B03", "B04", "B08")
    write_raster(tmp_path / "s2.tif", generator.integers(300, 3000, (4, *SHAPE), np.uint16), nodata=0, descriptions=bands, scale=1e-4)
    write_raster(tmp_path / "s1.tif", generator.uniform(-20, -2, (1, *SHAPE)).astype(np.float32), descriptions=("VV",))
    x, y = TRANSFORM.c, TRANSFORM.f
    ring = [[x + 100, y - 100], [x + 400, y - 100], [x + 400, y - 300], [x + 100, y - 300], [x + 100, y - 100]]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "own.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    spot = np.zeros((1, *SHAPE), np.uint8)
    spot[0, 50:60, 50:60] = 1
    write_raster(tmp_path / "spot.tif", spot)
    torch.manual_seed(2)
    model = Pix2Pix(**KWARGS)
    model.spec = replace(model.spec, sar_radiometry="gamma0")
    save_checkpoint(tmp_path / "painter.safetensors", model, name="pix2pix", kwargs=KWARGS)
    return tmp_path


def typed(folder: Path, *options: str) -> Any:
    union = f"{folder / 'own.geojson'}+{folder / 'spot.tif'}"
    files = [str(folder / name) for name in ("s1.tif", "s2.tif")]
    out = ["-o", str(folder / "out.tif"), "--cloud-mask", union, "--mask-buffer-m", "0", "--precision", "fp32", "--json"]
    return CliRunner().invoke(app, ["predict-scene", *files, *out, *options])


def test_a_painter_runs_with_its_stretches_under_a_union_that_is_written(folder: Path) -> None:
    result = typed(
        folder,
        *("--checkpoint", str(folder / "painter.safetensors"), "--output-bands", "model", "--stretch", "0,0.3", "--s1-stretch", "-25,0"),
        "--save-mask",
    )
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["bands"] == ["B02", "B03", "B04"]
    assert facts["cloud_mask"] == "vector+file"
    with rasterio.open(facts["files"]["mask"]) as dataset:
        mask, tags = dataset.read(1), dataset.tags()
    expected = np.zeros(SHAPE, np.uint8)
    expected[10:30, 10:40] = expected[50:60, 50:60] = 1
    np.testing.assert_array_equal(mask, expected)
    described = json.loads(tags["GEOCR_CLOUD_MASK"])
    assert (described["1.path"], described["2.path"]) == ("own.geojson", "spot.tif")
    parameters = json.loads(tags["GEOCR_PARAMETERS"])
    assert parameters["cloud_mask"] == "own.geojson+spot.tif"
    assert (parameters["stretch"], parameters["s1_stretch"]) == ([0.0, 0.3], [-25.0, 0.0])
    assert str(folder) not in json.dumps(tags)  # where files lay on one machine says nothing on another


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--stretch", "0.3"), "--stretch is two numbers, MIN,MAX, got '0.3'"),
        (("--s1-stretch", "low,high"), "--s1-stretch is two numbers"),
        (("--b10", "guess"), "--b10: Input should be 'zero' or 'estimate', got 'guess'"),
        (("--output-bands", "some"), "--output-bands: Input should be 'all' or 'model'"),
        (("--precision", "auto", "--stretch", "0,0.3"), "--s1-stretch fit a scene to a trained model; without --checkpoint leave them out"),
    ],
)
def test_what_cannot_be_is_said(folder: Path, options: tuple[str, ...], message: str) -> None:
    result = typed(folder, *options)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_info_tells_what_the_backscatter_was(folder: Path) -> None:
    text = CliRunner().invoke(app, ["info", str(folder / "painter.safetensors")], env={"COLUMNS": "200"}).output
    assert "of 8-bit pictures gamma0 to" in " ".join(text.split())
    spec = json.loads(CliRunner().invoke(app, ["info", str(folder / "painter.safetensors"), "--json"]).stdout)["spec"]
    assert (spec["sar_radiometry"], spec["optical_offset"]) == ("gamma0", "applied")
