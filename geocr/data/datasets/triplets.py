"""`triplets`: trainA, trainB, trainC and their test folders: cloudy, clear and radar pictures."""

import re
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, Unpack

from geocr.core.errors import InputError
from geocr.data.datasets.base import Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.pictures import NODATA, PictureDataset
from geocr.data.datasets.record import Partner, SampleRecord, Scan, scan_of_records

Pairing: TypeAlias = Literal["name", "order"]
_FOLDERS: tuple[tuple[Partner, str], ...] = (("cloudy", "A"), ("clear", "B"), ("sar", "C"))
_EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp")


class Triplets(PictureDataset):
    """Cloudy (A), clear (B) and radar (C) pictures, 8 bits, as Attention-GAN for cloud removal (PRL 2023) reads them.

    Args:
        root: Folder with `trainA`, `trainB`, `trainC` and `testA`, `testB`, `testC`, or one with `train/` that holds the first three
            and `test/` that holds the others.
        pairing: `name` pairs pictures of one stem. `order` pairs the first with the first of the sorted names, as the published code
            does; it demands equal numbers of pictures, because one missing file would shift all that follow.
        **options: As in `FusionDataset`.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="triplets",
        title="Folders trainA, trainB, trainC, testA, testB, testC: cloudy, clear and radar pictures",
        sar_bands=("VV",),
        optical_bands=("B04", "B03", "B02"),
        sar_unit="display",
        optical_unit="display",
        keys=("cloudy", "clear"),
        nodata=NODATA,
        mask="none in the set: give `cloud_mask`",
        splits=("train", "test"),
        split_rule="by folder, as the set comes",
        size="any; the published part of SEN12MS-CR has 256 x 256 pixels",
        licence="that of the data put into it",
        citation="Zhang, Li, Zhou, Wang, Hu: Cloud removal using SAR and optical images via attention mechanism-based GAN, Pattern Recognition Letters 175, 2023, 8-15",
        download="your own pictures, or the published part of SEN12MS-CR: github.com/Shuaizhang7/AttentionGAN-for-Cloud-removal",
        layout="{train,test}{A,B,C}/<name>.png (A cloudy, B clear, C radar)",
    )

    def __init__(self, root: str | Path, *, pairing: Pairing = "name", **options: Unpack[Options]) -> None:
        if pairing not in ("name", "order"):
            raise InputError(f"pairing is name or order, got {pairing!r}")
        self.pairing = pairing
        super().__init__(root, **options)

    def _scan(self) -> Scan:
        records: list[SampleRecord] = []
        for split in self.card.splits:
            files = {partner: _pictures(self.root, split, letter) for partner, letter in _FOLDERS}
            rows = _by_name(files) if self.pairing == "name" else self._by_order(split, files)
            records += [_record(split, name, row) for name, row in rows.items()]
        if not records:
            raise self.missing_data("folders trainA, trainB, trainC, testA, testB, testC with pictures")
        return scan_of_records(records, self.require)

    def _by_order(self, split: str, files: dict[Partner, dict[str, str]]) -> dict[str, dict[Partner, str]]:
        counts = {partner: len(found) for partner, found in files.items() if found}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count} {partner}" for partner, count in counts.items())
            raise InputError(
                f"pairing by order needs as many pictures in each folder of {split}; {self.root} has {told}; pair by name instead"
            )
        columns = {partner: [found[name] for name in sorted(found, key=_natural)] for partner, found in files.items() if found}
        names = [sorted(found, key=_natural) for found in files.values() if found]
        return {name: {partner: column[row] for partner, column in columns.items()} for row, name in enumerate(names[0] if names else [])}


def _pictures(root: Path, split: str, letter: str) -> dict[str, str]:
    """Stem to path, relative to the root."""
    for folder in (f"{split}{letter}", f"{split}/{split}{letter}"):
        if (root / folder).is_dir():
            return {path.stem: f"{folder}/{path.name}" for path in (root / folder).iterdir() if path.suffix.lower() in _EXTENSIONS}
    return {}


def _by_name(files: dict[Partner, dict[str, str]]) -> dict[str, dict[Partner, str]]:
    names = sorted({name for found in files.values() for name in found}, key=_natural)
    return {name: {partner: found[name] for partner, found in files.items() if name in found} for name in names}


def _record(split: str, name: str, row: dict[Partner, str]) -> SampleRecord:
    return SampleRecord(
        id=f"{split}/{name}",
        roi=f"{split}/{name}",
        split=split,
        sar=(row["sar"],) if "sar" in row else (),
        cloudy=(row["cloudy"],) if "cloudy" in row else (),
        clear=row.get("clear"),
    )


def _natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sorting key by which 10 comes after 9."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part)
