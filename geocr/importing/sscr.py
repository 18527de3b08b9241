"""SSCR as released: its optical path and its mask, in a model whose fusion and gate are set to what the released code computes."""

from pathlib import Path

from geocr.importing.keys import COUNTERS, KeyTable
from geocr.importing.method import ImportMethod, ImportPlan, Settings
from geocr.importing.settings import integers, require_setting, setting
from geocr.importing.uncrtaints import ATTENTION, BLOCKS, HEAD, covariance_of, published_state, require_settings, shared_arguments

_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
_INERT = "in the released code the encoded Sentinel-1 features reach no output"

_BRANCH = {
    rf"sar_in_conv\.conv\.conv\.(\d+)\.{_NORM}": r"sar_conv.\1.\2",
    rf"mask_block\.conv\.norm\.{_NORM}": r"mask_path.block.norm.\1",
    r"mask_block\.conv\.fn\.6\.fc\.(\d+)\.weight": r"mask_path.block.body.6.weigh.\1.weight",
    rf"mask_block\.conv\.fn\.(\d+)\.{_NORM}": r"mask_path.block.body.\1.\2",
    r"mask_conv\.(weight|bias)": r"mask_path.to_one.\1",
    rf"sar_edge_conv\.norm\.{_NORM}": r"edge_perception.edges.1.\1",
    r"sar_edge_conv\.conv_extra\.block\.([06])\.weight": r"edge_perception.bottleneck.\1.weight",
    rf"sar_edge_conv\.conv_extra\.block\.([13457])\.{_NORM}": r"edge_perception.bottleneck.\1.\2",
    rf"sar_in_conv2\.conv\.conv\.(\d+)\.{_NORM}": r"edge_perception.mix.\1.\2",
    rf"sar_in_block\.0\.conv\.norm\.{_NORM}": r"edge_perception.block.norm.\1",
    r"sar_in_block\.0\.conv\.fn\.6\.fc\.(\d+)\.weight": r"edge_perception.block.body.6.weigh.\1.weight",
    rf"sar_in_block\.0\.conv\.fn\.(\d+)\.{_NORM}": r"edge_perception.block.body.\1.\2",
}
_TABLE = KeyTable(
    renames=BLOCKS | ATTENTION | HEAD | _BRANCH,
    dropped={
        r"sar_edge_conv\.conv_[xy]\.weight": f"geocr's Scharr kernels are fixed, the released ones are overwritten by random weights; {_INERT}",
        r"sar_edge_conv\.conv_extra\.block\.[06]\.bias": f"the normalisation behind it cancels a bias in training; {_INERT}",
        r"sar_in_block\.[1-9]\d*\..*": f"geocr's branch has one block; {_INERT}",
    },
    filled={
        r"fusion\.(weight|bias)": (0.0, "the released code has no fusion"),
        r"gate": (0.0, "the released gate is the constant 0"),
        **COUNTERS,
    },
)


def _plan(path: Path, settings: Settings | None) -> ImportPlan:
    settings = require_settings(settings, "sscr")
    require_setting(
        settings, "model", "multisarv2", default="multisarv2", why="its other networks are imported by `uncrtaints`, or not published"
    )
    require_setting(settings, "use_sar", True, default=False, why="SSCR reads Sentinel-1")
    require_setting(settings, "block_type", "mbconv", default="mbconv", why="the released branch exists with it alone")
    require_setting(settings, "mean_nonLinearity", True, default=True, why="geocr's SSCR bounds its means")
    require_setting(settings, "agg_mode", "att_group", default="att_group", why="geocr's SSCR weighs dates so")
    require_setting(settings, "use_v", False, default=False, why="geocr's SSCR has no values in its attention")
    covariance = covariance_of(settings)
    if covariance is not None:
        require_setting(settings, "var_nonLinearity", "softplus", default="softplus", why="geocr's SSCR makes variances positive so")
    multi_temporal = not setting(settings, "pretrain", False, bool)
    encoder = integers(settings, "encoder_widths", [128])
    kwargs = {
        **shared_arguments(settings, multi_temporal=multi_temporal),
        "backbone": "uncrtaints" if multi_temporal else "sscr",
        "encoder_widths": encoder,
        "decoder_widths": integers(settings, "decoder_widths", [128] * 5),
        "structure_width": encoder[0] // 4,
        "covariance": covariance,
    }
    if multi_temporal:
        kwargs |= {
            "heads": setting(settings, "n_head", 16, int),
            "d_model": setting(settings, "d_model", 256, int),
            "d_k": setting(settings, "d_k", 4, int),
        }
    note = (
        "The released code differs from its figure: Sentinel-1's features and mask do not act on the image. The imported model computes what that "
        "code computes, with the gate at 0 and the fusion's weights at 0; training it further lets both act."
    )
    return ImportPlan(
        model="sscr", kwargs=kwargs, weights=published_state(path), table=_TABLE, settings={"model": "multisarv2", **kwargs}, notes=(note,)
    )


SSCR = ImportMethod(
    title="SSCR (Cheng et al.), trained with its code (--model multisarv2)",
    files="model.pth.tar or model_epoch_N.pth.tar",
    config="the conf.json that lies beside it",
    origin="https://github.com/RSIR25/sscr",
    licence="none published",
    units="13 bands of Level-1C, DN/10000 clipped to 0..1; VV and VH from -25..0 dB to 0..1; Sentinel-1 first; all times scale_by",
    plan=_plan,
)
