"""`sen12mscr_flat`: SEN12MS-CR in three flat folders with one file name each, as GLF-CR and HPN-CR distribute it."""

import csv
import re
from pathlib import Path
from typing import ClassVar, Unpack

from geocr.core.bands import L1C_BANDS, S1_BANDS
from geocr.core.errors import InputError
from geocr.data.datasets.base import FusionDataset, Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.record import Partner, SampleRecord, Scan, scan_of_records
from geocr.data.datasets.sen12mscr import CITATION, SPLIT_RULE, split_of

_FOLDERS: tuple[tuple[Partner, str], ...] = (("sar", "s1"), ("cloudy", "s2_cloudy"), ("clear", "s2_cloudfree"))
_NAME = re.compile(r"(ROIs\d+_[a-z]+)_(\d+)_p(\d+)")
_CODES = {"1": "train", "2": "val", "3": "test"}


class Sen12mscrFlat(FusionDataset):
    """The triplets of `sen12mscr`, found by one name in `s1`, `s2_cloudy` and `s2_cloudfree`.

    Args:
        root: Folder with the three folders.
        split_file: A CSV of rows `1,s1,s2_cloudfree,s2_cloudy,<name>.tif`, where 1 is train, 2 val and 3 test (GLF-CR's form).
            (default: the published split by region, read from names like `ROIs1970_fall_139_p839.tif`)
        **options: As in `FusionDataset`.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="sen12mscr_flat",
        title="SEN12MS-CR in the flat folders of GLF-CR and HPN-CR: s1, s2_cloudy, s2_cloudfree",
        sar_bands=S1_BANDS,
        optical_bands=L1C_BANDS,
        sar_unit="db",
        sar_radiometry="sigma0",
        optical_unit="reflectance",
        keys=("cloudy", "clear"),
        nodata="sar: NaN and infinity; cloudy, clear: pixels that are 0 in every band read",
        mask="none in the set: give `cloud_mask`",
        splits=("train", "val", "test"),
        split_rule=f"{SPLIT_RULE}; or by a CSV list. Names that tell no region have no split: ask for `split=None`",
        size="any part of SEN12MS-CR, 256 x 256 pixels",
        licence="CC BY 4.0 by public descriptions; see mediaTUM before you redistribute",
        citation=CITATION,
        download="https://mediatum.ub.tum.de/1554803, rearranged; samples with github.com/xufangchn/GLF-CR",
        layout="{s1,s2_cloudy,s2_cloudfree}/<name>.tif, one name for the three files of a triplet",
    )

    def __init__(self, root: str | Path, *, split_file: str | Path | None = None, **options: Unpack[Options]) -> None:
        self.split_file = split_file
        super().__init__(root, **options)

    def _scan(self) -> Scan:
        names = {partner: self._names(folder) for partner, folder in _FOLDERS}
        listed = None if self.split_file is None else _read_list(self.split_file)
        every = sorted(set().union(*names.values()))
        if not every:
            raise self.missing_data("files s1/<name>.tif, s2_cloudy/<name>.tif and s2_cloudfree/<name>.tif")
        return scan_of_records(
            (_record(name, names, None if listed is None else listed.get(name), by_list=listed is not None) for name in every), self.require
        )

    def _names(self, folder: str) -> set[str]:
        where = self.root / folder
        return {path.name for path in where.glob("*.tif")} if where.is_dir() else set()


def _record(name: str, names: dict[Partner, set[str]], split: str | None, *, by_list: bool) -> SampleRecord:
    stem = name.removesuffix(".tif")
    match = _NAME.fullmatch(stem)
    season, roi = (match[1], int(match[2])) if match else ("", 0)
    paths = {partner: f"{folder}/{name}" for partner, folder in _FOLDERS if name in names[partner]}
    return SampleRecord(
        id=stem,
        roi=f"{season}_{roi}" if match else stem,
        split=split if by_list or not match else split_of(season, roi),
        sar=(paths["sar"],) if "sar" in paths else (),
        cloudy=(paths["cloudy"],) if "cloudy" in paths else (),
        clear=paths.get("clear"),
    )


def _read_list(path: str | Path) -> dict[str, str]:
    """File name to split."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as lines:
            rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
    except OSError as error:
        raise InputError(f"a split list must be readable; {path} is not: {error}") from error
    wrong = next((row for row in rows if len(row) < 5 or row[0] not in _CODES), None)
    if wrong is not None:
        raise InputError(f"rows of a split list are 1|2|3,s1,s2_cloudfree,s2_cloudy,<name>.tif; {path} has {','.join(wrong)!r}")
    return {row[4]: _CODES[row[0]] for row in rows}
