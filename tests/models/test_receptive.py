"""The probe against networks whose reach is known by hand, and the layers it warns about."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from geocr.core.errors import InputError
from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.receptive import probe_receptive_radius, strip_reach_px, whole_tile_warning
from geocr.models.unet import FusionUNet

SPEC = FusionUNet(optical_bands=("B04",), widths=(1,), use_mask=False).spec


class Wrapped(FusionModel):
    """Any layer on the cloudy band."""

    def __init__(self, layer: nn.Module, **spec: object) -> None:
        super().__init__(replace(SPEC, **spec))  # type: ignore[arg-type]
        self.layer = layer
        self.scale = nn.Parameter(torch.ones(()))

    def fuse(self, given: FusionInput) -> FusionOutput:
        return FusionOutput(self.layer(given.cloudy[:, 0]) * self.scale)


@pytest.mark.parametrize(
    ("layer", "stride", "radius"),
    [
        (nn.Identity(), 1, 0),
        (nn.Conv2d(1, 1, 1), 1, 0),
        (nn.Conv2d(1, 1, 3, padding=1), 1, 1),
        (nn.Conv2d(1, 1, (3, 7), padding=(1, 3)), 1, 3),
        (nn.Conv2d(1, 1, 3, padding=4, dilation=4), 1, 4),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Conv2d(1, 1, 5, padding=2)), 1, 3),
        (nn.Sequential(nn.MaxPool2d(4), nn.Upsample(scale_factor=4)), 4, 3),
        (nn.BatchNorm2d(1), 1, 0),
    ],
)
def test_the_reach_of_known_layers(layer: nn.Module, stride: int, radius: int) -> None:
    model = Wrapped(layer, size_multiple_px=stride, min_size_px=stride)
    assert probe_receptive_radius(model, window_px=32) == radius


def test_dead_units_and_zero_weights_do_not_hide_a_path() -> None:
    layer = nn.Sequential(nn.Conv2d(1, 1, 5, padding=2), nn.ReLU())
    nn.init.zeros_(layer[0].weight)
    nn.init.constant_(layer[0].bias, -1.0)
    assert probe_receptive_radius(Wrapped(layer), window_px=32) == 2


def test_an_asymmetric_reach_counts_its_longer_side() -> None:
    shift = nn.Sequential(nn.ZeroPad2d((0, 5, 0, 0)), nn.MaxPool2d((1, 6), stride=1))
    assert probe_receptive_radius(Wrapped(shift), window_px=32) == 5


@pytest.mark.parametrize(
    "layer",
    [nn.InstanceNorm2d(1), nn.GroupNorm(1, 1), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Upsample(size=32))],
    ids=["instance", "group", "adaptive"],
)
def test_statistics_of_the_tile_are_measured_and_named(layer: nn.Module) -> None:
    model = Wrapped(layer)
    assert probe_receptive_radius(model, window_px=32) is None
    warning = whole_tile_warning(model)
    assert warning is not None
    assert type(layer[0] if isinstance(layer, nn.Sequential) else layer).__name__ in warning


def test_a_reach_beyond_the_window_is_not_a_number() -> None:
    wide = Wrapped(nn.Conv2d(1, 1, 33, padding=16))
    assert probe_receptive_radius(wide, window_px=32) is None
    assert probe_receptive_radius(wide, window_px=40) == 16


def test_batch_norm_without_running_statistics_is_named() -> None:
    assert whole_tile_warning(Wrapped(nn.BatchNorm2d(1))) is None
    assert "BatchNorm2d without running statistics" in str(whole_tile_warning(Wrapped(nn.BatchNorm2d(1, track_running_stats=False))))


def test_a_spec_without_a_radius_is_believed() -> None:
    assert "no finite receptive radius" in str(whole_tile_warning(Wrapped(nn.Identity(), receptive_radius_px=None)))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode_and_its_statistics_alone(training: bool) -> None:
    layer = nn.BatchNorm2d(1)
    model = Wrapped(layer).train(training)
    probe_receptive_radius(model, window_px=16)
    assert model.training is training
    assert int(layer.num_batches_tracked) == 0


def test_broken_weights_are_not_taken_for_a_wide_reach() -> None:
    model = Wrapped(nn.Identity())
    nn.init.constant_(model.scale, float("nan"))
    with pytest.raises(InputError, match="weights are broken"):
        probe_receptive_radius(model, window_px=16)


@pytest.mark.parametrize(
    ("layer", "stride", "radius"),
    [
        (nn.Identity(), 1, 0),
        (nn.Conv2d(1, 1, (3, 7), padding=(1, 3)), 1, 3),
        (nn.Conv2d(1, 1, (9, 1), padding=(4, 0)), 1, 4),
        (nn.Conv2d(1, 1, 3, padding=4, dilation=4), 1, 4),
        (nn.Sequential(nn.ZeroPad2d((0, 5, 0, 0)), nn.MaxPool2d((1, 6), stride=1)), 1, 5),
        (nn.Sequential(nn.MaxPool2d(4), nn.Upsample(scale_factor=4)), 4, 3),
        (nn.Sequential(nn.MaxPool2d(32), nn.Upsample(scale_factor=32)), 32, 31),
    ],
)
def test_strips_tell_the_reach_and_whether_it_is_farther_than_said(layer: nn.Module, stride: int, radius: int) -> None:
    model = Wrapped(layer, size_multiple_px=stride, min_size_px=stride, tile_px=128)
    for within in (radius, radius + 3):
        assert strip_reach_px(model, within_px=within) == radius
    if radius:
        assert strip_reach_px(model, within_px=radius - 1) > radius - 1


def test_strips_see_the_reach_of_a_mask() -> None:
    torch.manual_seed(0)
    model = FusionUNet(optical_bands=("B02",), widths=(2, 3))
    declared = model.spec.receptive_radius_px
    assert declared is not None
    assert model.spec.needs_mask
    assert strip_reach_px(model, within_px=declared) == declared == probe_receptive_radius(model, window_px=4 * declared)


def test_probes_leave_every_layer_in_its_own_mode() -> None:
    model = Wrapped(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1)))
    model.train()
    model.layer[1].eval()  # type: ignore[index]
    strip_reach_px(model, within_px=1)
    probe_receptive_radius(model, window_px=16)
    assert [layer.training for layer in model.modules()] == [True, True, True, False]


def test_strips_of_broken_weights_are_told() -> None:
    model = Wrapped(nn.Conv2d(1, 1, 1))
    nn.init.constant_(model.scale, torch.nan)
    with pytest.raises(InputError, match="weights are broken"):
        strip_reach_px(model, within_px=0)
