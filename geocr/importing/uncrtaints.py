"""UnCRtainTS as released, and the U-TAE and U-Net that are trained with the same code."""

from pathlib import Path
from typing import Any

from torch import Tensor

from geocr.core.errors import CheckpointError
from geocr.importing.keys import KeyTable, without_prefixes
from geocr.importing.method import ImportMethod, ImportPlan, Settings
from geocr.importing.settings import integers, require_setting, setting
from geocr.weightfile import read_weights

S2_BANDS = 13
"""Bands that the code predicts, whatever its settings."""

_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"

BLOCKS = {
    rf"in_conv\.conv\.conv\.(\d+)\.{_NORM}": r"trunk.in_conv.\1.\2",
    rf"(in|out)_block\.(\d+)\.conv\.norm\.{_NORM}": r"trunk.\1_block.\2.norm.\3",
    r"(in|out)_block\.(\d+)\.conv\.fn\.6\.fc\.(\d+)\.weight": r"trunk.\1_block.\2.body.6.weigh.\3.weight",
    rf"(in|out)_block\.(\d+)\.conv\.fn\.(\d+)\.{_NORM}": r"trunk.\1_block.\2.body.\3.\4",
    rf"(in|out)_block\.(\d+)\.(conv[123])\.conv\.(\d+)\.{_NORM}": r"trunk.\1_block.\2.\3.\4.\5",
}
"""Blocks at full resolution."""
ATTENTION = {
    r"temporal_encoder\.attention_heads\.Q": r"trunk.temporal_encoder.query",
    r"temporal_encoder\.attention_heads\.fc1_k\.(weight|bias)": r"trunk.temporal_encoder.key.\1",
    r"temporal_encoder\.inconv\.(weight|bias)": r"trunk.temporal_encoder.in_conv.\1",
    r"temporal_encoder\.(in_norm|out_norm)\.(weight|bias)": r"trunk.temporal_encoder.\1.\2",
    rf"temporal_encoder\.mlp\.(\d+)\.{_NORM}": r"trunk.temporal_encoder.mlp.\1.\2",
    r"include_v\.(weight|bias)": r"trunk.include_values.\1",
}
"""Attention over dates."""
HEAD = {
    r"out_conv\.conv\.conv\.0\.(weight|bias)": r"head.conv.\1",
    r"out_conv_mean_1\.conv\.conv\.0\.(weight|bias)": r"head.conv.\1#0",
    r"out_conv_var_1\.conv\.conv\.0\.(weight|bias)": r"head.conv.\1#1",
}
"""The last layer, or two of them one after the other."""
_PYRAMID = {
    rf"in_conv\.conv\.conv\.([01])\.{_NORM}": r"trunk.in_conv.\1.\2",
    rf"(down|up)_blocks\.(\d+)\.(down|conv1|conv2)\.conv\.(\d+)\.{_NORM}": r"trunk.\1_blocks.\2.\3.\4.\5",
    rf"up_blocks\.(\d+)\.(skip_conv|up)\.(\d+)\.{_NORM}": r"trunk.up_blocks.\1.\2.\3.\4",
}
_ORIGINAL_UTAE = {
    r"in_conv\.conv\.conv\.[3-9]\..*": "a first layer of several convolutions is that of the segmentation network of utae-paps; "
    "geocr's utae is the cloud-removal network of UnCRtainTS's code, with one",
    r"out_conv\.conv\.conv\.[1-9]\..*": "a last layer of several convolutions belongs to the segmentation network of utae-paps, which predicts classes",
}


def published_state(path: Path) -> dict[str, Tensor]:
    """The generator's tensors by the names of the code's latest version.

    Its own loader translates older checkpoints, whose blocks are `in_block1`, `in_block2`: so does this.
    """
    found = without_prefixes(read_weights(path, inside=("state_dict_G", "state_dict")), ("module.", "netG."))
    return {_newer_name(name): tensor for name, tensor in found.items()}


