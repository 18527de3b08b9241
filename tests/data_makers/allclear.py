"""`roi<n>/<year>_<month>/{s2_toa,s1,cld_shdw}/roi<n>_<kind>_<y>_<m>_<d>_median.tif` and a JSON list with the authors' own paths."""

import json
from pathlib import Path

import numpy as np

from tests.data_makers.pixels import backscatter, counts, write_tif

SERVER = "/scratch/allclear/dataset_v3/dataset_30k_v4/"
SIDE = 260


def make_allclear(root: Path, rois: int = 1, *, s1_days: tuple[int, ...] = (2, 20)) -> Path:
    """Three dates (3, 13, 23 January 2022) and a target on 28 January; Sentinel-1 on `s1_days`. Borders are NaN."""
    rng = np.random.default_rng(0)
    entries = {}
    for number in range(1, rois + 1):
        entry = {"roi": [f"roi{number}", [48.1, 11.5]], "s2_toa": [], "s1": [], "target": []}
        for day in (23, 3, 13, 28):
            optical = counts(rng, side=SIDE, cloudy=day != 28).astype(np.float32)
            optical[:, :2], optical[:, :, :2] = np.nan, np.nan
            optical[:, 130, 130] = 1000 + day
            path = _path(number, "s2_toa", day)
            write_tif(root / path, optical)
            layers = np.zeros((5, SIDE, SIDE), np.float32)
            layers[1, 2:50], layers[4, 50:60], layers[1, 130, 130] = 1, 1, np.nan
            write_tif(root / _path(number, "cld_shdw", day), layers)
            entry["target" if day == 28 else "s2_toa"].append([f"2022-01-{day:02d} 10:20:30", SERVER + path])
        for day in s1_days:
            radar = backscatter(rng, SIDE)
            radar[:, 130, 130] = -day
            write_tif(root / _path(number, "s1", day), radar)
            entry["s1"].append([f"2022-01-{day:02d} 05:00:00", SERVER + _path(number, "s1", day)])
        entries[str(number - 1)] = entry
    folder = root / "metadata" / "datasets"
    folder.mkdir(parents=True)
    (folder / "train_tx3_s2-s1_100pct.json").write_text(json.dumps(entries))
    return root


def _path(number: int, kind: str, day: int) -> str:
    return f"roi{number}/2022_1/{kind}/roi{number}_{kind}_2022_1_{day}_median.tif"
