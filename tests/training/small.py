"""Every recipe at a size that a test can train: arguments of the model, a fake of its data set, and what else must shrink with them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.data_makers.pictures import make_triplets
from tests.data_makers.pixels import colours, greys, write_picture
from tests.data_makers.scenes import make_scenes
from tests.data_makers.sen12mscr import make_sen12mscr
from tests.data_makers.sen12mscr_ts import make_sen12mscr_ts

TRAIN_AND_VAL = {"ROIs1158_spring": [1, 17]}
"""A region of the published training split and one of the validation split."""
TS_TRAIN_AND_VAL = [("ROIs1868", 36), ("ROIs2017", 22)]
SCENE_BANDS = '["B02","B03","B04","B08"]'


def _sen12mscr(root: Path) -> Path:
    return make_sen12mscr(root, TRAIN_AND_VAL)


def _series(root: Path) -> Path:
    return make_sen12mscr_ts(root, TS_TRAIN_AND_VAL, patches=(1, 2), side=32)


def _pictures(root: Path) -> Path:
    """SEN1-2 by terrain, ten scenes of two pictures of 32 pixels."""
    rng = np.random.default_rng(0)
    for scene in range(10):
        for patch in (1, 2):
            write_picture(root / "v_2" / "agri" / "s1" / f"ROIs1970_fall_s1_{scene}_p{patch}.png", greys(rng))
            write_picture(root / "v_2" / "agri" / "s2" / f"ROIs1970_fall_s2_{scene}_p{patch}.png", colours(rng))
    return root


def _triplets(root: Path) -> Path:
    return make_triplets(root, [str(number) for number in range(20)])


MAKERS: dict[str, Callable[[Path], Path]] = {
    "sen12mscr": _sen12mscr,
    "sen12mscr_ts": _series,
    "sen12": _pictures,
    "triplets": _triplets,
    "scenes": make_scenes,
}
"""Name of a data set to what makes a fake of it."""

_TRUNK = ["model.args.encoder_widths=[8]", "model.args.decoder_widths=[8]"]
_COVERS = {f"{roi}_patch_{patch}": [0.5] * 29 + [0.0] for roi in ("ROIs1868_36", "ROIs2017_22") for patch in (1, 2)}
_TIMES = [
    "model.args.heads=4",
    "model.args.d_model=16",
    "data.cloud_mask=null",
    f"data.options.cover={json.dumps(_COVERS)}",
]  # thirty images a sample would be searched for clouds
_UNET256 = ["model.args.width=4", "model.args.depth=3", "model.args.tile_px=32", "adversarial.width=4", "adversarial.layers=1"]

SMALL: dict[str, list[str]] = {
    "acacrnet": ["model.args.blocks=2", "model.args.width=4", "data.crop_px=16"],
    "attention_gan": [*_UNET256, "data.crop_px=32", "data.holdout=0.3"],
    "dsen2cr": ["model.args.blocks=1", "model.args.width=4", "data.crop_px=16"],
    "glfcr": [
        "model.args.stages=1", "model.args.steps=2", "model.args.width=8", "model.args.growth=4", "model.args.heads=2",
        "model.args.window_px=4", "model.args.filter_px=3", "data.crop_px=16", "metrics=geocr",
    ],
    "mdfcr": ["model.args.width=4", "model.args.shared=4", "model.args.private=3", "model.args.blocks=1", "data.crop_px=16"],
    "pix2pix": [*_UNET256, "data.crop_px=16"],
    "sar2optical": [*_UNET256, "data.crop_px=16"],
    "sar_opt_cgan": [*_UNET256, "data.crop_px=16"],
    "scenes": ["model.args.widths=[4,6]", "model.args.tile_px=64", "data.crop_px=32", "data.block_px=64", "data.gap_px=0", "data.patches=4"],
    "simulation_fusion_gan": [
        "model.args.generator=unet128", "model.args.width=4", "model.args.depth=2", "model.args.tile_px=32", "adversarial.width=4",
        "adversarial.layers=1", "data.crop_px=16",
    ],
    "sscr": [*_TRUNK, "model.args.structure_width=8", "data.crop_px=16"],
    "uncrtaints": [*_TRUNK, *_TIMES, "data.crop_px=32"],
    "uncrtaints_mono": [*_TRUNK, "data.crop_px=16"],
    "unet": ["model.args.encoder_widths=[8,12]", "model.args.decoder_widths=[8,12]", "data.crop_px=16"],
    "utae": ["model.args.encoder_widths=[8,12]", "model.args.decoder_widths=[8,12]", *_TIMES, "data.crop_px=32"],
}  # fmt: skip
"""Recipe to what makes it small."""

EVALUATED: dict[str, list[str]] = {
    "scenes": ["patch_px=32", "block_px=64", "gap_px=0"],
    "sen12mscr_ts": [f"cover={json.dumps(_COVERS)}"],
}
"""Data set to what `geocr evaluate` must be told of it."""

FEW_STEPS = ["run.max_steps=2", "run.device=cpu", "run.pictures=1", "run.tensorboard=false", "data.batch=2"]


def options(pairs: list[str]) -> list[str]:
    """`--set` before each."""
    return [part for pair in pairs for part in ("--set", pair)]
