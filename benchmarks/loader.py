"""Patches per second of the data sets against bare rasterio reads of the same windows in the same run; and how fast names are indexed.

    python benchmarks/loader.py                                  # fake files of real sizes, made in --folder
    python benchmarks/loader.py --names 122000                   # names and splits of a set of that size, time and memory
    python benchmarks/loader.py --dataset sen12mscr --root ROOT  # your own files

Bare reading opens each file of a record with rasterio, reads it whole and closes it (scenes: keeps the files open and reads the windows): in this
process, and in as many worker processes, which hand the pixels on as they are, in batches of as many. Rounds of all ways take turns, so that a busy machine slows all of them; the median of the rounds counts. Processor time
leaves out waiting: it is the figure to look at on a machine that others use, too.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio
import torch
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import from_bounds
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.data.collate import collate_samples
from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import FusionDataset
from geocr.data.datasets.scenes import Scenes
from geocr.data.datasets.sen12mscr_ts import Sen12mscrTs
from geocr.data.worker import prepare_worker

PATCH_PX = 256
SCENE_PX = 4096
ROUNDS = 5
BATCH = 8
"""Patches that travel together."""
SERIES_SHARE = 16
"""So many times fewer samples of a set of series."""
COVER = {f"ROIs1868_36_patch_{number}": [0.5] * 29 + [0.0] for number in range(1, 1001)}
"""The last date of every fake series is clear, the others half so."""


def write(path: Path, pixels: np.ndarray, *, names: tuple[str, ...] = (), tiled: bool = False) -> None:
    """A GeoTIFF with a georeference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile: dict[str, Any] = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "zstd", "zstd_level": 1} if tiled else {}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=pixels.shape[0],
        height=pixels.shape[1],
        width=pixels.shape[2],
        dtype=pixels.dtype,
        crs=CRS.from_epsg(32633),
        transform=Affine(10, 0, 500000, 0, -10, 5300000),
        **profile,
    ) as out:
        out.write(pixels)
        if names:
            out.descriptions = names


def optical(rng: np.random.Generator, side: int) -> np.ndarray:
    """Counts of 13 bands, noise: nothing to gain for a compressor."""
    return rng.integers(200, 9000, (13, side, side)).astype(np.uint16)


def radar(rng: np.random.Generator, side: int) -> np.ndarray:
    """Backscatter in dB, noise."""
    return rng.normal(-14, 4, (2, side, side)).astype(np.float32)


def make_sen12mscr(root: Path, count: int) -> None:
    """Triplets in the published layout."""
    rng = np.random.default_rng(0)
    for number in range(count):
        for kind in ("s1", "s2_cloudy", "s2"):
            path = root / f"ROIs1158_spring_{kind}" / f"{kind}_1" / f"ROIs1158_spring_{kind}_1_p{number}.tif"
            write(path, radar(rng, PATCH_PX) if kind == "s1" else optical(rng, PATCH_PX))


