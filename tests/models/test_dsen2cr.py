import numpy as np
import pytest
import torch
from scipy.signal import correlate

from geocr.core.errors import InputError
from geocr.models.dsen2cr import DSen2CR
from geocr.models.layers.residual_body import ScaledResidual

SMALL = {"optical_bands": ["B02", "B03", "B04"], "blocks": 2, "width": 5, "tile_px": 64}


def convolve(image: np.ndarray, weight: torch.Tensor, bias: torch.Tensor | None) -> np.ndarray:
    """`(C, H, W)` by scipy: zeros beyond the margin, the size kept."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    kernels = weight.detach().double().numpy()
    out = np.stack([correlate(padded, kernel, mode="valid", method="direct")[0] for kernel in kernels])
    return out if bias is None else out + bias.detach().double().numpy()[:, None, None]


def test_equals_an_independent_computation_by_scipy() -> None:
    torch.manual_seed(1)
    model = DSen2CR(**SMALL, residual_scale=0.25).eval()
    sar, cloudy = torch.randn(1, 1, 2, 7, 9), torch.randn(1, 1, 3, 7, 9)
    x = np.concatenate((cloudy[0, 0].double().numpy(), sar[0, 0].double().numpy()))
    x = np.maximum(convolve(x, model.entry.weight, model.entry.bias), 0)
    for block in model.body:
        assert isinstance(block, ScaledResidual)
        first, _, last = block.layers
        x = x + 0.25 * convolve(np.maximum(convolve(x, first.weight, first.bias), 0), last.weight, last.bias)
    expected = cloudy[0, 0].double().numpy() + convolve(x, model.exit.weight, model.exit.bias)
    np.testing.assert_allclose(model(sar, cloudy).mean[0].detach().numpy(), expected, atol=1e-5)


def test_a_head_of_zeros_returns_the_cloudy_image_to_the_last_bit() -> None:
    model = DSen2CR(**SMALL)
    torch.nn.init.zeros_(model.exit.weight)
    cloudy = torch.rand(2, 1, 3, 11, 8) * 5
    assert torch.equal(model(torch.rand(2, 1, 2, 11, 8), cloudy).mean, cloudy[:, 0])


def test_units_are_those_of_the_paper() -> None:
    normalizer = DSen2CR(**SMALL).spec.normalizer
    dn = np.array([[[0, 2000, 10_000, 16_000]]], np.float32)
    np.testing.assert_allclose(normalizer.optical_to_network(dn / 10_000), np.minimum(dn, 10_000) / 2000, atol=1e-6)
    sar = np.array([[[-30.0, -12.5, 0.0]], [[-32.5, -16.25, 3.0]]], np.float32)
    np.testing.assert_allclose(normalizer.sar_to_network(sar), [[[0, 1, 2]], [[0, 1, 2]]], atol=1e-6)


def test_the_default_reaches_34_pixels_and_stacks_optical_first() -> None:
    with torch.device("meta"):
        model = DSen2CR()
    assert (model.spec.receptive_radius_px, model.spec.channel_order, model.spec.size_multiple_px) == (34, "optical_first", 1)
    assert tuple(model.entry.weight.shape) == (256, 15, 3, 3)


@pytest.mark.parametrize("kwargs", [{"blocks": 0}, {"width": 0}])
def test_impossible_arguments_are_refused(kwargs: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1 block and 1 channel"):
        DSen2CR(**{**SMALL, **kwargs})
