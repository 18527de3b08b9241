"""What is particular to UnCRtainTS, and to U-TAE and its sibling, which share its parts."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.core.errors import InputError
from geocr.models.base import FusionOutput
from geocr.models.layers.gaussian_head import GaussianHead
from geocr.models.layers.mbconv import MBConv
from geocr.models.layers.pyramid_trunk import _Down, _Up
from geocr.models.uncrtaints import UnCRtainTS
from geocr.models.unet_mono import MonoUNet
from geocr.models.utae import UTAE
from geocr.radiometry.normalize import Normalizer

BANDS: dict[str, Any] = {"optical_bands": ["B02", "B03", "B04"], "level": "L2A"}
TINY: dict[str, Any] = {**BANDS, "encoder_widths": [8], "decoder_widths": [8]}
ATTENTION: dict[str, Any] = {"heads": 2, "d_model": 8}


def images(rows: int, cols: int, dates: int = 1, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows + cols + dates)
    return torch.rand(batch, dates, 2, rows, cols, generator=generator), torch.rand(batch, dates, 3, rows, cols, generator=generator)


def predict(model: torch.nn.Module, *arrays: Tensor | None) -> FusionOutput:
    with torch.inference_mode():
        out: FusionOutput = model.eval()(*arrays)
    return out


def test_the_inverted_block_is_the_described_one() -> None:
    """Norm, 1 x 1, norm, GELU, depthwise, norm, GELU, excitation, 1 x 1, norm, added: from the weights, by functions."""
    torch.manual_seed(1)
    block = MBConv(8, "group").eval()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    x = torch.randn(2, 8, 6, 5)
    w = dict(block.named_parameters())

    def norm(y: Tensor, key: str) -> Tensor:
        return F.group_norm(y, 4, w[f"{key}.weight"], w[f"{key}.bias"])

    y = norm(x, "norm")
    y = F.gelu(norm(F.conv2d(y, w["body.0.weight"]), "body.1"))
    y = F.gelu(norm(F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), w["body.3.weight"], groups=16), "body.4"))
    squeezed = y.mean(dim=(2, 3)) @ w["body.6.weigh.0.weight"].T
    y = y * torch.sigmoid(F.gelu(squeezed) @ w["body.6.weigh.2.weight"].T)[:, :, None, None]
    expected = x + norm(F.conv2d(y, w["body.7.weight"]), "body.8")
    torch.testing.assert_close(block(x), expected)


def randomised(block: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters and running statistics by name, none of them at its start; in eval mode."""
    generator = torch.Generator().manual_seed(2)
    values = {**dict(block.eval().named_parameters()), **dict(block.named_buffers())}
    with torch.no_grad():
        for name, value in values.items():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + (0.5 if name.endswith("var") else -0.5))
    return values


def reflected(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weight, bias, stride)


def batch_normed(x: Tensor, w: dict[str, Tensor], key: str) -> Tensor:
    return F.batch_norm(x, *(w[f"{key}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")))


@torch.no_grad()
def test_a_step_down_the_pyramid_is_the_described_one() -> None:
    """4 x 4 of stride 2, 3 x 3, and a 3 x 3 that is added without a ReLU of its own; group norms."""
    step = _Down(8, 12)
    w, x = randomised(step), torch.randn(2, 8, 6, 10)

    def layer(y: Tensor, key: str, stride: int = 1) -> Tensor:
        return F.group_norm(reflected(y, w[f"{key}.0.weight"], w[f"{key}.0.bias"], stride), 4, w[f"{key}.1.weight"], w[f"{key}.1.bias"])

    y = F.relu(layer(F.relu(layer(x, "down", 2)), "conv1"))
    torch.testing.assert_close(step(x), y + layer(y, "conv2"))


@torch.no_grad()
def test_a_step_up_the_pyramid_is_the_described_one() -> None:
    """Transposed 4 x 4, then the skip behind its 1 x 1; 3 x 3, and a 3 x 3 that is added without a ReLU of its own; batch norms."""
    step = _Up(8, 6, 5)
    w, x, skip = randomised(step), torch.randn(2, 8, 3, 5), torch.randn(2, 5, 6, 10)

    def layer(y: Tensor, key: str) -> Tensor:
        return batch_normed(reflected(y, w[f"{key}.0.weight"], w[f"{key}.0.bias"]), w, f"{key}.1")

    up = F.relu(batch_normed(F.conv_transpose2d(x, w["up.0.weight"], w["up.0.bias"], 2, 1), w, "up.1"))
    beside = F.relu(batch_normed(F.conv2d(skip, w["skip_conv.0.weight"], w["skip_conv.0.bias"]), w, "skip_conv.1"))
    y = F.relu(layer(torch.cat((up, beside), dim=1), "conv1"))
    torch.testing.assert_close(step(x, skip), y + layer(y, "conv2"))


@pytest.mark.parametrize(("covariance", "channels"), [(None, 3), ("uni", 6), ("diag", 6), ("iso", 4)])
def test_the_head_has_a_variance_per_band_or_one_for_all(covariance: Any, channels: int) -> None:
    head = GaussianHead(5, 3, covariance=covariance, scale_by=10.0)
    assert head.conv.out_channels == channels
    mean, variance = head(torch.randn(2, 5, 4, 4), torch.float32)
    assert mean.shape == (2, 3, 4, 4)
    if covariance is None:
        assert variance is None
        return
    assert variance.shape == mean.shape
    assert bool((variance[:, :1] == variance).all()) == (covariance == "iso")


