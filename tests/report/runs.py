"""Files such as a run leaves them, with made-up pixels and the tags that a report reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from geocr._version import __version__
from geocr.inference.products import PROVENANCE_CATEGORIES
from tests.scenes import write_raster

BANDS = ("B02", "B03", "B04", "B08")
ERROR = {
    "rmse": [0.01, 0.02, 0.03, None],
    "rmse_overall": 0.02,
    "rmse_with_sar": 0.019,
    "rmse_without_sar": 0.04,
    "within_one_std": 0.7,
    "within_two_std": 0.95,
    "held_out_px": 12345,
    "clear_px": 99999,
}


@dataclass(frozen=True)
class Run:
    folder: Path
    name: str
    after: NDArray[np.uint16]
    before_dn: NDArray[np.uint16]
    classes: NDArray[np.uint8]
    std_counts: NDArray[np.uint16] | None
    tags: dict[str, str]

    @property
    def scene(self) -> str:
        return str(self.folder / f"{self.name}.tif")

    @property
    def s2(self) -> str:
        return str(self.folder / "s2.tif")

    def beside(self, ending: str) -> Path:
        return self.folder / f"{self.name}{ending}"


def make_run(
    folder: Path,
    shape: tuple[int, int] = (150, 200),
    *,
    name: str = "clear",
    std: bool = True,
    replaced: bool = True,
    seed: int = 0,
    noise: int = 150,
    parameters: dict[str, Any] | None = None,
    overviews: bool = False,
) -> Run:
    """A scene whose middle is reconstructed with SAR, a strip of it without, and a corner taken from another date; its left rim is nodata."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rows, cols = shape
    ramp = np.linspace(600, 2400, cols)[None, None] * np.array([0.6, 0.8, 1.0, 1.6])[:, None, None]
    after = np.clip(ramp + rng.normal(0, noise, (4, *shape)), 101, 9000).astype(np.uint16)
    classes = np.ones(shape, np.uint8)
    if replaced:
        classes[rows // 4 : 3 * rows // 4, cols // 3 : 2 * cols // 3] = 2
        classes[rows // 2 : rows // 2 + 8, cols // 3 : 2 * cols // 3] = 3
        classes[: rows // 5, -cols // 5 :] = 4
    classes[:, :5] = 0
    after[:, classes == 0] = 0
    before = after.copy()
    before[:, classes >= 2] = 9500
    counts = None
    settings = {"cloud_mask": "auto", "mode": "replace-clouds", "uncertainty": std, "seed": 0, **(parameters or {})}
    tags = {
        "GEOCR_VERSION": __version__,
        "GEOCR_METHOD": json.dumps({"name": "scenefit", "error": ERROR}),
        "GEOCR_INPUT_S2": "s2.tif",
        "GEOCR_INPUT_S1": "s1.tif",
        "GEOCR_CLOUD_MASK": json.dumps({"source": "rule"}),
        "GEOCR_SCALE": json.dumps({"scale": 1e-4, "offset": -0.1}),
        "GEOCR_PARAMETERS": json.dumps(settings, sort_keys=True),
        "ATTRIBUTION": "Contains modified Copernicus Sentinel data [2021]",
    }
    about = {"nodata": 0, "descriptions": BANDS, "scale": 1e-4, "offset": -0.1, "block": 128}
    write_raster(folder / f"{name}.tif", after, tags=tags, **about)
    write_raster(folder / "s2.tif", before, **about)
    names = {f"PROVENANCE_{int(value)}": text for value, (text, _) in PROVENANCE_CATEGORIES.items()}
    path = folder / f"{name}_provenance.tif"
    write_raster(path, classes[None], nodata=0, tags={**tags, **names}, block=128)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {int(value): rgba for value, (_, rgba) in PROVENANCE_CATEGORIES.items()})
    if std:
        counts = np.zeros((4, *shape), np.uint16)
        wide = np.broadcast_to(np.linspace(50, 400, cols).astype(np.uint16), shape)
        counts[:, np.isin(classes, (2, 3))] = wide[np.isin(classes, (2, 3))]
        counts[:, classes == 0] = 65535
        texts = tuple(f"{band} standard deviation" for band in BANDS)
        write_raster(folder / f"{name}_std.tif", counts, nodata=65535, descriptions=texts, scale=1e-4, tags=tags, block=128)
    if overviews:
        for file in sorted(folder.glob(f"{name}*.tif")):
            with rasterio.open(file, "r+") as dataset:
                dataset.build_overviews([2, 4], Resampling.nearest if "provenance" in file.name else Resampling.average)
    return Run(folder=folder, name=name, after=after, before_dn=before, classes=classes, std_counts=counts, tags=tags)
