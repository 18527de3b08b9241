"""The table of models: parameters, work, time and memory of one forward pass, export, licence of the original.

    python benchmarks/models.py --out models.json                       # this machine's CPU, every model
    python benchmarks/models.py --device cuda --out models_gpu.json     # a GPU
    python benchmarks/models.py --from models.json --from models_gpu.json --docs docs/models.md
    python benchmarks/models.py --precision '' --docs docs/models.md     # only what is counted, in seconds
    python benchmarks/models.py --model uncrtaints,utae --repeat 3      # print some

Default configurations with fresh weights, one image of 256 x 256 px (three dates where a model takes several), channels_last, all cores.
Parameters and work are counted without running anything: a multiply-add is two operations, while much of the literature counts it as one
and calls that FLOP. Each model and precision runs in a process of its own: one pass that does not count, then `--repeat`; the median is
told. Memory is the peak of the process (on a GPU: what torch allocated) beyond that of a process that has only imported torch.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from geocr.models import MODELS
from geocr.models.base import FusionModel
from geocr.models.listing import describe_model

SIDE_PX = 256
DATES = 3
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
COMMON = {"optical_bands", "optical_out", "sar_bands", "level", "sar_units", "optical_units", "tile_px"}
BEGIN, END = "<!-- table of benchmarks/models.py: begin -->", "<!-- table of benchmarks/models.py: end -->"


def inputs(model: FusionModel, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One sample of zeros to ones, as any network takes it."""
    spec = model.spec
    dates = DATES if spec.multi_temporal else 1
    frame = (SIDE_PX, SIDE_PX)
    sar = torch.rand((1, dates, len(spec.sar_bands), *frame), device=device)
    cloudy = torch.rand((1, dates, len(spec.optical_in), *frame), device=device)
    mask = torch.zeros((1, dates, *frame), dtype=torch.bool, device=device)
    return sar, cloudy, mask, 30.0 * torch.arange(dates, device=device, dtype=torch.float32)[None]


def count_gflops(name: str) -> float:
    """Operations of one forward pass, in 1e9; two per multiply-add."""
    with torch.device("meta"):
        model: FusionModel = MODELS.load(name)().eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        model(*inputs(model, "meta"))
    return counter.get_total_flops() / 1e9


def peak_mib(device: str) -> float:
    """Greatest memory so far."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024  # not `ru_maxrss`: that of a new process begins with its parent's


def forget_peak(device: str) -> None:
    """Begin to count anew, so that what importing took does not hide what the model takes."""
    if not device.startswith("cuda"):
        Path("/proc/self/clear_refs").write_text("5")


def measure(name: str, precision: str, device: str, repeat: int) -> dict[str, float]:
    """Median seconds of a forward pass and peak memory, in this process."""
    forget_peak(device)
    before = peak_mib(device)
    model: FusionModel = MODELS.load(name)().eval().to(device, PRECISIONS[precision], memory_format=torch.channels_last)
    given = inputs(model, device)
    took = []
    with torch.inference_mode():
        for _ in range(repeat + 1):
            start = time.perf_counter()
            model(*given)
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            took.append(time.perf_counter() - start)
    return {"forward_s": statistics.median(took[1:]), "peak_mib": peak_mib(device) - before}


def measured_apart(name: str, precision: str, device: str, repeat: int) -> dict[str, float]:
    """The same in a fresh process, whose peak is this model's alone."""
    command = [sys.executable, __file__, "--worker", name, precision, "--device", device, "--repeat", str(repeat)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def machine(device: str) -> str:
    """What the figures were measured on."""
    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"{_processor()}, {os.cpu_count()} cores, torch {torch.__version__}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(runs: list[dict[str, Any]]) -> str:
    """Runs on one or several devices as one markdown table."""
    heads = ["model", "paper", "parameters", "GFLOPs"]
    timed = [run for run in runs if any(precision in facts for facts in run["models"].values() for precision in PRECISIONS)]
    for run in timed:
        heads += [f"{run['device']}: forward fp32 / bf16 (s)", f"{run['device']}: memory fp32 / bf16 (MiB)"]
    heads += ["torch.export", "ONNX", "original code"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, facts in runs[0]["models"].items():
        cells = [f"`{name}`", f"[{facts['paper']}]({facts['url']})" if facts["url"] else facts["paper"]]
        cells += [f"{facts['parameters']:,}", f"{facts['gflops']:.1f}"]
        for run in timed:
            pair = [run["models"].get(name, {}).get(precision) for precision in PRECISIONS]
            cells += [" / ".join("-" if one is None else f"{one['forward_s']:.3g}" for one in pair)]
            cells += [" / ".join("-" if one is None else f"{one['peak_mib']:.0f}" for one in pair)]
        cells += [facts["torch_export"], facts["onnx"], facts["original_licence"]]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    lines += ["", "Options beyond bands, units and tile size, and the normaliser, which are options of most:", ""]
    lines += ["| model | options and their defaults |", "|---|---|"]
    lines += [f"| `{name}` | {options_of(facts['options'])} |" for name, facts in runs[0]["models"].items()]
    measured = "; ".join(f"{run['device']}: {run['machine']}" for run in timed)
    return "\n".join([*lines, "", f"Measured on {measured}."] if timed else lines)


def options_of(options: dict[str, dict[str, Any]]) -> str:
    """Options that not every model has, with defaults and choices."""
    shown = []
    for name, option in options.items():
        if name not in COMMON:
            choices = ", ".join(str(choice) for choice in option.get("choices", ()))
            shown.append(f"`{name}` {option['default']}" + (f" ({choices})" if choices else ""))
    return "; ".join(shown) or "none"


def into_docs(page: Path, text: str) -> None:
    """Put the table between its two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page} must hold the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> None:
    """Measure or read, then print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=",".join(MODELS), help="names, separated by commas")
    parser.add_argument("--precision", default=",".join(PRECISIONS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--from", dest="read", type=Path, action="append", help="read figures instead of measuring; may be given again")
    parser.add_argument("--docs", type=Path, help="a page with the two marks")
    parser.add_argument("--worker", nargs=2, metavar=("MODEL", "PRECISION"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(measure(*args.worker, args.device, args.repeat)))
        return
    runs = [json.loads(path.read_text()) for path in args.read or []]
    if not runs:
        models = {}
        for name in args.model.split(","):
            models[name] = {**describe_model(name), "gflops": count_gflops(name)}
            for precision in filter(None, args.precision.split(",")):
                models[name][precision] = measured_apart(name, precision, args.device, args.repeat)
            print(name, {key: models[name].get(key) for key in ("parameters", "gflops", *PRECISIONS)}, file=sys.stderr, flush=True)
        runs = [{"device": "GPU" if args.device.startswith("cuda") else "CPU", "machine": machine(args.device), "models": models}]
        if args.out:
            args.out.write_text(json.dumps(runs[0], indent=1))
    text = table(runs)
    print(text)
    if args.docs:
        into_docs(args.docs, text)


if __name__ == "__main__":
    main()
