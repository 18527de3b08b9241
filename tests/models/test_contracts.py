"""What every model of the table must hold. A new entry is tested the day it states two small configurations here."""

import copy
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geocr.checkpoint import load_checkpoint, save_checkpoint
from geocr.models import MODELS
from geocr.models.base import FusionModel, FusionOutput
from geocr.models.receptive import probe_receptive_radius, whole_tile_warning
from geocr.radiometry.normalize import Normalizer

GOLDEN = Path(__file__).resolve().parent.parent / "golden"

CONFIGURATIONS: dict[str, list[dict[str, Any]]] = {
    "fusion_unet": [
        {"optical_bands": ["B02", "B03", "B04", "B08"], "level": "L2A", "widths": [6, 8, 10], "variance": True},
        {
            "optical_bands": ["B10", "B04", "B03"],
            "optical_out": ["B04"],
            "sar_bands": ["VH"],
            "widths": [4, 6],
            "batch_norm": True,
            "use_mask": False,
            "gated": False,
            "tile_px": 64,
        },
    ],
}
PARAMETERS = {"fusion_unet": 909_262}
CASES = [pytest.param(name, index, id=f"{name}-{index}") for name, several in CONFIGURATIONS.items() for index in range(len(several))]


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """Models here are so small that threads cost more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(name: str, index: int) -> FusionModel:
    """A configuration whose weights are a formula, so that no generator of random numbers can change them."""
    kwargs = CONFIGURATIONS[name][index]
    model: FusionModel = MODELS.load(name)(**kwargs)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            fan = max(1, parameter[0].numel())
            wave = np.sin(np.arange(parameter.numel()) * 1.7 + number + 1) * np.sqrt(3 / fan)
            parameter.copy_(torch.from_numpy(wave.reshape(tuple(parameter.shape))))
    return model.eval()


def inputs(model: FusionModel, rows: int, cols: int, batch: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Smooth waves plus structure that no flip or shift leaves alone, by formula."""
    y, x = np.mgrid[:rows, :cols].astype(np.float32)

    def image(band: int, sample: int) -> np.ndarray:
        return 0.5 + 0.4 * np.sin(0.31 * y * (band + 1) + 0.17 * x + sample + band) + 0.001 * x

    sar = np.stack([[[image(band + 20, n) for band in range(len(model.spec.sar_bands))]] for n in range(batch)])
    cloudy = np.stack([[[image(band, n) for band in range(len(model.spec.optical_in))]] for n in range(batch)])
    mask = np.broadcast_to((y + 2 * x) % 11 < 4, (batch, 1, rows, cols)).copy()
    return torch.from_numpy(sar.astype(np.float32)), torch.from_numpy(cloudy.astype(np.float32)), torch.from_numpy(mask)


def predict(model: FusionModel, *arrays: Tensor) -> FusionOutput:
    with torch.inference_mode():
        out: FusionOutput = model(*arrays)
    return out


def assert_close(left: FusionOutput, right: FusionOutput, atol: float) -> None:
    for a, b in zip(left, right, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, atol=atol, rtol=0)


def test_every_model_states_two_configurations_and_its_size() -> None:
    assert set(CONFIGURATIONS) == set(MODELS) == set(PARAMETERS)
    assert all(len(several) >= 2 for several in CONFIGURATIONS.values())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_at_the_default_configuration(name: str) -> None:
    with torch.device("meta"):
        model = MODELS.load(name)()
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize(("name", "index"), CASES)
def test_the_answer_has_the_declared_shape_dtype_and_variance(name: str, index: int) -> None:
    model = build(name, index)
    out = predict(model, *inputs(model, 16, 24, batch=2))
    expected = (2, len(model.spec.optical_out), 16, 24)
    assert (tuple(out.mean.shape), out.mean.dtype) == (expected, torch.float32)
    assert (out.variance is not None) == model.spec.has_std
    if out.variance is not None:
        assert tuple(out.variance.shape) == expected
        assert bool((out.variance > 0).all())


@pytest.mark.parametrize(("name", "index"), CASES)
def test_every_parameter_gets_a_finite_gradient(name: str, index: int) -> None:
    torch.manual_seed(0)
    model = MODELS.load(name)(**CONFIGURATIONS[name][index]).train()
    out = model(*inputs(model, 16, 16, batch=2))
    loss = out.mean.square().mean() + (0 if out.variance is None else out.variance.log().mean())
    loss.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key
        assert float(parameter.grad.abs().max()) > 0, key


@pytest.mark.parametrize(("name", "index"), CASES)
def test_odd_and_minimum_sizes(name: str, index: int) -> None:
    model = build(name, index)
    least = model.spec.min_size_px
    for rows, cols in ((1, 1), (least, least), (least + 1, least), (least, 2 * least - 1), (17, 23)):
        out = predict(model, *inputs(model, rows, cols))
        assert tuple(out.mean.shape[-2:]) == (rows, cols)
        assert bool(torch.isfinite(out.mean).all())


