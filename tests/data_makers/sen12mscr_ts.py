"""`ROIs<seed>/<roi>/{S1,S2}/<t>/{s1,s2}_ROIs<seed>_<roi>_ImgNo_<t>_<date>_patch_<n>.tif`, thirty dates."""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from tests.data_makers.pixels import backscatter, counts, write_tif

DATES = 30


def day_of(modality: str, number: int) -> date:
    """Sentinel-1 two days after Sentinel-2."""
    return date(2018, 1, 3) + timedelta(days=12 * number + (2 if modality == "S1" else 0))


def path_of(root: Path, roi: tuple[str, int], modality: str, number: int, patch: int) -> Path:
    season, place = roi
    name = f"{modality.lower()}_{season}_{place}_ImgNo_{number}_{day_of(modality, number)}_patch_{patch}.tif"
    return root / season / str(place) / modality / str(number) / name


def make_sen12mscr_ts(root: Path, rois: Iterable[tuple[str, int]], patches: Iterable[int] = (1, 2), side: int = 16) -> Path:
    """Every image has the number of its date as the brightness of its first pixel."""
    rng = np.random.default_rng(0)
    for roi in rois:
        for number in range(DATES):
            for patch in patches:
                write_tif(path_of(root, roi, "S1", number, patch), backscatter(rng, side))
                optical = counts(rng, side=side)
                optical[:, 0, 0] = 1000 + number
                write_tif(path_of(root, roi, "S2", number, patch), optical)
    return root
