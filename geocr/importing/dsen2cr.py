"""DSen2-CR as released, in Keras."""

from pathlib import Path
from typing import Any

from torch import Tensor

from geocr.importing.keras import numbered_layers, read_keras_weights
from geocr.importing.keys import KeyTable
from geocr.importing.method import ImportMethod, ImportPlan, Settings

PUBLISHED_BLOCKS, PUBLISHED_WIDTH = 16, 256
S2_BANDS = 13


def _plan(path: Path, settings: Settings | None) -> ImportPlan:  # noqa: ARG001 - this method has none
    weights = numbered_layers(read_keras_weights(path), "conv2d", {"kernel": "weight", "bias": "bias"})
    convolutions = len({name.split(".")[1] for name in weights if name.startswith("conv2d.")})
    blocks = max(1, convolutions // 2 - 1)
    return ImportPlan(model="dsen2cr", kwargs=_sizes(weights, blocks), weights=weights, table=_table(blocks))


def _table(blocks: int) -> KeyTable:
    """Convolutions in the order in which the network is built: one, two per block, one."""
    places = {0: "entry", 2 * blocks + 1: "exit"}
    for block in range(blocks):
        places |= {2 * block + 1: f"body.{block}.layers.0", 2 * block + 2: f"body.{block}.layers.2"}
    return KeyTable(renames={rf"conv2d\.{place}\.(weight|bias)": rf"{own}.\1" for place, own in places.items()})


def _sizes(weights: dict[str, Tensor], blocks: int) -> dict[str, Any]:
    """Sizes that the tensors tell, where they are not the published ones."""
    kwargs: dict[str, Any] = {} if blocks == PUBLISHED_BLOCKS else {"blocks": blocks}
    first = weights.get("conv2d.0.weight")
    if first is None or first.ndim != 4:  # not DSen2-CR: the comparison of names will say so
        return kwargs
    kwargs |= {} if first.shape[0] == PUBLISHED_WIDTH else {"width": first.shape[0]}
    return kwargs | ({"sar_bands": []} if first.shape[1] == S2_BANDS else {})


DSEN2CR = ImportMethod(
    title="DSen2-CR (Meraner et al., 2020), with Sentinel-1 or without",
    files="a .hdf5 of Keras 2, whole model or weights alone",
    config=None,
    origin="https://github.com/ameraner/dsen2-cr",
    licence="GPL-3.0",
    units="13 bands of Level-1C, DN/2000 clipped to 0..5; VV from -25..0 dB and VH from -32.5..0 dB to 0..2; optical first",
    plan=_plan,
    sar_radiometry="sigma0",
)
