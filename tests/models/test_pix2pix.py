import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from geocr.core.errors import InputError
from geocr.models.layers.resnet_generator import ResNetGenerator
from geocr.models.layers.translation_unet import TranslationUNet
from geocr.models.layers.unet256 import UNet256
from geocr.models.pix2pix import Pix2Pix

SMALL = {"width": 4, "depth": 3, "tile_px": 64}


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_plain_u_net_equals_its_recursive_definition(depth: int) -> None:
    """pix2pix defines the network from the outside in: each level is `[x, up(inner(down(x)))]`."""
    torch.manual_seed(depth)
    network = UNet256(2, 3, depth=depth, width=2).double()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(layer.weight)
            torch.nn.init.normal_(layer.bias)
            layer.running_mean = torch.rand_like(layer.weight)
    network.eval()

    def level(x: torch.Tensor, step: int) -> torch.Tensor:
        inner = F.conv2d(x if step == 0 else F.leaky_relu(x, 0.2), network.down[step].weight, stride=2, padding=1)
        inner = network.down_norm[step](inner)
        if step < depth - 1:
            inner = level(inner, step + 1)
        out = F.conv_transpose2d(F.relu(inner), network.up[step].weight, network.up[step].bias, stride=2, padding=1)
        return torch.tanh(out) if step == 0 else torch.cat((x, network.up_norm[step](out)), dim=1)

    image = torch.randn(2, 2, 2**depth, 2 * 2**depth, dtype=torch.float64)
    torch.testing.assert_close(network(image), level(image, 0))


def test_published_parameters_of_the_u_nets() -> None:
    with torch.device("meta"):
        assert count(TranslationUNet(3, 3)) == 54_541_827
        assert [count(TranslationUNet(3, 3, upsampling=how)) for how in ("nearest", "bilinear", "bicubic")] == [39_230_979] * 3
        assert [count(UNet256(inputs, outputs, norm="instance")) for inputs, outputs in ((6, 3), (3, 3), (3, 1))] == [
            54_407_171,
            54_404_099,
            54_400_001,
        ]
        assert [round(count(ResNetGenerator(3, 3, norm="instance", blocks=n)) / 1e6, 2) for n in (9, 6)] == [11.38, 7.84]


def test_widths_double_to_512_and_down_and_up_mirror_each_other() -> None:
    with torch.device("meta"):
        network = UNet256(3, 3)
        assert [layer.out_channels for layer in network.down] == [64, 128, 256, 512, 512, 512, 512, 512]
        assert [layer.in_channels for layer in network.up] == [128, 256, 512, 1024, 1024, 1024, 1024, 512]
        sides = []
        x = torch.zeros(1, 3, 256, 512)
        for layer in network.down:
            x = layer(x)
            sides.append(tuple(x.shape[-2:]))
        assert sides == [(256 // 2**k, 512 // 2**k) for k in range(1, 9)]
        assert tuple(network(torch.zeros(1, 3, 256, 512)).shape) == (1, 3, 256, 512)


def test_dropout_stands_at_the_three_widest_steps_of_the_way_up_in_both_u_nets() -> None:
    with torch.device("meta"):
        plain, translation = UNet256(3, 3, dropout=True), TranslationUNet(3, 3)
    assert [isinstance(layer, torch.nn.Dropout) for layer in plain.up_drop] == [False] * 4 + [True] * 3 + [False]
    found = [any(isinstance(layer, torch.nn.Dropout) for layer in step.modules()) for step in translation.up]
    assert found == [False] * 5 + [True] * 3


@pytest.mark.parametrize(("side", "padded"), [(255, 256), (256, 256), (257, 512)])
def test_the_default_computes_on_multiples_of_256(side: int, padded: int) -> None:
    with torch.device("meta"):
        model = Pix2Pix()
    assert model.spec.padded_px(side) == padded
    assert model.spec.receptive_radius_px is None
    assert model.spec.tile_spec().align_px == 1


@pytest.mark.parametrize(
    "kwargs", [{}, {"generator": "plain"}, {"generator": "resnet9", "width": 3, "blocks": 1}, {"upsampling": "nearest"}]
)
def test_pictures_are_0_to_255_outside_and_minus_1_to_1_inside(kwargs: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = Pix2Pix(**{**SMALL, **kwargs}).eval()
    normalizer = model.spec.normalizer
    picture = np.array([[[0, 127.5, 255, 300, np.nan]]], np.float32)
    np.testing.assert_allclose(normalizer.sar_to_network(picture), [[[-1, 0, 1, 1, -1]]], atol=1e-6)
    np.testing.assert_allclose(normalizer.mean_to_reflectance(np.array([-1, 0, 1], np.float32)), [0, 127.5, 255], atol=1e-4)
    out = model(10 * torch.randn(1, 1, 1, 16, 16), torch.zeros(1, 1, 0, 16, 16)).mean
    assert tuple(out.shape) == (1, 3, 16, 16)
    assert float(out.detach().abs().max()) <= 1


def test_a_grey_picture_is_seen_three_times_and_two_polarisations_once_each() -> None:
    model = Pix2Pix(**SMALL)
    sar = torch.rand(2, 1, 1, 8, 8)
    assert torch.equal(model.condition(sar, torch.zeros(2, 1, 0, 8, 8)), sar[:, 0].expand(-1, 3, -1, -1))
    both = Pix2Pix(**SMALL, sar_bands=["VV", "VH"])
    sar = torch.rand(2, 1, 2, 8, 8)
    assert torch.equal(both.condition(sar, torch.zeros(2, 1, 0, 8, 8)), sar[:, 0])


def test_weights_start_from_a_normal_of_0_02() -> None:
    torch.manual_seed(0)
    model = Pix2Pix(width=16, depth=4, tile_px=64)
    weights = torch.cat(
        [layer.weight.detach().flatten() for layer in model.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    )
    assert float(weights.mean()) == pytest.approx(0, abs=1e-3)
    assert float(weights.std()) == pytest.approx(0.02, rel=0.02)


def test_training_on_one_image_of_the_least_size_is_refused_in_words() -> None:
    model = Pix2Pix(**SMALL).train()
    empty = torch.zeros(1, 1, 0, 8, 8)
    with pytest.raises(InputError, match="2 images of 8 px"):
        model(torch.rand(1, 1, 1, 8, 8), empty)
    assert model(torch.rand(2, 1, 1, 8, 8), torch.zeros(2, 1, 0, 8, 8)).mean.shape == (2, 3, 8, 8)
    assert model.eval()(torch.rand(1, 1, 1, 8, 8), empty).mean.shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"generator": "unet512"}, "one of unet, plain, resnet9, got 'unet512'"),
        ({"generator": "plain", "upsampling": "nearest"}, "upsampling belongs to the generator 'unet'"),
        ({"upsampling": "area"}, "None or one of nearest, bilinear, bicubic"),
        ({"depth": 1}, "at least twice"),
        ({"sar_bands": []}, "at least one of its bands"),
    ],
)
def test_impossible_arguments_are_refused(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Pix2Pix(**{**SMALL, **kwargs})
