import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from geocr.core.errors import InputError
from geocr.models.glfcr import GLFCR, ChannelPerceptron
from geocr.models.layers.drop_path import DropPath
from geocr.models.layers.dynamic_filter import dynamic_filter
from geocr.models.layers.paired_window_attention import PairedWindowAttention, from_windows, to_windows

SMALL = {
    "optical_bands": ["B02", "B03", "B04"],
    "stages": 2,
    "steps": 2,
    "width": 8,
    "growth": 4,
    "heads": 2,
    "window_px": 4,
    "filter_px": 3,
    "tile_px": 64,
}


@settings(max_examples=15, deadline=None)
@given(size=st.sampled_from([1, 3, 5]), rows=st.integers(1, 7), cols=st.integers(1, 7), seed=st.integers(0, 99))
def test_dynamic_filter_equals_loops_over_pixels_and_taps(size: int, rows: int, cols: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, kernels = rng.normal(size=(2, 3, rows, cols)), rng.normal(size=(2, 3 * size**2, rows, cols))
    expected = np.zeros_like(features)
    for n, c, y, x in np.ndindex(*features.shape):
        for i, j in np.ndindex(size, size):
            v, u = np.clip(y + i - size // 2, 0, rows - 1), np.clip(x + j - size // 2, 0, cols - 1)
            expected[n, c, y, x] += kernels[n, c * size**2 + i * size + j, y, x] * features[n, c, v, u]
    got = dynamic_filter(torch.from_numpy(features), torch.from_numpy(kernels), size)
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_dynamic_filter_equals_unfolding_in_value_and_gradient() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 4, 9, 6, dtype=torch.float64, requires_grad=True)
    kernels = torch.randn(2, 4 * 25, 9, 6, dtype=torch.float64, requires_grad=True)
    columns = F.unfold(F.pad(features, (2, 2, 2, 2), mode="replicate"), 5).reshape(2, 4, 25, 9, 6)
    expected = (columns * kernels.reshape(2, 4, 25, 9, 6)).sum(dim=2)
    got = dynamic_filter(features, kernels, 5)
    torch.testing.assert_close(got, expected)
    weights = torch.randn_like(got)
    for ours, theirs in zip(
        torch.autograd.grad((got * weights).sum(), (features, kernels)),
        torch.autograd.grad((expected * weights).sum(), (features, kernels)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 3), channels=st.integers(1, 4), rows=st.integers(1, 4), cols=st.integers(1, 4), side=st.integers(1, 4))
def test_windows_and_back_are_the_identity(batch: int, channels: int, rows: int, cols: int, side: int) -> None:
    image = torch.arange(batch * channels * rows * cols * side**2).reshape(batch, channels, rows * side, cols * side)
    windows = to_windows(image, side)
    assert tuple(windows.shape) == (batch * rows * cols, side**2, channels)
    assert torch.equal(windows[0].T.reshape(channels, side, side), image[0, :, :side, :side])
    assert torch.equal(from_windows(windows, rows * side, cols * side, side), image)


def naive_attention(module: PairedWindowAttention, optical: torch.Tensor, sar: torch.Tensor, shift: int) -> torch.Tensor:
    """The optical result of guided attention, pixel by pixel: who shares a window is told from places, not from rolling."""
    _, channels, rows, cols = optical.shape
    side, heads = module.window_px, module.heads
    places = [(y, x) for y in range(rows) for x in range(cols)]
    # windows begin at `shift - side`, `shift`, ...; those cut by the image's edge stay the smaller pieces that they are
    window = {place: ((place[0] - shift) // side, (place[1] - shift) // side) for place in places}

    def heads_of(image: torch.Tensor, layer: torch.nn.Linear) -> torch.Tensor:
        return layer(image[0].permute(1, 2, 0)).reshape(rows, cols, 3, heads, channels // heads)

    qkv, sar_qkv = heads_of(optical, module.optical_qkv), heads_of(sar, module.sar_qkv)
    scale = (channels // heads) ** -0.5
    out = torch.zeros(rows, cols, channels, dtype=optical.dtype)
    for y, x in places:
        mates = [place for place in places if window[place] == window[(y, x)]]
        offset = [(y - v + side - 1) * (2 * side - 1) + (x - u + side - 1) for v, u in mates]
        bias = module.position_bias[offset].T
        logits = torch.stack([(qkv[y, x, 0] * qkv[v, u, 1]).sum(-1) for v, u in mates], dim=1) * scale + bias
        guide = torch.stack([(sar_qkv[y, x, 0] * sar_qkv[v, u, 1]).sum(-1) for v, u in mates], dim=1) * scale + bias
        ahead = guide - logits
        mixed = module.guide.weight[:, :, 0, 0] @ ahead + module.guide.bias[:, None]
        weights = (logits + torch.sigmoid(mixed) * ahead).softmax(dim=-1)
        values = torch.stack([qkv[v, u, 2] for v, u in mates])
        out[y, x] = torch.einsum("hm,mhc->hc", weights, values).reshape(-1)
    return module.optical_out(out).permute(2, 0, 1)[None]


@pytest.mark.parametrize(("shape", "shifted"), [((8, 12), False), ((8, 12), True), ((4, 8), True), ((4, 4), True)])
def test_guided_attention_equals_the_naive_one(shape: tuple[int, int], shifted: bool) -> None:
    torch.manual_seed(2)
    module = PairedWindowAttention(6, heads=2, window_px=4, shifted=shifted).double()
    torch.nn.init.normal_(module.position_bias)
    optical, sar = torch.randn(2, 1, 6, *shape, dtype=torch.float64)
    shift = 2 if shifted and min(shape) > 4 else 0
    torch.testing.assert_close(module(optical, sar)[0], naive_attention(module, optical, sar, shift), atol=1e-9, rtol=0)


def test_sar_attention_is_not_guided_by_the_optical_image() -> None:
    module = PairedWindowAttention(6, heads=2, window_px=4, shifted=True)
    sar = torch.randn(1, 6, 8, 8)
    left, right = (module(torch.randn(1, 6, 8, 8), sar)[1] for _ in range(2))
    torch.testing.assert_close(left, right, atol=0, rtol=0)


@pytest.mark.parametrize(("rows", "cols"), [(16, 16), (16, 48), (32, 80), (48, 16)])
def test_any_multiple_of_16_is_computed_without_padding_at_the_published_window(rows: int, cols: int) -> None:
    model = GLFCR(**{**SMALL, "window_px": 8}).eval()
    assert model.spec.size_multiple_px == 16
    assert (model.spec.padded_px(rows), model.spec.padded_px(cols)) == (rows, cols)
    out = model(torch.rand(1, 1, 2, rows, cols), torch.rand(1, 1, 3, rows, cols))
    assert tuple(out.mean.shape) == (1, 3, rows, cols)
    assert bool(torch.isfinite(out.mean).all())


@torch.no_grad()
def test_streams_are_exchanged_merged_and_unfolded_as_published() -> None:
    """Behind each dense block SAR passes its dynamic filter, then a gate each way; all stages and the first features make the correction."""
    torch.manual_seed(5)
    model = GLFCR(**SMALL).eval()
    sar, cloudy = torch.rand(1, 1, 2, 16, 24), torch.rand(1, 1, 3, 16, 24)
    first = model.optical_shallow[0](F.pixel_unshuffle(cloudy[:, 0], 2))
    optical, radar = model.optical_shallow[1](first), model.sar_shallow(F.pixel_unshuffle(sar[:, 0], 2))
    kept = []
    for stage in model.stages:
        dense, dense_radar = optical, radar
        for step in stage.steps:
            dense, dense_radar = step(dense, dense_radar)
        optical, radar = stage.optical_merge(dense) + optical, stage.sar_merge(dense_radar) + radar
        filtered = dynamic_filter(radar, stage.kernels(optical, radar), 3)
        share = torch.sigmoid(stage.sar_gate(filtered - optical))
        optical = (1 - share) * optical + share * filtered
        share = torch.sigmoid(stage.optical_gate(optical - filtered))
        radar = radar + share * (optical - filtered)
        kept.append(optical)
    wide, shuffle, last = model.enlarge
    correction = last(shuffle(wide(model.merge[1](model.merge[0](torch.cat(kept, 1))) + first)))
    torch.testing.assert_close(model(sar, cloudy).mean, cloudy[:, 0] + correction)


@torch.no_grad()
def test_a_step_keeps_what_came_before_and_adds_attention_and_perceptron_to_its_convolution() -> None:
    step = GLFCR(**SMALL).eval().stages[0].steps[1]
    optical, radar = torch.randn(2, 1, 12, 8, 8)
    new, new_radar = F.relu(step.optical_conv(optical)), F.relu(step.sar_conv(radar))
    seen, seen_radar = step.attention(new, new_radar)
    new, new_radar = new + seen, new_radar + seen_radar
    got, got_radar = step(optical, radar)
    torch.testing.assert_close(got, torch.cat((optical, new + step.optical_mlp(new)), dim=1))
    torch.testing.assert_close(got_radar, torch.cat((radar, new_radar + step.sar_mlp(new_radar)), dim=1))


def test_windows_of_every_second_step_are_shifted_by_half_their_side() -> None:
    with torch.device("meta"):
        model = GLFCR()
    assert [[step.attention.shift_px for step in stage.steps] for stage in model.stages] == [[0, 4, 0, 4, 0]] * 6


def test_a_head_of_zeros_returns_the_cloudy_image_to_the_last_bit() -> None:
    model = GLFCR(**SMALL)
    last = model.enlarge[2]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    cloudy = torch.rand(1, 1, 3, 16, 24)
    assert torch.equal(model(torch.rand(1, 1, 2, 16, 24), cloudy).mean, cloudy[:, 0])


def test_the_perceptron_normalises_each_pixel_over_its_channels() -> None:
    module = ChannelPerceptron(5).double()
    x = torch.randn(1, 5, 3, 2, dtype=torch.float64)
    pixel = x[0, :, 2, 1]
    normed = (pixel - pixel.mean()) / (pixel.var(unbiased=False) + 1e-5).sqrt()
    expected = module.layers[2](F.gelu(module.layers[0](normed)))
    torch.testing.assert_close(module(x)[0, :, 2, 1], expected)


def test_drop_path_keeps_the_mean_drops_whole_samples_and_rests_in_eval_mode() -> None:
    torch.manual_seed(0)
    module, x = DropPath(0.25), torch.ones(4000, 2, 3)
    out = module(x)
    samples = out[:, 0, 0]
    assert torch.equal(out, samples[:, None, None].expand_as(out))
    assert sorted(set(samples.tolist())) == [0.0, pytest.approx(4 / 3)]
    assert float(samples.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(module.eval()(x), x)


def test_drop_path_rises_linearly_to_the_given_probability() -> None:
    with torch.device("meta"):
        model = GLFCR()
    steps = [step.drop_path.probability for stage in model.stages for step in stage.steps]
    np.testing.assert_allclose(steps, np.linspace(0, 0.2, 30))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"heads": 3}, "multiple of its heads"),
        ({"window_px": 5}, "even window"),
        ({"filter_px": 4}, "odd filter"),
        ({"sar_bands": []}, "Sentinel-1"),
    ],
)
def test_impossible_arguments_are_refused(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GLFCR(**{**SMALL, **kwargs})
