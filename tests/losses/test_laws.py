"""What holds of every loss of the table."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from geocr.core.errors import InputError
from geocr.losses import LOSSES
from geocr.losses.base import Loss, LossInput
from tests.losses.cases import make_batch, make_loss

NAMES = tuple(LOSSES)
OF_PIXELS = tuple(name for name in NAMES if name != "attention_sparsity")
IMAGES = ("mean", "target", "variance", "cloudy", "structure_mask")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


def gradients(loss: Loss, given: LossInput) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its gradient with respect to all that a model predicts; zeros where it reads none of it."""
    predicted = {name: getattr(given, name).clone().requires_grad_() for name in ("mean", "variance", "structure_mask", "attention")}
    value = loss(replace(given, **predicted))
    found = torch.autograd.grad(value, list(predicted.values()), allow_unused=True)
    return value.detach(), {n: torch.zeros_like(predicted[n]) if g is None else g for n, g in zip(predicted, found, strict=True)}


@pytest.mark.parametrize("name", OF_PIXELS)
@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), -1e30])
def test_invalid_pixels_change_neither_loss_nor_gradient(name: str, rubbish: float, folder: Path) -> None:
    loss, given = make_loss(name, folder), make_batch()
    spoilt = replace(given, **{n: torch.where(given.valid, getattr(given, n), torch.tensor(rubbish).double()) for n in IMAGES})
    value, slopes = gradients(loss, given)
    same_value, same_slopes = gradients(loss, spoilt)
    assert torch.equal(value, same_value)
    assert value.isfinite()
    for field, slope in slopes.items():
        assert torch.equal(slope, same_slopes[field]), field
        if field != "attention":
            assert (slope * ~given.valid == 0).all(), field


@pytest.mark.parametrize("name", OF_PIXELS)
def test_valid_pixels_do_change_the_loss(name: str, folder: Path) -> None:
    loss, given = make_loss(name, folder), make_batch()
    assert loss(replace(given, mean=given.mean.flip(-1))) != loss(given)
    assert any((slope != 0).any() for slope in gradients(loss, given)[1].values())


@pytest.mark.parametrize("name", NAMES)
def test_without_a_valid_pixel_loss_and_gradient_are_zero(name: str, folder: Path) -> None:
    given = make_batch()
    value, slopes = gradients(make_loss(name, folder), replace(given, valid_mask=torch.zeros_like(given.valid[:, 0])))
    assert value == 0
    assert all((slope == 0).all() for slope in slopes.values())


@pytest.mark.parametrize("name", NAMES)
def test_no_mask_means_that_all_pixels_are_valid(name: str, folder: Path) -> None:
    loss, given = make_loss(name, folder), make_batch(invalid=False)
    torch.testing.assert_close(loss(given), loss(replace(given, valid_mask=torch.ones_like(given.valid[:, 0]))), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name: str, folder: Path) -> None:
    loss, given = make_loss(name, folder), make_batch((2, 3, 12, 13))
    fields = [field for field in ("mean", "variance", "structure_mask", "attention") if field == "mean" or field in loss.required()]

    def compute(*values: Tensor) -> Tensor:
        result = loss(replace(given, **dict(zip(fields, values, strict=True))))
        assert isinstance(result, Tensor)
        return result

    assert torch.autograd.gradcheck(compute, [getattr(given, field).clone().requires_grad_() for field in fields], fast_mode=True)


@pytest.mark.parametrize("name", [name for name in OF_PIXELS if name not in ("ms_ssim", "perceptual")])
@settings(max_examples=20)
@drawn(sides=st.tuples(*[st.integers(0, 5)] * 4))
def test_a_margin_of_invalid_pixels_changes_nothing(name: str, sides: tuple[int, int, int, int], folder: Path) -> None:
    loss, given = make_loss(name, folder), make_batch()
    grown = {n: functional.pad(getattr(given, n), sides, value=7.0) for n in IMAGES}
    masks = {n: functional.pad(getattr(given, n), sides, value=False) for n in ("valid_mask", "cloud_mask")}
    torch.testing.assert_close(loss(replace(given, **grown, **masks)), loss(given), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["l1", "l2", "smooth_l1", "ssim", "ms_ssim", "sam", "perceptual"])
def test_a_perfect_prediction_costs_nothing_and_pulls_nowhere(name: str, folder: Path) -> None:
    given = make_batch()
    value, slopes = gradients(make_loss(name, folder), replace(given, mean=given.target.clone()))
    assert abs(value) < 1e-12
    assert slopes["mean"].abs().max() < 1e-9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(name: str, dtype: torch.dtype, folder: Path) -> None:
    loss, given = make_loss(name, folder).float(), make_batch()
    half = replace(given, **{n: getattr(given, n).to(dtype) for n in (*IMAGES, "attention")})
    single = replace(half, **{n: getattr(half, n).float() for n in (*IMAGES, "attention")})
    assert loss(half).dtype == torch.float32
    assert torch.equal(loss(half), loss(single))


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_cast_to_half_precision_with_its_model_still_works(name: str, folder: Path) -> None:
    given = make_batch()
    single = replace(given, **{n: getattr(given, n).float() for n in (*IMAGES, "attention")})
    tolerance = 0.05 if name == "perceptual" else 0  # whose weights are rounded
    found, expected = make_loss(name, folder).bfloat16()(single), make_loss(name, folder).float()(single)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_loss_needs_is_asked_for(name: str, folder: Path) -> None:
    loss, given = make_loss(name, folder), make_batch()
    for field in sorted(loss.required()):
        with pytest.raises(InputError, match=f"this loss needs {field}, got None"):
            loss(replace(given, **{field: None}))
    bare = LossInput(mean=given.mean, target=given.target)
    if not loss.required():
        assert loss(bare).isfinite()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mean", torch.zeros(2, 3, 4), r"Expected `mean` to be float \(B, C, H, W\)"),
        ("mean", torch.zeros(2, 3, 14, 13, dtype=torch.int64), "torch.int64"),
        ("target", torch.zeros(2, 3, 14, 12), r"Expected `target` to be float \(2, 3, 14, 13\)"),
        ("variance", torch.zeros(2, 2, 14, 13), r"`variance` to be float \(2, 3, 14, 13\) or \(2, 1, 14, 13\)"),
        ("valid_mask", torch.ones(2, 14, 13), "Expected `valid_mask` to be bool"),
        ("cloud_mask", torch.ones(2, 1, 14, 13, dtype=torch.bool), r"bool \(2, 14, 13\)"),
        ("structure_mask", torch.zeros(2, 14, 13), r"float \(2, 1, 14, 13\)"),
    ],
)
def test_wrong_shapes_are_told(field: str, value: Tensor, message: str, folder: Path) -> None:
    with pytest.raises(InputError, match=message):
        make_loss("l1", folder)(replace(make_batch(), **{field: value}))
