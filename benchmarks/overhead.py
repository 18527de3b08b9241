"""What a whole run costs beyond the network: against the bare forward pass of the same tiles, and when most tiles are skipped.

    python benchmarks/overhead.py --size 2048 --model fusion_unet --precision fp32,bf16 --repeat 5 --out overhead.json
    python benchmarks/overhead.py --size 1024 --model uncrtaints --covers '' --repeat 3
    python benchmarks/overhead.py --size 2048 --model fusion_unet --profile

*engine*: `predict_scene` in `--mode full`, two rasters in and a finished COG with overviews and provenance out, in a process that has
loaded the model. *bare*: the same network (weights, precision, layout) over ready tensors of the same tiles, batched as the plan says, by
two policies: tiles side by side with a thread each, as the engine runs them on a CPU, and one after another with all threads. The ratio
is to the faster of the two.

*replace-clouds*: a run that replaces clouds only, at several covers, against the same run with a reconstructor that gives back what it
sees, plus the touched tiles' share of the bare forward pass.

Runs take turns, `--repeat` times after one that does not count; medians and the best are printed, wall time and CPU time.
"""

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rasterio
import torch
from networks import Conv3, Identity, conv3
from sampled import Sampler
from scene_speed import Stages, machine
from torch import Tensor

from geocr.checkpoint import save_checkpoint
from geocr.config import PredictConfig
from geocr.inference.model_cache import placed_model
from geocr.inference.plan import ScenePlan
from geocr.inference.prepare import PreparedScene, prepare_scene
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.run import predict_scene, usable_cores
from geocr.io.raster import GDAL_OPTIONS
from geocr.models import MODELS
from geocr.simulate.large import write_large_scene

Forward = Callable[[int], object]
"""One forward pass over the group of tiles of that number."""


@dataclass(frozen=True)
class Took:
    """One run."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Contest:
    """A model on scenes of one size, at one precision."""

    folder: Path
    size: int
    model: str
    precision: str
    model_arguments: dict[str, Any]

    def scene(self, cover: float) -> Path:
        """Folder of a simulated scene, made once."""
        folder = self.folder / f"{self.size}x{self.size}_{cover}"
        if not (folder / "scene_s2.tif").exists():
            write_large_scene(folder, shape=(self.size, self.size), seed=0, cloud_cover=cover)
        return folder

    def config(self, cover: float, mode: str) -> PredictConfig:
        """Settings of a run."""
        settings: dict[str, Any] = {"mode": mode, "cloud_mask": str(self.scene(cover) / "truth_mask.tif"), "mask_buffer_px": 0}
        if self.own() is None:
            settings |= {"checkpoint": str(self.checkpoint()), "precision": self.precision, "device": "cpu"}
        return PredictConfig(**settings)

    def own(self) -> Reconstructor | None:
        """The reconstructor to hand in, where it is no registered model."""
        return {"conv3": Conv3(precision=self.precision), "identity": Identity()}.get(self.model)

    def checkpoint(self) -> Path:
        """The model with random weights, made once."""
        path = self.folder / f"{self.model}{''.join(f'_{key}{value}' for key, value in self.model_arguments.items())}.safetensors"
        if not path.exists():
            torch.manual_seed(0)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_checkpoint(path, MODELS.load(self.model)(**self.model_arguments), name=self.model, kwargs=self.model_arguments)
        return path

    def prepared(self, cover: float, mode: str) -> PreparedScene:
        """The opened and planned scene."""
        folder = self.scene(cover)
        with rasterio.Env(**GDAL_OPTIONS):
            return prepare_scene(
                str(folder / "scene_s2.tif"),
                str(folder / "scene_s1.tif"),
                self.config(cover, mode),
                threads=usable_cores(),
                reconstructor=self.own(),
            )

    def run(self, cover: float, mode: str, reconstructor: Reconstructor | None, stages: Stages | None = None) -> Took:
        """One whole run."""
        folder = self.scene(cover)
        config = self.config(cover, mode)
        if isinstance(reconstructor, Identity):
            config = config.model_copy(update={"checkpoint": None, "precision": "fp32"})
        return timed(
            lambda: predict_scene(
                str(folder / "scene_s1.tif"),
                str(folder / "scene_s2.tif"),
                folder / "out.tif",
                config=config,
                reconstructor=reconstructor,
                overwrite=True,
                progress=stages,
            )
        )


def timed(work: Callable[[], object]) -> Took:
    """Wall and CPU time of this process while it works."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def tile_groups(plan: ScenePlan) -> list[list[tuple[int, int]]]:
    """Heights and widths of the tiles that go through the model together, in the order of the run."""
    cols = plan.lattice.cols
    return [
        [(row.stop - row.start, col.stop - col.start) for col in cols[first : first + plan.batch]]
        for row in plan.lattice.rows
        for first in range(0, len(cols), plan.batch)
    ]


