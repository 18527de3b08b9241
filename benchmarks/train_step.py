"""A training step of every recipe, split into waiting for data, forward, backward and optimiser.

    python benchmarks/train_step.py --out FILE.json                 # every recipe at its published size, batches of two
    python benchmarks/train_step.py sscr dsen2cr --seconds 5        # some
    python benchmarks/train_step.py sscr --set model.args.encoder_widths=[8]

Fake files of real sizes are read as `geocr train` reads them: by one worker process beside the training process, which computes on one thread; both
are bound to `--cores` (2). `wait` is the time that a step stands still for want of data, `read` what a worker takes to make a batch: as long as
`read` is below the rest of a step, a loader keeps up. Batches are of two samples, because the sizes of the papers take minutes a step
on a processor; reading and computing grow alike with the batch. On a GPU (`--device cuda`) the recipe's own batch is taken. The first step is
not counted. `forward` holds everything that is not one of the others: units, losses, checks, and both networks of a GAN.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric import Fabric
from loader import COVER, MAKERS
from rasterio.errors import NotGeoreferencedWarning
from torch.utils.data import DataLoader

from geocr._version import __version__
from geocr.data.collate import FusionBatch, collate_samples
from geocr.data.worker import prepare_worker
from geocr.training.build import build_model, build_task
from geocr.training.config import TrainConfig
from geocr.training.material import open_material
from geocr.training.network_batch import to_network
from geocr.training.order import BatchStream, SeededSamples
from geocr.training.overrides import apply_overrides
from geocr.training.recipe import read_recipe, recipe_names
from geocr.training.scene_model import fit_to_scenes
from geocr.training.task import Task

SAMPLES = 32
WARM_UP = 1
LEAST_STEPS, MOST_STEPS = 2, 40
BATCH = 2
PARTS = ("wait", "forward", "backward", "optimiser")
VALIDATION_ROI = "ROIs1158_spring_{kind}/{kind}_17/ROIs1158_spring_{kind}_17_p0.tif"


class Stopwatch:
    """Seconds by part of a step."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._began = 0.0

    def now(self) -> float:
        """Seconds, behind what the device still has to do."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def start(self, *_: object) -> None:
        """A part begins."""
        self._began = self.now()

    def stop(self, part: str) -> None:
        """It ends."""
        self.seconds[part] += self.now() - self._began


class TimedFabric(Fabric):
    """Fabric whose backward passes are timed."""

    watch: Stopwatch

    def backward(self, *tensors: Any, **options: Any) -> None:  # noqa: ANN401 - as the base class has them
        """As the base class."""
        self.watch.start()
        super().backward(*tensors, **options)
        self.watch.stop("backward")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=list(recipe_names()), help="which (default: all)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--cores", type=int, default=2, help="that both processes share")
    parser.add_argument("--workers", type=int, default=1, help="processes that read")
    parser.add_argument("--seconds", type=float, default=20.0, help="least time for the counted steps of a recipe")
    parser.add_argument("--set", dest="more", action="append", default=[], help="PATH=VALUE, a setting of every recipe")
    parser.add_argument("--out", type=Path, help="JSON")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: chosen.cores])
    torch.set_num_threads(max(1, chosen.cores - chosen.workers))
    found = {"machine": machine(chosen.device), "cores": chosen.cores, "workers": chosen.workers, "recipes": {}}
    print(f"{found['machine']}; {chosen.cores} cores, {chosen.workers} worker; seconds a step (share of the step)", flush=True)
    print(f"{'recipe':24}{'batch':>16}{'step':>9}" + "".join(f"{part:>17}" for part in PARTS) + f"{'read':>9}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.recipes:
            facts = measure(name, Path(scratch), chosen)
            found["recipes"][name] = facts
            print(line(name, facts), flush=True)
    if chosen.out:
        chosen.out.write_text(json.dumps(found, indent=2) + "\n")


def machine(device: str) -> str:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    names = (
        [one.partition(":")[2].strip() for one in info.read_text().splitlines() if one.startswith("model name")] if info.exists() else []
    )
    processor = torch.cuda.get_device_name() if device == "cuda" else (names or [platform.processor()])[0]
    return f"{processor}, Python {platform.python_version()}, torch {torch.__version__}, lightning {lightning.__version__}, geocr {__version__}"


def line(name: str, facts: Mapping[str, Any]) -> str:
    """A row of the table."""
    parts = "".join(f"{facts[part]:9.3f} ({facts[part] / facts['step']:4.0%})" + " " for part in PARTS)
    return f"{name:24}{facts['batch']:>16}{facts['step']:9.3f} {parts}{facts['read']:8.3f}"


def measure(name: str, scratch: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Train for some steps; medians."""
    config = settings(name, scratch, chosen)
    watch = Stopwatch(chosen.device)
    fabric = TimedFabric(accelerator=chosen.device, devices=1)
    fabric.watch = watch
    model = build_model(config.model, seed=0)
    material = open_material(config.data, model.spec, seed=0, pictures=0)
    stream = BatchStream(material.train, size=config.data.batch)
    samples: Any = SeededSamples(material.train, seed=0)
    read = reading(samples, stream)
    loader: DataLoader[FusionBatch] = DataLoader(
        samples, batch_sampler=stream, num_workers=chosen.workers, collate_fn=collate_samples, worker_init_fn=prepare_worker
    )
    task = build_task(config, model, fabric)
    for optimizer in task.optimizers():
        optimizer.optimizer.register_step_pre_hook(watch.start)
        optimizer.optimizer.register_step_post_hook(lambda *_: watch.stop("optimiser"))
    task.train_mode()
    steps = run(task, iter(loader), watch, seconds=chosen.seconds)
    shape = material.train.read(next(material.train.order(0)), 0)["clear"].shape
    facts = {part: statistics.median(step[part] for step in steps) for part in (*PARTS, "step")}
    return {"batch": f"{config.data.batch} x {shape[-2]} x {shape[-1]}", "steps": len(steps), "read": read, **facts}


