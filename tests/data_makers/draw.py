"""Draws one picture for each data set's page: an invented place, in that set's modalities, bands and number of dates.

    python -m tests.data_makers.draw docs/datasets/images

No Sentinel data: the place is simulated (`geocr.simulate`), seed 5.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from geocr.data.datasets import DATASETS
from geocr.data.datasets.card import DatasetCard
from geocr.simulate.scene import SimulatedScene, simulate_scene

SIDE, GAP, TITLE = 128, 8, 16
DATES = {"sen12mscr_ts": 3, "allclear": 3}
MONO_GROUND = {"cloud38": 30.0}


def panels_of(card: DatasetCard) -> list[tuple[str, NDArray[np.uint8]]]:
    """Titles and RGB pictures of what a sample of the set holds."""
    covers = (0.45, 0.2, 0.7)[: DATES.get(card.name, 1)]
    scenes = [
        simulate_scene(shape=(SIDE, SIDE), seed=5, cloud_cover=cover, pixel_size_m=MONO_GROUND.get(card.name, 10.0)) for cover in covers
    ]
    first, panels = scenes[0], []
    for number, band in enumerate(card.sar_bands):
        panels.append((f"sar {band}", _grey(first.sar_db[number])))
    for number, scene in enumerate(scenes):
        label = f" {number + 1}" if len(scenes) > 1 else ""
        if "cloudy" in card.keys:
            panels.append((f"cloudy{label}", _rgb(scene, scene.cloudy)))
        if "cloud_mask" in card.keys:
            mask = scene.cloud_mask | (scene.shadow_mask if card.name != "cloud38" else False)
            panels.append((f"cloud_mask{label}", np.repeat(np.where(mask, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)))
    if "clear" in card.keys:
        panels.append(("clear", _rgb(first, first.clear)))
    return panels


def _grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.percentile(values, (2, 98))
    return np.repeat((255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)[:, :, None], 3, axis=2)


def _rgb(scene: SimulatedScene, image: NDArray[Any]) -> NDArray[np.uint8]:
    colours = np.stack([image[scene.bands.index(band)] for band in ("B04", "B03", "B02")], axis=-1)
    return (255 * np.clip(colours / 0.35, 0, 1) ** 0.8).astype(np.uint8)


def draw(card: DatasetCard, destination: Path) -> None:
    panels = panels_of(card)
    sheet = Image.new("RGB", (len(panels) * (SIDE + GAP) + GAP, SIDE + TITLE + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (title, pixels) in enumerate(panels):
        left = GAP + number * (SIDE + GAP)
        pen.text((left, 2), title, fill=(30, 30, 30))
        sheet.paste(Image.fromarray(pixels), (left, TITLE))
    sheet.quantize(64).save(destination, optimize=True)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in DATASETS:
        draw(DATASETS.load(name).card, folder / f"{name}.png")


if __name__ == "__main__":
    main()
