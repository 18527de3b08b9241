"""`38-Cloud_training/train_<colour>/<colour>_patch_<n>_<row>_by_<col>_<scene>.TIF`, masks of 0 and 255."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.data_makers.pixels import counts, write_tif

SCENES = {"train": "LC08_L1TP_002053_20160520_20170324_01_T1", "test": "LC08_L1TP_003052_20160120_20170405_01_T1"}


def make_cloud38(root: Path, patches: Iterable[int] = (1, 2), splits: Iterable[str] = ("train", "test"), *, side: int = 32) -> Path:
    """The upper half is cloud; the last column is the black margin of the scene."""
    rng = np.random.default_rng(0)
    for split in splits:
        folder = root / ("38-Cloud_training" if split == "train" else "38-Cloud_test")
        for patch in patches:
            name = f"patch_{patch}_1_by_{patch}_{SCENES[split]}.TIF"
            for colour in ("blue", "green", "red", "nir"):
                pixels = counts(rng, bands=1, side=side) + np.uint16(6000)
                pixels[:, :, -1] = 0
                write_tif(folder / f"{split}_{colour}" / f"{colour}_{name}", pixels, georeferenced=False)
            if split == "train":
                mask = np.zeros((1, side, side), np.uint8)
                mask[:, : side // 2] = 255
                write_tif(folder / "train_gt" / f"gt_{name}", mask, georeferenced=False)
    return root
