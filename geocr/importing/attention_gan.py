"""The three generators of the attention GAN, as its released code saves them in files of their own."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from geocr.core.errors import CheckpointError
from geocr.importing.keys import KeyTable, without_prefixes
from geocr.importing.method import ImportMethod, ImportPlan, Settings
from geocr.weightfile import read_weights

NETWORKS = {"G": "generator", "G2": "translation", "A": "attention"}
"""The code's labels of its networks, in file names, and geocr's."""
PUBLISHED_DEPTH, PUBLISHED_WIDTH = 8, 64

_NORM = "the networks were trained and tested on the statistics of each image: the running ones are never read"


def _plan(path: Path, settings: Settings | None) -> ImportPlan:  # noqa: ARG001 - this method has none
    match = re.fullmatch(r"(.+)_net_(G|G2|A)\.pth", path.name)
    if match is None:
        raise CheckpointError(
            f"an attention GAN is three files, EPOCH_net_G.pth, EPOCH_net_G2.pth and EPOCH_net_A.pth in one folder: give one of them; got {path.name}"
        )
    weights: dict[str, Tensor] = {}
    depths = set()
    for label in NETWORKS:
        # the attention network stands in a sequence, behind whose number its names lie
        found = without_prefixes(read_weights(path.with_name(f"{match[1]}_net_{label}.pth")), ("module.", "0."))
        depths.add(sum(tensor.ndim == 4 for tensor in found.values()) // 2)
        weights |= {f"{label}.{name}": tensor for name, tensor in found.items()}
    depth = max(2, *depths)
    return ImportPlan(
        model="attention_gan",
        kwargs={"attention_activation": "abs_tanh", **_sizes(weights, depth)},
        weights=weights,
        table=_table(depth),
        notes=("Shares are made as the released code makes them (attention_activation abs_tanh).",),
    )


def _table(depth: int) -> KeyTable:
    """Every step holds the next one inside: its way down, the step inside, its way up, by their numbers in a sequence."""
    renames = {}
    for label, own in NETWORKS.items():
        inside = rf"{label}\.model"
        for step in range(depth):
            down, within, up = ("0", "1", "3") if step == 0 else ("1", "3", "5" if step < depth - 1 else "3")
            renames[rf"{inside}\.model\.{down}\.weight"] = f"{own}.down.{step}.weight"
            renames[rf"{inside}\.model\.{up}\.(weight|bias)"] = rf"{own}.up.{step}.\1"
            inside += rf"\.model\.{within}"
    return KeyTable(
        renames=renames,
        dropped={r".*\.(running_mean|running_var|num_batches_tracked)": _NORM},
        refused={
            r"(G|G2|A)\.model\.\d+\..*": "geocr has the published networks, unet_256; this one is a ResNet or another of the code's options"
        },
    )


def _sizes(weights: dict[str, Tensor], depth: int) -> dict[str, Any]:
    """Sizes that the tensors tell, where they are not the published ones."""
    kwargs: dict[str, Any] = {} if depth == PUBLISHED_DEPTH else {"depth": depth}
    first = weights.get("G.model.model.0.weight")
    if first is None or first.shape[0] == PUBLISHED_WIDTH:
        return kwargs
    return {**kwargs, "width": first.shape[0]}


ATTENTION_GAN = ImportMethod(
    title="Attention GAN (Zhang et al., 2023), trained with its code (--model pix2pix_attn, unet_256, instance norm)",
    files="EPOCH_net_G.pth, with EPOCH_net_G2.pth and EPOCH_net_A.pth beside it",
    config=None,
    origin="https://github.com/Shuaizhang7/AttentionGAN-for-Cloud-removal",
    licence="none published",
    units="8-bit pictures, 0..255 to -1..1: red, green and blue, and a grey radar picture; no reflectance",
    plan=_plan,
)