def make_sen12(root: Path, count: int) -> None:
    """PNG pairs in the terrain layout."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (count, 32, 32, 3)).astype(np.uint8)
    for number in range(count):
        picture = Image.fromarray(coarse[number]).resize((PATCH_PX, PATCH_PX), Image.Resampling.BICUBIC)
        for kind, image in (("s1", picture.convert("L")), ("s2", picture)):
            path = root / "v_2" / "agri" / kind / f"ROIs1868_summer_{kind}_{number % 8}_p{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)


def make_triplets(root: Path, count: int) -> None:
    """PNG triplets."""
    rng = np.random.default_rng(0)
    for number in range(count):
        for kind in "ABC":
            coarse = Image.fromarray(rng.integers(0, 255, (32, 32, 3)).astype(np.uint8))
            path = root / f"train{kind}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse.resize((PATCH_PX, PATCH_PX), Image.Resampling.BICUBIC).save(path)


def make_scenes(root: Path, count: int) -> None:
    """One place, `SCENE_PX` a side, compressed as scenes are."""
    del count
    rng = np.random.default_rng(0)
    write(root / "s2" / "S2_20230813.tif", optical(rng, SCENE_PX), names=L1C_BANDS, tiled=True)
    write(root / "s2_clear" / "S2_20230815.tif", optical(rng, SCENE_PX), names=L1C_BANDS, tiled=True)
    write(root / "s1" / "S1_20230812.tif", radar(rng, SCENE_PX), names=S1_BANDS, tiled=True)


def make_by_tests(name: str) -> Callable[[Path, int], None]:
    """Fakes of the tests at real sizes; of series fewer, they hold sixty files each."""

    def make(root: Path, count: int) -> None:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the tests are no installed package
        from tests.data_makers.allclear import make_allclear
        from tests.data_makers.cloud38 import make_cloud38
        from tests.data_makers.pictures import make_rice
        from tests.data_makers.sen12 import make_tgrs_sq
        from tests.data_makers.sen12mscr_ts import make_sen12mscr_ts

        few = max(1, count // SERIES_SHARE)
        makers: dict[str, Callable[[], Path]] = {
            "allclear": lambda: make_allclear(root, rois=few),
            "cloud38": lambda: make_cloud38(root, range(1, count + 1), ("train",), side=384),
            "rice": lambda: make_rice(root, "RICE2", count, side=512),
            "sen12mscr_ts": lambda: make_sen12mscr_ts(root, [("ROIs1868", 36)], range(1, few + 1), side=PATCH_PX),
            "tgrs_sq": lambda: make_tgrs_sq(root, {"train": range(count)}, side=PATCH_PX),
        }
        makers[name]()

    return make


MAKERS: dict[str, tuple[Callable[[Path, int], None], dict[str, Any]]] = {
    "sen12mscr": (make_sen12mscr, {}),
    "sen12": (make_sen12, {}),
    "triplets": (make_triplets, {}),
    "scenes": (make_scenes, {"patch_px": PATCH_PX}),
    "allclear": (make_by_tests("allclear"), {}),
    "cloud38": (make_by_tests("cloud38"), {}),
    "rice": (make_by_tests("rice"), {"part": "RICE2", "require": ("cloudy", "clear", "mask")}),
    "sen12mscr_ts": (make_by_tests("sen12mscr_ts"), {"inputs": 3, "cover": COVER}),
    "tgrs_sq": (make_by_tests("tgrs_sq"), {}),
}


def files_of(dataset: FusionDataset, number: int) -> tuple[str, ...]:
    """The files that a sample is read from: of a series those of its dates."""
    record = dataset.samples[number]
    if not isinstance(dataset, Sen12mscrTs):
        return record.paths
    choice = dataset.dates(number)
    dates = choice.inputs
    return (*(record.sar[date] for date in dates), *(record.cloudy[date] for date in dates), record.cloudy[choice.target])


def stacked(samples: list[list[Tensor]]) -> list[Tensor]:
    """Batches of pixels as they are."""
    return [torch.stack(files) for files in zip(*samples, strict=True)]


class Bare(Dataset[list[Tensor]]):
    """The same pixels by nothing but rasterio: of each sample its files whole, or the window of a patch from files that stay open."""

    def __init__(self, dataset: FusionDataset) -> None:
        self.dataset = dataset
        self.handles: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> list[Tensor]:
        """Pixels as they are, one tensor a file."""
        return [torch.from_numpy(pixels) for pixels in self.read(number)]

    def read(self, number: int) -> list[np.ndarray]:
        """Pixels as they are, one array a file."""
        if isinstance(self.dataset, Scenes):
            return self._windows(self.dataset, number)
        arrays = []
        for path in files_of(self.dataset, number):
            with rasterio.open(self.dataset.root / path) as source:
                arrays.append(source.read())
        return arrays

    def _windows(self, dataset: Scenes, number: int) -> list[np.ndarray]:
        record = dataset.samples[number]
        _, (x, y, _) = dataset._places[record.id]  # noqa: SLF001 - the very windows the set reads
        arrays = []
        for path in record.paths:
            source = self.handles.get(path)
            if source is None:
                source = self.handles[path] = rasterio.open(dataset.root / path)
            arrays.append(source.read(window=from_bounds(x.start, y.start, x.stop, y.stop, source.transform)))
        return arrays


def bare(dataset: FusionDataset) -> Iterator[None]:
    """Pixels by rasterio, in this process."""
    reader = Bare(dataset)
    for number in range(len(reader)):
        reader.read(number)
        yield


def in_process(dataset: FusionDataset) -> Iterator[None]:
    """Samples of the data set, in this process."""
    for number in range(len(dataset)):
        _ = dataset[number]
        yield


class Workers:
    """A loader of batches whose processes stay, as in training from the second epoch on."""

    def __init__(self, dataset: Dataset[Any], count: int, collate: Callable[[list[Any]], Any]) -> None:
        self.count = len(dataset)  # type: ignore[arg-type]
        self.loader: Any = DataLoader(
            dataset, batch_size=BATCH, num_workers=count, persistent_workers=True, collate_fn=collate, worker_init_fn=prepare_worker
        )

    def __call__(self) -> Iterator[None]:
        """One pass."""
        for _ in self.loader:
            pass
        yield from [None] * self.count


def rate(passes: Iterator[None], clock: Callable[[], float] = time.perf_counter) -> float:
    """Patches per second of one pass."""
    started = clock()
    count = sum(1 for _ in passes)
    return count / (clock() - started)


def measure(name: str, root: Path, options: dict[str, Any], workers: tuple[int, ...]) -> dict[str, Any]:
    """Rates of one data set by each way of reading it."""
    dataset: FusionDataset = DATASETS.load(name)(root, split=None, **options)
    ways: dict[str, Callable[[], Iterator[None]]] = {"bare": lambda: bare(dataset), "in_process": lambda: in_process(dataset)}
    ways |= {f"bare_workers_{count}": Workers(Bare(dataset), count, stacked) for count in workers}
    ways |= {f"workers_{count}": Workers(dataset, count, collate_samples) for count in workers}
    for way in ways.values():  # warm: page cache, worker processes
        rate(way())
    rounds: dict[str, list[float]] = {key: [] for key in ways}
    for _ in range(ROUNDS):
        for key, way in ways.items():
            rounds[key].append(rate(way()))
    cpu = [rate(ways["in_process"](), time.process_time) / rate(bare(dataset), time.process_time) for _ in range(ROUNDS)]
    median = {key: statistics.median(values) for key, values in rounds.items()}
    ratios = {key: statistics.median(a / b for a, b in zip(rounds[key], rounds["bare"], strict=True)) for key in ways if key != "bare"}
    of_bare_workers = {
        key: statistics.median(a / b for a, b in zip(rounds[key], rounds[f"bare_{key}"], strict=True))
        for key in ways
        if f"bare_{key}" in ways
    }
    return {
        "patches": len(dataset),
        "patches_per_s": {key: round(value, 1) for key, value in median.items()},
        "of_bare": {key: round(value, 2) for key, value in ratios.items()},
        "of_bare_with_as_many_workers": {key: round(value, 2) for key, value in of_bare_workers.items()},
        "in_process_of_bare_by_processor_time": round(statistics.median(cpu), 2),
    }


def index_names(root: Path, count: int) -> dict[str, Any]:
    """Make empty files with real names, then index them in a process of its own."""
    from geocr.data.datasets.published import published_split

    regions = [(season, roi) for lists in published_split("sen12mscr").values() for season, rois in lists.items() for roi in rois]
    each = -(-count // len(regions))
    for season, roi in regions:
        for kind in ("s1", "s2_cloudy", "s2"):
            folder = root / f"{season}_{kind}" / f"{kind}_{roi}"
            if folder.exists():
                continue
            folder.mkdir(parents=True)
            for number in range(each):
                os.close(os.open(folder / f"{season}_{kind}_{roi}_p{number}.tif", os.O_CREAT | os.O_WRONLY))
    script = [sys.executable, __file__, "--names-of", str(root)]
    result: dict[str, Any] = json.loads(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
    return result


def report_names(root: Path) -> None:
    """Index names and print what it took."""
    kind = DATASETS.load("sen12mscr")
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    sets = {split: kind(root, split=split) for split in ("train", "val", "test")}
    counts = {split: len(dataset) for split, dataset in sets.items()}
    first = time.perf_counter() - started
    touched = sum(len(record.id) for dataset in sets.values() for record in dataset.samples)
    rss = psutil.Process().memory_info().rss
    print(
        json.dumps(
            {
                "triplets": counts,
                "seconds_for_three_splits": round(first, 2),
                "seconds_with_every_record": round(time.perf_counter() - started, 2),
                "memory_mib": round((rss - before) / 2**20, 1),
                "identifiers_read": touched > 0,
            }
        )
    )


def main() -> None:
    """Measure and print JSON."""
    os.environ.setdefault("GDAL_CACHEMAX", "64")  # MB: the scenes of a training set do not fit into GDAL's cache
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("build/loader"))
    parser.add_argument("--dataset", action="append", help="names to measure; all with fakes by default")
    parser.add_argument("--root", type=Path, help="your own files, for one --dataset")
    parser.add_argument("--count", type=int, default=96, help="fake patches")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--names", type=int, help="index so many fake names instead")
    parser.add_argument("--names-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.names_of:
        report_names(arguments.names_of)
        return
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    report: dict[str, Any] = {"machine": {"cores": os.cpu_count(), "python": platform.python_version(), "gdal": rasterio.__gdal_version__}}
    if arguments.names:
        report["names"] = index_names(arguments.folder / f"names_{arguments.names}", arguments.names)
    else:
        for name in arguments.dataset or list(MAKERS):
            make, options = MAKERS.get(name, (None, {}))
            root = arguments.root or arguments.folder / f"{name}_{arguments.count}"
            if arguments.root is None and make is not None and not root.exists():
                make(root, arguments.count)
            report[name] = measure(name, root, options, tuple(arguments.workers))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
