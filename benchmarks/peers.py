"""geocr beside the public tools for tiled inference: the same work, in one run, each in a process of its own.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install -r benchmarks/peers-requirements.txt
    python benchmarks/peers.py --peers-python /tmp/peers/bin/python --size 4096 --repeat 3 --out peers-4096.json
    python benchmarks/peers.py --peers-python /tmp/peers/bin/python --size 10980 --out peers-10980.json

The work: 13 bands of reflectance (uint16) and 2 of backscatter, the network of `conv3.py`, tiles of 256 px that overlap by 64.
geocr takes the two rasters and writes a Cloud-Optimized GeoTIFF with overviews, compressed, with its provenance beside it. A peer
takes one raster into which the 15 bands were stacked beforehand (not timed) and writes a GeoTIFF without compression and overviews:
by itself where it goes from raster to raster (geoai, opensr-utils), else by the shortest way from and to its array (MONAI,
terratorch). `geocr-reach` is geocr with the tiles that it lays out by itself for a model whose reach it knows: a margin of that
reach instead of an overlap. `bare` is the network over as many tiles, with no file at all.

Each peer runs at the batch size (and, for opensr-utils, with as many reading processes) that was fastest for it on a smaller scene, geocr at its default.
Turns are taken in rotating order, `--repeat` times. A contestant above `--cap-gib` is killed, and that is its result. That everybody
did the same work is checked against the network on windows of the input, away from the scene's border.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from conv3 import BANDS, CHANNELS, RADIUS_PX, SAR_FLOOR_DB, SAR_RANGE_DB, Conv3Model
from rasterio.windows import Window
from scene_speed import machine
from watched import Watched, watch

from geocr.simulate.large import write_large_scene

HERE = Path(__file__).resolve().parent
PEERS = ("monai", "terratorch", "geoai-py", "opensr-utils")
OWN = ("bare", "geocr", "geocr-reach")
BATCHES = (1, 4, 8, 16)
WORKERS = {"opensr-utils": (0, 2), "bare": (0, len(os.sched_getaffinity(0)))}
"""Numbers to try of reading processes (opensr-utils) or of tiles side by side with one thread each (bare; 0 is one tile with all threads)."""
TOLERANCE_DN = {"fp32": 2, "bf16": 50}
"""How far a pixel may be from the network's own answer in fp32: rounding and blending, and 8 bits of mantissa."""
AGREEING_SHARE = 0.95
"""Of the pixels compared, this many must agree; the rest lie at edges of tiles, where a convolution sees padding."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """A scene as geocr and as its peers take it."""

    folder: Path
    s1: Path
    s2: Path
    mask: Path
    stack: Path


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a contestant is run."""

    batch: int
    workers: int = 0


def prepare_files(folder: Path, size: int) -> Files:
    """Simulate a scene once, and stack its bands into the one raster that peers take."""
    scene = folder / f"{size}x{size}_0.25"
    if not (scene / "scene_s2.tif").exists():
        print(f"# simulating {size} x {size} px", flush=True)
        write_large_scene(scene, shape=(size, size), seed=0, cloud_cover=0.25)
    files = Files(
        folder=scene, s1=scene / "scene_s1.tif", s2=scene / "scene_s2.tif", mask=scene / "truth_mask.tif", stack=scene / "stack.tif"
    )
    if not files.stack.exists():
        _write_stack(files)
    return files


def _write_stack(files: Files) -> None:
    """15 uint16 bands of 1 to 10,000, tiled and compressed as the scene is."""
    partial = files.stack.with_suffix(".part")
    with rasterio.open(files.s2) as optical, rasterio.open(files.s1) as sar:
        profile = {**optical.profile, "count": CHANNELS, "dtype": "uint16", "interleave": "band"}
        with rasterio.open(partial, "w", **profile) as out:
            for row in range(0, optical.height, 512):
                window = Window(0, row, optical.width, min(512, optical.height - row))
                out.write(np.clip(optical.read(window=window), 1, 10_000), list(range(1, BANDS + 1)), window=window)
                scaled = (sar.read(window=window) - SAR_FLOOR_DB) / SAR_RANGE_DB * 10_000
                out.write(np.clip(np.rint(scaled), 1, 10_000).astype(np.uint16), [BANDS + 1, BANDS + 2], window=window)
    partial.rename(files.stack)


