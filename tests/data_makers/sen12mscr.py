"""`ROIs<seed>_<season>_<kind>/<kind>_<roi>/ROIs<seed>_<season>_<kind>_<roi>_p<n>.tif`, and the flat folders of GLF-CR."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from tests.data_makers.pixels import backscatter, counts, write_tif

KINDS = ("s1", "s2_cloudy", "s2")


def path_of(root: Path, season: str, kind: str, roi: int, patch: int) -> Path:
    return root / f"{season}_{kind}" / f"{kind}_{roi}" / f"{season}_{kind}_{roi}_p{patch}.tif"


def make_sen12mscr(root: Path, rois: Mapping[str, Iterable[int]], patches: Iterable[int] = (1, 2), kinds: Iterable[str] = KINDS) -> Path:
    """Triplets of the given regions, season to region numbers."""
    rng = np.random.default_rng(0)
    for season, numbers in rois.items():
        for roi in numbers:
            for patch in patches:
                for kind in kinds:
                    pixels = backscatter(rng) if kind == "s1" else counts(rng, cloudy=kind == "s2_cloudy")
                    write_tif(path_of(root, season, kind, roi, patch), pixels)
    return root


def make_names(root: Path, rois: Mapping[str, Iterable[int]], patches: int) -> int:
    """Empty files with the real names: what indexing sees of a set of any size. Returns how many triplets."""
    count = 0
    for season, numbers in rois.items():
        for roi in numbers:
            for kind in KINDS:
                path_of(root, season, kind, roi, 0).parent.mkdir(parents=True)
                for patch in range(patches):
                    path_of(root, season, kind, roi, patch).touch()
            count += patches
    return count


def make_flat(root: Path, names: Iterable[str]) -> Path:
    rng = np.random.default_rng(1)
    for name in names:
        write_tif(root / "s1" / name, backscatter(rng), georeferenced=False)
        write_tif(root / "s2_cloudy" / name, counts(rng, cloudy=True), georeferenced=False)
        write_tif(root / "s2_cloudfree" / name, counts(rng), georeferenced=False)
    return root
