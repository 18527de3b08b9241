"""What a run is trained and validated on, opened from its settings."""

import hashlib
from dataclasses import dataclass
from typing import Any

from geocr.core.errors import InputError
from geocr.data.datamodule import FusionDataModule
from geocr.data.datasets import DATASETS
from geocr.data.datasets.base import FusionDataset
from geocr.data.datasets.record import SampleRecord
from geocr.data.masker import PatchMasker
from geocr.data.show import spread
from geocr.data.transforms import CentreCrop
from geocr.models.spec import ModelSpec, TrainedRadiometry
from geocr.training.config import DataConfig
from geocr.training.order import SampleSource, SetSource
from geocr.training.painted import open_scenes, scene_sources

_OWN_MASKS = ("scenes",)
"""Sets whose `cloud_mask` is a name, not an object."""


@dataclass(frozen=True, slots=True)
class Material:
    """Samples of a run."""

    train: SampleSource
    """Drawn from without end."""
    val: Any
    """Map-style, in an order that does not change."""
    pictured: tuple[int, ...]
    """Indices of `val` that are drawn."""
    measured: tuple[int, ...]
    """Indices of `val` that are measured."""


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Keeps whole regions for one side of a split, by a hash of their names."""

    share: float
    """Of the regions, 0 to 1, that are held out."""
    held: bool
    """Keep those held out, or the others."""

    def __call__(self, record: SampleRecord) -> bool:
        """Whether a record is on this side."""
        place = int.from_bytes(hashlib.sha256(record.roi.encode()).digest()[:4], "big") / 2**32
        return (place < self.share) == self.held


def open_material(data: DataConfig, spec: ModelSpec, *, seed: int, pictures: int) -> Material:
    """Open the samples that a model is to be trained on.

    Args:
        data: Which.
        spec: What the model eats: bands are read by its names.
        seed: Of the order and of painted clouds.
        pictures: How many validation samples are drawn.

    Raises:
        InputError: When the set cannot feed the model.
        MissingDataError: When the data are not there.
    """
    if data.s1 or data.s2:
        train, val = scene_sources(data, open_scenes(data, optical=wanted_bands(spec), sar=spec.sar_bands), level=spec.level, seed=seed)
        return _material(train, val, data, pictures)
    if data.root is None:
        raise InputError(f"the folder of the data is not known; give --data {data.dataset}=PATH, or scenes with --s1 and --s2")
    module = FusionDataModule(
        data.dataset,
        data.root,
        batch_size=data.batch,
        crop_px=data.crop_px,
        augment=data.augment,
        on_error=data.on_error,
        pin_memory=False,
        options=_options(data, spec),
    )
    kind: type[FusionDataset] = DATASETS.load(data.dataset)
    if data.holdout is None and "val" not in kind.card.splits:
        raise InputError(
            f"{data.dataset} has no split for validation (it has {', '.join(kind.card.splits) or 'none'}); hold out a share of its "
            "training regions: --set data.holdout=0.1"
        )
    if data.holdout is None:
        return _material(SetSource(module.dataset("train"), seed=seed), module.dataset("val"), data, pictures)
    return _material(*_held_out(module, data.holdout, data.crop_px, seed), data, pictures)


def trained_radiometry(data: DataConfig, spec: ModelSpec) -> TrainedRadiometry:
    """Radiometry of the Sentinel-1 that a model is trained on, for its checkpoint: that of the data set's card; scenes tell none."""
    if data.s1 or data.s2 or not spec.sar_bands:
        return "unknown"
    kind: type[FusionDataset] = DATASETS.load(data.dataset)
    return kind.card.sar_radiometry or "unknown"


def wanted_bands(spec: ModelSpec) -> tuple[str, ...]:
    """Optical bands that samples must have: those the model paints, then those it only sees."""
    return (*spec.optical_out, *(band for band in spec.optical_in if band not in spec.optical_out))


def _held_out(module: FusionDataModule, share: float, crop_px: int | None, seed: int) -> tuple[SetSource, FusionDataset]:
    train = module.dataset("train").filtered(HoldOut(share, held=False))
    val = module.dataset("train").filtered(HoldOut(share, held=True))
    val.transforms = None if crop_px is None else CentreCrop(crop_px)
    val.on_error = "stop"
    if not len(train) or not len(val):
        raise InputError(
            f"data.holdout={share} leaves {len(train)} samples to train and {len(val)} to validate: whole regions are held out, and there are few; change the share"
        )
    return SetSource(train, seed=seed), val


def _options(data: DataConfig, spec: ModelSpec) -> dict[str, Any]:
    options: dict[str, Any] = {"optical_bands": wanted_bands(spec), "sar_bands": spec.sar_bands}
    if data.cloud_mask is not None:
        options["cloud_mask"] = data.cloud_mask if data.dataset in _OWN_MASKS else PatchMasker(method=data.cloud_mask)
    return options | data.options


def _material(train: SampleSource, val: Any, data: DataConfig, pictures: int) -> Material:  # noqa: ANN401 - map-style
    measured = spread(len(val), len(val) if data.max_val is None else data.max_val)
    return Material(train, val, tuple(measured[place] for place in spread(len(measured), pictures)), tuple(measured))
