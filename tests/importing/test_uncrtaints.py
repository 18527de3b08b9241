"""UnCRtainTS, U-TAE and U-Net under their published names: imported, and equal to plain functions of the same tensors."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from geocr.core.errors import CheckpointError
from geocr.importing.convert import import_checkpoint
from geocr.models.base import FusionModel
from geocr.radiometry.normalize import Normalizer
from tests.importing.published_blocks import BANDS, pyramid, pyramid_shapes, uncrtaints, uncrtaints_shapes
from tests.importing.states import State, imported, learnt, random_state

HEADS = {"heads": 4, "d_model": 16, "d_k": 4}
DAYS = torch.tensor([100.0, 130.0, 171.0])
MONO: dict[str, Any] = {
    "model": "uncrtaints",
    "use_sar": True,
    "pretrain": True,
    "scale_by": 10.0,
    "n_head": 1,
    "positional_encoding": False,
}
MONO |= {"encoder_widths": [16], "decoder_widths": [16, 16], "out_conv": [13], "loss": "l2", "pid": 4, "root1": "/data", "chunk_size": None}
MULTI = MONO | {"pretrain": False, "positional_encoding": True, "n_head": 4, "d_model": 16, "out_conv": [26], "loss": "MGNLL"}
UTAE = MULTI | {"model": "utae", "encoder_widths": [8, 8, 16], "decoder_widths": "[4,8,16]", "out_conv": "[13]", "loss": "l2"}
UNET = UTAE | {"model": "unet", "pretrain": True, "n_head": 1, "positional_encoding": False, "scale_by": 1.0}
TINY = {"width": 16, "decoder": 2}


def saved(folder: Path, state: State, conf: dict[str, Any], *, label: str = "state_dict_G") -> dict[str, Any]:
    """A checkpoint as that code saves it, and its settings; arguments of `imported`."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    whole = {"epoch": 3, label: state, "optimizer_G": optimizer.state_dict(), "scheduler_G": {"gamma": 1.0, "last_epoch": 3}}
    torch.save(whole, folder / "model.pth.tar")
    (folder / "conf.json").write_text(json.dumps(conf))
    return {"file": folder / "model.pth.tar", "config": folder / "conf.json"}


