"""`sen12mscr`: SEN12MS-CR in its published layout, split by region on whole directory names."""

import os
import re
from typing import ClassVar

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.data.datasets.base import FusionDataset
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.published import published_split
from geocr.data.datasets.record import SampleRecord, Scan, scan_of

SEASONS = ("ROIs1158_spring", "ROIs1868_summer", "ROIs1970_fall", "ROIs2017_winter")
"""The four archives, in the order of their seeds."""
_KINDS = ("s1", "s2_cloudy", "s2")
_ROI = re.compile(r"(?:s1|s2|s2_cloudy)_(\d+)")
_PATCH = re.compile(r"_p(\d+)\.tif")

CITATION = (
    "Ebel, Meraner, Schmitt, Zhu: Multisensor Data Fusion for Cloud Removal in Global and All-Season Sentinel-2 Imagery, "
    "IEEE TGRS 59, 2021, doi:10.1109/TGRS.2020.3024744"
)
SPLIT_RULE = (
    "155, 10 and 10 regions, exactly as published (the same in four repositories), matched on the whole name of the directory: "
    "matched by substring, as published loaders do, 6 of the 10 test regions end up in training"
)


def split_of(season: str, roi: int) -> str | None:
    """The published split of a region: `train`, `val`, `test`, or None for a region in none of the lists.

    Args:
        season: For example `ROIs1158_spring`.
        roi: Its number; 1 is 1, never the beginning of 106.
    """
    lists = published_split("sen12mscr")
    return next((split for split in ("train", "val", "test") if roi in lists[split].get(season, ())), None)


class Sen12mscr(FusionDataset):
    """Triplets of one region and two or three dates, 256 x 256 pixels of 10 m: Sentinel-1, cloudy and clear Sentinel-2 L1C.

    The set does not tell dates; those of a triplet lie days to weeks apart.

    Args:
        root: Folder that holds `ROIs1158_spring_s1` and its like; whichever are there are used.
        **options: As in `FusionDataset`.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="sen12mscr",
        title="SEN12MS-CR: Sentinel-1, cloudy and clear 13-band Sentinel-2 L1C of 175 regions",
        sar_bands=S1_BANDS,
        optical_bands=L1C_BANDS,
        sar_unit="db",
        sar_radiometry="sigma0",
        optical_unit="reflectance",
        keys=("cloudy", "clear"),
        nodata="sar: NaN and infinity; cloudy, clear: pixels that are 0 in every band read",
        mask="none in the set: give `cloud_mask`, or filter by an index",
        splits=("train", "val", "test"),
        split_rule=SPLIT_RULE,
        size="122,218 triplets of 256 x 256 pixels, about 272 GB as archives",
        licence="CC BY 4.0 by public descriptions; see mediaTUM before you redistribute",
        citation=CITATION,
        download="https://mediatum.ub.tum.de/1554803 (12 archives; unpack all of them into one folder)",
        layout="ROIs<seed>_<season>_{s1,s2,s2_cloudy}/{s1,s2,s2_cloudy}_<region>/ROIs<seed>_<season>_{s1,s2,s2_cloudy}_<region>_p<n>.tif",
    )

    def _scan(self) -> Scan:
        folders = [season for season in SEASONS if any((self.root / f"{season}_{kind}").is_dir() for kind in _KINDS)]
        if not folders:
            raise self.missing_data(f"folders {SEASONS[0]}_s1 and its like")
        patterns: dict[SampleRecord, list[int]] = {}
        for season in folders:
            for roi, numbers in sorted(self._regions(season).items()):
                for number, kinds in numbers.items():
                    patterns.setdefault(_pattern(season, roi, kinds), []).append(number)
        return scan_of(patterns, self.require)

    def _regions(self, season: str) -> dict[int, dict[int, tuple[str, ...]]]:
        """Region to patch number to the kinds of files that are there."""
        found: dict[int, dict[int, tuple[str, ...]]] = {}
        for kind in _KINDS:
            folder = self.root / f"{season}_{kind}"
            if not folder.is_dir():
                continue
            for entry in os.scandir(folder):
                match = _ROI.fullmatch(entry.name)
                if match and entry.is_dir():
                    patches = found.setdefault(int(match[1]), {})
                    start = f"{season}_{kind}_{match[1]}"
                    for name in os.listdir(entry.path):  # noqa: PTH208 - names alone: hundreds of thousands of them
                        patch = _PATCH.fullmatch(name, len(start)) if name.startswith(start) else None
                        if patch:
                            number = int(patch[1])
                            patches[number] = (*patches.get(number, ()), kind)
        return found


def _pattern(season: str, roi: int, kinds: tuple[str, ...]) -> SampleRecord:
    """The record of a region's patches that have these kinds of files."""

    def path(kind: str) -> tuple[str, ...]:
        return (f"{season}_{kind}/{kind}_{roi}/{season}_{kind}_{roi}_p{{n}}.tif",) if kind in kinds else ()

    return SampleRecord(
        id=f"{season}_{roi}_p{{n}}",
        roi=f"{season}_{roi}",
        split=split_of(season, roi),
        sar=path("s1"),
        cloudy=path("s2_cloudy"),
        clear=next(iter(path("s2")), None),
    )
