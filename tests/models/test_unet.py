"""What is particular to the fusion U-Net."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from geocr.core.bands import L1C_BANDS
from geocr.core.errors import InputError
from geocr.models.receptive import probe_receptive_radius
from geocr.models.unet import VARIANCE_FLOOR, FusionUNet
from geocr.radiometry.normalize import Normalizer

RGB = ("B04", "B03", "B02")


def test_the_default_is_thirteen_bands_of_l1c_and_both_polarisations() -> None:
    with torch.device("meta"):
        spec = FusionUNet().spec
    assert (spec.optical_in, spec.optical_out, spec.sar_bands, spec.level) == (L1C_BANDS, L1C_BANDS, ("VV", "VH"), "L1C")
    assert (spec.size_multiple_px, spec.receptive_radius_px, spec.halo_px) == (8, 51, 56)  # 51: measured once with the probe at 256 px
    assert spec.normalizer == Normalizer()


@pytest.mark.parametrize("widths", [(3,), (3, 3), (3, 4, 3)])
def test_the_radius_of_any_depth_is_the_measured_one(widths: tuple[int, ...]) -> None:
    model = FusionUNet(optical_bands=RGB, widths=widths)
    assert model.spec.size_multiple_px == 2 ** (len(widths) - 1)
    assert probe_receptive_radius(model, window_px=80) == model.spec.receptive_radius_px


def test_one_scale_is_what_scipy_computes() -> None:
    torch.manual_seed(3)
    model = FusionUNet(optical_bands=RGB, widths=(4,)).eval()
    sar, cloudy, mask = torch.rand(1, 1, 2, 9, 7), torch.rand(1, 1, 3, 9, 7), torch.rand(1, 1, 9, 7) > 0.5
    image = np.concatenate([sar[0, 0].numpy(), cloudy[0, 0].numpy(), mask[0].numpy()])
    first, _, second, _ = model.down[0]
    for layer in (first, second):
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        sums = [sum(correlate2d(band, kernel, mode="same") for band, kernel in zip(image, kernels, strict=True)) for kernels in weight]
        image = np.maximum(np.stack(sums) + bias[:, None, None], 0)
    *prediction, gate = np.einsum("oc,cyx->oyx", model.head.weight.detach().numpy()[..., 0, 0], image)
    gate = 1 / (1 + np.exp(-gate))
    expected = gate * np.stack(prediction) + (1 - gate) * cloudy[0, 0].numpy()
    np.testing.assert_allclose(model(sar, cloudy, mask).mean[0].detach().numpy(), expected, atol=1e-5)


def test_a_closed_gate_gives_the_named_cloudy_bands_and_an_open_one_the_prediction() -> None:
    model = FusionUNet(optical_bands=RGB, optical_out=("B02", "B04"), widths=(2, 2)).eval()
    torch.nn.init.zeros_(model.head.weight)
    sar, cloudy, mask = torch.rand(1, 1, 2, 8, 8), torch.rand(1, 1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    for gate, blend in ((-200.0, 0.0), (200.0, 1.0), (0.0, 0.5)):
        model.head.bias.data = torch.tensor([0.25, 0.75, gate])
        expected = (1 - blend) * cloudy[:, 0, [2, 0]] + blend * torch.tensor([0.25, 0.75])[:, None, None]
        torch.testing.assert_close(model(sar, cloudy, mask).mean, expected)


def test_bf16_weights_do_not_round_the_image_itself() -> None:
    model = FusionUNet(optical_bands=RGB, widths=(2, 2)).eval()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.constant_(model.head.bias, -200.0)
    cloudy = torch.rand(1, 1, 3, 8, 8)
    mean = model.to(torch.bfloat16)(torch.rand(1, 1, 2, 8, 8), cloudy, torch.zeros(1, 1, 8, 8, dtype=torch.bool)).mean
    assert torch.equal(mean, cloudy[:, 0])


def test_a_model_that_is_not_gated_may_predict_other_bands() -> None:
    model = FusionUNet(optical_bands=RGB, optical_out=("B08",), widths=(2, 2), gated=False)
    assert model(torch.rand(1, 1, 2, 8, 8), torch.rand(1, 1, 3, 8, 8), torch.ones(1, 1, 8, 8, dtype=torch.bool)).mean.shape == (1, 1, 8, 8)
    with pytest.raises(InputError, match="blends with bands of its input, which lacks B08; pass gated=False"):
        FusionUNet(optical_bands=RGB, optical_out=("B08",), widths=(2, 2))


def test_the_variance_starts_near_a_standard_deviation_of_0_13_and_has_a_floor() -> None:
    model = FusionUNet(optical_bands=RGB, widths=(2, 2), variance=True)
    torch.nn.init.zeros_(model.head.weight)
    arrays = torch.rand(1, 1, 2, 8, 8), torch.rand(1, 1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    assert model(*arrays).variance.detach().sqrt().mean() == pytest.approx(0.13, abs=0.01)
    torch.nn.init.constant_(model.head.bias, -1e4)
    assert float(model(*arrays).variance.detach().min()) == pytest.approx(VARIANCE_FLOOR)


@pytest.mark.parametrize("widths", [(), (4, 0)])
def test_widths_must_be_positive(widths: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="at least one scale"):
        FusionUNet(widths=widths)


def test_pictures_get_the_range_of_pictures() -> None:
    assert FusionUNet(sar_bands=("VV",), sar_units="display", widths=(2,)).spec.normalizer.sar_clip == ((0.0, 255.0),)
