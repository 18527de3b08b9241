import numpy as np
import pytest
import torch

from geocr.core.bands import L1C_BANDS
from geocr.core.errors import InputError
from geocr.models.attention_gan import AttentionGAN

SMALL = {"width": 4, "depth": 3, "tile_px": 64}


def images(bands: int = 3, sar_bands: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.rand(2, 1, sar_bands, 16, 24) * 2 - 1, torch.rand(2, 1, bands, 16, 24) * 2 - 1


def force(model: AttentionGAN, raw: float) -> None:
    """Make A say the same everywhere."""
    last = model.attention.up[0]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, raw)


@pytest.mark.parametrize(("activation", "raw"), [("sigmoid", -1e4), ("abs_tanh", 0.0)])
def test_attention_0_returns_the_cloudy_image_to_the_last_bit(activation: str, raw: float) -> None:
    model = AttentionGAN(**SMALL, attention_activation=activation).eval()
    force(model, raw)
    sar, cloudy = images()
    out = model(sar, cloudy)
    assert float(out.attention.detach().abs().max()) == 0
    assert torch.equal(out.mean, cloudy[:, 0])


@pytest.mark.parametrize("raw", [1e4, -1e4])
def test_attention_1_returns_the_painted_image_by_either_sign_of_tanh(raw: float) -> None:
    model = AttentionGAN(**SMALL, attention_activation="abs_tanh").eval()
    force(model, raw)
    sar, cloudy = images()
    out = model(sar, cloudy)
    torch.testing.assert_close(out.mean, model.generator(torch.cat((cloudy[:, 0], out.simulated), dim=1)))


def test_the_answer_is_the_composite_of_what_it_gives_beside_it() -> None:
    model = AttentionGAN(**SMALL).eval()
    sar, cloudy = images()
    out = model(sar, cloudy)
    assert tuple(out.attention.shape) == (2, 1, 1, 16, 24)
    share = out.attention[:, 0]
    torch.testing.assert_close(share, torch.sigmoid(model.attention(cloudy[:, 0])))
    torch.testing.assert_close(out.simulated, model.translation(sar[:, 0].expand(-1, 3, -1, -1)))
    painted = model.generator(torch.cat((cloudy[:, 0], out.simulated), dim=1))
    torch.testing.assert_close(out.mean, share * painted + (1 - share) * cloudy[:, 0])


def test_the_translation_learns_from_the_answer_as_well() -> None:
    model = AttentionGAN(**SMALL).train()
    model(*images()).mean.square().sum().backward()
    assert all(parameter.grad is not None and float(parameter.grad.abs().max()) > 0 for parameter in model.translation.parameters())


def test_parameters_of_the_three_networks() -> None:
    with torch.device("meta"):
        model = AttentionGAN()
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in model.named_children()}
    assert counts == {"translation": 54_404_099, "attention": 54_400_001, "generator": 54_407_171}


def test_thirteen_bands_of_reflectance_and_both_polarisations() -> None:
    model = AttentionGAN(**SMALL, optical_bands=L1C_BANDS, sar_bands=["VV", "VH"], sar_units="db", optical_units="reflectance").eval()
    out = model(*images(13, 2))
    assert (tuple(out.mean.shape), tuple(out.simulated.shape)) == ((2, 13, 16, 24), (2, 13, 16, 24))
    reflectance = np.array([[[0, 0.25, 1.0]]], np.float32)
    np.testing.assert_allclose(model.spec.normalizer.optical_to_network(reflectance), [[[-1, -0.5, 1]]], atol=1e-6)
    assert model.discriminator(width=4).layers[0].in_channels == 15


def test_eval_mode_uses_the_statistics_of_the_image_at_hand() -> None:
    """So did the released code, which never leaves training mode: brightness of the cloudy image as a whole cancels out behind the first norm."""
    model = AttentionGAN(**SMALL)
    sar, cloudy = images()
    torch.testing.assert_close(model.eval()(sar, cloudy).mean, model.train()(sar, cloudy).mean)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(InputError, match="one of sigmoid, abs_tanh, got 'relu'"):
        AttentionGAN(**SMALL, attention_activation="relu")