def inputs(model: FusionModel, side: int = 40) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both images, days, and all stacked as the published networks take them."""
    generator = torch.Generator().manual_seed(5)
    dates = 3 if model.spec.multi_temporal else 1
    scale = model.spec.normalizer.optical_scale
    sar, cloudy = (torch.rand((1, dates, bands, side, side), generator=generator) * scale for bands in (len(model.spec.sar_bands), BANDS))
    return sar, cloudy, DAYS[None, :dates], torch.cat((sar, cloudy), dim=2)[0]


@torch.no_grad()
def compare(
    model: FusionModel, raw: Tensor, given: tuple[Tensor, Tensor, Tensor, Tensor], scale: float, variance: Tensor | None = None
) -> None:
    out = model(given[0], given[1], None, given[2])
    assert (raw[:, :BANDS].abs() < 3).float().mean() > 0.1  # a sigmoid hides what lies far from 0
    torch.testing.assert_close(out.mean, scale * torch.sigmoid(raw[:, :BANDS]), atol=2e-5, rtol=1e-4)
    assert (out.variance is None) == (variance is None)
    if variance is not None:
        torch.testing.assert_close(out.variance, variance, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [({}, 518_541), ({"outputs": 26, "attention": {"heads": 16, "d_model": 256, "d_k": 4}}, 570_010)],
)
def test_published_sizes_give_the_published_counts(tmp_path: Path, sizes: dict[str, Any], count: int) -> None:
    shapes = uncrtaints_shapes(**sizes)
    assert learnt(shapes) == count
    conf: dict[str, Any] = {
        "model": "uncrtaints",
        "use_sar": True,
        "scale_by": 10.0,
        "out_conv": [sizes.get("outputs", 13)],
        "pretrain": not sizes,
    }
    model, report = imported("uncrtaints", **saved(tmp_path, random_state(shapes), conf))
    assert report.parameters == count
    assert report.tensors == len(shapes)
    assert not report.dropped
    assert not report.filled
    assert model.spec.channel_order == "sar_first"


def test_one_date_is_what_plain_functions_compute(tmp_path: Path) -> None:
    state = random_state(uncrtaints_shapes(**TINY))
    model, _ = imported("uncrtaints", **saved(tmp_path, state, MONO))
    given = inputs(model)
    compare(model, uncrtaints(state, given[3]), given, 10.0)
    assert model.spec.normalizer == Normalizer(sar_clip=((-25.0, 0.0),) * 2, sar_range=(0.0, 10.0), optical_scale=10.0)


@pytest.mark.parametrize(
    ("conf", "sizes", "variances"),
    [
        ({"covmode": "diag"}, {"outputs": 26}, 13),
        ({"covmode": "uni", "separate_out": True}, {"outputs": 26, "separate": True}, 13),
        ({"covmode": "iso", "out_conv": [14]}, {"outputs": 14}, 1),
        ({"use_v": True}, {"outputs": 26, "values": True}, 13),
        ({"use_sar": False, "block_type": "residual"}, {"outputs": 26, "residual": True, "inputs": 13}, 13),
        ({"var_nonLinearity": "elu", "scale_by": 1.0}, {"outputs": 26}, 13),
    ],
)
def test_several_dates_are_what_plain_functions_compute(
    tmp_path: Path, conf: dict[str, Any], sizes: dict[str, Any], variances: int
) -> None:
    state = random_state(uncrtaints_shapes(**TINY, attention=HEADS, **sizes))
    model, _ = imported("uncrtaints", **saved(tmp_path, state, MULTI | conf))
    given = inputs(model)
    raw = uncrtaints(state, given[3], DAYS, heads=4)
    scale, floor = (1.0, 1e-9) if conf.get("scale_by") == 1 else (10.0, 1e-3)
    positive = F.elu(raw[:, BANDS:]) + 1 if conf.get("var_nonLinearity") == "elu" else F.softplus(raw[:, BANDS:])
    assert raw.shape[1] == BANDS + variances
    compare(model, raw, given, scale, (positive + floor).expand(-1, BANDS, -1, -1))


def test_utae_and_unet_are_what_plain_functions_compute(tmp_path: Path) -> None:
    widths: dict[str, Any] = {"encoder": (8, 8, 16), "decoder": (4, 8, 16)}
    assert learnt(pyramid_shapes()) == 947_501
    assert learnt(pyramid_shapes(decoder=(64, 64, 64, 128), attention={"heads": 16, "d_model": 256, "d_k": 4})) == 1_261_069
    state = random_state(pyramid_shapes(**widths, attention=HEADS))
    model, report = imported("utae", **saved(tmp_path, state, UTAE))
    assert report.model == "utae"
    given = inputs(model)
    compare(model, pyramid(state, given[3], DAYS, heads=4), given, 10.0)
    state = random_state(pyramid_shapes(**widths))
    for method, conf in (("unet", UNET), ("uncrtaints", UNET), ("unet", UNET | {"model": "utae"})):
        model, report = imported(method, **saved(tmp_path, state, conf), overwrite=True)
        assert report.model == "unet"
        given = inputs(model)
        compare(model, pyramid(state, given[3]), given, 1.0)


@pytest.mark.parametrize("prefix", ["netG.", "module.", "netG.module."])
def test_wrappers_and_older_names_are_understood(tmp_path: Path, prefix: str) -> None:
    state = random_state(uncrtaints_shapes(**TINY))
    expected, _ = imported("uncrtaints", **saved(tmp_path, state, MONO))
    older = {
        prefix
        + name.replace("in_block.0.", "in_block1.").replace("out_block.0.", "out_block1.").replace("out_block.1.", "out_block2."): tensor
        for name, tensor in state.items()
    }
    found, _ = imported("uncrtaints", **saved(tmp_path, older, MONO, label="state_dict"), overwrite=True)
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in found.state_dict().items())


@pytest.mark.parametrize(
    ("method", "conf", "message"),
    [
        ("uncrtaints", MONO | {"encoder_norm": "instance"}, "encoder_norm of the settings must be 'group'.*got 'instance'"),
        ("uncrtaints", MULTI | {"positional_encoding": False}, "always encodes dates; got False"),
        ("uncrtaints", MONO | {"model": "unet3d"}, "imports uncrtaints, utae and unet; got 'unet3d'"),
        ("uncrtaints", MONO | {"scale_by": "ten"}, "scale_by of the settings must be int or float, got 'ten'"),
        ("uncrtaints", MONO | {"use_sar": 1}, "use_sar of the settings must be bool, got 1"),
        ("uncrtaints", MONO | {"encoder_widths": "[a]"}, "encoder_widths of the settings must be a list of whole numbers"),
        ("uncrtaints", MONO | {"encoder_widths": [True]}, "must be a list of whole numbers"),
        ("uncrtaints", MULTI | {"covmode": "iso"}, r"out_conv and covmode of the settings must fit together.*got 26 channels and 'iso'"),
        ("uncrtaints", MONO | {"encoder_widths": [15]}, "cannot be built.*multiple of 4"),
        ("utae", MONO, "model of the settings must be 'utae'"),
        ("unet", MONO, "model of the settings must be 'unet'"),
        ("utae", UTAE | {"out_conv": [26]}, "trained without variance"),
        ("unet", UNET | {"scale_by": 10.0}, "scale_by of a unet with sigmoid must be 1.*got 10"),
        ("uncrtaints", [1], "must be a JSON object, got list"),
    ],
)
def test_settings_that_ask_for_another_network_are_refused(tmp_path: Path, method: str, conf: Any, message: str) -> None:
    options = saved(tmp_path, random_state(uncrtaints_shapes(**TINY)), conf)
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(method, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_settings_are_needed_and_must_be_json(tmp_path: Path) -> None:
    options = saved(tmp_path, random_state(uncrtaints_shapes(**TINY)), MONO)
    for method in ("uncrtaints", "utae", "unet", "sscr"):
        with pytest.raises(CheckpointError, match=rf"weights of {method} say nothing .* give the conf\.json"):
            import_checkpoint(method, options["file"], tmp_path / "out")
    (tmp_path / "conf.json").write_text("{")
    with pytest.raises(CheckpointError, match="must be JSON"):
        import_checkpoint("uncrtaints", out=tmp_path / "out", **options)
    with pytest.raises(CheckpointError, match=r"settings file must be readable.*No such file"):
        import_checkpoint("uncrtaints", options["file"], tmp_path / "out", config=tmp_path / "absent")


def test_the_segmentation_network_is_told_apart(tmp_path: Path) -> None:
    state = random_state(pyramid_shapes(encoder=(8, 8, 16), decoder=(4, 8, 16), attention=HEADS))
    state["in_conv.conv.conv.3.weight"] = torch.zeros(8, 8, 3, 3)
    with pytest.raises(
        CheckpointError, match=r"in_conv\.conv\.conv\.3\.weight: a first layer of several convolutions is that of the segmentation network"
    ):
        import_checkpoint("utae", out=tmp_path / "out", **saved(tmp_path, state, UTAE))
