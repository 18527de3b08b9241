"""How well other dates fill clouds of a real scene, against what needs no other date and against the other date as it is.

The whole tile T33TWM at 120 m on 13, 15 and 18 August 2023 (Sentinel-2 L2A, bands B02 B03 B04 B08, no Sentinel-1). Clouds of 18 August, as
its scene classification has them, are laid over a clear date, whose pixels under them are then hidden from every method and are the truth.

    python benchmarks/several_dates.py ../shared/data/s2_l2a_scene_T33TWM_120m
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio

from geocr.clouds.selection import make_cloud_mask
from geocr.config import PredictConfig
from geocr.core.types import BoolArray, FloatArray, NumberArray
from geocr.evaluation.interpolation import interpolate_holes
from geocr.inference.run import predict_scene
from geocr.io.open import open_scene
from geocr.io.scene import Scene

FOLDERS = {
    "13 August": "S2B_33TWM_20230813_0_L2A",
    "15 August": "S2A_33TWM_20230815_0_L2A",
    "18 August": "S2A_33TWM_20230818_0_L2A",
}
ASSETS = {"blue": "B02", "green": "B03", "red": "B04", "nir": "B08", "scl": "SCL"}


def local_item(source: Path, folder: Path) -> str:
    """The item of a scene with the assets that lie beside it; as published it points to a bucket."""
    item = json.loads((source / f"{source.name}.json").read_text())
    item["assets"] = {name: asset for name, asset in item["assets"].items() if name in ASSETS}
    for name, asset in item["assets"].items():
        asset["href"] = str((source / f"{ASSETS[name]}.tif").absolute())
    path = folder / f"{source.name}.json"
    path.write_text(json.dumps(item))
    return str(path)


def clouds_of(scene: Scene) -> BoolArray:
    """The mask that a reference gets."""
    return make_cloud_mask(scene, "auto", scl=scene.optical_facts.scl).read(scene.grid.window)


def write_mask(path: Path, mask: BoolArray, scene: Scene) -> str:
    """A mask on the scene's pixels."""
    grid = scene.grid
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "height": grid.shape[0], "width": grid.shape[1]}
    with rasterio.open(path, "w", crs=grid.crs, transform=grid.transform, **profile) as file:
        file.write(mask[None].astype(np.uint8))
    return str(path)


def read_result(path: Path, scene: Scene) -> FloatArray:
    """Reflectance of a result."""
    with rasterio.open(path) as file:
        pixels: NumberArray = file.read()
    return scene.scale.to_reflectance(pixels)


def rmse(filled: FloatArray, truth: FloatArray, where: BoolArray) -> dict[str, float]:
    """By band and over all of them."""
    squares = (filled[:, where].astype(np.float64) - truth[:, where]) ** 2
    by_band = {f"band {number}": float(np.sqrt(band.mean())) for number, band in enumerate(squares)}
    return {**by_band, "all": float(np.sqrt(squares.mean()))}


def measure(items: Mapping[str, str], target: str, folder: Path) -> dict[str, object]:
    """Every method on one clear date."""
    scenes = {name: open_scene(path) for name, path in items.items()}
    masks = {name: clouds_of(scene) for name, scene in scenes.items()}
    scene = scenes[target]
    truth = scene.read_reflectance(scene.grid.window)
    hidden = masks["18 August"] | masks[target]
    mask = write_mask(folder / "hidden.tif", hidden, scene)
    others = {name: path for name, path in items.items() if name != target}
    (nearest,) = [name for name in others if name != "18 August"]
    other = scenes[nearest].read_reflectance(scene.grid.window)
    seen = np.isfinite(truth).all(axis=0) & np.isfinite(other).all(axis=0)
    tested = masks["18 August"] & ~masks[target] & ~masks[nearest] & seen
    answers = {"interpolation": interpolate_holes(truth, hidden & seen, seen & ~hidden), f"{nearest} as it is": other}
    summaries = {}
    for method in ("scenefit", "temporal"):
        config = PredictConfig(cloud_mask=mask, mask_buffer_px=0, references=tuple(others.values()), method=method, uncertainty=True)
        out = folder / f"{method}.tif"
        summaries[method] = predict_scene(None, items[target], out, config=config, overwrite=True).summary
        answers[method] = read_result(out, scene)
    with rasterio.open(folder / "temporal_std.tif") as file:
        std = file.read() * file.scales[0]
    error = np.abs(answers["temporal"] - truth)[:, tested]
    return {
        "target": target,
        "hidden_px": int(hidden.sum()),
        "tested_px": int(tested.sum()),
        "rmse": {name: rmse(filled, truth, tested) for name, filled in answers.items()},
        "within_one_std": float((error <= std[:, tested]).mean()),
        "within_two_std": float((error <= 2 * std[:, tested]).mean()),
        "border": {name: border_jump(filled, truth, tested) for name, filled in answers.items()},
        "dates": summaries["temporal"]["dates"],
        "pixels": summaries["temporal"]["pixels"],
    }


def border_jump(filled: FloatArray, truth: FloatArray, tested: BoolArray) -> float:
    """Mean absolute step from tested pixels to their clear neighbours, over the same step in the truth: 1 where no border shows."""
    jumps, steps = [], []
    for axis in (1, 2):
        inside = np.moveaxis(tested, axis - 1, 0)
        here, there = np.moveaxis(filled, axis, 1), np.moveaxis(truth, axis, 1)
        edge = inside[1:] & ~inside[:-1] & np.isfinite(there[:, :-1]).all(axis=0)
        jumps.append(np.abs(here[:, 1:] - there[:, :-1])[:, edge].ravel())
        steps.append(np.abs(there[:, 1:] - there[:, :-1])[:, edge].ravel())
    return float(np.concatenate(jumps).mean() / np.concatenate(steps).mean())


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = {day: local_item(arguments.data / source, folder) for day, source in FOLDERS.items()}
        print(json.dumps([measure(items, target, folder) for target in ("15 August", "13 August")], indent=1))


if __name__ == "__main__":
    main()
