"""trainA, trainB, trainC and RICE."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tests.data_makers.pixels import colours, greys, write_picture


def make_triplets(root: Path, names: Iterable[str] = ("1", "2", "10"), splits: Iterable[str] = ("train", "test")) -> Path:
    rng = np.random.default_rng(0)
    for split in splits:
        for name in names:
            write_picture(root / f"{split}A" / f"{name}.png", colours(rng))
            write_picture(root / f"{split}B" / f"{name}.png", colours(rng))
            grey = greys(rng)
            write_picture(root / f"{split}C" / f"{name}.png", np.stack([grey] * 3, axis=-1))
    return root


def make_rice(root: Path, part: str, count: int, *, side: int = 32) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        write_picture(root / part / "cloud" / f"{number}.png", colours(rng, side))
        write_picture(root / part / "label" / f"{number}.png", colours(rng, side))
        if part == "RICE2":
            mask = np.zeros((side, side), np.uint8)
            mask[:8], mask[8:10] = 255, 128
            write_picture(root / part / "mask" / f"{number}.png", mask)
    return root
