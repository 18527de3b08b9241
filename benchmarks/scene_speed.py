"""Wall time, memory and device load of a whole run: two rasters in, a finished COG out.

    python benchmarks/scene_speed.py --size 4096 --model conv3
    python benchmarks/scene_speed.py --size 10980 --rows 21960 --model conv3
    python benchmarks/scene_speed.py --size 10980 --model fusion_unet --device cuda --precision bf16

Every figure is of this process tree in this run; the scene is simulated once per size and kept in --folder.
"""

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from watched import tree_bytes

from geocr.config import PredictConfig
from geocr.core.memory import share_one_heap
from geocr.inference.run import predict_scene
from geocr.simulate.large import write_large_scene


class Watch(threading.Thread):
    """Samples resident memory of the process tree and, with a GPU, its load."""

    def __init__(self, *, gpu: bool) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self.gpu_load: list[int] = []
        self._gpu = gpu
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        me = psutil.Process()
        while not self._ended.wait(0.2):
            self.peak_bytes = max(self.peak_bytes, tree_bytes(me))
            if self._gpu:
                self.gpu_load.append(torch.cuda.utilization())

    def stop(self) -> None:
        """End sampling."""
        self._ended.set()
        self.join()


class Stages:
    """Times the stages of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name, self._began = "opening", time.monotonic()

    def note(self, text: str) -> None:
        """Ignore."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins; the one before has ended."""
        self._end()
        self._name = name

    def advance(self, steps: int = 1) -> None:
        """Ignore."""

    def _end(self) -> None:
        now = time.monotonic()
        self.seconds[self._name] = round(self.seconds.get(self._name, 0) + now - self._began, 2)
        self._began = now

    def end(self) -> dict[str, float]:
        """All stages."""
        self._end()
        return self.seconds


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    import rasterio

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    model = subprocess.run(
        ["/usr/bin/env", "sh", "-c", "grep -m1 'model name' /proc/cpuinfo"], capture_output=True, text=True, check=False
    ).stdout
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": model.partition(":")[2].strip() or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gdal": rasterio.__gdal_version__,
    }


def checkpoint_of(folder: Path) -> Path:
    """A `fusion_unet` with random weights, made once."""
    from geocr.checkpoint import save_checkpoint
    from geocr.models.unet import FusionUNet

    path = folder / "fusion_unet.safetensors"
    if not path.exists():
        torch.manual_seed(0)
        save_checkpoint(path, FusionUNet(), name="fusion_unet", kwargs={})
    return path


def simulate_apart(folder: Path, shape: tuple[int, int], cover: float) -> None:
    """Write a scene in a process of its own, so that what that takes is no part of the figures."""
    process = multiprocessing.get_context("spawn").Process(
        target=write_large_scene, args=(folder,), kwargs={"shape": shape, "seed": 0, "cloud_cover": cover}
    )
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the scene could not be simulated: exit code {process.exitcode}")


def main() -> None:
    """Run once and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs="+", default=[4096], help="rows [columns]")
    parser.add_argument("--rows", type=int, help="rows, where the scene is to be no square")
    parser.add_argument("--model", choices=["conv3", "identity", "fusion_unet", "scenefit"], default="conv3")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--mode", default="full")
    parser.add_argument("--cover", type=float, default=0.25)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/geocr-bench"))  # noqa: S108 - gigabytes that nobody needs to keep
    given = parser.parse_args()
    share_one_heap()  # as the command line does before anything else
    shape = (given.rows or given.size[0], given.size[-1])
    folder = given.folder / f"{shape[0]}x{shape[1]}_{given.cover}"
    if not (folder / "scene_s2.tif").exists():
        began = time.monotonic()
        simulate_apart(folder, shape, given.cover)
        print(f"# simulated {shape} in {time.monotonic() - began:.0f} s", flush=True)
    config: dict[str, Any] = {"mode": given.mode, "cloud_mask": str(folder / "truth_mask.tif"), "mask_buffer_px": 0, "batch": given.batch}
    own: Any = None
    if given.model == "conv3":
        from networks import Conv3

        own = Conv3(device=given.device, precision=given.precision)
    elif given.model == "identity":
        from networks import Identity

        own = Identity()
    elif given.model == "fusion_unet":
        config |= {"checkpoint": str(checkpoint_of(given.folder)), "device": given.device, "precision": given.precision}
    gpu = given.device.startswith("cuda")
    watch, stages = Watch(gpu=gpu), Stages()
    watch.start()
    began = time.monotonic()
    result = predict_scene(
        str(folder / "scene_s1.tif"),
        str(folder / "scene_s2.tif"),
        folder / "out.tif",
        config=PredictConfig(**config),
        reconstructor=own,
        overwrite=True,
        threads=given.threads,
        progress=stages,
    )
    wall = time.monotonic() - began
    cpu = psutil.Process().cpu_times()
    watch.stop()
    facts = {name: getattr(given, name) for name in ("model", "device", "precision", "batch", "threads", "mode", "cover")}
    facts |= {
        "shape": shape,
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu.user + cpu.system, 1),
        "peak_gib": round(watch.peak_bytes / 2**30, 2),
        "stages_s": stages.end(),
    }
    facts |= {
        "tiles": result.summary["tiles"],
        "tiles_computed": result.summary["tiles_computed"],
        "cog_mb": round(result.scene.stat().st_size / 1e6),
    }
    if gpu:
        load = watch.gpu_load
        facts |= {
            "gpu_busy_mean_pct": round(sum(load) / max(1, len(load))),
            "gpu_peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        }
    print(json.dumps({**facts, **machine()}))


if __name__ == "__main__":
    main()
