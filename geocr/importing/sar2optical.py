"""The generator of SAR2Optical as released."""

from pathlib import Path
from typing import Any, get_args

from geocr.core.errors import CheckpointError
from geocr.importing.keys import KeyTable, without_prefixes
from geocr.importing.method import ImportMethod, ImportPlan, Settings
from geocr.importing.settings import setting
from geocr.models.layers.translation_unet import Upsampling
from geocr.weightfile import read_weights

STEPS = 8
"""Steps down, and as many up: `enc1` to `enc8` and `dec1`, the innermost, to `dec8`."""
PUBLISHED_WIDTH = 64

_INSIDE = r"(\d(?:\.\d)?\.(?:weight|bias|running_mean|running_var|num_batches_tracked))"

_TABLE = KeyTable(
    renames={
        **{rf"encoder\.enc{step + 1}\.conv_block\.{_INSIDE}": rf"generator.down.{step}.\1" for step in range(STEPS)},
        **{rf"decoder\.dec{STEPS - step}\.conv_block\.{_INSIDE}": rf"generator.up.{step}.\1" for step in range(STEPS)},
        r"head\.0\.(weight|bias)": r"generator.head.\1",
    },
    refused={r"(?:model|layers|net|disc)\..*": "the generator's file is wanted (pix2pix_gen_N.pth); a discriminator is no part of a model"},
)


def _plan(path: Path, settings: Settings | None) -> ImportPlan:
    weights = without_prefixes(read_weights(path), ("module.", "gen."))
    kwargs: dict[str, Any] = {}
    if "decoder.dec1.conv_block.0.1.weight" in weights:
        kwargs["upsampling"] = _upsampling(settings)
    first = weights.get("encoder.enc1.conv_block.0.weight")
    if first is not None and first.shape[0] != PUBLISHED_WIDTH:
        kwargs["width"] = first.shape[0]
    return ImportPlan(model="pix2pix", kwargs=kwargs, weights=weights, table=_TABLE, settings=kwargs)


def _upsampling(settings: Settings | None) -> str:
    """How images are enlarged, which no tensor tells."""
    inner = {} if settings is None else setting(settings, "model", settings, dict)
    mode = inner.get("mode")
    if mode not in get_args(Upsampling):
        raise CheckpointError(
            "a generator with upsampling enlarges in a way that its weights do not tell: give --config, a JSON file with the `mode` of the "
            f'config.yaml it was trained with, {{"mode": "{"|".join(get_args(Upsampling))}"}}; got {mode!r}'
        )
    return str(mode)


SAR2OPTICAL = ImportMethod(
    title="SAR2Optical (yuuIind, 2025): pix2pix from a radar picture to a colour picture",
    files="pix2pix_gen_N.pth, the generator",
    config='only for generators with upsampling: {"mode": "nearest"}, as in its config.yaml',
    origin="https://github.com/yuuIind/SAR2Optical (weights: https://huggingface.co/yuulind/pix2pix-sar2rgb)",
    licence="MIT",
    units="8-bit pictures, 0..255 to -1..1: a grey VV picture in, red, green and blue out; no reflectance",
    plan=_plan,
)
