"""`allclear`: AllClear, series of Sentinel-2 TOA and Sentinel-1 with cloud and shadow masks, listed in JSON files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.core.types import BoolArray, FloatArray
from geocr.data.datasets.base import FusionDataset, Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.reading import Image, read_backscatter, read_layers, read_reflectance
from geocr.data.datasets.record import SampleRecord, Scan, scan_of_records
from geocr.data.sample import FusionSample

CROP_PX = 256
"""The published loader crops the centre: the borders are empty, because images were reprojected."""
_CLOUD_LAYERS = (2, 5)
"""Bands of a `cld_shdw` file: cloud, shadow."""
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shot:
    """One image of the list."""

    day: str
    path: str


class AllClear(FusionDataset):
    """`T` dates of Sentinel-2 with their masks, the Sentinel-1 image nearest to each, and a clear target, 256 x 256 pixels of 10 m.

    Each date gets the Sentinel-1 image nearest in time; where none lies within `max_days`, `sar` is NaN on that date. (The published
    loader fills ones.)

    Args:
        root: Folder under which the images lie: paths of the list are looked for by their last parts, from `roi<number>/` on.
        file_list: The JSON list, for example `metadata/datasets/train_tx3_s2-s1_100pct.json`. (default: the only
            `<split>_tx*.json` under the root)
        max_days: Greatest distance in days between the two sensors.
        **options: As in `FusionDataset`. The list decides the split; `split` says which it is.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="allclear",
        title="AllClear: series of 13-band Sentinel-2 TOA and Sentinel-1 with cloud and shadow masks, 23,742 regions of 2022",
        sar_bands=S1_BANDS,
        optical_bands=L1C_BANDS,
        sar_unit="db",
        optical_unit="reflectance",
        keys=("cloudy", "clear", "cloud_mask"),
        nodata="sar: NaN and infinity, and dates without Sentinel-1 near them; cloudy, clear: NaN, and pixels that are 0 in every band read",
        mask="the set's own (s2cloudless above 30 %, and projected shadows), True also where it has no value",
        splits=_SPLITS,
        split_rule="by region, as published: 19k, 1k and 3k regions, one JSON list each",
        size="about 4 million images, 256 x 256 pixels after the crop",
        licence="MIT for the repository; of the data, see allclear.cs.cornell.edu",
        citation="Zhou, Kao, Phoo, Mall, Hariharan, Bala: AllClear: A Comprehensive Dataset and Benchmark for Cloud Removal in Satellite Imagery, NeurIPS 2024, arXiv:2410.23891",
        download="https://allclear.cs.cornell.edu, or download.py of github.com/Zhou-Hangyu/allclear",
        layout="metadata/datasets/<split>_tx<T>_s2-s1_<share>pct.json and .../roi<n>/<year>_<month>/{s2_toa,s1,cld_shdw}/<file>.tif",
    )

    def __init__(self, root: str | Path, *, file_list: str | Path | None = None, max_days: int = 2, **options: Unpack[Options]) -> None:
        if max_days < 0:
            raise InputError(f"max_days is at least 0, got {max_days}")
        self.file_list, self.max_days = file_list, max_days
        super().__init__(root, **options)

    def _scan(self) -> Scan:
        return scan_of_records((self._record(key, entry) for key, entry in self._entries().items()), self.require)

    def _entries(self) -> dict[str, Any]:
        """The list, as it stands."""
        path = Path(self.file_list) if self.file_list is not None else self._only_list()
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self.missing_data(f"the JSON list {path}", f"{type(error).__name__}: {error}") from error
        if not isinstance(entries, dict) or not all(
            isinstance(entry, dict) and {"roi", "s2_toa"} <= set(entry) for entry in entries.values()
        ):
            raise InputError(
                f'a list of AllClear maps identifiers to {{"roi": [...], "s2_toa": [[time, path], ...], ...}}; {path} does not'
            )
        return entries

    def _only_list(self) -> Path:
        lists = sorted(self.root.glob(f"**/{self.split or '*'}_tx*.json"))
        if len(lists) != 1:
            found = ", ".join(path.name for path in lists) or None
            raise self.missing_data(f"one list {self.split or '<split>'}_tx*.json; with several, choose by `file_list`", found)
        return lists[0]

    def _record(self, key: str, entry: dict[str, Any]) -> SampleRecord:
        optical = _shots(entry["s2_toa"])
        radar = _shots(entry.get("s1", []))
        nearest = [_nearest(shot, radar, self.max_days) for shot in optical]
        target = _shots(entry.get("target", []))
        known = any(nearest)
        return SampleRecord(
            id=str(key),
            roi=str(entry["roi"][0]),
            split=self.split,
            date=target[0].day if target else None,
            sar=tuple("" if shot is None else shot.path for shot in nearest) if known else (),
            cloudy=tuple(shot.path for shot in optical),
            clear=target[0].path if target else None,
            masks=tuple(shot.path.replace("s2_toa", "cld_shdw") for shot in optical),
            sar_dates=tuple(None if shot is None else shot.day for shot in nearest),
            cloudy_dates=tuple(shot.day for shot in optical),
        )

    def _load(self, record: SampleRecord) -> FusionSample:
        cloudy = [self._optical_image(self._placed(path)) for path in record.cloudy]
        clear = None if record.clear is None else self._optical_image(self._placed(record.clear))
        blank = np.full((len(self.sar_bands), CROP_PX, CROP_PX), np.nan, np.float32)
        radar = record.sar if self.sar_bands else ()
        sar: list[FloatArray] = [self._sar_image(self._placed(path)).pixels if path else blank for path in radar]
        return self._assemble(
            record,
            sar=sar,
            cloudy=[image.pixels for image in cloudy],
            clear=None if clear is None else clear.pixels,
            masks=[self._mask_image(self._placed(path)) for path in record.masks],
            grid=(clear or cloudy[0]).grid,
        )

    def _sar_image(self, path: Path) -> Image:
        return read_backscatter(path, self.sar_bands, self.card.sar_bands, crop_px=CROP_PX)

    def _optical_image(self, path: Path) -> Image:
        return read_reflectance(path, self.optical_bands, self.card.optical_bands, crop_px=CROP_PX)

    def _mask_image(self, path: Path) -> BoolArray:
        layers = read_layers(path, _CLOUD_LAYERS, crop_px=CROP_PX)
        mask: BoolArray = np.any((layers > 0) | ~np.isfinite(layers), axis=0, keepdims=True)[0]
        return mask

    def _placed(self, path: str) -> Path:
        """Where a file of the list lies here."""
        return self.root / path


def _shots(listed: Sequence[Sequence[str]]) -> list[_Shot]:
    """Images of a list in the order of time; paths from the region's folder on, as they were stored on the authors' machines."""
    shots = [_Shot(day=str(time)[:10], path=_local(str(path))) for time, path in listed]
    return sorted(shots, key=lambda shot: shot.day)


def _local(path: str) -> str:
    parts = path.replace("\\", "/").split("/")
    start = next((place for place, part in enumerate(parts) if part.startswith("roi") and part[3:].isdigit()), len(parts) - 1)
    return "/".join(parts[start:])


def _nearest(shot: _Shot, others: Sequence[_Shot], max_days: int) -> _Shot | None:
    """The image nearest in time, the earlier of equals; None when it is further than `max_days`."""
    day = date.fromisoformat(shot.day)
    best = min(others, key=lambda other: abs((date.fromisoformat(other.day) - day).days), default=None)
    return best if best is not None and abs((date.fromisoformat(best.day) - day).days) <= max_days else None
