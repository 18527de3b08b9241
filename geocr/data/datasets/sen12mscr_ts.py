"""`sen12mscr_ts`: SEN12MS-CR-TS, thirty dates of Sentinel-1 and Sentinel-2 per patch: some are input, one is the target."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, Unpack, get_args

import numpy as np
import torch

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.data.datasets.base import FusionDataset, Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.dates import DateChoice, choose_fixed, choose_random
from geocr.data.datasets.published import published_split
from geocr.data.datasets.record import SampleRecord, Scan, scan_of
from geocr.data.index import index_covers
from geocr.data.sample import FusionSample

DATES = 30
"""Dates of every series, all of 2018."""
Sampling: TypeAlias = Literal["fixed", "random"]
Region: TypeAlias = Literal["all", "africa", "america", "asiaEast", "asiaWest", "europa"]
_SPLITS = ("train", "val", "test")
_FILE = re.compile(r"s[12]_(ROIs\d+)_(\d+)_ImgNo_(\d+)_(\d{4}-\d{2}-\d{2})_patch_(\d+)\.tif")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """File names of one region: those of a date differ in the patch number only."""

    days: dict[str, tuple[str, ...]]
    """`S1` and `S2` to the ISO dates of the thirty images."""
    patches: dict[str, set[int]]
    """`S1` and `S2` to the patches that have all thirty images."""
    any: set[int]
    """All patches of which a file is there."""


class Sen12mscrTs(FusionDataset):
    """`T` cloudy dates of Sentinel-1 and Sentinel-2, and a clear one, 256 x 256 pixels of 10 m.

    Which dates these are follows from their cloud cover: give it as `cover`, or give a `cloud_mask`, by which it is measured the first
    time a sample is read, at the price of reading thirty images. An index made with a `cloud_mask` keeps what was measured.

    Args:
        root: Folder that holds `ROIs1158`, `ROIs1868`, `ROIs1970`, `ROIs2017`, whichever are there.
        inputs: Input dates per sample, 1 to 29.
        sampling: `fixed` gives the same dates each time, `random` another target each epoch (call `set_epoch`).
        min_cover: Least cloud share of an input (`fixed`).
        max_cover: Greatest cloud share of an input (`fixed`).
        target_among_inputs: As the published loader, let the target be one of its inputs (`fixed`).
        region: One of the five regions, or `all`.
        cover: Identifier of a sample to the cloud shares of its thirty dates; or the path of an index that has them.
        seed: Of the random rule. Equal seed, epoch and sample give equal dates, whatever the number of workers.
        **options: As in `FusionDataset`.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="sen12mscr_ts",
        title="SEN12MS-CR-TS: thirty dates of Sentinel-1 and 13-band Sentinel-2 L1C, 53 regions",
        sar_bands=S1_BANDS,
        optical_bands=L1C_BANDS,
        sar_unit="db",
        sar_radiometry="sigma0",
        optical_unit="reflectance",
        keys=("cloudy", "clear"),
        nodata="sar: NaN and infinity; cloudy, clear: pixels that are 0 in every band read",
        mask="none in the set: give `cloud_mask`",
        splits=_SPLITS,
        split_rule=(
            "35, 5 and 13 regions, as published, matched on whole names. Beware of SEN12MS-CR: its training holds ROIs1868 100, which is test here, "
            "and its validation ROIs2017 130, which is training here"
        ),
        size="53 regions x 30 dates of 2018, 256 x 256 pixels, about 2 TB",
        licence="CC BY 4.0 by public descriptions; see mediaTUM before you redistribute",
        citation="Ebel, Xu, Schmitt, Zhu: SEN12MS-CR-TS: A Remote-Sensing Data Set for Multimodal Multitemporal Cloud Removal, IEEE TGRS 60, 2022, doi:10.1109/TGRS.2022.3146246",
        download="https://mediatum.ub.tum.de/1639953 (training and validation) and https://mediatum.ub.tum.de/1659251 (test); merge the archives into one folder",
        layout="ROIs<seed>/<region>/{S1,S2}/<0..29>/{s1,s2}_ROIs<seed>_<region>_ImgNo_<0..29>_<YYYY-MM-DD>_patch_<n>.tif",
    )

    def __init__(
        self,
        root: str | Path,
        *,
        inputs: int = 3,
        sampling: Sampling = "fixed",
        min_cover: float = 0.0,
        max_cover: float = 1.0,
        target_among_inputs: bool = False,
        region: Region = "all",
        cover: Mapping[str, Sequence[float]] | str | Path | None = None,
        seed: int = 0,
        **options: Unpack[Options],
    ) -> None:
        if sampling not in get_args(Sampling) or region not in get_args(Region):
            raise InputError(
                f"sampling is {', '.join(get_args(Sampling))} and region {', '.join(get_args(Region))}; got {sampling!r}, {region!r}"
            )
        if not 1 <= inputs < DATES:
            raise InputError(f"a series of {DATES} dates gives 1 to {DATES - 1} inputs and a target, got inputs={inputs}")
        if options.get("require") is not None:
            raise InputError("a sample of sen12mscr_ts is made of all its dates in both modalities: `require` cannot be set")
        if cover is None and options.get("cloud_mask") is None:
            raise InputError(
                "dates are chosen by their cloud cover: give `cover` (an index made with a cloud_mask, or identifier to the cloud shares of "
                "the thirty dates) or `cloud_mask` (auto, another detector, or a function); on the command line --set cloud_mask=auto; got neither"
            )
        self.inputs, self.sampling, self.seed = inputs, sampling, seed
        self.min_cover, self.max_cover, self.target_among_inputs = min_cover, max_cover, target_among_inputs
        self.region, self.cover = region, index_covers(cover) if isinstance(cover, str | Path) else cover
        self._measured: dict[str, tuple[float, ...]] = {}
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        super().__init__(root, **options)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, so that the random rule draws other dates; also heard by workers that already run."""
        self._epoch[0] = epoch

    def dates(self, index: int) -> DateChoice:
        """The dates of a sample in this epoch."""
        return self._choose(self.samples[index])

    def covers(self, index: int) -> Sequence[float]:
        """Cloud share of each of the thirty dates of a sample, 0 to 1."""
        return self._cover(self.samples[index])

    def settings(self) -> dict[str, object]:
        """As the base class."""
        names = ("inputs", "sampling", "seed", "min_cover", "max_cover", "target_among_inputs")
        known = None if self.cover is None else json.dumps({name: list(self.cover[name]) for name in sorted(self.cover)})
        cover = None if known is None else hashlib.sha256(known.encode()).hexdigest()
        return super().settings() | {name: getattr(self, name) for name in names} | {"cover": cover}

    def _scan(self) -> Scan:
        self.require = ("sar", "cloudy")
        lists = published_split("sen12mscr_ts")
        wanted = None if self.region == "all" else set(lists["region"][self.region])
        split_of = {roi: split for split in _SPLITS for roi in lists[split]}
        patterns: dict[SampleRecord, list[int]] = {}
        seen = False
        for season in sorted(self.root.glob("ROIs*")):
            for place in sorted(path for path in season.iterdir() if path.is_dir()):
                seen = True
                name = f"{season.name.removeprefix('ROIs')}/{place.name}"
                if wanted is None or name in wanted:
                    series = _read_names(place)
                    for number in sorted(series.any):
                        patterns.setdefault(_pattern(season.name, place.name, split_of.get(name), series, number), []).append(number)
        if not seen:
            raise self.missing_data("folders ROIs1158, ROIs1868, ROIs1970, ROIs2017")
        return scan_of(patterns, self.require)

    def _load(self, record: SampleRecord) -> FusionSample:
        choice = self._choose(record)
        return super()._load(
            replace(
                record,
                sar=tuple(record.sar[date] for date in choice.inputs),
                cloudy=tuple(record.cloudy[date] for date in choice.inputs),
                clear=record.cloudy[choice.target],
                sar_dates=tuple(record.sar_dates[date] for date in choice.inputs),
                cloudy_dates=tuple(record.cloudy_dates[date] for date in choice.inputs),
                date=record.cloudy_dates[choice.target],
            )
        )

    def _choose(self, record: SampleRecord) -> DateChoice:
        cover = self._cover(record)
        if self.sampling == "fixed":
            return choose_fixed(
                cover, self.inputs, min_cover=self.min_cover, max_cover=self.max_cover, target_among_inputs=self.target_among_inputs
            )
        place = int.from_bytes(record.id.encode()[-32:], "little")
        return choose_random(cover, self.inputs, np.random.default_rng([self.seed, int(self._epoch), place]))

    def _cover(self, record: SampleRecord) -> Sequence[float]:
        """Cloud share of every date: known, or measured once."""
        if self.cover is not None:
            if record.id not in self.cover:
                raise InputError(f"`cover` must know every sample, {record.id} is missing; index the data set again")
            known = self.cover[record.id]
            if len(known) != DATES:
                raise InputError(f"`cover` holds {DATES} cloud shares for each sample; {record.id} has {len(known)}")
            return known
        if record.id not in self._measured and self.cloud_mask is not None:
            shares = []
            for path in record.cloudy:
                image = self._optical_image(self.root / path).pixels
                shares.append(float(self.cloud_mask(image, self.optical_bands).mean()))
            self._measured[record.id] = tuple(shares)
        return self._measured[record.id]


def _read_names(place: Path) -> _Series:
    """What the folders of one region hold, by names alone."""
    days: dict[str, tuple[str, ...]] = {}
    patches: dict[str, set[int]] = {}
    every: set[int] = set()
    for modality in ("S1", "S2"):
        complete: set[int] | None = None
        dates = []
        for date in range(DATES):
            folder = place / modality / str(date)
            names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - names alone: a million of them
            matches = [match for match in map(_FILE.fullmatch, names) if match and int(match[3]) == date]
            day, _ = Counter(match[4] for match in matches).most_common(1)[0] if matches else ("", 0)
            numbers = {int(match[5]) for match in matches if match[4] == day}
            dates.append(day)
            complete = numbers if complete is None else complete & numbers
            every |= numbers
        days[modality] = tuple(dates)
        patches[modality] = complete or set()
    return _Series(days=days, patches=patches, any=every)


def _pattern(season: str, place: str, split: str | None, series: _Series, number: int) -> SampleRecord:
    """The record of a region's patches that are complete in the same modalities."""

    def paths(modality: str) -> tuple[str, ...]:
        if number not in series.patches[modality]:
            return ()
        return tuple(
            f"{season}/{place}/{modality}/{date}/{modality.lower()}_{season}_{place}_ImgNo_{date}_{day}_patch_{{n}}.tif"
            for date, day in enumerate(series.days[modality])
        )

    sar, cloudy = paths("S1"), paths("S2")
    return SampleRecord(
        id=f"{season}_{place}_patch_{{n}}",
        roi=f"{season}_{place}",
        split=split,
        sar=sar,
        cloudy=cloudy,
        sar_dates=series.days["S1"] if sar else (),
        cloudy_dates=series.days["S2"] if cloudy else (),
    )
