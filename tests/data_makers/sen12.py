"""SEN1-2: by terrain, whole, and as MDF-CR arranges it; and MDF-CR's TGRS-SQ and FileNameList.txt."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from tests.data_makers.pixels import colours, greys, write_picture


def make_terrain(root: Path, scenes: Mapping[str, Mapping[str, Iterable[int]]]) -> Path:
    """Terrain to scene (`ROIs1970_fall_13`) to patch numbers, under `v_2`."""
    rng = np.random.default_rng(0)
    for terrain, of in scenes.items():
        for scene, patches in of.items():
            season, _, number = scene.rpartition("_")
            for patch in patches:
                write_picture(root / "v_2" / terrain / "s1" / f"{season}_s1_{number}_p{patch}.png", greys(rng, 8))
                write_picture(root / "v_2" / terrain / "s2" / f"{season}_s2_{number}_p{patch}.png", colours(rng, 8))
    return root


def make_own_layout(root: Path, season: str, scene: int, patches: Iterable[int]) -> Path:
    rng = np.random.default_rng(0)
    for patch in patches:
        write_picture(root / season / f"s1_{scene}" / f"{season}_s1_{scene}_p{patch}.png", greys(rng, 8))
        write_picture(root / season / f"s2_{scene}" / f"{season}_s2_{scene}_p{patch}.png", colours(rng, 8))
    return root


def make_mdfcr_layout(root: Path, season: str, scene: int, splits: Mapping[str, Iterable[int]]) -> Path:
    rng = np.random.default_rng(0)
    for split, patches in splits.items():
        for patch in patches:
            write_picture(root / split / "sar" / f"{season}_s1_{scene}_p{patch}.png", greys(rng, 8))
            write_picture(root / split / "rgb" / f"{season}_s2_{scene}_p{patch}.png", colours(rng, 8))
    return root


def make_tgrs_sq(root: Path, numbers: Mapping[str, Iterable[int]], *, side: int = 8) -> Path:
    rng = np.random.default_rng(0)
    for folder, of in numbers.items():
        for number in of:
            write_picture(root / "Dataset_TGRS-2018-01535" / folder / "sar" / f"{number}.bmp", greys(rng, side))
            write_picture(root / "Dataset_TGRS-2018-01535" / folder / "rgb" / f"{number}.bmp", colours(rng, side))
    return root


def make_name_list(path: Path, lists: Mapping[str, Mapping[str, Mapping[str, Iterable[str]]]]) -> Path:
    """A list of MDF-CR's form: headings with colons, blank lines, Windows line ends."""
    lines: list[str] = []
    for dataset, splits in lists.items():
        lines += [f"{dataset}:", ""]
        for split, kinds in splits.items():
            lines += [f"{split}:", ""]
            for kind, names in kinds.items():
                lines += [f"{kind}:", *names, ""]
        lines += ["", ""]
    path.write_bytes("\r\n".join(lines).encode())
    return path
