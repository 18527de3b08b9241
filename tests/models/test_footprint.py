"""Memory of a forward pass, counted without computing it."""

import pytest
import torch
from torch import nn

from geocr.models.base import FusionInput, FusionModel, FusionOutput
from geocr.models.footprint import forward_bytes
from geocr.models.unet import FusionUNet


class Chain(FusionUNet):
    """Four bands through `steps` copies, of which each lets the one before it go; or keeps them all."""

    def __init__(self, steps: int, *, keep: bool) -> None:
        super().__init__(optical_bands=("B02", "B03", "B04", "B08"), sar_bands=(), level="L2A", widths=(1,), use_mask=False, gated=False)
        self.steps, self.keep = steps, keep
        self.identity = nn.Identity()

    def fuse(self, given: FusionInput) -> FusionOutput:
        x, held = given.cloudy[:, 0], []
        for _step in range(self.steps):
            x = x + 1
            held.append(x if self.keep else None)
        return FusionOutput(x)


@pytest.mark.parametrize(("keep", "alive"), [(False, 1 + 2), (True, 1 + 10)])
def test_what_is_let_go_is_not_counted(keep: bool, alive: int) -> None:
    """The input, and one copy while the next is made; or all ten."""
    model = Chain(10, keep=keep)
    image = 4 * 64 * 64 * 4
    assert forward_bytes(model, 64) == pytest.approx(alive * image, rel=0.01)


def test_it_grows_with_the_area_and_leaves_the_model_alone() -> None:
    model: FusionModel = FusionUNet(widths=(4, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    small, large = forward_bytes(model, 64), forward_bytes(model, 128)
    assert large == pytest.approx(4 * small, rel=0.02)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_every_layer_keeps_its_own_mode() -> None:
    model: FusionModel = FusionUNet(widths=(4, 8)).train()
    next(model.children()).eval()  # frozen
    modes = [layer.training for layer in model.modules()]
    forward_bytes(model, 64)
    assert len(set(modes)) == 2
    assert [layer.training for layer in model.modules()] == modes
