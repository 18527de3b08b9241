"""From a scene pair to a cloud-free scene, and what to make of it.

Runs without network and without data: it invents a small pair first. With your own rasters, leave that step out.

    python examples/quickstart.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import rasterio

import geocr
from geocr.simulate.scene import simulate_scene, write_scene

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "out" / "quickstart"
files = write_scene(simulate_scene(shape=(384, 512), seed=4, cloud_cover=0.25), folder, seed=4)

try:
    result = geocr.predict_scene(
        str(files.s1), str(files.s2), folder / "clear.tif", config=geocr.PredictConfig(uncertainty=True), overwrite=True
    )
except geocr.GeocrError as error:  # a message that says what to do
    raise SystemExit(str(error)) from error

for note in result.summary["notes"]:
    print("note:", note)
print(f"{result.summary['cloud_share']:.0%} of the scene was under the mask; pixels: {result.summary['pixels']}")

assert result.std is not None  # noqa: S101 - asked for above
with rasterio.open(result.scene) as scene, rasterio.open(result.provenance) as provenance, rasterio.open(result.std) as std:
    band = scene.descriptions.index("B08") + 1
    nir = scene.read(band) * scene.scales[0] + scene.offsets[0]
    observed = provenance.read(1) == 1
    sigma = std.read(band) * std.scales[0]

print(f"near infrared where observed:      mean {nir[observed].mean():.3f}")
print(f"near infrared where reconstructed: mean {nir[~observed].mean():.3f}, of which it is sure within {np.median(sigma[~observed]):.3f}")
print("look at", result.scene)
