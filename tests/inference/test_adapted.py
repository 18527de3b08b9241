"""Scenes that are not what a model was trained on, adapted as the user allows: from file to file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from geocr.checkpoint import save_checkpoint
from geocr.clouds.selection import make_cloud_mask
from geocr.config import PredictConfig
from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.errors import CheckpointError, InputError
from geocr.importing.convert import import_checkpoint
from geocr.inference import run as inference_run
from geocr.inference.run import predict_scene
from geocr.io.open import open_scene
from geocr.models import MODELS
from geocr.models.base import FusionModel
from tests.importing.states import random_state
from tests.importing.test_picture_networks import sar2optical_shapes, save_gan
from tests.scenes import write_raster

SHAPE = (96, 80)
SETTINGS: dict[str, Any] = {"precision": "fp32", "batch": 1, "device": "cpu", "mask_buffer_m": 0}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, str]:
    """An L2A scene of 12 bands with a wedge of nodata, Sentinel-1 in dB, and a mask."""
    generator = np.random.default_rng(3)
    pixels = generator.integers(200, 4000, (12, *SHAPE), np.uint16)
    pixels[:, :7, :9] = 0
    mask = np.zeros((1, *SHAPE), np.uint8)
    mask[:, 20:70, 5:60] = 1
    mask[:, :10, :12] = 1
    return {
        "s2": write_raster(tmp_path / "s2.tif", pixels, nodata=0, descriptions=L2A_BANDS, scale=1e-4),
        "s1": write_raster(tmp_path / "s1.tif", generator.uniform(-25, -1, (2, *SHAPE)).astype(np.float32), descriptions=("VV", "VH")),
        "mask": write_raster(tmp_path / "mask.tif", mask),
    }


def saved(folder: Path, name: str, **kwargs: Any) -> tuple[str, FusionModel]:
    torch.manual_seed(7)
    model: FusionModel = MODELS.load(name)(**kwargs).eval()
    path = folder / f"{name}.safetensors"
    save_checkpoint(path, model, name=name, kwargs=kwargs)
    return str(path), model


def run(inputs: dict[str, str], out: Path, **settings: Any) -> dict[str, Any]:
    config = PredictConfig(cloud_mask=inputs["mask"], **{**SETTINGS, **settings})
    result = predict_scene(inputs["s1"], inputs["s2"], out, config=config, stac=False)
    return result.summary


def read(path: str | Path) -> tuple[Any, dict[str, str], tuple[str, ...]]:
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.tags(), dataset.descriptions


@pytest.mark.parametrize(("choice", "value"), [("zero", 0.0), ("estimate", 0.0013)])
def test_a_model_of_13_bands_on_l2a_is_given_b10(inputs: dict[str, str], tmp_path: Path, choice: str, value: float) -> None:
    kwargs = {"optical_bands": L1C_BANDS, "level": "L1C", "widths": (2,), "tile_px": 96, "gated": False}
    path, model = saved(tmp_path, "fusion_unet", **kwargs)
    with pytest.raises(CheckpointError, match="--b10 zero or --b10 estimate"):
        run(inputs, tmp_path / "no.tif", checkpoint=path)
    summary = run(inputs, tmp_path / "out.tif", checkpoint=path, b10=choice)
    assert any("B10" in note and "cirrus is not told" in note for note in summary["notes"])

    got, tags, names = read(tmp_path / "out.tif")
    before, mask = read(inputs["s2"])[0], read(inputs["mask"])[0][0] != 0
    assert names == L2A_BANDS
    facts = json.loads(tags["GEOCR_METHOD"])
    assert (facts["level"], facts["level_of_scene"], facts["b10"]) == ("L1C", "L2A", choice)
    observed = before[0] != 0
    np.testing.assert_array_equal(got[:, ~(mask & observed)], before[:, ~(mask & observed)])

    missing = np.where(observed, before.astype(np.float32) * np.float32(1e-4), np.nan)
    optical = np.insert(missing, L1C_BANDS.index("B10"), np.where(observed, np.float32(value), np.nan), axis=0)
    normalizer = model.spec.normalizer
    with torch.inference_mode():
        sar = torch.from_numpy(normalizer.sar_to_network(read(inputs["s1"])[0]))[None, None]
        cloudy = torch.from_numpy(normalizer.optical_to_network(optical.astype(np.float32)))[None, None]
        mean = model(sar, cloudy, torch.from_numpy(mask)[None, None]).mean[0].numpy()
    wanted = np.delete(mean, L1C_BANDS.index("B10"), axis=0)
    cloudy_px = mask & observed
    np.testing.assert_allclose(got[:, cloudy_px], np.clip(np.rint(wanted * 1e4), 1, 65535)[:, cloudy_px], atol=1)


def test_only_the_models_bands_are_written_and_those_observed_stay(inputs: dict[str, str], tmp_path: Path) -> None:
    path, _ = saved(tmp_path, "fusion_unet", optical_bands=["B04", "B03", "B02"], level="L2A", widths=(2,), tile_px=64, variance=True)
    with pytest.raises(CheckpointError, match="add --output-bands model"):
        run(inputs, tmp_path / "no.tif", checkpoint=path)
    summary = run(inputs, tmp_path / "out.tif", checkpoint=path, output_bands="model", uncertainty=True)
    got, _, names = read(tmp_path / "out.tif")
    before, mask = read(inputs["s2"])[0][1:4], read(inputs["mask"])[0][0] != 0
    assert names == ("B02", "B03", "B04")  # of the scene, in its order
    assert summary["bands"] == list(names)
    kept = ~mask | (before[0] == 0)
    np.testing.assert_array_equal(got[:, kept], before[:, kept])
    assert (got[:, ~kept] != before[:, ~kept]).any()
    provenance = read(tmp_path / "out_provenance.tif")[0][0]
    np.testing.assert_array_equal(provenance == 0, before[0] == 0)
    std, _, std_names = read(tmp_path / "out_std.tif")
    assert std_names == tuple(f"{name} standard deviation" for name in names)
    assert (std[:, ~kept] >= 1).all()
    assert (std[:, mask == 0][:, 100:] == 0).all()


def test_a_model_may_read_more_bands_than_it_gives(inputs: dict[str, str], tmp_path: Path) -> None:
    """What is read and not given is not written, and does not change what is."""
    kwargs = {"optical_bands": L2A_BANDS, "optical_out": ["B08", "B02"], "level": "L2A", "widths": (2,), "tile_px": 32, "gated": False}
    path, model = saved(tmp_path, "fusion_unet", **kwargs, variance=True)
    run(inputs, tmp_path / "out.tif", checkpoint=path, output_bands="model", uncertainty=True, save_mask=True)
    got, _, names = read(tmp_path / "out.tif")
    before, mask = read(inputs["s2"])[0], read(inputs["mask"])[0][0] != 0
    assert names == ("B02", "B08")
    places = [L2A_BANDS.index(name) for name in names]
    observed = before[0] != 0
    np.testing.assert_array_equal(got[:, ~(mask & observed)], before[places][:, ~(mask & observed)])
    normalizer = model.spec.normalizer
    optical = np.where(before != 0, before.astype(np.float32) * np.float32(1e-4), np.nan)
    with torch.inference_mode():
        sar = torch.from_numpy(normalizer.sar_to_network(read(inputs["s1"])[0]))[None, None]
        answer = model(sar, torch.from_numpy(normalizer.optical_to_network(optical))[None, None], torch.from_numpy(mask)[None, None])
    mean = answer.mean[0].numpy()[::-1]
    std = answer.variance[0].numpy()[::-1] ** 0.5
    cloudy = mask & observed
    np.testing.assert_allclose(got[:, cloudy], np.clip(np.rint(mean * 1e4), 1, 65535)[:, cloudy], atol=1)
    np.testing.assert_allclose(read(tmp_path / "out_std.tif")[0][:, cloudy], np.clip(np.rint(std * 1e4), 1, 65534)[:, cloudy], atol=1)
    assert read(tmp_path / "out_mask.tif")[0].shape == (1, *SHAPE)


@pytest.mark.parametrize(("mode", "tile"), [("replace-clouds", 64), ("full", 64)])
def test_a_network_of_pictures_runs_on_reflectance(inputs: dict[str, str], tmp_path: Path, mode: str, tile: int) -> None:
    path, _ = saved(tmp_path, "pix2pix", generator="unet", upsampling="bilinear", width=3, depth=2, tile_px=tile)
    with pytest.raises(CheckpointError, match=r"--stretch MIN,MAX.*--s1-stretch MIN,MAX"):
        run(inputs, tmp_path / "no.tif", checkpoint=path, output_bands="model")
    settings = {"checkpoint": path, "output_bands": "model", "stretch": (0.02, 0.3), "s1_stretch": (-25.0, 0.0), "any_level": True}
    summary = run(inputs, tmp_path / "out.tif", **settings, mode=mode)
    assert any("shades of a picture" in note for note in summary["notes"])
    got, tags, names = read(tmp_path / "out.tif")
    assert names == ("B02", "B03", "B04")
    facts = json.loads(tags["GEOCR_METHOD"])
    assert (facts["stretch"], facts["s1_stretch"]) == ([0.02, 0.3], [-25.0, 0.0])
    assert "8-bit picture" in facts["output"]
    before, mask = read(inputs["s2"])[0][1:4], read(inputs["mask"])[0][0] != 0
    needed = (mask if mode == "replace-clouds" else np.ones_like(mask)) & (before[0] != 0)
    np.testing.assert_array_equal(got[:, ~needed], before[:, ~needed])
    assert got[:, needed].min() >= 200  # a tanh between both ends of the stretch
    assert got[:, needed].max() <= 3000


@pytest.mark.parametrize("method", ["sar2optical", "attention_gan"])
def test_imported_networks_of_pictures_run_on_a_scene(inputs: dict[str, str], tmp_path: Path, method: str) -> None:
    """Files as their authors' code saves them, converted, then put to work on reflectance and dB."""
    if method == "sar2optical":
        file = tmp_path / "pix2pix_gen_180.pth"
        torch.save(random_state(sar2optical_shapes(4)), file)
    else:
        save_gan(tmp_path, width=4, depth=5)
        file = tmp_path / "latest_net_G.pth"
    import_checkpoint(method, file, tmp_path / "imported.safetensors")
    settings = {"checkpoint": str(tmp_path / "imported.safetensors"), "output_bands": "model", "any_level": True}
    with pytest.raises(CheckpointError, match="--stretch MIN,MAX"):
        run(inputs, tmp_path / "no.tif", **settings)
    run(inputs, tmp_path / "out.tif", **settings, stretch=(0.0, 0.25), s1_stretch=(-25.0, 0.0))
    got, tags, names = read(tmp_path / "out.tif")
    before, mask = read(inputs["s2"])[0][1:4], read(inputs["mask"])[0][0] != 0
    cloudy = mask & (before[0] != 0)
    assert names == ("B02", "B03", "B04")
    np.testing.assert_array_equal(got[:, ~cloudy], before[:, ~cloudy])
    assert 1 <= got[:, cloudy].min() < got[:, cloudy].max() <= 2500
    assert got[:, cloudy].std() > 50  # a picture, not a flat colour
    assert json.loads(tags["GEOCR_METHOD"])["stretch"] == [0.0, 0.25]