def run(task: Task, batches: Iterator[FusionBatch], watch: Stopwatch, *, seconds: float) -> list[dict[str, float]]:
    """Steps until there are enough of them; the first are left out."""
    steps: list[dict[str, float]] = []
    began = time.perf_counter()
    while len(steps) < WARM_UP + LEAST_STEPS or (time.perf_counter() - began < seconds and len(steps) < MOST_STEPS):
        watch.seconds = dict.fromkeys(PARTS, 0.0)
        start = watch.now()
        given = next(batches)
        waited = watch.now() - start
        task.micro_step(to_network(given, task.model.spec, task.fabric.device), share=1.0, last=True)
        whole = watch.now() - start
        rest = whole - waited - watch.seconds["backward"] - watch.seconds["optimiser"]
        steps.append({**watch.seconds, "wait": waited, "forward": rest, "step": whole})
        if len(steps) == WARM_UP:
            began = time.perf_counter()
    return steps[WARM_UP:]


def reading(samples: Any, stream: BatchStream) -> float:  # noqa: ANN401 - samples by key
    """Median seconds to make a batch in this process, on one thread; the first, which opens files and detectors, is left out."""
    found = []
    for number, keys in enumerate(stream):
        start = time.perf_counter()
        collate_samples([samples[key] for key in keys])
        found.append(time.perf_counter() - start)
        if number == LEAST_STEPS:
            break
    return statistics.median(found[1:])


def settings(name: str, scratch: Path, chosen: argparse.Namespace) -> TrainConfig:
    """The recipe on fake files."""
    recipe = read_recipe(name)
    dataset = str(recipe["data"]["dataset"])
    root = scratch / dataset
    if not root.exists():
        MAKERS[dataset][0](root, SAMPLES)
        hold_out(dataset, root)
    pairs = [f"run.device={chosen.device}", *([] if chosen.device == "cuda" else [f"data.batch={BATCH}"])]
    if dataset == "scenes":
        pairs += [f"data.s1={json.dumps([f'{root}/s1/*.tif'])}", f"data.s2={json.dumps([f'{root}/s2/*.tif'])}", "data.cloud_mask=null"]
    else:
        pairs += [f"data.root={root}"]
    if dataset == "triplets":
        pairs.append("data.holdout=0.3")
    if dataset == "sen12mscr_ts":
        cover = COVER | {"ROIs2017_22_patch_1": COVER["ROIs1868_36_patch_1"]}
        pairs += [f"data.options.cover={json.dumps(cover)}", "data.cloud_mask=null"]
    return fit_to_scenes(TrainConfig.from_dict(apply_overrides(recipe, [*pairs, *chosen.more])))


def hold_out(dataset: str, root: Path) -> None:
    """A sample for validation, which training asks for, where the fakes have none."""
    if dataset == "sen12mscr":
        for kind in ("s1", "s2_cloudy", "s2"):
            target = root / VALIDATION_ROI.format(kind=kind)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(next((root / f"ROIs1158_spring_{kind}" / f"{kind}_1").glob("*.tif")).read_bytes())
    if dataset == "sen12mscr_ts":
        from tests.data_makers.sen12mscr_ts import make_sen12mscr_ts  # on the path since `loader` made the others

        make_sen12mscr_ts(root, [("ROIs2017", 22)], (1,), side=256)


if __name__ == "__main__":
    main()
