import pytest
import torch

from geocr.core.errors import InputError
from geocr.models.receptive import probe_receptive_radius
from geocr.models.simulation_fusion_gan import SimulationFusionGAN, recoloured

SMALL = {"width": 3, "blocks": 1, "dropout": False, "tile_px": 64}


def images(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(5)
    return torch.rand(batch, 1, 1, 16, 20) * 2 - 1, torch.rand(batch, 1, 3, 16, 20) * 2 - 1


def test_the_fusion_sees_sar_cloudy_and_simulated_in_this_order() -> None:
    model = SimulationFusionGAN(**SMALL).eval()
    sar, cloudy = images()
    out = model(sar, cloudy)
    grey = sar[:, 0].expand(-1, 3, -1, -1)
    torch.testing.assert_close(out.simulated, model.simulation(grey))
    torch.testing.assert_close(out.mean, model.fusion(torch.cat((grey, cloudy[:, 0], out.simulated), dim=1)))


def test_the_simulation_learns_from_the_simulated_image_alone() -> None:
    model = SimulationFusionGAN(**SMALL).train()
    out = model(*images())
    out.mean.square().sum().backward(retain_graph=True)
    assert all(parameter.grad is None for parameter in model.simulation.parameters())
    assert all(parameter.grad is not None for parameter in model.fusion.parameters())
    out.simulated.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.simulation.parameters())


def test_colours_change_in_training_only_and_not_at_strength_0() -> None:
    sar, cloudy = images()

    def twice(model: SimulationFusionGAN) -> bool:
        return torch.equal(model(sar, cloudy).mean, model(sar, cloudy).mean)

    assert not twice(SimulationFusionGAN(**SMALL).train())
    assert twice(SimulationFusionGAN(**SMALL).eval())
    assert twice(SimulationFusionGAN(**SMALL, recolour=0.0).train())


def test_recolouring_keeps_structure_and_changes_mean_and_contrast() -> None:
    torch.manual_seed(1)
    image = torch.randn(3, 4, 30, 30) * torch.rand(3, 4, 1, 1) + torch.rand(3, 4, 1, 1)
    out = recoloured(image, 1.0)

    def standard(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean(dim=(2, 3), keepdim=True)) / x.std(dim=(2, 3), keepdim=True)

    correlation = (standard(out)[:, :, None] * standard(image)[:, None]).mean(dim=(3, 4)).abs()
    assert torch.allclose(correlation.amax(dim=2), torch.ones(3, 4), atol=0.01)
    places = correlation.argmax(dim=2)
    assert torch.equal(places, places[:1].expand_as(places))
    assert sorted(places[0].tolist()) == [0, 1, 2, 3]
    assert not torch.allclose(out.mean(dim=(2, 3)), image.mean(dim=(2, 3)), atol=0.1)


def test_a_flat_band_stays_finite() -> None:
    assert bool(torch.isfinite(recoloured(torch.zeros(2, 3, 4, 4), 1.0)).all())


def test_the_declared_reach_is_that_of_both_stages() -> None:
    model = SimulationFusionGAN(**{**SMALL, "tile_px": 256}).eval()
    assert model.spec.receptive_radius_px == 40
    assert probe_receptive_radius(model, window_px=120) == 40
    with torch.device("meta"):
        assert SimulationFusionGAN().spec.receptive_radius_px == 168


@pytest.mark.parametrize(("kwargs", "message"), [({"generator": "unet256"}, "one of resnet9, unet128"), ({"recolour": -1.0}, "at least 0")])
def test_impossible_arguments_are_refused(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SimulationFusionGAN(**{**SMALL, **kwargs})
