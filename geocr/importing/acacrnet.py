"""ACA-CRNet as released, without Sentinel-1."""

from pathlib import Path
from typing import Any

from torch import Tensor

from geocr.core.errors import CheckpointError
from geocr.importing.keys import KeyTable, without_prefixes
from geocr.importing.method import ImportMethod, ImportPlan, Settings
from geocr.weightfile import read_weights

PUBLISHED_BLOCKS, PUBLISHED_WIDTH = 16, 256
S2_BANDS = 13

_BLOCK = {
    r"conv1\.weight": "0.weight",
    r"conv2\.weight": "2.weight",
    r"att\.query\.(weight|bias)": r"4.query.\1",
    r"att\.value\.(weight|bias)": r"4.value.\1",
    r"att\.linear_weight\.([02])\.(weight|bias)": r"4.threshold.\1.\2",
    r"att\.bias\.([02])\.(weight|bias)": r"4.offset.\1.\2",
    r"att\.linear\.0\.(weight|bias)": r"4.exit.\1",
}
"""Within a block, behind `net.`, to within geocr's, behind `layers.`."""


def _plan(path: Path, settings: Settings | None) -> ImportPlan:  # noqa: ARG001 - this method has none
    weights = without_prefixes(read_weights(path))
    # the code wraps its inner network for several GPUs, so that the wrapper's name stands in the middle
    weights = {name.replace("net.module.", "net.", 1) if name.startswith("net.module.") else name: weights[name] for name in weights}
    numbers = [int(name.split(".")[1]) for name in weights if name.startswith("net.") and name.split(".")[1].isdecimal()]
    blocks = max(2, max(numbers, default=0) - 2)
    return ImportPlan(model="acacrnet", kwargs=_sizes(weights, blocks, path), weights=weights, table=_table(blocks))


def _table(blocks: int) -> KeyTable:
    """Layers in the order in which the network is built: a convolution, ReLU, the blocks, a convolution."""
    renames = {r"net\.0\.(weight|bias)": r"entry.\1", rf"net\.{blocks + 2}\.(weight|bias)": r"exit.\1"}
    for block in range(blocks):
        renames |= {rf"net\.{block + 2}\.net\.{name}": rf"body.{block}.layers.{own}" for name, own in _BLOCK.items()}
    return KeyTable(renames=renames)


def _sizes(weights: dict[str, Tensor], blocks: int, path: Path) -> dict[str, Any]:
    """Sizes that the tensors tell, where they are not the published ones."""
    kwargs: dict[str, Any] = {} if blocks == PUBLISHED_BLOCKS else {"blocks": blocks}
    first = weights.get("net.0.weight")
    if first is None or first.ndim != 4:  # not ACA-CRNet: the comparison of names will say so
        return kwargs
    if first.shape[1] != S2_BANDS:
        raise CheckpointError(
            f"weights of ACA-CRNet must be those of {S2_BANDS} bands (SEN12MS-CR); {path} takes {first.shape[1]}: those for RICE read "
            "8-bit colour pictures of other satellites, which are no reflectance"
        )
    return kwargs if first.shape[0] == PUBLISHED_WIDTH else {**kwargs, "width": first.shape[0]}


ACACRNET = ImportMethod(
    title="ACA-CRNet (Huang et al., 2024), of 13 bands",
    files="net_epoch_N_iteration_M.pth",
    config=None,
    origin="https://github.com/huangwenwenlili/ACA-CRNet",
    licence="Apache-2.0 (its README says MIT)",
    units="13 bands of Level-1C, assumed to be DN/10000 clipped to 0..1 (its loader of SEN12MS-CR is not published); no Sentinel-1",
    plan=_plan,
)