@pytest.mark.parametrize(("name", "index"), CASES)
def test_golden_values(name: str, index: int) -> None:
    """Values, not shapes: `tests/golden/<name>.json` holds 5 x 5 of the mean and of the variance per configuration."""
    model = build(name, index)
    out = predict(model, *inputs(model, 20, 28))
    golden = json.loads((GOLDEN / f"{name}.json").read_text())[index]
    assert golden["kwargs"] == CONFIGURATIONS[name][index]
    for key, tensor in (("mean", out.mean), ("variance", out.variance)):
        values = None if tensor is None else tensor[0, :, ::5, ::6].double()
        if values is None:
            assert golden[key] is None
        else:
            torch.testing.assert_close(values, torch.tensor(golden[key], dtype=torch.float64), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_every_input_matters(name: str, index: int) -> None:
    model = build(name, index)
    sar, cloudy, mask = inputs(model, 16, 16)
    before = predict(model, sar, cloudy, mask).mean
    for band in range(sar.shape[2]):
        changed = sar.clone()
        changed[:, :, band] += 0.3
        assert not torch.allclose(predict(model, changed, cloudy, mask).mean, before, atol=1e-4), f"sar band {band}"
    for band in range(cloudy.shape[2]):
        changed = cloudy.clone()
        changed[:, :, band] += 0.3
        assert not torch.allclose(predict(model, sar, changed, mask).mean, before, atol=1e-4), f"optical band {band}"
    if model.spec.needs_mask:
        assert not torch.allclose(predict(model, sar, cloudy, ~mask).mean, before, atol=1e-4)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_samples_of_a_batch_do_not_touch_each_other(name: str, index: int) -> None:
    model = build(name, index)
    sar, cloudy, mask = inputs(model, 16, 16, batch=3)
    together = predict(model, sar, cloudy, mask)
    alone = predict(model, sar[1:2], cloudy[1:2], mask[1:2])
    torch.testing.assert_close(together.mean[1:2], alone.mean, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_eval_mode_is_deterministic(name: str, index: int) -> None:
    model = build(name, index)
    arrays = inputs(model, 16, 24)
    assert_close(predict(model, *arrays), predict(model, *arrays), atol=0)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_save_and_load_give_equal_outputs(name: str, index: int, tmp_path: Path) -> None:
    model = build(name, index)
    save_checkpoint(tmp_path / "model.safetensors", model, name=name, kwargs=CONFIGURATIONS[name][index])
    arrays = inputs(model, 16, 24)
    assert_close(predict(load_checkpoint(tmp_path / "model.safetensors").model, *arrays), predict(model, *arrays), atol=0)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_the_normaliser_is_an_argument_and_part_of_the_contract(name: str, index: int) -> None:
    kwargs = CONFIGURATIONS[name][index]
    standard = MODELS.load(name)(**kwargs).spec.normalizer
    other = Normalizer(sar_clip=standard.sar_clip, optical_scale=5.0)
    assert MODELS.load(name)(**kwargs, normalizer=other).spec.normalizer == other


@pytest.mark.parametrize(("name", "index"), CASES)
def test_channels_last_within_1e_5(name: str, index: int) -> None:
    model = build(name, index)
    arrays = inputs(model, 16, 24)
    expected = predict(model, *arrays)
    assert_close(predict(copy.deepcopy(model).to(memory_format=torch.channels_last), *arrays), expected, atol=1e-5)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_bf16_weights_within_three_percent_of_the_range(name: str, index: int) -> None:
    """8 bits of mantissa through a dozen layers: the root mean square stays below 3 % of the output's own spread."""
    model = build(name, index)
    arrays = inputs(model, 16, 24)
    exact, rounded = predict(model, *arrays).mean, predict(copy.deepcopy(model).to(torch.bfloat16), *arrays).mean
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).square().mean().sqrt()) < 0.03 * float(exact.max() - exact.min())


@pytest.mark.parametrize(("name", "index"), CASES)
def test_the_declared_radius_is_the_measured_one(name: str, index: int) -> None:
    model = build(name, index)
    assert probe_receptive_radius(model, window_px=80) == model.spec.receptive_radius_px
    assert (whole_tile_warning(model) is None) == (model.spec.receptive_radius_px is not None)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "index"), CASES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of torch's own compiler
def test_compiled_within_1e_4(name: str, index: int) -> None:
    model = build(name, index)
    arrays = inputs(model, 16, 24)
    compiled = torch.compile(model, fullgraph=True)
    assert_close(predict(compiled, *arrays), predict(model, *arrays), atol=1e-4)
