"""The same predictions under the metrics of every paper: how far apart the numbers are.

Usage: python benchmarks/metric_presets.py [--data FOLDER] [--out FILE.json]

Takes the real triplets of SEN12MS-CR (256 x 256 px, other dates) and judges the mean of cloudy and clear image as a prediction.
The cloud mask is B02 > 0.2 in the cloudy image, the valid mask everything. Figures: docs/metrics.md.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import rasterio
import torch

from geocr.core.bands import L1C_BANDS
from geocr.metrics.base import MetricInput
from geocr.metrics.presets import PRESETS
from geocr.metrics.suite import build_suite

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def read(folder: Path) -> torch.Tensor:
    """`(n, 13, 256, 256)` float64 reflectance of all files of a folder."""
    arrays = []
    paths = sorted(folder.glob("*.tif"))
    if not paths:
        raise SystemExit(f"{folder} must hold the triplets' GeoTIFFs, and holds none; name the folder above it with --data")
    for path in paths:
        with rasterio.open(path) as dataset:
            arrays.append(dataset.read())
    return torch.from_numpy(np.stack(arrays).astype(np.float64) / 1e4)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with sen12mscr_triplets")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    arguments = parser.parse_args()
    clear, cloudy = (read(arguments.data / "sen12mscr_triplets" / name) for name in ("s2_cloudfree", "s2_cloudy"))
    suites = {name: build_suite(preset, L1C_BANDS) for name, preset in PRESETS.items()}
    for image, truth in zip(cloudy, clear, strict=True):
        given = MetricInput(
            prediction=((image + truth) / 2).unsqueeze(0),
            target=truth.unsqueeze(0),
            cloudy=image.unsqueeze(0),
            cloud_mask=image[1:2] > 0.2,
        )
        for suite in suites.values():
            suite.update(given)
    found = {name: {key: round(float(value), 4) for key, value in suite.compute().items()} for name, suite in suites.items()}
    for name, values in found.items():
        print(f"{name:14s}", "  ".join(f"{key} {value:.4g}" for key, value in values.items() if "zero_vectors" not in key))
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