def test_settings_of_a_model_without_a_model_are_refused(inputs: dict[str, str], tmp_path: Path) -> None:
    for settings in ({"b10": "zero"}, {"any_level": True}, {"output_bands": "model"}, {"stretch": (0, 1)}, {"s1_stretch": (-25, 0)}):
        with pytest.raises(InputError, match="without --checkpoint leave them out"):
            predict_scene(inputs["s1"], inputs["s2"], tmp_path / "no.tif", config=PredictConfig(cloud_mask=inputs["mask"], **settings))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_mask_is_written_as_it_was_used(inputs: dict[str, str], tmp_path: Path, threads: int) -> None:
    path, _ = saved(tmp_path, "fusion_unet", optical_bands=L2A_BANDS, level="L2A", widths=(2,), tile_px=32)
    config = PredictConfig(cloud_mask=inputs["mask"], save_mask=True, checkpoint=path, **SETTINGS)
    result = predict_scene(inputs["s1"], inputs["s2"], tmp_path / "out.tif", config=config, threads=threads, stac=False)
    assert result.mask == tmp_path / "out_mask.tif"
    got, tags, names = read(result.mask)
    mask, valid = read(inputs["mask"])[0][0] != 0, read(inputs["s2"])[0].any(axis=0)
    np.testing.assert_array_equal(got[0], np.where(valid, mask, 255))
    assert names == ("cloud mask: 0 clear, 1 cloud or shadow",)
    assert json.loads(tags["GEOCR_CLOUD_MASK"])["source"] == "file"
    with rasterio.open(result.mask) as dataset, rasterio.open(inputs["s2"]) as source:
        assert (dataset.nodata, dataset.transform, dataset.crs) == (255, source.transform, source.crs)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_a_mask_in_the_way_is_not_overwritten(inputs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out_mask.tif").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"out_mask\.tif exists"):
        run(inputs, tmp_path / "out.tif", save_mask=True)
    assert (tmp_path / "out_mask.tif").read_bytes() == b"mine"
    assert not (tmp_path / "out.tif").exists()


def test_a_stopped_run_writes_the_same_mask_and_scene(inputs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocr.inference.plan.BAND_ROWS", 32)
    path, _ = saved(
        tmp_path, "fusion_unet", optical_bands=L2A_BANDS, optical_out=["B04", "B02"], level="L2A", widths=(2,), tile_px=32, gated=False
    )
    settings = {"checkpoint": path, "output_bands": "model", "save_mask": True}
    run(inputs, tmp_path / "whole.tif", **settings)
    whole_finish = inference_run._finish

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inference_run, "_finish", stop)
    with pytest.raises(KeyboardInterrupt):
        run(inputs, tmp_path / "again.tif", **settings)
    assert not (tmp_path / "again_mask.tif").exists()
    monkeypatch.setattr(inference_run, "_finish", whole_finish)
    summary = run(inputs, tmp_path / "again.tif", **settings)
    assert summary["tiles_computed"] == 0  # all bands of rows were finished
    for ending in ("", "_mask", "_provenance"):
        assert (tmp_path / f"again{ending}.tif").read_bytes() == (tmp_path / f"whole{ending}.tif").read_bytes()


def test_an_item_lists_the_mask(inputs: dict[str, str], tmp_path: Path) -> None:
    path, _ = saved(tmp_path, "fusion_unet", optical_bands=L2A_BANDS, level="L2A", widths=(2,), tile_px=32)
    config = PredictConfig(cloud_mask=inputs["mask"], save_mask=True, checkpoint=path, **SETTINGS)
    result = predict_scene(inputs["s1"], inputs["s2"], tmp_path / "out.tif", config=config)
    assert result.item is not None
    assert "mask" in json.loads(Path(result.item).read_text())["assets"]


@pytest.mark.real_data
def test_a_model_of_l1c_on_a_real_l2a_scene(real_data: Path, tmp_path: Path) -> None:
    folder, name = real_data / "terramesh_224", "38D_378R_2_3.tif"
    path, _ = saved(tmp_path, "fusion_unet", optical_bands=L1C_BANDS, level="L1C", widths=(2,), tile_px=96)
    s1, s2 = (str(folder / part / name) for part in ("S1RTC", "S2L2A"))
    with rasterio.open(s2) as dataset:
        before, transform, crs = dataset.read(), dataset.transform, dataset.crs
    x, y = transform * (60, 50)
    drawn = tmp_path / "drawn.wkt"
    drawn.write_text(f"SRID={crs.to_epsg()};POLYGON(({x} {y}, {x + 900} {y}, {x + 900} {y - 700}, {x} {y - 700}, {x} {y}))")
    config = PredictConfig(cloud_mask=f"{drawn}+rule", b10="estimate", save_mask=True, checkpoint=path, **SETTINGS)
    result = predict_scene(s1, s2, tmp_path / "out.tif", config=config, stac=False)
    assert any("scene is L2A" in note for note in result.summary["notes"])
    assert result.mask is not None
    mask = read(result.mask)[0][0]
    assert mask[50:120, 60:150].all()
    got = read(result.scene)[0]
    np.testing.assert_array_equal(got[:, mask != 1], before[:, mask != 1])
    assert (got[:, mask == 1] != before[:, mask == 1]).any()


@pytest.mark.real_data
def test_the_classification_of_a_real_product_and_polygons_are_one_mask(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "s2_l2a_scene_T33TWM_120m" / "S2A_33TWM_20230818_0_L2A"
    with rasterio.open(folder / "SCL.tif") as dataset:
        classes, transform = dataset.read(1), dataset.transform
    x, y = transform * (100, 100)
    drawn = tmp_path / "drawn.wkt"
    drawn.write_text(f"SRID=32633;POLYGON(({x} {y}, {x + 6000} {y}, {x + 6000} {y - 6000}, {x} {y - 6000}, {x} {y}))")
    scene = open_scene(str(folder / "B02.tif"), s2_bands=("B02",))
    found = make_cloud_mask(scene, f"scl={folder / 'SCL.tif'}+{drawn}", buffer_m=0).read(scene.grid.window)
    expected = np.isin(classes, (3, 8, 9, 10))
    assert 0.3 < expected.mean() < 0.6  # 42.2 % is cloud
    expected[100:150, 100:150] = True
    np.testing.assert_array_equal(found, expected)
