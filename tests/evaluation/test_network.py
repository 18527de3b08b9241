"""A checkpoint on samples: bands by name, units as in the engine, views averaged, misfits refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from geocr.checkpoint import load_checkpoint, save_checkpoint
from geocr.core.errors import CheckpointError, InputError
from geocr.data.datasets.synthetic import Synthetic
from geocr.data.sample import FusionSample
from geocr.evaluation.network import NetworkPredictor, usable_device
from geocr.models.mosaic import Mosaic
from geocr.models.uncrtaints import UnCRtainTS
from geocr.radiometry.normalize import Normalizer
from tests.evaluation.conftest import BANDS, make_net


def predictor(path: Path, tta: str = "none") -> NetworkPredictor:
    return NetworkPredictor.of(load_checkpoint(path), name="net", tta=tta)  # type: ignore[arg-type]


def test_what_the_model_says_in_reflectance(nets: list[Path], sample: FusionSample) -> None:
    """By hand: normalise, forward, back."""
    net = load_checkpoint(nets[0])
    normalizer = net.header.spec.normalizer
    sar = torch.from_numpy(normalizer.sar_to_network(sample["sar"].numpy()))[None]
    cloudy = torch.from_numpy(normalizer.optical_to_network(sample["cloudy"].numpy()))[None]
    with torch.inference_mode():
        out = net.model(sar, cloudy, sample["cloud_mask"][None])
    answer = predictor(nets[0]).predict([sample])[0]["net"]
    assert out.variance is not None
    assert answer.variance is not None
    torch.testing.assert_close(answer.mean, out.mean[0])
    torch.testing.assert_close(answer.variance, out.variance[0])


def test_another_scale_of_the_network_changes_no_unit(tmp_path: Path, sample: FusionSample) -> None:
    """A mosaic passes values through: in any network units the answer is in reflectance."""
    answers = []
    for scale, offset in ((1.0, 0.0), (10.0, 0.0), (2.0, -1.0)):
        normalizer = Normalizer(sar_clip=(), optical_clip=None, optical_scale=scale, optical_offset=offset)
        path = tmp_path / f"{scale}.safetensors"
        save_checkpoint(path, Mosaic(optical_bands=BANDS, normalizer=normalizer), name="mosaic", kwargs={"optical_bands": list(BANDS)})
        answers.append(predictor(path).predict([sample])[0]["net"].mean)
    torch.testing.assert_close(answers[1], answers[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(answers[2], answers[0], atol=1e-5, rtol=0)


def test_variance_is_scaled_by_the_square(tmp_path: Path, sample: FusionSample) -> None:
    kwargs = {"optical_bands": list(BANDS), "level": "L1C", "widths": [3, 4], "variance": True, "tile_px": 64}
    from geocr.models.unet import FusionUNet

    torch.manual_seed(0)
    plain = FusionUNet(**kwargs)  # type: ignore[arg-type]
    normalizer = Normalizer(optical_scale=10.0)
    scaled = FusionUNet(**kwargs, normalizer=normalizer)  # type: ignore[arg-type]
    scaled.load_state_dict(plain.state_dict())
    save_checkpoint(tmp_path / "ten.safetensors", scaled, name="fusion_unet", kwargs=kwargs)
    sar = torch.from_numpy(normalizer.sar_to_network(sample["sar"].numpy()))[None]
    cloudy = torch.from_numpy(normalizer.optical_to_network(sample["cloudy"].numpy()))[None]
    with torch.inference_mode():
        raw = scaled.eval()(sar, cloudy, sample["cloud_mask"][None]).variance
    answer = predictor(tmp_path / "ten.safetensors").predict([sample])[0]["net"].variance
    assert answer is not None
    torch.testing.assert_close(answer * 100, raw[0])


def test_bands_are_taken_by_name(nets: list[Path]) -> None:
    reordered = Synthetic(split="test", length=1, size_px=64, optical_bands=BANDS[::-1], cloud_cover=(0.2, 0.6))
    straight = Synthetic(split="test", length=1, size_px=64, optical_bands=BANDS, cloud_cover=(0.2, 0.6))
    net = predictor(nets[0])
    assert torch.equal(net.predict([reordered[0]])[0]["net"].mean, net.predict([straight[0]])[0]["net"].mean)


def test_a_batch_is_its_samples(nets: list[Path], patches: Synthetic) -> None:
    net = predictor(nets[0], "flips")
    together = net.predict([patches[0], patches[1]])
    for number, answer in enumerate(together):
        alone = net.predict([patches[number]])[0]
        assert set(answer) == {"net", "net+flips"}
        for name, prediction in answer.items():
            torch.testing.assert_close(prediction.mean, alone[name].mean, atol=1e-6, rtol=0)


def test_with_all_views_the_answer_turns_with_the_patch(nets: list[Path], sample: FusionSample) -> None:
    """Averaged over a group of symmetries a network commutes with them; without, this one does not."""
    net = predictor(nets[0], "all")
    straight = net.predict([sample])[0]
    for key in ("sar", "cloudy", "cloud_mask"):
        sample[key] = torch.rot90(sample[key], 1, (-2, -1)).contiguous()  # type: ignore[literal-required]
    turned = net.predict([sample])[0]
    torch.testing.assert_close(turned["net+all"].mean, torch.rot90(straight["net+all"].mean, 1, (-2, -1)), atol=1e-5, rtol=0)
    assert (turned["net"].mean - torch.rot90(straight["net"].mean, 1, (-2, -1))).abs().max() > 1e-4


def test_several_dates_with_their_days(tmp_path: Path, two_dates: Callable[[], FusionSample]) -> None:
    kwargs = dict(UnCRtainTS.card.small[0])
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "u.safetensors", UnCRtainTS(**kwargs), name="uncrtaints", kwargs=kwargs)
    net = predictor(tmp_path / "u.safetensors")
    spec = net.model.spec
    series = Synthetic(split="test", length=1, size_px=64, optical_bands=spec.optical_in)[0]
    series["cloudy"] = series["cloudy"].expand(2, -1, -1, -1).contiguous()
    series["cloud_mask"] = series["cloud_mask"].expand(2, -1, -1).contiguous()
    series["sar"] = series["sar"].expand(2, -1, -1, -1).contiguous()
    series["meta"]["days"] = (2100.0, float("nan"))
    if spec.needs_dates:
        with pytest.raises(CheckpointError, match="days of its dates"):
            net.require_fit(series)
    series["meta"]["days"] = (2100.0, 2110.0)
    net.require_fit(series)
    assert torch.isfinite(net.predict([series])[0]["net"].mean).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sample: sample["meta"].update(optical_unit="display"), "optical values in reflectance"),
        (lambda sample: sample["meta"].update(sar_unit="display"), "Sentinel-1 in db"),
        (lambda sample: sample["meta"].update(optical_bands=("B02", "B03", "B04", "B05")), "samples lack B08"),
        (lambda sample: sample.pop("cloud_mask"), "give --cloud-mask auto"),
        (lambda sample: sample.pop("cloudy"), "reads the cloudy image"),
        (lambda sample: sample.update(sar=sample["sar"].expand(2, -1, -1, -1)), "takes one date, and samples have 2"),
    ],
)
def test_misfits_are_named(change: Callable[[FusionSample], object], said: str, nets: list[Path], sample: FusionSample) -> None:
    change(sample)
    with pytest.raises(CheckpointError, match=said):
        predictor(nets[0]).require_fit(sample)


def test_a_model_of_the_ground_refuses_the_top_of_the_atmosphere(tmp_path: Path) -> None:
    net = predictor(make_net(tmp_path / "l2a.safetensors", level="L2A"))
    with pytest.raises(CheckpointError, match="these samples are L1C"):
        net.require_fit(Synthetic(split="test", length=1, size_px=64)[0])


def test_missing_values_reach_no_network(nets: list[Path], sample: FusionSample) -> None:
    sample["cloudy"][0, :, :8] = torch.nan
    sample["sar"][0, :, :, :8] = torch.nan
    assert torch.isfinite(predictor(nets[0]).predict([sample])[0]["net"].mean).all()


def test_devices() -> None:
    assert usable_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        usable_device("abacus")