@pytest.mark.parametrize(("scale_by", "floor"), [(1.0, 1e-9), (10.0, 1e-3)])
@pytest.mark.parametrize("positive", ["softplus", "elu", "relu"])
def test_means_reach_up_to_the_scale_and_variances_down_to_the_floor(scale_by: float, floor: float, positive: Any) -> None:
    head = GaussianHead(1, 1, covariance="diag", scale_by=scale_by, positive=positive)
    with torch.no_grad():
        head.conv.weight.copy_(torch.ones(2, 1, 1, 1))
        head.conv.bias.zero_()
    given = torch.tensor([-50.0, 0.0, 2.0, 50.0]).view(1, 1, 1, 4)
    mean, variance = head(given, torch.float64)
    torch.testing.assert_close(mean.flatten(), scale_by * torch.sigmoid(given.flatten().double()))
    expected = {"softplus": F.softplus, "elu": lambda x: F.elu(x) + 1, "relu": F.relu}[positive](given.flatten().double()) + floor
    torch.testing.assert_close(variance.flatten(), expected)
    assert float(variance.detach().min()) >= floor


def test_units_are_scaled_by_the_normaliser() -> None:
    with torch.device("meta"):
        assert UnCRtainTS().spec.normalizer == Normalizer(sar_clip=((-25, 0), (-25, 0)), sar_range=(0, 10), optical_scale=10.0)
        assert UTAE().spec.normalizer == Normalizer(sar_clip=((-25, 0), (-25, 0)))
        assert MonoUNet(scale_by=2.0).spec.normalizer.optical_scale == 2.0


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (50, 70)])
def test_attention_lies_on_32_by_32_whatever_the_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = UnCRtainTS(**TINY, **ATTENTION, multi_temporal=True)
    out = predict(model, *images(*size, dates=3), None, torch.tensor([[2000.0, 2005.0, 2030.0]]))
    assert out.attention is not None
    assert tuple(out.attention.shape) == (1, 3, 2, 32, 32)
    assert float(out.attention.std()) > 1e-3


def test_attention_of_utae_lies_on_the_coarsest_scale() -> None:
    torch.manual_seed(0)
    model = UTAE(**BANDS, **ATTENTION, encoder_widths=[4, 4, 8], decoder_widths=[4, 4, 8])
    out = predict(model, *images(32, 48, dates=2), None, torch.tensor([[2000.0, 2030.0]]))
    assert out.attention is not None
    assert tuple(out.attention.shape) == (1, 2, 2, 8, 12)


def test_one_date_of_the_multi_temporal_model_is_the_mono_temporal_one() -> None:
    """With one date all attention is 1, so both compute the same from the same weights."""
    torch.manual_seed(0)
    several, one = UnCRtainTS(**TINY, **ATTENTION, multi_temporal=True), UnCRtainTS(**TINY)
    one.load_state_dict({key: value for key, value in several.state_dict().items() if "temporal" not in key})
    given = images(40, 33)
    torch.testing.assert_close(predict(several, *given, None, torch.tensor([[2000.0]])).mean, predict(one, *given).mean)


def test_the_skips_of_one_date_pass_utae_as_they_pass_its_sibling() -> None:
    """With one date and the values of the attention replaced by its input, the two networks are one."""
    torch.manual_seed(0)
    widths = {"encoder_widths": [4, 8], "decoder_widths": [4, 8]}
    several, one = UTAE(**BANDS, **ATTENTION, **widths).eval(), MonoUNet(**BANDS, **widths).eval()
    one.load_state_dict({key: value for key, value in several.state_dict().items() if "temporal" not in key})

    def pass_on(layer: Any, given: tuple[Tensor, ...], out: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return out[0], given[0][:, 0]

    several.trunk.temporal_encoder.register_forward_hook(pass_on)
    given = images(16, 24)
    torch.testing.assert_close(predict(several, *given, None, torch.tensor([[2000.0]])).mean, predict(one, *given).mean)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: UnCRtainTS(**BANDS, encoder_widths=[8], decoder_widths=[16]),
            r"one width throughout, a multiple of 4, got \(8,\) and \(16,\)",
        ),
        (lambda: UnCRtainTS(**BANDS, encoder_widths=[6], decoder_widths=[6]), "one width throughout"),
        (lambda: UnCRtainTS(**BANDS, encoder_widths=[], decoder_widths=[8]), "one width throughout"),
        (lambda: UnCRtainTS(**TINY, multi_temporal=True, heads=3, d_model=12), "heads must divide .*heads=3, width=8"),
        (lambda: UnCRtainTS(**TINY, multi_temporal=True, heads=4, d_model=12), "heads=4, width=8, d_model=12"),
        (lambda: UTAE(encoder_widths=[64, 128], decoder_widths=[32, 64]), "the last ones equal"),
        (lambda: UTAE(encoder_widths=[64, 64, 128], decoder_widths=[32, 128]), "one entry per scale"),
        (lambda: MonoUNet(encoder_widths=[8], decoder_widths=[8]), "at least two scales"),
        (lambda: MonoUNet(encoder_widths=[6, 8], decoder_widths=[8, 8]), "multiples of 4"),
    ],
)
def test_widths_that_do_not_fit_are_refused(build: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
