import numpy as np
import pytest
import torch

from geocr.core.errors import InputError
from geocr.models.acacrnet import ACACRNet, AttentiveResidual
from geocr.models.layers import contextual_attention
from geocr.models.layers.contextual_attention import ContextualAttention

SMALL = {"optical_bands": ["B02", "B03", "B04"], "blocks": 4, "width": 8, "tile_px": 64}


def attention(channels: int = 8) -> ContextualAttention:
    torch.manual_seed(3)
    return ContextualAttention(channels).double()


def pointwise(layer: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    """A 1 x 1 convolution on `(C, H, W)`, as a product of matrices."""
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    return np.einsum("oi,ihw->ohw", weight[:, :, 0, 0], image) + bias[:, None, None]


def to_one(stack: torch.nn.Sequential, image: np.ndarray) -> np.ndarray:
    hidden = pointwise(stack[0], image)
    return pointwise(stack[2], np.where(hidden > 0, hidden, 0.2 * hidden))[0]


def naive_drawn(module: ContextualAttention, image: np.ndarray) -> np.ndarray:
    """The weighted sums, place by place in loops, straight from the definition in the class docstring."""
    query, value = pointwise(module.query, image), pointwise(module.value, image)
    threshold, offset = to_one(module.threshold, query), to_one(module.offset, query)
    rows, cols = image.shape[1:]
    places = [(y, x) for y in range(rows) for x in range(cols)]
    out = np.zeros_like(value)
    for y, x in places:
        likeness = np.array([query[:, y, x] @ query[:, v, u] / max(np.linalg.norm(query[:, v, u]), 1e-4) for v, u in places])
        passed = np.maximum(likeness - threshold[y, x] * likeness.mean() + offset[y, x], 0)
        weights = np.exp(likeness * passed)
        weights = np.maximum(np.where(passed > 0, weights / weights.sum(), 0), 1e-8)
        out[:, y, x] = sum(w * value[:, v, u] for w, (v, u) in zip(weights, places, strict=True))
    return out


@pytest.mark.parametrize("at_once", [7, 30, 4096])
def test_attention_equals_the_naive_definition_for_any_number_of_places_at_once(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contextual_attention, "PLACES_AT_ONCE", at_once)
    module = attention()
    image = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    drawn = torch.from_numpy(np.stack([naive_drawn(module, sample.numpy()) for sample in image]))
    expected = image + torch.nn.functional.leaky_relu(module.exit(drawn), 0.2)
    torch.testing.assert_close(module(image), expected, atol=1e-10, rtol=1e-10)


def test_attention_draws_only_from_places_above_the_threshold() -> None:
    """With a threshold that no place passes, each weight is the least one, and the drawn image next to nothing."""
    module = attention()
    torch.nn.init.zeros_(module.offset[2].weight)
    torch.nn.init.constant_(module.offset[2].bias, -1e3)
    image = torch.randn(1, 8, 4, 4, dtype=torch.float64)
    expected = image + torch.nn.functional.leaky_relu(module.exit(torch.zeros_like(image)), 0.2)
    torch.testing.assert_close(module(image), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_an_attentive_block_enlarges_its_half_from_corner_to_corner_and_adds_a_share() -> None:
    torch.manual_seed(4)
    block = AttentiveResidual(4, scale=0.25).double()
    image = torch.randn(1, 4, 6, 10, dtype=torch.float64)
    half = block.layers(image)[0].numpy()
    assert half.shape == (4, 3, 5)
    for axis, side in ((1, 6), (2, 10)):
        half = np.apply_along_axis(lambda line, n=side: np.interp(np.linspace(0, len(line) - 1, n), np.arange(len(line)), line), axis, half)
    np.testing.assert_allclose(block(image)[0].numpy(), image[0].numpy() + 0.25 * half, atol=1e-12)


def test_an_empty_place_has_finite_gradients() -> None:
    module = attention()
    for layer in (module.query, module.value):
        torch.nn.init.zeros_(layer.bias)
    image = torch.randn(1, 8, 3, 3, dtype=torch.float64)
    image[..., 1, 1] = 0
    image.requires_grad_()
    module(image).square().sum().backward()
    assert image.grad is not None
    assert bool(torch.isfinite(image.grad).all())


def test_a_head_of_zeros_returns_the_cloudy_image_to_the_last_bit() -> None:
    model = ACACRNet(**SMALL)
    torch.nn.init.zeros_(model.exit.weight)
    cloudy = torch.rand(1, 1, 3, 6, 10)
    assert torch.equal(model(torch.zeros(1, 1, 0, 6, 10), cloudy).mean, cloudy[:, 0])


def test_attention_stands_behind_half_and_three_quarters_of_the_blocks() -> None:
    with torch.device("meta"):
        found = [place for place, block in enumerate(ACACRNet().body) if isinstance(block, AttentiveResidual)]
    assert found == [8, 12]


def test_the_variant_with_sar_sees_it_and_the_default_does_not() -> None:
    with torch.device("meta"):
        assert ACACRNet().spec.sar_bands == ()
    torch.manual_seed(0)
    model = ACACRNet(**SMALL, sar_bands=["VV", "VH"]).eval()
    cloudy, sar = torch.rand(1, 1, 3, 8, 8), torch.rand(1, 1, 2, 8, 8, requires_grad=True)
    model(sar, cloudy).mean.square().sum().backward()
    assert sar.grad is not None
    assert bool((sar.grad.abs().amax(dim=(0, 1, 3, 4)) > 0).all())


def test_too_few_blocks_or_channels_are_refused() -> None:
    for kwargs in ({"blocks": 1}, {"width": 3}):
        with pytest.raises(InputError, match="at least 2 blocks and 4 channels"):
            ACACRNet(**{**SMALL, **kwargs})
