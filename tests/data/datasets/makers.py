"""One small fake of every data set in the table, for tests that walk it."""

from collections.abc import Callable
from pathlib import Path

from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import FusionDataset
from tests.data_makers.allclear import make_allclear
from tests.data_makers.cloud38 import make_cloud38
from tests.data_makers.pictures import make_rice, make_triplets
from tests.data_makers.sen12 import make_terrain, make_tgrs_sq
from tests.data_makers.sen12mscr import make_flat, make_sen12mscr
from tests.data_makers.sen12mscr_ts import make_sen12mscr_ts

CLEAR_COVER = [0.5] * 29 + [0.0]


def _dataset(name: str, root: Path, **options: object) -> FusionDataset:
    made: FusionDataset = DATASETS.load(name)(root, **options)
    return made


def _ts(root: Path) -> FusionDataset:
    cover = {f"ROIs1868_36_patch_{n}": CLEAR_COVER for n in (1, 2)}
    return _dataset("sen12mscr_ts", make_sen12mscr_ts(root, [("ROIs1868", 36)]), cover=cover)


def _sen12(root: Path) -> FusionDataset:
    scenes = {"agri": {f"ROIs1970_fall_{n}": (1, 2) for n in range(10)}}
    return _dataset("sen12", make_terrain(root, scenes))


FAKES: dict[str, Callable[[Path], FusionDataset]] = {
    "allclear": lambda root: _dataset("allclear", make_allclear(root)),
    "cloud38": lambda root: _dataset("cloud38", make_cloud38(root)),
    "rice": lambda root: _dataset("rice", make_rice(root, "RICE2", 10), part="RICE2"),
    "sen12": _sen12,
    "sen12mscr": lambda root: _dataset("sen12mscr", make_sen12mscr(root, {"ROIs1158_spring": [1]})),
    "sen12mscr_flat": lambda root: _dataset("sen12mscr_flat", make_flat(root, ["ROIs1158_spring_1_p1.tif", "ROIs1158_spring_1_p2.tif"])),
    "sen12mscr_ts": _ts,
    "synthetic": lambda root: _dataset("synthetic", root, length=3, size_px=64),
    "tgrs_sq": lambda root: _dataset("tgrs_sq", make_tgrs_sq(root, {"train": [832, 833, 15], "test_simu": [118]}), split=None),
    "triplets": lambda root: _dataset("triplets", make_triplets(root)),
}
"""Name in the table to a function that makes the fake and opens it."""