def bare_forward(contest: Contest, prepared: PreparedScene) -> tuple[Forward, int]:
    """The network over ready tensors, and how many groups of tiles there are. Tiles of a group that differ in size go one by one."""
    groups = tile_groups(prepared.plan)
    inputs = ready_inputs(contest, prepared, {shape for group in groups for shape in group})
    if contest.model == "conv3":
        network: Callable[..., object] = conv3("cpu", contest.precision)
    else:
        reconstructor: Any = prepared.method.prepare(prepared.tiles)
        network = placed_model(reconstructor.key, reconstructor.path)

    def forward(number: int) -> None:
        group = groups[number]
        with torch.inference_mode():
            for shape in dict.fromkeys(group):
                count = group.count(shape)
                network(*(None if tensor is None else tensor.expand(count, *tensor.shape[1:]) for tensor in inputs[shape]))

    return forward, len(groups)


def ready_inputs(contest: Contest, prepared: PreparedScene, shapes: set[tuple[int, int]]) -> dict[tuple[int, int], list[Tensor | None]]:
    """Tensors in the network's own units and layout, one set for each shape of tile. Their values do not change the time."""
    generator = torch.Generator().manual_seed(0)
    made: dict[tuple[int, int], list[Tensor | None]] = {}
    for shape in shapes:
        if contest.model == "conv3":
            dtype = next(conv3("cpu", contest.precision).parameters()).dtype
            made[shape] = [torch.rand((1, 15, *shape), generator=generator).to(dtype, memory_format=torch.channels_last)]
            continue
        reconstructor: Any = prepared.method.prepare(prepared.tiles)
        spec = reconstructor.header.spec
        sar, optical = (torch.rand((1, 1, len(bands), *shape), generator=generator) for bands in (spec.sar_bands, spec.optical_in))
        made[shape] = [sar, optical, torch.rand((1, 1, *shape), generator=generator) < 0.25 if spec.needs_mask else None]
    return made


def side_by_side(forward: Forward, groups: int, threads: int) -> None:
    """All tiles, several at once with a thread each."""
    with ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1)) as pool:
        list(pool.map(forward, range(groups)))


def one_by_one(forward: Forward, groups: int) -> None:
    """All tiles, each with all threads."""
    for number in range(groups):
        forward(number)


def take_turns(contenders: dict[str, Callable[[], Took]], repeat: int) -> dict[str, list[Took]]:
    """Each in turn, in rotating order, `repeat` times after a first that does not count."""
    names = list(contenders)
    took: dict[str, list[Took]] = {name: [] for name in names}
    for turn in range(repeat + 1):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            one = contenders[name]()
            if turn:
                took[name].append(one)
    return took


def summary(took: Sequence[Took]) -> dict[str, float]:
    """Median and best."""
    return {
        "wall_median_s": round(statistics.median(one.wall_s for one in took), 3),
        "wall_best_s": round(min(one.wall_s for one in took), 3),
        "cpu_median_s": round(statistics.median(one.cpu_s for one in took), 3),
        "cpu_best_s": round(min(one.cpu_s for one in took), 3),
    }