def _newer_name(name: str) -> str:
    for block in ("in_block", "out_block"):
        number, dot, rest = name.removeprefix(block).partition(".")
        if name.startswith(block) and number.isdecimal():
            return f"{block}.{int(number) - 1}{dot}{rest}"
    return name


def require_settings(settings: Settings | None, method: str) -> Settings:
    """Settings, or a refusal that says which file they lie in.

    Raises:
        CheckpointError: When there are none.
    """
    if settings is None:
        raise CheckpointError(
            f"weights of {method} say nothing about their scale and activations: give the conf.json that the training wrote beside them, as --config"
        )
    return settings


def shared_arguments(settings: Settings, *, multi_temporal: bool) -> dict[str, Any]:
    """Arguments that all these networks have in common, after refusing what geocr's have no option for.

    Raises:
        CheckpointError: When a setting is of another kind, or of a network that geocr does not have.
    """
    require_setting(settings, "encoder_norm", "group", default="group", why="geocr's encoder has group normalisation")
    require_setting(settings, "decoder_norm", "batch", default="batch", why="geocr's decoder has batch normalisation")
    require_setting(settings, "padding_mode", "reflect", default="reflect", why="geocr's convolutions mirror at the border")
    if multi_temporal:
        require_setting(settings, "positional_encoding", True, default=True, why="geocr's attention always encodes dates")
    return {
        "sar_bands": ["VV", "VH"] if setting(settings, "use_sar", False, bool) else [],
        "scale_by": float(setting(settings, "scale_by", 1.0, (int, float))),
    }


def covariance_of(settings: Settings) -> str | None:
    """Structure of the variance: there is one when the last layer is wider than the bands.

    Raises:
        CheckpointError: When the width fits no structure.
    """
    width = integers(settings, "out_conv", [S2_BANDS])[-1]
    if width == S2_BANDS:
        return None
    mode: str = setting(settings, "covmode", "diag", str)
    if width != S2_BANDS + {"uni": S2_BANDS, "diag": S2_BANDS, "iso": 1}.get(mode, 0):
        raise CheckpointError(
            f"out_conv and covmode of the settings must fit together: {S2_BANDS} means, and {S2_BANDS} variances (uni, diag) or one (iso); "
            f"got {width} channels and {mode!r}"
        )
    return mode


def _plan_uncrtaints(path: Path, settings: Settings | None) -> ImportPlan:
    settings = require_settings(settings, "uncrtaints")
    model = setting(settings, "model", "uncrtaints", str)
    if model in {"utae", "unet"}:
        return _plan_pyramid(path, settings, model)
    require_setting(settings, "model", "uncrtaints", default="uncrtaints", why="this method imports uncrtaints, utae and unet")
    multi_temporal = not setting(settings, "pretrain", False, bool)
    kwargs: dict[str, Any] = {
        **shared_arguments(settings, multi_temporal=multi_temporal),
        "multi_temporal": multi_temporal,
        "encoder_widths": integers(settings, "encoder_widths", [128]),
        "decoder_widths": integers(settings, "decoder_widths", [128] * 5),
        "block_type": setting(settings, "block_type", "mbconv", str),
        "covariance": covariance_of(settings),
        "bounded": setting(settings, "mean_nonLinearity", True, bool),
    }
    if kwargs["covariance"] is not None:
        kwargs["variance_activation"] = setting(settings, "var_nonLinearity", "softplus", str)
    if multi_temporal:
        kwargs |= {
            "heads": setting(settings, "n_head", 16, int),
            "d_model": setting(settings, "d_model", 256, int),
            "d_k": setting(settings, "d_k", 4, int),
            "aggregation": setting(settings, "agg_mode", "att_group", str),
            "use_values": setting(settings, "use_v", False, bool),
        }
    table = KeyTable(renames=BLOCKS | ATTENTION | HEAD)
    return ImportPlan(model="uncrtaints", kwargs=kwargs, weights=published_state(path), table=table, settings={"model": model, **kwargs})


