"""What every model of the table must hold. A new entry is tested the day it is added: its card states the configurations."""

import copy
import json
from collections.abc import Generator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from geocr.checkpoint import load_checkpoint, save_checkpoint
from geocr.models import MODELS
from geocr.models.base import FusionModel, FusionOutput
from geocr.models.receptive import probe_receptive_radius, whole_tile_warning
from geocr.radiometry.normalize import Normalizer
from tests.contracts.golden import GOLDEN, sampled
from tests.contracts.small_models import CASES, FIRST, MULTI_TEMPORAL, assert_close, build, card, fields_of, inputs, predict

COUNTS = [pytest.param(name, dict(kwargs), count, id=f"{name}-{count}") for name in MODELS for kwargs, count in card(name).counts]


@pytest.fixture(autouse=True)
def one_thread() -> Generator[None]:
    """Models here are so small that threads cost more than they give."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def frame(name: str) -> tuple[int, int]:
    """Rows and columns of the images that most tests use."""
    side = card(name).needs_px
    return side, side * 3 // 2


@pytest.mark.parametrize(("name", "kwargs", "count"), COUNTS)
def test_the_number_of_parameters_is_the_stated_one(name: str, kwargs: dict[str, object], count: int) -> None:
    with torch.device("meta"):
        model = MODELS.load(name)(**kwargs)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


@pytest.mark.parametrize(("name", "index"), CASES)
def test_the_answer_has_the_declared_shapes_dtypes_and_variance(name: str, index: int) -> None:
    model = build(name, index)
    rows, cols = frame(name)
    given = inputs(model, rows, cols, batch=2)
    out = predict(model, *given)
    bands = len(model.spec.optical_out)
    assert (out.variance is not None) == model.spec.has_std
    for field, shape in (
        (out.mean, (2, bands, rows, cols)),
        (out.variance, (2, bands, rows, cols)),
        (out.simulated, (2, bands, rows, cols)),
        (out.structure_mask, (2, 1, rows, cols)),
    ):
        assert field is None or tuple(field.shape) == shape
    for field in fields_of(out).values():
        assert field.dtype == torch.float32
        assert bool(torch.isfinite(field).all())
    if out.variance is not None:
        assert bool((out.variance > 0).all())
    for share in (out.attention, out.structure_mask):
        assert share is None or bool(((share >= 0) & (share <= 1 + 1e-6)).all())
    if out.attention is not None:
        assert out.attention.shape[:2] == given[1].shape[:2]
        if model.spec.multi_temporal:
            torch.testing.assert_close(out.attention.sum(dim=1), torch.ones_like(out.attention[:, 0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_every_parameter_gets_a_finite_gradient(name: str, index: int) -> None:
    torch.manual_seed(0)
    model = MODELS.load(name)(**card(name).small[index]).train()
    out = model(*inputs(model, *frame(name), batch=2))
    loss = sum(field.square().mean() for field in fields_of(out).values())
    if not list(model.parameters()):
        assert not out.mean.requires_grad
        return
    assert isinstance(loss, Tensor)
    loss.backward()
    for key, parameter in model.named_parameters():
        if key in model.idle_parameters:
            assert parameter.grad is None or float(parameter.grad.abs().max()) == 0, key
            continue
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
    """Values, not shapes: `tests/golden/<name>.json`, written once by `tests/contracts/golden.py`."""
    model = build(name, index)
    fields = fields_of(predict(model, *inputs(model, 20, 28)))
    golden = json.loads((GOLDEN / f"{name}.json").read_text())[index]
    assert golden["kwargs"] == json.loads(json.dumps(dict(card(name).small[index])))
    assert {key for key, values in golden.items() if values is not None} - {"kwargs"} == set(fields)
    for key, field in fields.items():
        got, expected = (torch.tensor(values, dtype=torch.float64) for values in (sampled(key, field), golden[key]))
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.parametrize(("name", "index"), CASES)
def test_every_input_matters(name: str, index: int) -> None:
    """Each band, the mask and the dates change the answer, except what the card says may not."""
    model = build(name, index)
    unseen = {reason.partition(":")[0] for reason in card(name).unseen}
    sar, cloudy, mask, dates = inputs(model, *frame(name))
    before = predict(model, sar, cloudy, mask, dates).mean
    changes: dict[str, tuple[Tensor, ...]] = {"mask": (sar, cloudy, ~mask, dates)} if model.spec.needs_mask else {}
    for band in range(sar.shape[2]):
        changed = sar.clone()
        changed[:, :, band] += 0.3 * torch.rand(sar.shape[-2:], generator=torch.Generator().manual_seed(band))
        changes[f"sar band {band}"] = (changed, cloudy, mask, dates)
    for band in range(cloudy.shape[2]):
        changed = cloudy.clone()
        changed[:, :, band] += 0.3 * torch.rand(cloudy.shape[-2:], generator=torch.Generator().manual_seed(band))
        changes[f"optical band {band}"] = (sar, changed, mask, dates)
    if model.spec.needs_dates:
        changes["dates"] = (sar, cloudy, mask, dates * 1.5)
    for what, arrays in changes.items():
        if what.split()[0] not in unseen:
            assert not torch.allclose(predict(model, *arrays).mean, before, atol=1e-5, rtol=0), what


@pytest.mark.parametrize(("name", "index"), CASES)
def test_samples_of_a_batch_do_not_touch_each_other(name: str, index: int) -> None:
    model = build(name, index)
    given = inputs(model, *frame(name), batch=3)
    together, alone = predict(model, *given), predict(model, *(array[1:2] for array in given))
    for key, field in fields_of(together).items():
        expected = fields_of(alone)[key]
        torch.testing.assert_close(field[1:2], expected, atol=1e-4 * max(1.0, float(expected.abs().max())), rtol=0)


@pytest.mark.parametrize(("name", "index"), MULTI_TEMPORAL)
def test_a_date_that_only_fills_the_batch_changes_nothing(name: str, index: int) -> None:
    model = build(name, index)
    given = inputs(model, *frame(name), batch=2)
    filler = [
        torch.cat((array, torch.full_like(array[:, :1], fill)), dim=1)
        for array, fill in zip(given, (torch.nan, torch.nan, 0, 9999.0), strict=True)
    ]
    real = torch.tensor([[True] * given[0].shape[1] + [False]] * 2)
    expected, got = predict(model, *given), predict(model, *filler, real)
    torch.testing.assert_close(got.mean, expected.mean, atol=1e-4 * max(1.0, float(expected.mean.abs().max())), rtol=0)
    if got.attention is not None:
        assert float(got.attention[:, -1].abs().max()) == 0


@pytest.mark.parametrize(("name", "index"), MULTI_TEMPORAL)
def test_the_order_of_dates_does_not_matter(name: str, index: int) -> None:
    model = build(name, index)
    given = inputs(model, *frame(name))
    expected, got = predict(model, *given), predict(model, *(array.flip(1) for array in given))
    torch.testing.assert_close(got.mean, expected.mean, atol=1e-4 * max(1.0, float(expected.mean.abs().max())), rtol=0)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_eval_mode_is_deterministic(name: str, index: int) -> None:
    model = build(name, index)
    arrays = inputs(model, *frame(name))
    assert_close(predict(model, *arrays), predict(model, *arrays), atol=0)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_save_and_load_give_equal_outputs(name: str, index: int, tmp_path: Path) -> None:
    model = build(name, index)
    save_checkpoint(tmp_path / "model.safetensors", model, name=name, kwargs=card(name).small[index])
    arrays = inputs(model, *frame(name))
    loaded = load_checkpoint(tmp_path / "model.safetensors").model
    assert loaded.spec == model.spec
    assert_close(predict(loaded, *arrays), predict(model, *arrays), atol=0)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_the_normaliser_is_an_argument_and_part_of_the_contract(name: str, index: int) -> None:
    kwargs = card(name).small[index]
    standard = MODELS.load(name)(**kwargs).spec.normalizer
    other = Normalizer(sar_clip=standard.sar_clip, optical_scale=7.0)
    assert MODELS.load(name)(**kwargs, normalizer=other).spec.normalizer == other


@pytest.mark.parametrize(("name", "index"), CASES)
def test_channels_last_within_1e_4_of_the_greatest_value(name: str, index: int) -> None:
    model = build(name, index)
    arrays = inputs(model, *frame(name))
    expected = predict(model, *arrays)
    assert_close(predict(copy.deepcopy(model).to(memory_format=torch.channels_last), *arrays), expected, atol=1e-4)


@pytest.mark.parametrize(("name", "index"), CASES)
def test_bf16_weights_within_the_stated_share_of_the_range(name: str, index: int) -> None:
    """8 bits of mantissa through all layers: the root mean square stays below the card's share of the output's own spread."""
    model = build(name, index)
    arrays = inputs(model, *frame(name))
    exact, rounded = predict(model, *arrays).mean, predict(copy.deepcopy(model).to(torch.bfloat16), *arrays).mean
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).square().mean().sqrt()) < card(name).bf16_tolerance * float(exact.max() - exact.min())


@pytest.mark.parametrize(("name", "index"), CASES)
def test_the_declared_radius_is_the_measured_one(name: str, index: int) -> None:
    model = build(name, index)
    assert probe_receptive_radius(model, window_px=80) == model.spec.receptive_radius_px
    assert (whole_tile_warning(model) is None) == (model.spec.receptive_radius_px is not None)


class _Positional(nn.Module):
    """A model whose answer is a plain tuple of the fields it fills, as ONNX has outputs."""

    def __init__(self, model: FusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, sar: Tensor, cloudy: Tensor, cloud_mask: Tensor, dates: Tensor) -> tuple[Tensor, ...]:
        out: FusionOutput = self.model(sar, cloudy, cloud_mask, dates)
        return tuple(fields_of(out).values())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "index"), FIRST)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")  # of torch's own compiler
def test_compiled_within_1e_4(name: str, index: int) -> None:
    model = build(name, index)
    arrays = inputs(model, *frame(name))
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True)
    assert_close(predict(compiled, *arrays), predict(model, *arrays), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "index"), FIRST)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_exported_by_torch_with_the_same_values(name: str, index: int) -> None:
    if card(name).not_exportable is not None:
        pytest.skip(str(card(name).not_exportable))
    model = build(name, index)
    arrays = inputs(model, *frame(name))
    exported = torch.export.export(_Positional(model).eval(), arrays)
    for (key, value), got in zip(fields_of(predict(model, *arrays)).items(), exported.module()(*arrays), strict=True):
        torch.testing.assert_close(got, value, atol=1e-5 * max(1.0, float(value.abs().max())), rtol=0, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "index"), FIRST)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_exported_to_onnx_with_the_same_values(name: str, index: int) -> None:
    """Run by onnxruntime, which shares no code with torch."""
    if card(name).not_onnx is not None:
        pytest.skip(str(card(name).not_onnx))
    model = build(name, index)
    arrays = inputs(model, *frame(name))
    program = torch.onnx.export(_Positional(model).eval(), arrays, dynamo=True, verbose=False)
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    by_name = dict(zip(("sar", "cloudy", "cloud_mask", "dates"), arrays, strict=True))
    answers = session.run(None, {given.name: by_name[given.name].numpy() for given in session.get_inputs()})
    for (key, value), got in zip(fields_of(predict(model, *arrays)).items(), answers, strict=True):
        np.testing.assert_allclose(got, value.numpy(), atol=1e-4 * max(1.0, float(value.abs().max())), rtol=0, err_msg=key)
