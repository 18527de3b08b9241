import pytest
import torch

from geocr.core.errors import InputError
from geocr.models import MODELS
from geocr.models.adversarial import AdversarialModel
from geocr.models.discriminators import PatchGAN, PixelGAN, make_discriminator

ADVERSARIAL = ["pix2pix", "sar_opt_cgan", "simulation_fusion_gan", "attention_gan"]


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_are_those_of_the_published_networks() -> None:
    with torch.device("meta"):
        assert count(PatchGAN(6)) == 2_768_705
        assert count(PatchGAN(6, norm="instance")) == 2_767_809
        assert count(PixelGAN(6)) == 9_025


def test_256_pixels_give_30_by_30_logits_and_a_pixel_gan_one_each() -> None:
    with torch.device("meta"):
        assert tuple(PatchGAN(6)(torch.zeros(2, 6, 256, 256)).shape) == (2, 1, 30, 30)
        assert tuple(PixelGAN(6)(torch.zeros(2, 6, 40, 24)).shape) == (2, 1, 40, 24)


@pytest.mark.parametrize(("layers", "patch_px"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_a_logit_sees_exactly_the_stated_patch(layers: int, patch_px: int) -> None:
    """The patch of the middle logit, found by marking the image with NaN: what does not reach it lies outside."""
    network = PatchGAN(2, width=2, layers=layers).eval()
    assert network.patch_px == patch_px
    side = 4 * patch_px // 2**layers * 2**layers
    image = torch.zeros(1, 2, side, side, requires_grad=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0)
    logits = network(image)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    assert image.grad is not None
    touched = image.grad[0, 0].nonzero()
    assert (touched.amax(dim=0) - touched.amin(dim=0) + 1).tolist() == [patch_px, patch_px]


def test_six_layers_see_574_pixels_and_widths_stop_at_eight_times_the_first() -> None:
    with torch.device("meta"):
        network = PatchGAN(6, layers=6)
    assert [PatchGAN(1, width=1, layers=n).patch_px for n in (5, 6)] == [286, 574]
    convolutions = [layer for layer in network.layers if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512, 512, 512, 512, 1]
    assert [layer.stride[0] for layer in convolutions] == [2] * 6 + [1, 1]


def test_a_pixel_gan_judges_each_pixel_by_itself() -> None:
    torch.manual_seed(0)
    network = PixelGAN(3, width=4).eval()
    image = torch.randn(1, 3, 5, 4)
    before = network(image)
    image[..., 2, 3] += 1
    changed = (network(image) != before)[0, 0].nonzero().tolist()
    assert changed == [[2, 3]]


@pytest.mark.parametrize("layers", [1, 3])
def test_the_least_side_is_computed_and_one_less_is_refused_in_words(layers: int) -> None:
    network = PatchGAN(2, width=2, layers=layers, norm="instance")
    least = 3 * 2**layers
    assert min(network(torch.randn(1, 2, least, least)).shape[-2:]) >= 1
    with pytest.raises(InputError, match=f"sides of at least {least} px.*fewer layers"):
        network(torch.randn(1, 2, least - 1, least))


@pytest.mark.parametrize("kwargs", [{"channels": 0}, {"channels": 3, "width": 0}, {"channels": 3, "layers": 0}])
def test_arguments_out_of_range_are_refused(kwargs: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1 channel"):
        make_discriminator("patch", **kwargs)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="one of patch, pixel, got 'image'"):
        make_discriminator("image", 3)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_every_adversarial_model_trains_against_its_discriminator(name: str) -> None:
    """One step of either side: the pair fits, gradients reach the generator through the pair and all of the discriminator."""
    torch.manual_seed(0)
    model: AdversarialModel = MODELS.load(name)(**MODELS.load(name).card.small[0]).train()
    spec = model.spec
    sar, cloudy = torch.rand(2, 1, len(spec.sar_bands), 32, 32), torch.rand(2, 1, len(spec.optical_in), 32, 32)
    for kind in ("patch", "pixel"):
        judge = model.discriminator(kind, width=4, layers=2)
        model.zero_grad()
        judge(model.pair(sar, cloudy, model(sar, cloudy).mean)).square().mean().backward()
        reached = [parameter.grad is not None and float(parameter.grad.abs().max()) > 0 for parameter in model.parameters()]
        assert any(reached)
        assert all(parameter.grad is not None for parameter in judge.parameters())


@pytest.mark.parametrize(
    ("name", "condition", "published"),
    [("pix2pix", 3, 2_768_705), ("simulation_fusion_gan", 3, 2_768_705), ("attention_gan", 3, 2_767_809), ("sar_opt_cgan", 15, None)],
)
def test_default_discriminators_are_the_published_ones(name: str, condition: int, published: int | None) -> None:
    with torch.device("meta"):
        model = MODELS.load(name)()
        assert model.condition_channels == condition
        spec = model.spec
        sar, cloudy = torch.zeros(1, 1, len(spec.sar_bands), 256, 256), torch.zeros(1, 1, len(spec.optical_in), 256, 256)
        pair = model.pair(sar, cloudy, torch.zeros(1, len(spec.optical_out), 256, 256))
        judge = model.discriminator()
        assert tuple(judge(pair).shape) == (1, 1, 30, 30)
    if published is not None:
        assert count(judge) == published
