"""`rice`: RICE1 and RICE2, cloudy and clear RGB pictures; no Sentinel-1."""

from pathlib import Path
from typing import ClassVar, Literal, TypeAlias, Unpack, get_args

from geocr.core.errors import InputError
from geocr.data.datasets.base import Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.pictures import NODATA, PictureDataset
from geocr.data.datasets.record import Partner, SampleRecord, Scan, scan_of_records
from geocr.data.datasets.splitting import split_at_random

Part: TypeAlias = Literal["RICE1", "RICE2"]
_FOLDERS: tuple[tuple[Partner, str], ...] = (("cloudy", "cloud"), ("clear", "label"), ("mask", "mask"))


class Rice(PictureDataset):
    """Cloudy and clear pictures, 512 x 512, 8 bits; RICE2 with a mask.

    Args:
        root: Folder that holds `RICE1` and `RICE2`.
        part: Which of the two.
        ratios: Shares of train, val and test.
        seed: Of the split.
        **options: As in `FusionDataset`. The mask is required of neither part unless `require` says so.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="rice",
        title="RICE: 500 pairs from Google Earth (RICE1) and 736 with masks from Landsat-8 (RICE2), RGB pictures",
        sar_bands=(),
        optical_bands=("B04", "B03", "B02"),
        sar_unit="display",
        optical_unit="display",
        keys=("cloudy", "clear", "cloud_mask"),
        nodata=NODATA,
        mask="RICE2: its own, True where not 0; RICE1: none",
        splits=("train", "val", "test"),
        split_rule="none is published: at random from a seed (.7/.1/.2, seed 42); pictures of one scene may stand in several splits",
        size="500 and 736 pairs (the paper says 450), 512 x 512 pixels",
        licence="not stated by its publisher",
        citation="Lin, Xu, Wang, Wang, Sun, Fu: A Remote Sensing Image Dataset for Cloud Removal, arXiv:1901.00600, 2019",
        download="https://github.com/BUPTLdy/RICE_DATASET",
        layout="RICE1/{cloud,label}/<n>.png, RICE2/{cloud,label,mask}/<n>.png",
    )

    def __init__(
        self,
        root: str | Path,
        *,
        part: Part = "RICE1",
        ratios: tuple[float, float, float] = (0.7, 0.1, 0.2),
        seed: int = 42,
        **options: Unpack[Options],
    ) -> None:
        if part not in get_args(Part):
            raise InputError(f"part is RICE1 or RICE2, got {part!r}")
        self.part, self.ratios, self.seed = part, ratios, seed
        if options.get("require") is None:
            options["require"] = ("cloudy", "clear")
        super().__init__(root, **options)

    def _scan(self) -> Scan:
        files = {partner: self._pictures(folder) for partner, folder in _FOLDERS}
        names = sorted({name for found in files.values() for name in found}, key=lambda name: (len(name), name))
        if not names:
            raise self.missing_data(f"pictures {self.part}/cloud/<n>.png and {self.part}/label/<n>.png")
        split = split_at_random(names, ratios=self.ratios, seed=self.seed)
        records = (
            SampleRecord(
                id=f"{self.part}/{name}",
                roi=f"{self.part}/{name}",
                split=split[name],
                cloudy=(files["cloudy"][name],) if name in files["cloudy"] else (),
                clear=files["clear"].get(name),
                masks=(files["mask"][name],) if name in files["mask"] else (),
            )
            for name in names
        )
        return scan_of_records(records, self.require)

    def _pictures(self, folder: str) -> dict[str, str]:
        where = self.root / self.part / folder
        return {path.stem: f"{self.part}/{folder}/{path.name}" for path in where.glob("*.png")} if where.is_dir() else {}