def _plan_utae(path: Path, settings: Settings | None) -> ImportPlan:
    settings = require_settings(settings, "utae")
    require_setting(settings, "model", "utae", default="utae", why="this method imports it alone; take that of the settings")
    return _plan_pyramid(path, settings, "utae")


def _plan_unet(path: Path, settings: Settings | None) -> ImportPlan:
    settings = require_settings(settings, "unet")
    if setting(settings, "model", "unet", str) not in {"unet", "utae"}:
        require_setting(settings, "model", "unet", default="unet", why="this method imports it alone; take that of the settings")
    return _plan_pyramid(path, settings, "unet")


def _plan_pyramid(path: Path, settings: Settings, model: str) -> ImportPlan:
    multi_temporal = model == "utae" and not setting(settings, "pretrain", False, bool)
    kwargs: dict[str, Any] = {
        **shared_arguments(settings, multi_temporal=multi_temporal),
        "encoder_widths": integers(settings, "encoder_widths", [64, 64, 64, 128]),
        "decoder_widths": integers(settings, "decoder_widths", [32, 32, 64, 128]),
        "bounded": setting(settings, "mean_nonLinearity", True, bool),
    }
    if covariance_of(settings) is not None:
        raise CheckpointError(
            "utae and unet are trained without variance, since their code forces the loss l2; got settings with an out_conv for one"
        )
    if not multi_temporal and kwargs["bounded"] and kwargs["scale_by"] != 1:
        raise CheckpointError(
            f"scale_by of a unet with sigmoid must be 1: its code scales the inputs but not the sigmoid, so that it cannot reach its targets; "
            f"got {kwargs['scale_by']:g}"
        )
    if multi_temporal:
        kwargs |= {
            "heads": setting(settings, "n_head", 16, int),
            "d_model": setting(settings, "d_model", 256, int),
            "d_k": setting(settings, "d_k", 4, int),
            "aggregation": setting(settings, "agg_mode", "att_group", str),
        }
    renames = _PYRAMID | {r"out_conv\.conv\.conv\.0\.(weight|bias)": r"head.conv.\1"} | (ATTENTION if multi_temporal else {})
    return ImportPlan(
        model="utae" if multi_temporal else "unet",
        kwargs=kwargs,
        weights=published_state(path),
        table=KeyTable(renames=renames, refused=_ORIGINAL_UTAE),
        settings={"model": model, **kwargs},
    )


_ORIGIN = "https://github.com/PatrickTUM/UnCRtainTS"
_UNITS = "13 bands of Level-1C, DN/10000 clipped to 0..1; VV and VH from -25..0 dB to 0..1; Sentinel-1 first; all times scale_by"

UNCRTAINTS = ImportMethod(
    title="UnCRtainTS (Ebel et al., 2023), one date or several; also the utae and unet of its code",
    files="model.pth.tar or model_epoch_N.pth.tar",
    config="the conf.json that lies beside it",
    origin=_ORIGIN,
    licence="none published (MIT in file headers)",
    units=_UNITS,
    plan=_plan_uncrtaints,
    sar_radiometry="sigma0",
)
UTAE = ImportMethod(
    title="U-TAE for cloud removal, trained with the code of UnCRtainTS (--model utae)",
    files="model.pth.tar",
    config="the conf.json that lies beside it",
    origin=f"{_ORIGIN}, after https://github.com/VSainteuf/utae-paps",
    licence="MIT (utae-paps); none published (UnCRtainTS)",
    units=_UNITS,
    plan=_plan_utae,
    sar_radiometry="sigma0",
)
UNET = ImportMethod(
    title="U-Net for one date, trained with the code of UnCRtainTS (--model unet, or utae with --pretrain)",
    files="model.pth.tar",
    config="the conf.json that lies beside it",
    origin=_ORIGIN,
    licence="none published (MIT in file headers)",
    units=_UNITS,
    plan=_plan_unet,
    sar_radiometry="sigma0",
)
