"""A model of finite reach gives on a tile what it gives on the whole image, behind the halo that its spec asks for."""

import pytest
import torch

from geocr.models import MODELS
from tests.contracts.small_models import build, card, inputs

FINITE = [
    ("dsen2cr", 0),
    ("dsen2cr", 1),
    ("pix2pix", 0),
    ("pix2pix", 1),
    ("pix2pix", 2),
    ("pix2pix", 3),
    ("pix2pix", 4),
    ("pix2pix", 5),
    ("sar_opt_cgan", 0),
    ("sar_opt_cgan", 1),
    ("simulation_fusion_gan", 1),
    ("mdfcr", 0),
    ("mdfcr", 1),
]


@pytest.mark.parametrize(("name", "index"), FINITE)
def test_a_tile_with_its_halo_equals_the_whole_image(name: str, index: int) -> None:
    model = build(name, index)
    halo, stride = model.spec.halo_px, model.spec.size_multiple_px
    core = 2 * stride
    side = 2 * halo + core
    sar, cloudy, mask, dates = inputs(model, side + 2 * stride, side + 3 * stride)
    with torch.inference_mode():
        whole = model(sar, cloudy, mask, dates).mean
        top, left = stride, 2 * stride
        window = (..., slice(top, top + side), slice(left, left + side))
        tile = model(sar[window], cloudy[window], mask[window], dates).mean
    inner = (..., slice(halo, halo + core), slice(halo, halo + core))
    expected = whole[..., top + halo : top + halo + core, left + halo : left + halo + core]
    torch.testing.assert_close(tile[inner], expected, atol=1e-5 * max(1.0, float(expected.abs().max())), rtol=0)


def test_the_list_above_names_every_small_configuration_with_a_finite_reach() -> None:
    names = {name for name, _ in FINITE}
    found = [
        (name, index)
        for name in MODELS
        if name in names
        for index in range(len(card(name).small))
        if MODELS.load(name)(**card(name).small[index]).spec.receptive_radius_px is not None
    ]
    assert sorted(found) == sorted(FINITE)
