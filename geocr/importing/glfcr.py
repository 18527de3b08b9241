"""GLF-CR as released."""

from pathlib import Path
from typing import Any

from torch import Tensor

from geocr.importing.keys import KeyTable, without_prefixes
from geocr.importing.method import ImportMethod, ImportPlan, Settings
from geocr.weightfile import read_weights

_WB = r"(weight|bias)"

_TABLE = KeyTable(
    renames={
        rf"SFENet1\.{_WB}": r"optical_shallow.0.\1",
        rf"SFENet2\.{_WB}": r"optical_shallow.1.\1",
        rf"SFENet1_SAR\.{_WB}": r"sar_shallow.0.\1",
        rf"SFENet2_SAR\.{_WB}": r"sar_shallow.1.\1",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.conv\.0\.{_WB}": r"stages.\1.steps.\2.optical_conv.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.conv_SAR\.0\.{_WB}": r"stages.\1.steps.\2.sar_conv.\3",
        r"RDBs\.(\d+)\.convs\.(\d+)\.attn\.relative_position_bias_table": r"stages.\1.steps.\2.attention.position_bias",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.attn\.qkv\.{_WB}": r"stages.\1.steps.\2.attention.optical_qkv.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.attn\.qkv_SAR\.{_WB}": r"stages.\1.steps.\2.attention.sar_qkv.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.attn\.attn_fuse_1x1conv\.{_WB}": r"stages.\1.steps.\2.attention.guide.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.attn\.proj\.{_WB}": r"stages.\1.steps.\2.attention.optical_out.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.attn\.proj_SAR\.{_WB}": r"stages.\1.steps.\2.attention.sar_out.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.norm2\.{_WB}": r"stages.\1.steps.\2.optical_mlp.norm.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.norm2_SAR\.{_WB}": r"stages.\1.steps.\2.sar_mlp.norm.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.mlp\.fc1\.{_WB}": r"stages.\1.steps.\2.optical_mlp.layers.0.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.mlp\.fc2\.{_WB}": r"stages.\1.steps.\2.optical_mlp.layers.2.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.mlp_SAR\.fc1\.{_WB}": r"stages.\1.steps.\2.sar_mlp.layers.0.\3",
        rf"RDBs\.(\d+)\.convs\.(\d+)\.mlp_SAR\.fc2\.{_WB}": r"stages.\1.steps.\2.sar_mlp.layers.2.\3",
        rf"RDBs\.(\d+)\.LFF\.{_WB}": r"stages.\1.optical_merge.\2",
        rf"RDBs\.(\d+)\.LFF_SAR\.{_WB}": r"stages.\1.sar_merge.\2",
        rf"DF\.(\d+)\.fac_warp\.0\.0\.{_WB}": r"stages.\1.kernels.entry.\2",
        rf"DF\.(\d+)\.fac_warp\.1\.stem\.([02])\.{_WB}": r"stages.\1.kernels.blocks.0.\2.\3",
        rf"DF\.(\d+)\.fac_warp\.2\.stem\.([02])\.{_WB}": r"stages.\1.kernels.blocks.1.\2.\3",
        rf"DF\.(\d+)\.fac_warp\.3\.0\.{_WB}": r"stages.\1.kernels.exit.\2",
        rf"sar_fuse_1x1conv\.(\d+)\.{_WB}": r"stages.\1.sar_gate.\2",
        rf"opt_distribute_1x1conv\.(\d+)\.{_WB}": r"stages.\1.optical_gate.\2",
        rf"GFF\.([01])\.{_WB}": r"merge.\1.\2",
        rf"UPNet\.([02])\.{_WB}": r"enlarge.\1.\2",
    },
    dropped={
        r"RDBs\.\d+\.convs\.\d+\.attn\.relative_position_index": "follows from the size of a window",
        r"RDBs\.\d+\.convs\.\d+\.attn_mask": "follows from the size of the image, which is not baked into geocr's model",
    },
)


def _plan(path: Path, settings: Settings | None) -> ImportPlan:  # noqa: ARG001 - this method has none
    weights = without_prefixes(read_weights(path, inside=("network", "state_dict")))
    return ImportPlan(model="glfcr", kwargs=_sizes(weights), weights=weights, table=_TABLE)


def _sizes(weights: dict[str, Tensor]) -> dict[str, Any]:
    """Sizes that the tensors tell, where they are not the published ones."""
    first, convolved = weights.get("SFENet1.weight"), weights.get("RDBs.0.convs.0.conv.0.weight")
    if first is None or convolved is None:  # not GLF-CR: the comparison of names will say so
        return {}
    stages = {name.split(".")[1] for name in weights if name.startswith("RDBs.")}
    steps = {name.split(".")[3] for name in weights if name.startswith("RDBs.0.convs.")}
    found = {"stages": len(stages), "steps": len(steps), "width": first.shape[0], "growth": convolved.shape[0]}
    published = {"stages": 6, "steps": 5, "width": 96, "growth": 48}
    return {name: size for name, size in found.items() if size != published[name]}


GLFCR = ImportMethod(
    title="GLF-CR (Xu et al., 2022)",
    files="CR_net.pth, or N_net_CR.pth of one's own training",
    config=None,
    origin="https://github.com/xufangchn/GLF-CR",
    licence="none published",
    units="13 bands of Level-1C, DN/10000 clipped to 0..1; VV from -25..0 dB and VH from -32.5..0 dB to 0..1; optical first",
    plan=_plan,
    sar_radiometry="sigma0",
)