@dataclass(frozen=True, kw_only=True)
class Arena:
    """Where contestants run, and what they may take."""

    peers_python: str
    cap_bytes: int
    limit_s: float

    def run(self, name: str, files: Files, precision: str, setting: Setting, *, keep: bool) -> tuple[Watched, Path]:
        """One contestant once, in an empty folder; its raster stays there when `keep`."""
        folder = files.folder / f"turn_{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        out = folder / "out.tif"
        script = HERE / "contestants" / f"run_{name.replace('-', '_')}.py"
        command = [sys.executable if name in OWN else self.peers_python, str(script), "--out", str(out), "--precision", precision]
        command += ["--batch", str(setting.batch), "--workers", str(setting.workers)]
        for key in ("stack", "s1", "s2", "mask"):
            command += [f"--{key}", str(getattr(files, key))]
        environment = {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE / 'contestants'}", "MPLBACKEND": "agg", "CUDA_VISIBLE_DEVICES": ""}
        watched = watch(command, folder=folder, cap_bytes=self.cap_bytes, limit_s=self.limit_s, environment=environment)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
        return watched, out


def report_of(watched: Watched) -> dict[str, Any]:
    """What the contestant printed last; empty when it did not get that far."""
    for line in reversed(watched.output.splitlines()):
        if line.startswith('{"version"'):
            facts: dict[str, Any] = json.loads(line)
            return facts
    return {}


def work_s(watched: Watched) -> float | None:
    """Wall time after imports, by the contestant's own clock."""
    stages = report_of(watched).get("stages_s")
    return None if not stages else round(sum(seconds for name, seconds in stages.items() if name not in ("import", "make input")), 2)


def facts_of(watched: Watched) -> dict[str, Any]:
    """One run as JSON."""
    facts = {
        "end": watched.end,
        "wall_s": round(watched.wall_s, 2),
        "cpu_s": round(watched.cpu_s, 2),
        "work_s": work_s(watched),
        "peak_gib": round(watched.peak_bytes / 2**30, 3),
        "temporary_disk_gib": round(watched.disk_bytes / 2**30, 2),
        **{key: value for key, value in report_of(watched).items() if key != "version"},
    }
    return facts if watched.done else {**facts, "said": watched.output[-1500:]}


def tune(arena: Arena, names: list[str], files: Files, precision: str, batch: int | None) -> dict[str, Setting]:
    """The setting at which each contestant is fastest on a small scene; geocr keeps its defaults."""
    best = {name: Setting(batch=0) for name in OWN if name != "bare"}
    for name in names:
        if name in best:
            continue
        tried = [Setting(batch=b, workers=w) for b in ((batch,) if batch else BATCHES) for w in WORKERS.get(name, (0,))]
        if len(tried) == 1:
            best[name] = tried[0]
            continue
        times: dict[Setting, float] = {}
        for setting in tried:
            watched, _ = arena.run(name, files, precision, setting, keep=False)
            seconds = work_s(watched)
            if watched.done and seconds is not None:
                times[setting] = seconds
            else:
                print(f"# {name} {setting}: {watched.end}\n{watched.output[-1500:]}", flush=True)
        if times:
            best[name] = min(times, key=times.__getitem__)
            said = ", ".join(f"{s.batch}{f' x {s.workers}' if s.workers else ''}: {t:.1f} s" for s, t in times.items())
            print(f"# {name} {precision}: by batch {said}", flush=True)
    return best