def ratios(whole: dict[str, float], floors: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of a run to the fastest of its floors, by each figure."""
    return {key: round(whole[key] / min(floor[key] for floor in floors), 3) for key in whole}


def against_bare(contest: Contest, cover: float, repeat: int) -> dict[str, Any]:
    """Every pixel rewritten, against the network alone."""
    prepared = contest.prepared(cover, "full")
    forward, groups = bare_forward(contest, prepared)
    threads = prepared.plan.threads
    took = take_turns(
        {
            "engine": lambda: contest.run(cover, "full", contest.own()),
            "bare, side by side": lambda: timed(lambda: side_by_side(forward, groups, threads)),
            "bare, one by one": lambda: timed(lambda: one_by_one(forward, groups)),
        },
        repeat,
    )
    stages = Stages()
    contest.run(cover, "full", contest.own(), stages)
    found = {name: summary(times) for name, times in took.items()}
    return {
        "tiles": len(prepared.plan.lattice),
        "tile_px": prepared.plan.tile.size_px,
        "batch": prepared.plan.batch,
        "threads": threads,
        **found,
        "ratio": ratios(found["engine"], [found["bare, side by side"], found["bare, one by one"]]),
        "stages_s": stages.end(),
    }


def against_identity(contest: Contest, cover: float, repeat: int) -> dict[str, Any]:
    """Clouds replaced, against reading and writing alone plus the touched tiles' share of the network."""
    prepared = contest.prepared(cover, "replace-clouds")
    forward, groups = bare_forward(contest, prepared)
    plan = prepared.plan
    share = prepared.survey.touched_tiles / len(plan.lattice)
    identity = Identity(tile=plan.tile)
    took = take_turns(
        {
            "run": lambda: contest.run(cover, "replace-clouds", contest.own()),
            "identity": lambda: contest.run(cover, "replace-clouds", identity),
            "bare, side by side": lambda: timed(lambda: side_by_side(forward, groups, plan.threads)),
            "bare, one by one": lambda: timed(lambda: one_by_one(forward, groups)),
        },
        repeat,
    )
    found = {name: summary(times) for name, times in took.items()}
    sums = [
        {key: round(found["identity"][key] + share * found[bare][key], 3) for key in found["identity"]}
        for bare in ("bare, side by side", "bare, one by one")
    ]
    return {
        "cloud_share": round(prepared.survey.cloud_share, 4),
        "touched_share": round(share, 4),
        **found,
        "allowed_sum": {key: min(one[key] for one in sums) for key in sums[0]},
        "ratio": ratios(found["run"], sums),
    }


def profile(contest: Contest, cover: float) -> Iterator[str]:
    """Where the CPU time of a run goes, after one that warms up."""
    contest.run(cover, "full", contest.own())
    with Sampler() as sampler:
        took = contest.run(cover, "full", contest.own())
    yield f"{contest.model} {contest.precision}, {contest.size} px: {took.wall_s:.2f} s, {took.cpu_s:.2f} s of CPU time, {sampler.own_s:.2f} s of it sampling"
    yield ""
    yield from sampler.lines()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--model", default="fusion_unet", help=f"conv3, identity (with --profile), or one of {', '.join(MODELS)}")
    parser.add_argument("--model-arguments", type=json.loads, default={}, help="JSON of the model's constructor arguments")
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--covers", default="0.05,0.25,0.5", help="cloud cover of the runs that replace clouds; empty for none")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="only print where the CPU time of a run goes")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/geocr-bench"))  # noqa: S108 - gigabytes that nobody needs to keep
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    if given.model == "identity" and not given.profile:
        parser.error("there is no network to compare identity with; add --profile")
    covers = [float(cover) for cover in given.covers.split(",") if cover]
    facts: dict[str, Any] = {**machine(), "load_before": os.getloadavg(), "size": given.size, "model": given.model, "repeat": given.repeat}
    print(json.dumps(facts), flush=True)
    for precision in given.precision.split(","):
        contest = Contest(
            folder=given.folder, size=given.size, model=given.model, precision=precision, model_arguments=given.model_arguments
        )
        if given.profile:
            print("\n".join(profile(contest, 0.25)), flush=True)
            continue
        facts[f"{precision} full"] = found = against_bare(contest, 0.25, given.repeat)
        print(json.dumps({f"{precision} full": found}, indent=1), flush=True)
        for cover in covers:
            name = f"{precision} replace-clouds {cover:.0%}"
            facts[name] = found = against_identity(contest, cover, given.repeat)
            print(json.dumps({name: found}, indent=1), flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
