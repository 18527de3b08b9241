"""SSCR under its published names: the image and the mask are those of the released code."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from geocr.core.errors import CheckpointError
from geocr.importing.convert import import_checkpoint
from tests.importing.published_blocks import mbconv, mbconv_shapes, norm, pointwise, uncrtaints, uncrtaints_shapes
from tests.importing.states import Shapes, State, conv_shapes, imported, learnt, norm_shapes, random_state

CONF: dict[str, Any] = {
    "model": "multisarv2",
    "use_sar": True,
    "pretrain": True,
    "scale_by": 10.0,
    "out_conv": [13],
    "loss": "ml",
    "n_head": 1,
}


def sscr_shapes(width: int = 128, decoder: int = 5, **more: Any) -> Shapes:
    branch = width // 4
    return {
        **uncrtaints_shapes(width=width, decoder=decoder, **more),
        **conv_shapes("sar_in_conv.conv.conv.0", 2, branch, 1),
        **norm_shapes("sar_in_conv.conv.conv.1", branch),
        **conv_shapes("sar_in_conv2.conv.conv.0", branch, branch, 1),
        **norm_shapes("sar_in_conv2.conv.conv.1", branch),
        "sar_edge_conv.conv_x.weight": (branch, 1, 3, 3),
        "sar_edge_conv.conv_y.weight": (branch, 1, 3, 3),
        **norm_shapes("sar_edge_conv.norm", branch, batch=True),
        **conv_shapes("sar_edge_conv.conv_extra.block.0", branch, branch // 2, 1),
        **norm_shapes("sar_edge_conv.conv_extra.block.1", branch // 2, batch=True),
        **conv_shapes("sar_edge_conv.conv_extra.block.3", branch // 2, branch // 2, 3, bias=False),
        **norm_shapes("sar_edge_conv.conv_extra.block.4", branch // 2, batch=True),
        **conv_shapes("sar_edge_conv.conv_extra.block.6", branch // 2, branch, 1),
        **norm_shapes("sar_edge_conv.conv_extra.block.7", branch, batch=True),
        **mbconv_shapes("sar_in_block.0", branch, batch=False),
        **mbconv_shapes("mask_block", branch, batch=False),
        **conv_shapes("mask_conv", branch, 1, 1),
    }


def saved(folder: Path, state: State, conf: dict[str, Any]) -> dict[str, Any]:
    torch.save({"state_dict": {f"netG.{name}": tensor for name, tensor in state.items()}}, folder / "model.pth.tar")
    (folder / "conf.json").write_text(json.dumps(conf))
    return {"file": folder / "model.pth.tar", "config": folder / "conf.json"}


@torch.no_grad()
def test_image_and_mask_are_those_of_the_released_code(tmp_path: Path) -> None:
    assert learnt(sscr_shapes()) == 536_158
    state = random_state(sscr_shapes(width=32, decoder=2))
    model, report = imported("sscr", **saved(tmp_path, state, CONF | {"encoder_widths": [32], "decoder_widths": [32, 32]}))
    sar, cloudy = (torch.rand((1, 1, bands, 24, 20), generator=torch.Generator().manual_seed(1)) * 10 for bands in (2, 13))
    out = model(sar, cloudy)
    raw = uncrtaints(state, torch.cat((sar, cloudy), dim=2)[0])
    torch.testing.assert_close(out.mean, 10 * torch.sigmoid(raw), atol=2e-5, rtol=1e-4)
    seen = norm(state, "sar_in_conv.conv.conv.1", pointwise(state, "sar_in_conv.conv.conv.0", sar[0])).relu()
    mask = torch.sigmoid(pointwise(state, "mask_conv", mbconv(state, "mask_block", seen)))
    assert out.structure_mask is not None
    assert mask.std() > 0.01
    torch.testing.assert_close(out.structure_mask, mask, atol=1e-5, rtol=1e-4)
    assert set(report.filled) == {"gate", "fusion.weight", "fusion.bias"}
    assert set(report.dropped) == {
        f"sar_edge_conv.{name}" for name in ("conv_x.weight", "conv_y.weight", "conv_extra.block.0.bias", "conv_extra.block.6.bias")
    }
    assert "differs from its figure" in report.notes[0]
    kept = model.state_dict()
    assert torch.equal(kept["edge_perception.bottleneck.3.weight"], state["sar_edge_conv.conv_extra.block.3.weight"])
    assert torch.equal(kept["edge_perception.block.body.7.weight"], state["sar_in_block.0.conv.fn.7.weight"])


@torch.no_grad()
def test_several_dates(tmp_path: Path) -> None:
    heads = {"heads": 4, "d_model": 16, "d_k": 4}
    state = random_state(sscr_shapes(width=32, decoder=1, attention=heads, outputs=26))
    conf = CONF | {"pretrain": False, "n_head": 4, "d_model": 16, "encoder_widths": [32], "decoder_widths": [32], "out_conv": [26]}
    model, _ = imported("sscr", **saved(tmp_path, state, conf))
    sar, cloudy = (torch.rand((1, 2, bands, 40, 36), generator=torch.Generator().manual_seed(1)) * 10 for bands in (2, 13))
    days = torch.tensor([3.0, 90.0])
    out = model(sar, cloudy, None, days[None])
    raw = uncrtaints(state, torch.cat((sar, cloudy), dim=2)[0], days, heads=4)
    torch.testing.assert_close(out.mean, 10 * torch.sigmoid(raw[:, :13]), atol=2e-5, rtol=1e-4)
    assert out.variance is not None
    torch.testing.assert_close(out.variance, torch.nn.functional.softplus(raw[:, 13:]) + 1e-3, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "multisarv3"},
        {"use_sar": False},
        {"block_type": "residual"},
        {"mean_nonLinearity": False},
        {"agg_mode": "mean"},
        {"use_v": True},
        {"out_conv": [26], "var_nonLinearity": "elu"},
    ],
)
def test_what_geocrs_model_has_no_option_for_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    options = saved(tmp_path, random_state(sscr_shapes(width=32, decoder=1)), CONF | change)
    with pytest.raises(CheckpointError, match=rf"{list(change)[-1]} of the settings must be .* because .*; got"):
        import_checkpoint("sscr", out=tmp_path / "out", **options)