def sample_windows(rows: int, cols: int, size: int = 384) -> Iterator[Window]:
    """Windows spread over a scene, away from its border, where tools pad differently."""
    for down in (0.2, 0.5, 0.8):
        for right in (0.2, 0.5, 0.8):
            height, width = min(size, rows // 4), min(size, cols // 4)
            yield Window(int(down * rows) - height // 2, int(right * cols) - width // 2, width, height)


def network_answer(files: Files, window: Window, net: Conv3Model, *, stacked: bool) -> np.ndarray:
    """DN that the network gives for a window of a contestant's own input, seen with all the context it needs."""
    grown = Window(window.col_off - RADIUS_PX, window.row_off - RADIUS_PX, window.width + 2 * RADIUS_PX, window.height + 2 * RADIUS_PX)
    if stacked:
        with rasterio.open(files.stack) as source:
            pixels = source.read(window=grown).astype(np.float32) / 10_000
    else:
        with rasterio.open(files.s2) as optical, rasterio.open(files.s1) as sar:
            scaled = (sar.read(window=grown) - SAR_FLOOR_DB) / SAR_RANGE_DB
            pixels = np.concatenate([optical.read(window=grown).astype(np.float32) / 10_000, scaled.astype(np.float32)])
    with torch.inference_mode():
        answer = net(torch.from_numpy(pixels)[None])[0].numpy()
    inner = answer[:, RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX]
    dn: np.ndarray = np.clip(np.rint(inner * 10_000), 1, 10_000)
    return dn


def agreement(name: str, out: Path, files: Files, precision: str) -> dict[str, Any]:
    """How far a contestant's raster is from the network's answer, in DN, and whether that is the same work."""
    net = Conv3Model("fp32")
    apart = []
    with rasterio.open(out) as source:
        for window in sample_windows(source.height, source.width):
            wanted = network_answer(files, window, net, stacked=not name.startswith("geocr"))
            apart.append(np.abs(source.read(list(range(1, BANDS + 1)), window=window).astype(np.float32) - wanted).ravel())
    joined = np.concatenate(apart)
    share = float((joined <= TOLERANCE_DN[precision]).mean())
    return {
        "median_dn": float(np.median(joined)),
        "p99_dn": float(np.quantile(joined, 0.99)),
        "max_dn": float(joined.max()),
        "share_within": round(share, 4),
        "tolerance_dn": TOLERANCE_DN[precision],
        "same_work": share >= AGREEING_SHARE,
    }


def raster_facts(out: Path) -> dict[str, Any]:
    """What a contestant wrote."""
    with rasterio.open(out) as source:
        return {
            "mb": round(out.stat().st_size / 1e6),
            "compression": str(source.profile.get("compress", "none")),
            "overviews": source.overviews(1),
        }


def compete(arena: Arena, settings: dict[str, Setting], files: Files, precision: str, *, names: list[str], repeat: int) -> dict[str, Any]:
    """Every contestant `repeat` times, in rotating order; who fails once is not run again."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    results: dict[str, Any] = {}
    for turn in range(repeat):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        for name in order:
            if name not in settings or (runs[name] and runs[name][-1]["end"] != "done"):
                continue
            first = not runs[name]
            watched, out = arena.run(name, files, precision, settings[name], keep=True)
            facts = facts_of(watched)
            runs[name].append(facts)
            print(f"# {name} {precision} turn {turn + 1}: {facts['end']}, {facts['wall_s']} s, {facts['peak_gib']} GiB", flush=True)
            if first:
                results[name] = {
                    "version": report_of(watched).get("version"),
                    "batch": settings[name].batch,
                    "workers": settings[name].workers,
                }
                if watched.done and name != "bare":
                    results[name] |= {"agreement": agreement(name, out, files, precision), "raster": raster_facts(out)}
            shutil.rmtree(out.parent, ignore_errors=True)
    for name in names:
        done = [run for run in runs[name] if run["end"] == "done"]
        best = (
            {key: min(run[key] for run in done) for key in ("wall_s", "work_s", "cpu_s", "peak_gib", "temporary_disk_gib")}
            if done
            else None
        )
        results[name] = {**results.get(name, {}), "best": best, "runs": runs[name]}
    return results


def table(results: dict[str, Any]) -> Iterator[str]:
    """Markdown: best of the runs, all walls, and ratios to geocr."""
    own = results.get("geocr", {}).get("best")
    yield "| tool | batch | wall | all walls | wall / geocr | without imports | same / geocr | CPU time | peak memory | temporary disk | same work |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for name, facts in results.items():
        title = f"{name} {facts.get('version') or ''}".strip()
        best, runs = facts["best"], facts["runs"]
        batch = facts.get("batch") or "own"
        if facts.get("workers"):
            batch = f"{batch}, {facts['workers']} {'side by side' if name == 'bare' else 'readers'}"
        if best is None:
            end = f"{runs[-1]['end']} after {runs[-1]['wall_s']:.0f} s, {runs[-1]['peak_gib']:.1f} GiB" if runs else "no setting ran"
            yield f"| {title} | {batch} | {end} | - | - | - | - | - | - | - | - |"
            continue
        ratios = {key: f"{best[key] / own[key]:.2f}" if own else "-" for key in ("wall_s", "work_s")}
        same = {True: "yes", False: "NO", None: "-"}[facts.get("agreement", {}).get("same_work")]
        walls = ", ".join(f"{run['wall_s']:.1f}" for run in runs)
        times = (
            f"{best['wall_s']:.1f} s | {walls} | {ratios['wall_s']} | {best['work_s']:.1f} s | {ratios['work_s']} | {best['cpu_s']:.0f} s"
        )
        yield f"| {title} | {batch} | {times} | {best['peak_gib']:.2f} GiB | {best['temporary_disk_gib']:.1f} GiB | {same} |"


def verdicts(results: dict[str, Any]) -> Iterator[str]:
    """Ratios: geocr to the best peer that finished, to opensr-utils, to the network alone over the tiles of all."""
    peers = {name: results[name]["best"] for name in PEERS if results.get(name, {}).get("best")}
    for contestant in ("geocr", "geocr-reach"):
        own = results.get(contestant, {}).get("best")
        if own is None or not peers:
            continue
        for key, words in (("wall_s", "wall"), ("work_s", "wall without imports"), ("peak_gib", "peak memory")):
            name = min(peers, key=lambda peer: peers[peer][key])
            yield f"{contestant}: {words} is {own[key] / peers[name][key]:.2f} of the best peer's ({name})."
        if "opensr-utils" in peers:
            slow = peers["opensr-utils"]
            ratios = [own[key] / slow[key] for key in ("wall_s", "work_s")]
            yield f"{contestant} against opensr-utils: wall {ratios[0]:.2f}, without imports {ratios[1]:.2f}."
        if results.get("bare", {}).get("best"):
            yield f"{contestant}: wall without imports is {own['work_s'] / results['bare']['best']['work_s']:.2f} of the bare forward pass."


def peer_versions(python: str) -> str:
    """What the peers run on."""
    code = "import platform, torch, rasterio; print(platform.python_version(), torch.__version__, rasterio.__gdal_version__)"
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or f"not runnable: {answer.stderr.strip()[-300:]}"


def main() -> None:
    """Tune, compete, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, action="append", help="side of the scene in px; may be repeated; 4096 when left out")
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--peers", default=",".join(PEERS), help="which of them, by comma; empty for none")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter of the environment in which they are installed")
    parser.add_argument("--cap-gib", type=float, default=17.0, help="most memory of a contestant's process tree")
    parser.add_argument("--limit-s", type=float, default=7200.0, help="most time of one run")
    parser.add_argument("--batch", type=int, help="of peers and bare, instead of trying 1, 4, 8 and 16")
    parser.add_argument("--tune-size", type=int, default=2048, help="side of the scene on which settings are tried")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/geocr-bench"))  # noqa: S108 - gigabytes that nobody needs to keep
    parser.add_argument("--out", type=Path, help="JSON file to write")
    given = parser.parse_args()
    chosen = [name for name in given.peers.split(",") if name]
    if unknown := set(chosen) - set(PEERS):
        parser.error(f"peers are {', '.join(PEERS)}; got {', '.join(sorted(unknown))}")
    arena = Arena(peers_python=given.peers_python, cap_bytes=round(given.cap_gib * 2**30), limit_s=given.limit_s)
    names = [*OWN, *chosen]
    facts: dict[str, Any] = {
        **machine(),
        "peers_on": peer_versions(given.peers_python),
        "load_before": os.getloadavg(),
        "cap_gib": given.cap_gib,
    }
    print(json.dumps({**facts, "platform": platform.platform()}), flush=True)
    tuning = prepare_files(given.folder, min(given.tune_size, *(given.size or [4096])))
    facts["results"] = {}
    for precision in given.precision.split(","):
        settings = tune(arena, names, tuning, precision, given.batch)
        for size in given.size or [4096]:
            began = time.monotonic()
            files = prepare_files(given.folder, size)
            results = compete(arena, settings, files, precision, names=names, repeat=given.repeat)
            facts["results"][f"{size} {precision}"] = results
            print(f"\n### {size} x {size} px, {precision}, best of {given.repeat} ({time.monotonic() - began:.0f} s in all)\n")
            print("\n".join([*table(results), "", *verdicts(results), ""]), flush=True)
            if given.out is not None:
                given.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
