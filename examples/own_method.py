"""Bring your own method: any object that fills a tile can take the place of geocr's own.

Compares it with the default on a scene whose truth is known, both with the true cloud mask, so that only the method differs.

    python examples/own_method.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import rasterio

import geocr
from geocr.core.types import Reconstruction, TileInput
from geocr.grid.spec import TileSpec
from geocr.metrics.pixels import psnr_db, sam_deg
from geocr.simulate.scene import simulate_scene, write_scene


class ClearMean:
    """Fills every cloudy pixel with the mean of its tile's clear ones."""

    tile = TileSpec(size_px=256, overlap_px=64)
    has_std = False

    def describe(self) -> dict[str, str]:
        """Goes into the tags of the result."""
        return {"name": "clear-mean"}

    def __call__(self, tile: TileInput) -> Reconstruction:
        """`(band, y, x)` reflectance for the whole tile; only its cloudy pixels are used."""
        clear = np.where(tile.cloud_mask, np.nan, tile.optical)
        mean = [np.nanmean(band) if np.isfinite(band).any() else 0.2 for band in clear]
        return Reconstruction(mean=np.broadcast_to(np.array(mean, np.float32)[:, None, None], tile.optical.shape))


folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "out" / "own_method"
files = write_scene(simulate_scene(shape=(384, 512), seed=4, cloud_cover=0.25), folder, seed=4)
with rasterio.open(files.truth) as truth:
    expected = truth.read() * np.float32(truth.scales[0])

config = geocr.PredictConfig(cloud_mask=str(files.mask), mask_buffer_m=0)
for name, method in (("clear-mean", ClearMean()), ("scenefit", None)):
    result = geocr.predict_scene(str(files.s1), str(files.s2), folder / f"{name}.tif", config=config, reconstructor=method, overwrite=True)
    with rasterio.open(result.scene) as scene, rasterio.open(result.provenance) as provenance:
        filled = provenance.read(1) >= 2
        got = scene.read() * np.float32(scene.scales[0])
    psnr, angle = psnr_db(got[:, filled], expected[:, filled]), sam_deg(got[:, filled], expected[:, filled])
    print(f"{name:>10}: PSNR {psnr:.1f} dB, spectral angle {angle:.1f} degrees")
