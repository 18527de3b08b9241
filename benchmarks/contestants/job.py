"""What a contestant is asked to do, and how it says what it did. Standard library only."""

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass
class Job:
    """One run of one contestant."""

    stack: Path
    """15 uint16 bands in one raster: what tools that take one raster are given."""
    s1: Path
    """Two float32 bands of backscatter in dB."""
    s2: Path
    """13 uint16 bands of reflectance times 10,000."""
    mask: Path
    """Cloud mask of the scene."""
    out: Path
    """Where to write 13 uint16 bands."""
    precision: str
    """fp32 or bf16: of weights and layers."""
    batch: int
    """Tiles in one forward pass; 0 leaves the choice to the tool."""
    workers: int
    """Reading processes, for tools that have them."""
    stages_s: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)

    @classmethod
    def from_arguments(cls) -> "Job":
        """Read the command line."""
        parser = argparse.ArgumentParser()
        for name in ("stack", "s1", "s2", "mask", "out"):
            parser.add_argument(f"--{name}", type=Path, required=True)
        parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
        parser.add_argument("--batch", type=int, default=1)
        parser.add_argument("--workers", type=int, default=0)
        return cls(**vars(parser.parse_args()))

    def stage(self, name: str) -> None:
        """What ran since the last call was this."""
        now = time.perf_counter()
        self.stages_s[name] = round(self.stages_s.get(name, 0.0) + now - self._began, 2)
        self._began = now

    def report(self, package: str | None = None, **facts: object) -> None:
        """Print what was done, as the last line of the output."""
        found = None
        if package is not None:
            try:
                found = version(package)
            except PackageNotFoundError:
                found = "unknown"
        sys.stdout.flush()
        print("\n" + json.dumps({"version": found, "stages_s": self.stages_s, **facts}), flush=True)
