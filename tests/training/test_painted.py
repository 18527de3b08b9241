"""Scenes under painted clouds: the truth stays the truth, the same patch gets the same clouds, and splits keep apart."""

from pathlib import Path
from typing import Any

import pytest
import torch
from shapely.geometry import box

from geocr.core.errors import RasterNotFoundError, SampleError
from geocr.training.config import CloudsConfig, TrainConfig
from geocr.training.draws import drawing_from
from geocr.training.order import SampleKey, SeededSamples
from geocr.training.painted import PaintClouds, open_scenes, scene_sources
from geocr.training.scene_model import fit_to_scenes
from tests.data_makers.scenes import Place, make_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("scenes"), clear=False, place=Place(size=(192, 192)))


def config_of(scenes: Path, **data: Any) -> TrainConfig:
    base = {"s1": [f"{scenes}/s1/*.tif"], "s2": [f"{scenes}/s2/*.tif"], "crop_px": 32, "block_px": 64, "gap_px": 0, "patches": 6}
    return TrainConfig.from_dict({"model": {"name": "fusion_unet", "args": {"widths": [4, 6], "tile_px": 64}}, "data": base | data})


def test_only_what_was_painted_differs_from_the_truth(scenes: Path) -> None:
    data = config_of(scenes).data
    train, _ = scene_sources(data, open_scenes(data), level="L1C", seed=0)
    samples = SeededSamples(train, seed=0)
    covers = []
    for position, patch in enumerate(train.order(0)):
        sample = samples[SampleKey(0, position, patch)]
        changed = (sample["cloudy"][0] != sample["clear"]).any(dim=0)
        assert not bool((changed & ~sample["cloud_mask"][0]).any())
        assert bool(sample["valid_mask"].all())
        covers.append(float(sample["cloud_mask"].float().mean()))
    assert 0.05 < min(covers) < max(covers) <= 1


def test_a_patch_of_an_epoch_is_always_the_same_and_of_another_epoch_another(scenes: Path) -> None:
    data = config_of(scenes).data
    train, val = scene_sources(data, open_scenes(data), level="L1C", seed=0)
    samples = SeededSamples(train, seed=0)
    (patch,) = list(train.order(0))[:1]
    one, again, other = (samples[SampleKey(epoch, 0, patch)] for epoch in (0, 0, 1))
    assert torch.equal(one["cloudy"], again["cloudy"])
    assert not torch.equal(one["cloudy"], other["cloudy"])
    assert torch.equal(val[1]["cloudy"], val[1]["cloudy"])
    assert not torch.equal(val[0]["cloudy"] - val[0]["clear"], val[1]["cloudy"] - val[1]["clear"])
    assert list(train.order(0)) == list(train.order(0))
    assert list(train.order(0)) != list(train.order(1))


def test_a_model_without_sentinel_1_sees_the_same_patches(scenes: Path) -> None:
    data = config_of(scenes).data
    (train, _), (without, _) = (scene_sources(data, open_scenes(data, sar=sar), level="L1C", seed=0) for sar in (("VV", "VH"), ()))
    patch, same = next(iter(train.order(0))), next(iter(without.order(0)))
    given, other = (SeededSamples(source, seed=0)[SampleKey(0, 0, one)] for source, one in ((train, patch), (without, same)))
    assert (given["sar"].shape[1], other["sar"].shape[1]) == (2, 0)
    assert torch.equal(given["cloudy"], other["cloudy"])
    assert torch.equal(given["valid_mask"], other["valid_mask"])


def test_real_clouds_stay_in_the_input_and_are_no_truth(scenes: Path) -> None:
    data = config_of(scenes, cloud_mask=str(scenes / "masks"), max_cloud=1.0).data
    train, _ = scene_sources(data, open_scenes(data), level="L1C", seed=0)
    under = 0
    for patch in train.order(0):
        real = train.pairs[patch]["cloud_mask"][0]
        with drawing_from(0):
            sample = train.paint(train.pairs[patch])
        assert torch.equal(sample["valid_mask"], ~real)
        assert bool(sample["cloud_mask"][0][real].all())
        under += int(real.sum())
    assert under


def test_training_and_validation_patches_do_not_overlap(scenes: Path) -> None:
    data = config_of(scenes, patches=40).data
    train, val = scene_sources(data, open_scenes(data), level="L1C", seed=0)
    grounds = [box(x.start, y.start, x.stop, y.stop) for x, y, _ in val.patches]
    for x, y, _ in train.order(0):
        assert all(box(x.start, y.start, x.stop, y.stop).intersection(ground).area == 0 for ground in grounds)


def test_a_model_takes_bands_and_level_from_the_scenes_unless_told(scenes: Path) -> None:
    config = fit_to_scenes(config_of(scenes))
    assert config.model.args["level"] == "L1C"
    assert len(config.model.args["optical_bands"]) == 13
    assert config.model.args["sar_bands"] == ["VV", "VH"]
    assert config.model.args["optical_units"] == "reflectance"
    own = TrainConfig.from_dict(config_of(scenes).to_dict() | {"model": {"name": "sar_opt_cgan", "args": {"optical_bands": ["B04"]}}})
    assert fit_to_scenes(own).model.args | {"x": 0} == {
        "optical_bands": ["B04"], "sar_bands": ["VV", "VH"], "level": "L1C", "sar_units": "db", "optical_units": "reflectance", "x": 0,
    }  # fmt: skip


def test_patterns_that_name_nothing_and_samples_without_image_are_refused(scenes: Path) -> None:
    with pytest.raises(RasterNotFoundError, match=r"Sentinel-2 scenes are named by patterns .* names no file"):
        open_scenes(config_of(scenes, s2=[f"{scenes}/nothing/*.tif"]).data)
    data = config_of(scenes).data
    sample = open_scenes(data)[next(iter(scene_sources(data, open_scenes(data), level="L1C", seed=0)[0].order(0)))]
    del sample["cloudy"]
    with pytest.raises(SampleError, match="clouds are painted over an image"):
        PaintClouds(CloudsConfig(), "L1C")(sample)
