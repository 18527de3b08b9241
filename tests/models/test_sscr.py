"""SSCR's Sentinel-1 branch acts: on the image, and by gradient (in the released code it does neither)."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.core.errors import InputError
from geocr.models.layers.structure import EdgePerception, ScharrEdges, StructureMask
from geocr.models.sscr import SSCR
from geocr.models.uncrtaints import UnCRtainTS

TINY: dict[str, Any] = {
    "optical_bands": ["B02", "B03", "B04"],
    "level": "L2A",
    "encoder_widths": [8],
    "decoder_widths": [8],
    "structure_width": 8,
}
BRANCH = ("sar_conv", "edge_perception", "mask_path", "fusion", "gate")


def made(**kwargs: Any) -> SSCR:
    torch.manual_seed(0)
    return SSCR(**{**TINY, **kwargs})


def images(rows: int = 16, cols: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(2, 1, 2, rows, cols, generator=generator), torch.rand(2, 1, 3, rows, cols, generator=generator)


def predict(model: SSCR | UnCRtainTS, *arrays: Tensor) -> Tensor:
    with torch.inference_mode():
        mean: Tensor = model.eval()(*arrays).mean
    return mean


@pytest.mark.parametrize("part", BRANCH)
def test_every_part_of_the_branch_changes_the_image(part: str) -> None:
    model, given = made(), images()
    before = predict(model, *given)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(part):
                parameter.add_(torch.linspace(0.3, 0.6, parameter.numel()).view_as(parameter))
    assert float((predict(model, *given) - before).abs().max()) > 1e-3


def test_the_image_loss_alone_gives_the_whole_branch_a_gradient() -> None:
    model = made().train()
    model(*images()).mean.square().mean().backward()
    for name, parameter in model.named_parameters():
        if name.startswith(BRANCH):
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().max()) > 0, name


def test_sentinel_1_reaches_the_image_through_the_branch_as_well() -> None:
    """With its weights in the stacked inputs at 0, Sentinel-1 still changes the answer."""
    model, (sar, cloudy) = made(), images()
    with torch.no_grad():
        model.trunk.get_submodule("in_conv.0").weight[:, :2] = 0
    assert float((predict(model, sar.flip(-1), cloudy) - predict(model, sar, cloudy)).abs().max()) > 1e-3


def test_with_fusion_and_gate_at_0_it_is_the_network_it_is_built_on() -> None:
    model, plain = made(), UnCRtainTS(**{key: value for key, value in TINY.items() if key != "structure_width"})
    with torch.no_grad():
        for parameter in (*model.fusion.parameters(), model.gate):
            parameter.zero_()
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if key.startswith(("trunk", "head"))})
    torch.testing.assert_close(predict(model, *images()), predict(plain, *images()))


def test_the_gate_moves_features_towards_their_product_with_the_mask() -> None:
    model, given = made(), images()
    seen: list[Tensor] = []
    model.trunk.out_block[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    for gate in (0.0, 1.0, 0.25):
        with torch.no_grad():
            model.gate.fill_(gate)
        predict(model, *given)
    with torch.inference_mode():
        mask = model.eval()(*given).structure_mask
    torch.testing.assert_close(seen[1], seen[0] * mask)
    torch.testing.assert_close(seen[2], 0.75 * seen[0] + 0.25 * seen[0] * mask)


def test_scharr_kernels_are_fixed_and_those_of_the_definition() -> None:
    layer = ScharrEdges(2)
    assert not list(layer.parameters())
    image = torch.randn(1, 2, 7, 9)
    along_x = np.array([[3, 0, -3], [10, 0, -10], [3, 0, -3]], float)
    for channel in range(2):
        band = image[0, channel].double().numpy()
        expected = correlate(band, along_x, mode="mirror") + correlate(band, along_x.T, mode="mirror")
        np.testing.assert_allclose(layer(image)[0, channel].numpy(), expected, atol=1e-4)


@torch.no_grad()
def test_edges_are_perceived_as_described() -> None:
    """Features plus GELU of their normalised edges; a bottleneck; a 1 x 1; an inverted block."""
    layer = EdgePerception(16).eval()
    generator = torch.Generator().manual_seed(3)
    for value in (*layer.parameters(), *(buffer for name, buffer in layer.named_buffers() if "running" in name)):
        value.copy_(torch.rand(value.shape, generator=generator))
    w, x = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}, torch.randn(2, 16, 7, 9)

    def norm(y: Tensor, key: str) -> Tensor:
        return F.batch_norm(y, *(w[f"{key}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")))

    y = x + F.gelu(norm(ScharrEdges(16)(x), "edges.1"))
    y = F.gelu(norm(F.conv2d(y, w["bottleneck.0.weight"]), "bottleneck.1"))
    y = F.gelu(norm(F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), w["bottleneck.3.weight"]), "bottleneck.4"))
    y = norm(F.conv2d(y, w["bottleneck.6.weight"]), "bottleneck.7")
    y = F.conv2d(y, w["mix.0.weight"], w["mix.0.bias"])
    y = F.relu(F.group_norm(y, 4, w["mix.1.weight"], w["mix.1.bias"]))
    torch.testing.assert_close(layer(x), layer.block(y))


@torch.no_grad()
def test_the_mask_is_the_sigmoid_of_one_channel_of_a_block() -> None:
    layer = StructureMask(8).eval()
    x = torch.randn(2, 8, 5, 6)
    weight, bias = layer.to_one.weight[0, :, 0, 0], layer.to_one.bias
    expected = torch.sigmoid(torch.einsum("nchw,c->nhw", layer.block(x), weight) + bias)
    torch.testing.assert_close(layer(x)[:, 0], expected)


def test_a_training_step_leaves_the_kernels_alone() -> None:
    model = made().train()
    kernel = model.get_submodule("edge_perception.edges.0").kernel.clone()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model(*images()).mean.mean().backward()
    optimiser.step()
    assert torch.equal(model.get_submodule("edge_perception.edges.0").kernel, kernel)


def test_a_constant_sentinel_1_has_no_edges() -> None:
    assert float(ScharrEdges(3)(torch.full((1, 3, 6, 6), 0.7)).abs().max()) < 1e-5


def test_the_mask_over_dates_is_the_mean_of_theirs() -> None:
    model = made(backbone="uncrtaints", heads=2, d_model=8)
    sar, cloudy = images(32, 32)
    other = sar.flip(-2)
    with torch.inference_mode():
        model.eval()
        days = torch.tensor([[1.0, 9.0]] * 2)
        both = model(torch.cat((sar, other), 1), torch.cat((cloudy, cloudy), 1), None, days).structure_mask
        alone = [model(s, cloudy, None, days[:, :1]).structure_mask for s in (sar, other)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet"}, "backbone of sscr must be one of sscr, uncrtaints, utae, unet, got 'resnet'"),
        ({"sar_bands": []}, "sscr needs Sentinel-1"),
        ({"structure_width": 12}, "multiple of 8"),
        ({"backbone": "unet"}, "at least two scales"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**changes)
