import numpy as np
import torch

from geocr.models.sar_opt_cgan import SarOptCGAN

SMALL = {"optical_bands": ["B02", "B03", "B04"], "width": 4, "depth": 3, "dropout": False, "tile_px": 64}


def test_generator_and_discriminator_see_the_cloudy_image_first_then_sar() -> None:
    model = SarOptCGAN(**SMALL).eval()
    sar, cloudy = torch.rand(1, 1, 2, 8, 8), torch.rand(1, 1, 3, 8, 8)
    seen = torch.cat((cloudy[:, 0], sar[:, 0]), dim=1)
    assert torch.equal(model.condition(sar, cloudy), seen)
    assert torch.equal(model(sar, cloudy).mean, model.generator(seen))
    assert model.discriminator(width=4).layers[0].in_channels == 2 * 3 + 2


def test_as_8_bit_rgb_the_discriminator_takes_the_nine_channels_of_the_public_re_implementation() -> None:
    model = SarOptCGAN(**{**SMALL, "sar_bands": ["VV"], "sar_units": "display", "optical_units": "display"})
    assert model.condition_channels == 6
    assert model.discriminator(width=4).layers[0].in_channels == 9


def test_reflectance_and_decibels_are_minus_1_to_1_inside() -> None:
    normalizer = SarOptCGAN(**SMALL).spec.normalizer
    np.testing.assert_allclose(normalizer.optical_to_network(np.array([[[0, 0.5, 1, 1.4]]], np.float32)), [[[-1, 0, 1, 1]]], atol=1e-6)
    np.testing.assert_allclose(
        normalizer.sar_to_network(np.array([[[-25, 0]], [[-32.5, -16.25]]], np.float32)), [[[-1, 1]], [[-1, 0]]], atol=1e-6
    )
