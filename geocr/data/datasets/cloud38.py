"""`cloud38`: 38-Cloud, Landsat-8 patches with hand-drawn cloud masks: a source of real clouds."""

import re
from pathlib import Path
from typing import ClassVar, Unpack

import numpy as np

from geocr.data.datasets.base import FusionDataset, Options
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.reading import Image, read_counts
from geocr.data.datasets.record import SampleRecord, Scan, scan_of_records

REFLECTANCE_PER_DN, REFLECTANCE_AT_ZERO = 2e-5, -0.1
"""Landsat-8 Level-1 (USGS Landsat 8 Data Users Handbook, REFLECTANCE_MULT_BAND and REFLECTANCE_ADD_BAND), before the division by the
sine of the sun's elevation, which the patches do not tell: true reflectance is higher by that factor."""
_COLOURS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
_PATCH = re.compile(r"blue_(patch_\d+_\d+_by_\d+_(LC08_\w+?))\.TIF", re.IGNORECASE)
"""For example `blue_patch_1_1_by_1_LC08_L1TP_002053_20160520_20170324_01_T1.TIF`."""


class Cloud38(FusionDataset):
    """Four Landsat-8 bands and a cloud mask, 384 x 384 pixels of 30 m. No Sentinel-1 and no clear partner.

    Bands go by the names of the Sentinel-2 bands nearest to them. Thin cloud counts as cloud; shadows are not in the masks.

    Args:
        root: Folder that holds `38-Cloud_training` and `38-Cloud_test`, whichever are there.
        **options: As in `FusionDataset`. Masks of single patches exist in training only, and are required there.
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        name="cloud38",
        title="38-Cloud: Landsat-8 patches with cloud masks, the source of MDF-CR's real clouds",
        sar_bands=(),
        optical_bands=tuple(_COLOURS),
        sar_unit="db",
        optical_unit="reflectance",
        keys=("cloudy", "cloud_mask"),
        nodata="cloudy: pixels that are 0 in every band read (the black margins of Landsat scenes)",
        mask="drawn by hand, True = cloud, thin or thick; shadows are not marked; training only",
        splits=("train", "test"),
        split_rule="by scene, as published: 18 scenes train, 20 test",
        size="8,400 and 9,201 patches of 384 x 384 pixels",
        licence="not stated by its publisher; the images are those of USGS, in the public domain",
        citation="Mohajerani, Saeedi: Cloud-Net: An End-to-End Cloud Detection Algorithm for Landsat 8 Imagery, IGARSS 2019, doi:10.1109/IGARSS.2019.8898776",
        download="https://github.com/SorourMo/38-Cloud-A-Cloud-Segmentation-Dataset",
        layout="38-Cloud_{training,test}/{train,test}_{blue,green,red,nir}/<colour>_patch_<n>_<row>_by_<col>_<scene>.TIF, 38-Cloud_training/train_gt/gt_...",
    )

    def __init__(self, root: str | Path, **options: Unpack[Options]) -> None:
        if options.get("require") is None and options.get("split", "train") != "train":
            options["require"] = ("cloudy",)
        super().__init__(root, **options)

    def _scan(self) -> Scan:
        records: list[SampleRecord] = []
        for split, folder in (("train", "38-Cloud_training"), ("test", "38-Cloud_test")):
            if self.split in (None, split):
                names = {colour: self._names(folder, split, colour) for colour in (*_COLOURS.values(), "gt")}
                records += [_record(split, folder, name, names) for name in sorted(names["blue"])]
        if not records:
            raise self.missing_data("patches 38-Cloud_training/train_blue/blue_patch_<n>_<row>_by_<col>_<scene>.TIF")
        return scan_of_records(records, self.require)

    def _names(self, folder: str, split: str, colour: str) -> set[str]:
        where = self.root / folder / f"{split}_{colour}"
        return {path.name for path in where.iterdir()} if where.is_dir() else set()

    def _optical_image(self, path: Path) -> Image:
        images = [read_counts(_of_colour(path, _COLOURS[band])) for band in self.optical_bands]
        counts = np.concatenate([image.pixels for image in images])
        pixels = np.multiply(counts, np.float32(REFLECTANCE_PER_DN), dtype=np.float32) + np.float32(REFLECTANCE_AT_ZERO)
        pixels[:, ~counts.any(axis=0)] = np.nan
        return Image(pixels=pixels, grid=images[0].grid)


def _record(split: str, folder: str, name: str, names: dict[str, set[str]]) -> SampleRecord:
    """One patch. Without one of its four bands it has no image."""
    match = _PATCH.fullmatch(name)
    patch, scene = (match[1], match[2]) if match else (Path(name).stem, "unknown")
    of = {colour: name.replace("blue_", f"{colour}_", 1) for colour in names}
    whole = all(of[colour] in names[colour] for colour in _COLOURS.values())
    blue, *others = (f"{folder}/{split}_{colour}/{of[colour]}" for colour in _COLOURS.values())
    return SampleRecord(
        id=patch,
        roi=scene,
        split=split,
        cloudy=(blue,) if whole else (),
        masks=(f"{folder}/{split}_gt/{of['gt']}",) if of["gt"] in names["gt"] else (),
        more=tuple(others) if whole else (),
    )


def _of_colour(blue: Path, colour: str) -> Path:
    """The file of another colour beside that of blue."""
    folder = blue.parent.with_name(blue.parent.name.replace("_blue", f"_{colour}"))
    return folder / blue.name.replace("blue_", f"{colour}_", 1)
