"""Checks, padding and stacking that every model inherits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput, mirror_to
from geocr.models.spec import ModelSpec
from geocr.models.unet import FusionUNet
from geocr.radiometry.normalize import Normalizer

SPEC = replace(
    FusionUNet(optical_bands=("B02", "B03", "B04"), widths=(2, 2)).spec,
    size_multiple_px=4,
    min_size_px=8,
    tile_px=64,
    needs_mask=True,
    has_std=True,
)


class Recorder(FusionModel):
    """Gives the cloudy input back and keeps what it was handed."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__(spec)
        self.seen: tuple[Tensor, Tensor, Tensor | None] | None = None

    def fuse(self, given: FusionInput) -> FusionOutput:
        self.seen = (given.sar, given.cloudy, given.cloud_mask)
        self.given = given
        return FusionOutput(given.cloudy[:, 0], given.cloudy[:, 0] + 1)


def inputs(rows: int = 8, cols: int = 8, dates: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows * 100 + cols)
    sar = torch.rand(2, dates, 2, rows, cols, generator=generator)
    return sar, torch.rand(2, dates, 3, rows, cols, generator=generator), torch.rand(2, dates, rows, cols, generator=generator) > 0.5


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 7), (7, 8), (8, 8), (9, 8), (8, 13), (11, 3)])
def test_any_side_is_padded_for_the_model_and_cropped_for_the_caller(rows: int, cols: int) -> None:
    model = Recorder(SPEC)
    sar, cloudy, mask = inputs(rows, cols)
    out = model(sar, cloudy, mask)
    assert model.seen is not None
    expected = max(8, -(-rows // 4) * 4), max(8, -(-cols // 4) * 4)
    assert [tuple(part.shape[-2:]) for part in model.seen if part is not None] == [expected] * 3
    assert torch.equal(out.mean, cloudy[:, 0])
    assert torch.equal(out.variance, cloudy[:, 0] + 1)


@pytest.mark.parametrize(("side", "target"), [(5, 8), (5, 9), (3, 5), (4, 7)])
def test_mirroring_is_numpys_reflection(side: int, target: int) -> None:
    image = torch.rand(2, side, side + 1)
    padded = np.pad(image.numpy(), ((0, 0), (0, target - side), (0, target - side)), mode="reflect")
    np.testing.assert_array_equal(mirror_to(image, (target, target + 1)).numpy(), padded)


def test_images_smaller_than_their_margin_are_mirrored_to_and_fro_or_repeated() -> None:
    assert mirror_to(torch.tensor([[1, 2, 3]]), (1, 8)).tolist() == [[1, 2, 3, 2, 1, 2, 3, 2]]
    assert mirror_to(torch.tensor([[True], [False]]), (4, 3)).tolist() == [[True] * 3, [False] * 3] * 2


def test_the_mask_reaches_only_models_that_read_one() -> None:
    model = Recorder(replace(SPEC, needs_mask=False))
    model(*inputs())
    assert model.seen is not None
    assert model.seen[2] is None
    model(*inputs()[:2])


@pytest.mark.parametrize(("order", "first"), [("sar_first", 0.0), ("optical_first", 1.0)])
def test_stacking_follows_the_channel_order(order: str, first: float) -> None:
    model = Recorder(replace(SPEC, channel_order=order))  # type: ignore[arg-type]
    stacked = model.stacked(torch.zeros(1, 1, 2, 4, 4), torch.ones(1, 1, 3, 4, 4))
    assert stacked.shape == (1, 1, 5, 4, 4)
    assert stacked[0, 0, 0, 0, 0] == first
    assert stacked[0, 0, -1, 0, 0] == 1 - first


def test_several_dates_only_where_the_spec_says_so() -> None:
    with pytest.raises(InputError, match=r"one date .* got 3 dates"):
        Recorder(SPEC)(*inputs(dates=3))
    assert Recorder(replace(SPEC, multi_temporal=True))(*inputs(dates=3)).mean.shape == (2, 3, 8, 8)


def test_wrong_inputs_are_refused_with_expected_and_got() -> None:
    sar, cloudy, mask = inputs()
    model = Recorder(SPEC)
    for wrong, message in (
        ((sar[:, 0], cloudy, mask), r"Expected sar to be float \(B, 1, 2, H, W\), got torch.float32 \(2, 2, 8, 8\)"),
        ((sar[:, :, :1], cloudy, mask), r"Expected sar .*\(2, 1, 1, 8, 8\)"),
        ((sar, cloudy.int(), mask), r"Expected cloudy to be float \(B, 1, 3, H, W\), got torch.int32"),
        ((sar, sar, mask), r"Expected cloudy .*bands: \('B02', 'B03', 'B04'\)"),
        ((sar[:1], cloudy, mask), "same B, T, H, W"),
        ((sar[..., :4], cloudy, mask), "same B, T, H, W"),
        ((sar[..., :0], cloudy[..., :0], mask[..., :0]), "none of them 0"),
        ((sar, cloudy, None), "Expected a cloud_mask .*got None"),
        ((sar, cloudy, mask.float()), r"Expected cloud_mask to be bool \(2, 1, 8, 8\).*got torch.float32"),
        ((sar, cloudy, mask[..., :4]), r"Expected cloud_mask .*\(2, 1, 8, 4\)"),
    ):
        with pytest.raises(InputError, match=message):
            model(*wrong)


def test_a_model_without_sar_takes_zero_bands() -> None:
    spec = replace(SPEC, sar_bands=(), normalizer=Normalizer(sar_clip=()))
    _, cloudy, mask = inputs()
    assert Recorder(spec)(torch.empty(2, 1, 0, 8, 8), cloudy, mask).mean.shape == (2, 3, 8, 8)


def dated(dates: int = 3) -> tuple[Recorder, tuple[Tensor, Tensor, Tensor, Tensor]]:
    return Recorder(replace(SPEC, multi_temporal=True, needs_dates=True)), (
        *inputs(dates=dates),
        torch.tensor([[1.0, 5.0, 9.0][:dates]] * 2),
    )


def test_dates_reach_only_models_that_read_them() -> None:
    model, given = dated()
    model(*given)
    assert torch.equal(model.given.dates, given[3])
    undated = Recorder(replace(SPEC, multi_temporal=True))
    undated(*given)
    assert undated.given.dates is None


def test_filled_dates_are_emptied_before_a_model_sees_them() -> None:
    model, (sar, cloudy, mask, days) = dated()
    sar[:, 2], cloudy[:, 2] = torch.nan, torch.inf
    real = torch.tensor([[True, True, False]] * 2)
    model(sar, cloudy, mask, days, real)
    assert torch.equal(model.given.sar[:, :2], sar[:, :2])
    assert not model.given.sar[:, 2].any()
    assert not model.given.cloudy[:, 2].any()
    assert model.given.date_valid is real


def test_wrong_dates_are_refused_with_expected_and_got() -> None:
    model, (*images, days) = dated()
    none_real = torch.tensor([[True, False, False], [False, False, False]])
    for wrong, message in (
        ((), "Expected dates .*because this model reads them; got None"),
        ((days[:, :2],), r"Expected dates to be float \(2, 3\).*got torch.float32 \(2, 2\)"),
        ((days.int(),), "Expected dates to be float .*got torch.int32"),
        ((days, days), r"Expected date_valid to be bool \(2, 3\), True is a real date, got torch.float32"),
        ((days, torch.ones(2, 1, dtype=torch.bool)), r"Expected date_valid .*\(2, 1\)"),
        ((days, none_real), "at least one real date in each sample"),
    ):
        with pytest.raises(InputError, match=message):
            model(*images, *wrong)


class Everything(FusionModel):
    """Every field of an answer: of the image's size and of a grid of its own, in double precision."""

    def fuse(self, given: FusionInput) -> FusionOutput:
        image = given.cloudy[:, 0].double()
        coarse = image[:, None, :, ::4, ::4]
        return FusionOutput(image, image + 1, coarse, image[:, :1], image * 2, {"shared": image, "coarse": coarse[:, 0]})


def test_fields_of_the_images_size_are_cropped_and_others_stay_whole() -> None:
    sar, cloudy, mask = inputs(9, 5)
    out = Everything(SPEC)(sar, cloudy, mask)
    assert out.factors is not None
    for field in (out.mean, out.variance, out.structure_mask, out.simulated, out.factors["shared"]):
        assert field is not None
        assert tuple(field.shape[-2:]) == (9, 5)
        assert field.dtype == torch.float32
    assert out.attention is not None
    assert tuple(out.attention.shape) == (2, 1, 3, 3, 2)  # of the padded 12 x 8
    assert tuple(out.factors["coarse"].shape) == (2, 3, 3, 2)
    assert torch.equal(out.simulated, cloudy[:, 0] * 2)


def test_a_model_that_sees_only_sentinel_1_takes_zero_optical_bands() -> None:
    class Sums(FusionModel):
        def fuse(self, given: FusionInput) -> FusionOutput:
            return FusionOutput(given.sar[:, 0].sum(dim=1, keepdim=True))

    spec = replace(SPEC, optical_in=(), optical_out=("B04",), needs_mask=False, has_std=False)
    sar, _, _ = inputs(7, 5)
    torch.testing.assert_close(Sums(spec)(sar, torch.empty(2, 1, 0, 7, 5)).mean, sar[:, 0].sum(dim=1, keepdim=True))
