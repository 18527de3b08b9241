"""One sample in numbers: what a row of the index holds."""

import hashlib
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from rasterio.errors import RasterioError
from torch import Tensor
from torch.utils.data import Dataset

from geocr.core.errors import GeocrError
from geocr.data.datasets.base import FusionDataset
from geocr.data.datasets.record import SampleRecord
from geocr.data.masker import PatchMasker
from geocr.data.sample import FusionSample
from geocr.data.shares import shares_of

Row = dict[str, Any]
"""Column to value."""
IMAGES = ("sar", "cloudy", "clear")

_STATISTICS = [
    pa.field(f"{image}_{name}", kind)
    for image in IMAGES
    for name, kind in (("mean", pa.list_(pa.float32())), ("std", pa.list_(pa.float32())), ("min", pa.float32()), ("max", pa.float32()))
]
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("roi", pa.string()),
        pa.field("split", pa.string()),
        pa.field("date", pa.string()),
        pa.field("sar", pa.list_(pa.string())),
        pa.field("cloudy", pa.list_(pa.string())),
        pa.field("clear", pa.string()),
        pa.field("masks", pa.list_(pa.string())),
        pa.field("rows", pa.int32()),
        pa.field("columns", pa.int32()),
        pa.field("cloud_share", pa.float32()),
        pa.field("shadow_share", pa.float32()),
        pa.field("masked_share", pa.float32()),
        pa.field("covers", pa.list_(pa.float32())),
        pa.field("valid_share", pa.float32()),
        pa.field("sar_share", pa.float32()),
        *_STATISTICS,
        pa.field("crs", pa.string()),
        pa.field("left", pa.float64()),
        pa.field("bottom", pa.float64()),
        pa.field("right", pa.float64()),
        pa.field("top", pa.float64()),
        pa.field("checksum", pa.string()),
        pa.field("stamp", pa.string()),
        pa.field("error", pa.string()),
    ]
)
"""Columns of the index. `cloud_share` and `shadow_share` are the detector's, before widening; `masked_share` is what `cloud_mask` hides, mean over
dates. `covers` are the cloud shares of every date that a sample's dates are chosen from, null where they are not chosen. Statistics are by band over observed pixels of all dates. `checksum` is the SHA-256 of the files in the order `sar`, `cloudy`, `clear`, `masks`;
`stamp` their sizes and times, by which a later run knows what changed; `error` is null where the sample could be read."""


class Measured(Dataset[Row]):
    """Rows by number, for a `DataLoader` with `batch_size=None`.

    Args:
        dataset: Whose samples.
        numbers: Which of them.
        masker: Finds clouds where the set has no mask; none are looked for when None.
        checksum: Read all bytes for a checksum.
    """

    def __init__(self, dataset: FusionDataset, numbers: list[int], *, masker: PatchMasker | None, checksum: bool) -> None:
        self.dataset = copy(dataset)
        self.dataset.on_error = "stop"  # a row tells of its own sample
        self.dataset.transforms = None
        self.numbers = numbers
        self.masker = masker
        self.checksum = checksum

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> Row:
        """The row of a sample; an error of the sample becomes its `error`."""
        number = self.numbers[index]
        record = self.dataset.samples[number]
        row = row_of(record, self.dataset.root)
        try:
            if self.checksum and record.paths:
                row["checksum"] = _checksum(self.dataset.root, record)
            row |= measure(self.dataset[number], self.masker) | {"covers": self.dataset.covers(number)}
        except (GeocrError, RasterioError, OSError) as error:
            row["error"] = f"{type(error).__name__}: {error}"
        return row


def row_of(record: SampleRecord, root: Path) -> Row:
    """What is known by names alone; all else is None."""
    known = named_of(record) | {"stamp": stamp_of(root, record)}
    return dict.fromkeys(SCHEMA.names) | known


def named_of(record: SampleRecord) -> Row:
    """Columns that follow from the record alone."""
    return {
        "id": record.id,
        "roi": record.roi,
        "split": record.split,
        "date": record.date,
        "sar": list(record.sar),
        "cloudy": list(record.cloudy),
        "clear": record.clear,
        "masks": list(record.masks),
    }


def stamp_of(root: Path, record: SampleRecord) -> str:
    """Sizes and times of change of a record's files."""
    parts = []
    for path in record.paths:
        try:
            status = (root / path).stat()
        except OSError:
            parts.append("-")
        else:
            parts.append(f"{status.st_size}@{status.st_mtime_ns}")
    return " ".join(parts)


def measure(sample: FusionSample, masker: PatchMasker | None) -> Row:
    """Shares, statistics and place of a sample."""
    shares = shares_of(sample)
    rows, columns = sample["valid_mask"].shape
    row: Row = {"rows": rows, "columns": columns, "valid_share": shares.valid, "sar_share": shares.sar}
    if "cloud_mask" in sample:
        row["masked_share"] = shares.cloud
    elif masker is not None and "cloudy" in sample:
        row |= _clouds(sample["cloudy"], sample["meta"]["optical_bands"], masker)
    tensors: dict[str, Any] = dict(sample)
    for image in IMAGES:
        if image in tensors and tensors[image].numel():
            row |= _statistics(image, tensors[image])
    grid = sample["meta"]["grid"]
    if grid is not None:
        a, _, left, _, e, top = grid.transform[:6]
        row |= {"crs": grid.crs.to_string(), "left": left, "top": top, "right": left + a * columns, "bottom": top + e * rows}
    return row


def _clouds(cloudy: Tensor, bands: tuple[str, ...], masker: PatchMasker) -> Row:
    found = [masker.measure(image.numpy(), bands) for image in cloudy]
    return {
        "cloud_share": float(np.mean([one.cloud_share for one in found])),
        "shadow_share": float(np.mean([one.shadow_share for one in found])),
        "masked_share": float(np.mean([one.mask.mean() for one in found])),
    }


def _statistics(image: str, tensor: Tensor) -> Mapping[str, Any]:
    bands = tensor.transpose(0, 1).flatten(1) if tensor.ndim == 4 else tensor.flatten(1)
    means, deviations, seen = [], [], []
    for band in bands:
        values = band[torch.isfinite(band)].double()
        seen.append(values)
        means.append(float(values.mean()) if values.numel() else float("nan"))
        deviations.append(float(values.std(correction=0)) if values.numel() else float("nan"))
    every = torch.cat(seen)
    return {
        f"{image}_mean": means,
        f"{image}_std": deviations,
        f"{image}_min": float(every.min()) if every.numel() else None,
        f"{image}_max": float(every.max()) if every.numel() else None,
    }


def _checksum(root: Path, record: SampleRecord) -> str:
    digest = hashlib.sha256()
    for path in record.paths:
        with (root / path).open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
