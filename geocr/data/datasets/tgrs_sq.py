"""`tgrs_sq`: the union of two folders that MDF-CR calls TGRS-SQ, with its published split."""

import re
from pathlib import Path
from typing import ClassVar, Unpack

from geocr.core.errors import InputError
from geocr.data.datasets.base import Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.pictures import NODATA, PictureDataset
from geocr.data.datasets.published import published_split
from geocr.data.datasets.record import Records, SampleRecord, Scan, scan_of
from geocr.data.datasets.split_files import read_name_list
from geocr.data.datasets.splitting import warn_if_shared

SOURCE = "Dataset_TGRS-2018-01535"
"""Folder of the set as it was distributed."""
_FOLDERS = ("train", "test_simu")
_SPLITS = ("train", "val", "test")
_NAME = re.compile(r"(train|test_simu)/(?:sar|rgb)/(\d+)\.bmp")


class TgrsSq(PictureDataset):
    """Radar (one look, grey) and optical picture (RGB) of one place, 256 x 256, 8 bits, BMP. No clouds.

    Args:
        root: Folder with `train/{sar,rgb}` and `test_simu/{sar,rgb}`, or one that holds `Dataset_TGRS-2018-01535`.
        split_file: MDF-CR's `FileNameList.txt` instead of the list that comes with geocr, which is the same.
        **options: As in `FusionDataset`.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="tgrs_sq",
        title="TGRS-SQ of MDF-CR: 1,200 radar and RGB pictures, the union of `train` and `test_simu`",
        sar_bands=("VV",),
        optical_bands=("B04", "B03", "B02"),
        sar_unit="display",
        optical_unit="display",
        keys=("clear",),
        nodata=NODATA,
        mask="none: MDF-CR pairs the test split with clouds of 38-Cloud",
        splits=_SPLITS,
        split_rule=(
            "MDF-CR's list: 1000 (830 of train, 170 of test_simu), 100 (85, 15) and 100 (85, 15); random, so that patches of one scene may stand "
            "in several splits, and the set does not tell its scenes: a warning says so"
        ),
        size="1,200 pairs, 256 x 256 pixels",
        licence="not stated by its publisher",
        citation="Li: SAR and Optical Image Fusion for Cloud Removal via Disentangled Representation (MDF-CR), github.com/lizijue/MDF-CR; data: TGRS-2018-01535",
        download="MDF-CR's README says that the set is no longer offered and to ask its provider",
        layout=f"{SOURCE}/{{train,test_simu}}/{{sar,rgb}}/<n>.bmp",
    )

    def __init__(self, root: str | Path, *, split_file: str | Path | None = None, **options: Unpack[Options]) -> None:
        self.split_file = split_file
        folder = Path(root)
        super().__init__(folder / SOURCE if (folder / SOURCE).is_dir() else folder, **options)

    def _scan(self) -> Scan:
        splits = self._lists()
        patterns: dict[SampleRecord, list[int]] = {}
        for folder in _FOLDERS:
            kinds = {kind: _numbers(self.root / folder / kind) for kind in ("sar", "rgb")}
            for number in sorted(kinds["sar"] | kinds["rgb"]):
                split = next((split for split in _SPLITS if number in splits[split].get(folder, ())), None)
                record = SampleRecord(
                    id=f"{folder}/{{n}}",
                    roi=folder,
                    split=split,
                    sar=(f"{folder}/sar/{{n}}.bmp",) if number in kinds["sar"] else (),
                    clear=f"{folder}/rgb/{{n}}.bmp" if number in kinds["rgb"] else None,
                )
                patterns.setdefault(record, []).append(number)
        if not patterns:
            raise self.missing_data("pictures train/sar/<n>.bmp, train/rgb/<n>.bmp and the same in test_simu")
        scan = scan_of(patterns, self.require)
        if self.split is not None and isinstance(scan.samples, Records):
            warn_if_shared(self.card.name, scan.samples, "MDF-CR's list")
        return scan

    def _lists(self) -> dict[str, dict[str, set[int]]]:
        """Split to folder to numbers."""
        if self.split_file is None:
            return {split: {folder: set(of) for folder, of in published_split("mdfcr")["tgrs_sq"][split].items()} for split in _SPLITS}
        named = read_name_list(self.split_file)
        if "TGRS-SQ" not in named:
            raise InputError(f"{self.split_file} must have the heading TGRS-SQ:; it has {', '.join(named) or 'none'}")
        lists: dict[str, dict[str, set[int]]] = {split: {} for split in _SPLITS}
        for split in _SPLITS:
            for name in named["TGRS-SQ"][split]["sar"]:
                match = _NAME.fullmatch(name)
                if match:
                    lists[split].setdefault(match[1], set()).add(int(match[2]))
        return lists


def _numbers(folder: Path) -> set[int]:
    return {int(path.stem) for path in folder.glob("*.bmp") if path.stem.isdigit()} if folder.is_dir() else set()
