"""`FusionDataset`: from the folders of a published data set to `FusionSample`, the same way for all of them.

A subclass says where files lie (`_scan`) and, where it is no ordinary GeoTIFF, how one is read; pairing, splits by name,
bands by name, units, missing values, errors and skips are here.
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import date
from inspect import Parameter, signature
from pathlib import Path
from typing import ClassVar, Literal, Self, TypeAlias, TypedDict, Unpack

import numpy as np
import rasterio
import torch
from torch import Tensor
from torchgeo.datasets import NonGeoDataset

from geocr.core.errors import BandError, InputError, MissingDataError, RasterNotFoundError, RasterReadError, SampleError
from geocr.core.types import BoolArray, FloatArray
from geocr.data.datasets.card import DatasetCard
from geocr.data.datasets.reading import READ_OPTIONS, Image, read_backscatter, read_mask, read_reflectance
from geocr.data.datasets.record import Partner, Records, SampleRecord, Scan
from geocr.data.masker import PatchMasker
from geocr.data.sample import FusionSample, SampleDates, SampleMeta, SamplePaths, Skip, usable, validate_sample
from geocr.io.grid import SceneGrid
from geocr.models.spec import DATE_EPOCH

OnError: TypeAlias = Literal["stop", "skip"]
"""At a sample that cannot be read: raise, or take the next one and say so."""
CloudMasker: TypeAlias = Callable[[FloatArray, tuple[str, ...]], BoolArray]
"""From a cloudy image `(band, y, x)` float32 with NaN for missing, and its bands' names, to `(y, x)` bool, True = cloud or shadow."""
Transform: TypeAlias = Callable[[FusionSample], FusionSample]


class Options(TypedDict, total=False):
    """What every data set can be asked for by name. Documented, with defaults, in `FusionDataset`."""

    split: str | None
    sar_bands: Sequence[str] | None
    optical_bands: Sequence[str] | None
    require: Sequence[Partner] | None
    on_error: OnError
    cloud_mask: CloudMasker | str | None
    transforms: Transform | None
    validate: bool


MAX_SKIPS = 100
"""So many unreadable samples in a row are no accident but a lost disk."""


class DataWarning(UserWarning):
    """Something about a data set that a person should know: missing partners, skipped samples, splits that leak."""


class FusionDataset(NonGeoDataset):
    """Base of all data sets. Map-style; opens no file before a sample is asked for.

    Args:
        root: Folder of the data set; its layout is in `card.layout`.
        split: One of `card.splits`, or None for all samples.
        sar_bands: Polarisations to give, by name and in this order. (default: all of `card.sar_bands`)
        optical_bands: Sentinel-2 bands to give, by canonical name and in this order. (default: all of `card.optical_bands`)
        require: Partners without which a sample is left out, and counted in `missing`. (default: all the set has)
        on_error: `stop` raises at a file that cannot be read. `skip` takes the next readable sample, counts it in `skipped`, warns,
            and notes it in the sample's `meta["skipped"]`, which also tells of skips in worker processes. For training only:
            an evaluation must stop, because a skip repeats another sample.
        cloud_mask: Makes `cloud_mask` from cloudy images of a set that has none of its own: a function, or the name of a detector of
            `PatchMasker`, for example `auto`.
        transforms: From sample to sample, applied last.
        validate: Check every sample with `validate_sample`: costs about as much as reading it.

    Attributes:
        samples: Records of all samples, in a fixed order; a sequence that makes each record when it is asked for.
        missing: Partner to the identifiers left out for the lack of it, over all splits.
        skipped: Identifier to error of the samples this process skipped.

    Raises:
        MissingDataError: When a folder is not there, or holds no sample.
        InputError: When the split or a required partner does not exist.
        BandError: When a band is unknown or given twice.
    """

    card: ClassVar[DatasetCard]

    def __init__(self, root: str | Path, **options: Unpack[Options]) -> None:
        self.root = Path(root)
        self.split = options.get("split", "train") if self.card.splits else None
        self.sar_bands = _chosen(options.get("sar_bands"), self.card.sar_bands, f"Sentinel-1 bands of {self.card.name}")
        self.optical_bands = _chosen(options.get("optical_bands"), self.card.optical_bands, f"optical bands of {self.card.name}")
        self.require: tuple[Partner, ...] = self._required(options.get("require"))
        self.on_error: OnError = options.get("on_error", "stop")
        if self.on_error not in ("stop", "skip"):
            raise InputError(f"on_error is stop or skip, got {self.on_error!r}")
        masker = options.get("cloud_mask")
        self.cloud_mask: CloudMasker | None = PatchMasker(method=masker) if isinstance(masker, str) else masker
        self.transforms = options.get("transforms")
        self.validate = options.get("validate", False)
        unknown = set(options) - set(Options.__annotations__)
        if unknown:
            known = ", ".join([*_own_options(type(self)), *Options.__annotations__])
            raise InputError(f"options of {self.card.name} are {known}; got {', '.join(sorted(unknown))}")
        self.skipped: dict[str, str] = {}
        self._check_split()
        scan = self._scan()
        self.missing: Mapping[Partner, tuple[str, ...]] = {partner: ids for partner, ids in scan.missing.items() if ids}
        self._report_missing()
        self.samples: Records = self._of_split(scan.samples)

    @abstractmethod
    def _scan(self) -> Scan:
        """Records of every split that is there, from names alone."""

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> FusionSample:  # type: ignore[override]  # a TypedDict is no dict[str, Any] to mypy
        """The sample at an index.

        Raises:
            IndexError: Outside the data set.
            RasterReadError: When a file cannot be read and `on_error` is `stop`.
            SampleError: When the files of a sample do not fit together, or break the set's units.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.card.name} has {len(self)} samples, got index {index}")
        with rasterio.Env(**READ_OPTIONS):
            return self._read(index)

    def _read(self, index: int) -> FusionSample:
        """The sample at an index or, where that may be skipped, the next that can be read."""
        if self.on_error == "stop":
            return self._finished(self._load(self.samples[index]), ())
        skips: list[Skip] = []
        for step in range(min(len(self), MAX_SKIPS)):
            record = self.samples[(index + step) % len(self)]
            try:
                return self._finished(self._load(record), tuple(skips))
            except (RasterReadError, RasterNotFoundError, SampleError) as error:
                skips.append(Skip(id=record.id, error=str(error)))
                self._count(skips[-1])
        raise MissingDataError(
            f"on_error=skip passes over single samples; {len(skips)} in a row of {self.card.name} at {self.root} cannot be read "
            f"(the last: {skips[-1]['error']}); is the disk still there?"
        )

    def find_clouds(self, method: str = "auto") -> None:
        """Let a detector make the masks from now on, if the set is in reflectance and has none of its own.

        Args:
            method: `auto`, a detector's name, or `none` to look for no clouds.

        Raises:
            InputError: When there is no such detector.
        """
        if method != "none" and self.cloud_mask is None and self.card.optical_unit == "reflectance" and "cloud_mask" not in self.card.keys:
            self.cloud_mask = PatchMasker(method=method)

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins. Heard by sets that draw: the dates of a series."""

    def settings(self) -> dict[str, object]:
        """What decides its samples beside their files and bands: results kept for later hold while these are equal."""
        return {"cloud_mask": repr(self.cloud_mask)}

    def covers(self, index: int) -> Sequence[float] | None:
        """Cloud share of every date a sample's dates are chosen from, 0 to 1; None where its dates are fixed."""
        del index
        return None

    def filtered(self, keep: Callable[[SampleRecord], bool]) -> Self:
        """The same data set with only the samples whose record `keep` accepts."""
        subset = copy(self)
        subset.samples = self.samples.take(np.flatnonzero([keep(record) for record in self.samples]))
        subset.skipped = {}
        return subset

    def identify(self, index: int) -> str:
        """Identifier of the sample at an index, without reading it."""
        return self.samples[index].id

    # how files are read; a subclass may read others
    def _sar_image(self, path: Path) -> Image:
        """`(band, y, x)` backscatter of a file in `card.sar_unit`, the chosen bands."""
        return read_backscatter(path, self.sar_bands, self.card.sar_bands)

    def _optical_image(self, path: Path) -> Image:
        """`(band, y, x)` of a file in `card.optical_unit`, the chosen bands."""
        return read_reflectance(path, self.optical_bands, self.card.optical_bands)

    def _mask_image(self, path: Path) -> BoolArray:
        """`(y, x)` bool of a mask file, True = cloud or shadow."""
        return read_mask(path)

    def _load(self, record: SampleRecord) -> FusionSample:
        """Read one record. Overridden by sets that are not made of files."""
        sar = [self._sar_image(self.root / path) for path in (record.sar if self.sar_bands else ())]
        cloudy = [self._optical_image(self.root / path) for path in record.cloudy]
        clear = None if record.clear is None else self._optical_image(self.root / record.clear)
        masks = [self._mask_image(self.root / path) for path in record.masks]
        images = [*sar, *cloudy, *([] if clear is None else [clear])]
        _check_sizes(record, [*images, *(Image(pixels=mask[None], grid=None) for mask in masks)])
        return self._assemble(
            record,
            sar=[image.pixels for image in sar],
            cloudy=[image.pixels for image in cloudy],
            clear=None if clear is None else clear.pixels,
            masks=masks,
            grid=next((image.grid for image in reversed(images) if image.grid is not None), None),
        )

    def _assemble(
        self,
        record: SampleRecord,
        *,
        sar: Sequence[FloatArray],
        cloudy: Sequence[FloatArray],
        clear: FloatArray | None,
        masks: Sequence[BoolArray],
        grid: SceneGrid | None,
    ) -> FusionSample:
        """A sample from arrays: `(band, y, x)` per date, masks `(y, x)`."""
        size = next(array.shape[-2:] for array in (*sar, *cloudy, clear) if array is not None)
        dates = max(len(cloudy), len(sar), 1)
        stacked = _stack(sar) if sar else torch.full((dates, len(self.sar_bands), *size), torch.nan)
        sample: FusionSample = {
            "sar": stacked,
            "valid_mask": usable(stacked, _stack(cloudy) if cloudy else None, None if clear is None else torch.from_numpy(clear)),
            "meta": self._meta(record, dates=dates, has_cloudy=bool(cloudy), grid=grid),
        }
        if cloudy:
            sample["cloudy"] = _stack(cloudy)
        if clear is not None:
            sample["clear"] = torch.from_numpy(clear)
        if not masks and self.cloud_mask is not None:
            masks = [self.cloud_mask(image, self.optical_bands) for image in cloudy]
        if masks:
            sample["cloud_mask"] = torch.from_numpy(np.stack(masks))
        return sample

    def _meta(self, record: SampleRecord, *, dates: int, has_cloudy: bool, grid: SceneGrid | None) -> SampleMeta:
        unknown = (None,) * dates
        times = SampleDates(
            sar=record.sar_dates or unknown,
            cloudy=(record.cloudy_dates or unknown) if has_cloudy else (),
            clear=record.date if record.clear is not None else None,
        )
        inside = str(self.root)
        return SampleMeta(
            dataset=self.card.name,
            id=record.id,
            roi=record.roi,
            split=record.split,
            grid=grid,
            times=times,
            days=days_of(times, dates),
            sar_unit=self.card.sar_unit,
            optical_unit=self.card.optical_unit,
            sar_bands=self.sar_bands,
            optical_bands=self.optical_bands,
            paths=SamplePaths(
                sar=tuple(f"{inside}/{path}" if path else "" for path in record.sar),
                cloudy=tuple(f"{inside}/{path}" for path in record.cloudy),
                clear=None if record.clear is None else f"{inside}/{record.clear}",
            ),
            skipped=(),
        )

    def _finished(self, sample: FusionSample, skips: tuple[Skip, ...]) -> FusionSample:
        sample["meta"]["skipped"] = skips
        if self.validate:
            validate_sample(sample)
        return sample if self.transforms is None else self.transforms(sample)

    def _count(self, skip: Skip) -> None:
        if skip["id"] not in self.skipped:
            warnings.warn(f"skipped sample {skip['id']} of {self.card.name}: {skip['error']}", DataWarning, stacklevel=3)
        self.skipped[skip["id"]] = skip["error"]

    def _required(self, require: Sequence[Partner] | None) -> tuple[Partner, ...]:
        keys: dict[Partner, bool] = {
            "sar": bool(self.card.sar_bands),
            "cloudy": "cloudy" in self.card.keys,
            "clear": "clear" in self.card.keys,
            "mask": "cloud_mask" in self.card.keys,
        }
        known = tuple(partner for partner, has in keys.items() if has)
        if require is None:
            return known
        unknown = [partner for partner in require if partner not in known]
        if unknown:
            raise InputError(f"samples of {self.card.name} can require {', '.join(known)}; got {', '.join(unknown)}")
        return tuple(require)

    def _check_split(self) -> None:
        if self.split is not None and self.split not in self.card.splits:
            raise InputError(f"{self.card.name} has the splits {', '.join(self.card.splits)}, or None for all samples; got {self.split!r}")

    def _of_split(self, found: Sequence[SampleRecord]) -> Records:
        samples = found if isinstance(found, Records) else Records.of(found)
        chosen = samples if self.split is None else samples.of_split(self.split)
        if not len(chosen):
            counts = ", ".join(
                f"{count} of {'no split' if name is None else f'split {name}'}" for name, count in samples.count_splits().items()
            )
            left_out = "".join(f"; {len(ids)} left out without their {partner}" for partner, ids in self.missing.items())
            wanted = "samples" if self.split is None else f"samples of split {self.split}"
            raise self.missing_data(wanted, f"{counts or 'no complete sample'}{left_out}")
        return chosen

    def _report_missing(self) -> None:
        if self.missing:
            counts = ", ".join(f"{len(ids)} without {partner} (first: {ids[0]})" for partner, ids in self.missing.items())
            warnings.warn(
                f"samples of {self.card.name} at {self.root} are left out for the lack of a partner file: {counts}; "
                "all are listed in `missing`, and `require` sets what a sample must have",
                DataWarning,
                stacklevel=3,
            )

    def missing_data(self, looked_for: str, found: str | None = None) -> MissingDataError:
        """The error for data that is not there: what was looked for, what was found (default: the root's entries), how to get it."""
        return MissingDataError(
            f"{self.card.name} was looked for at {self.root} ({looked_for}); found: {found or entries_of(self.root)}. "
            f"Layout wanted: {self.card.layout}. To get it: {self.card.download}"
        )


def entries_of(folder: Path) -> str:
    """What stands in a folder, in words, for an error."""
    if not folder.is_dir():
        return "no such folder"
    names = sorted(entry.name for entry in folder.iterdir())
    return f"{len(names)} entries: {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else "an empty folder"


def days_of(times: SampleDates, dates: int) -> tuple[float, ...]:
    """Per date, days since 2014-04-03: the mean of Sentinel-1 and Sentinel-2 where both are known, NaN where none is."""
    out = []
    for index in range(dates):
        known = [_day(of[index]) for of in (times["sar"], times["cloudy"]) if index < len(of) and of[index] is not None]
        out.append(sum(known) / len(known) if known else float("nan"))
    return tuple(out)


def _day(text: str | None) -> float:
    return float("nan") if text is None else float((date.fromisoformat(text) - DATE_EPOCH).days)


def _stack(images: Sequence[FloatArray]) -> Tensor:
    """`(date, band, y, x)`; one date is a view, not a copy."""
    return torch.from_numpy(images[0][None] if len(images) == 1 else np.stack(images))


def _own_options(kind: type) -> list[str]:
    """Names of the options that a data set has beside those of all."""
    return [name for name, given in signature(kind).parameters.items() if given.kind is Parameter.KEYWORD_ONLY]


def _chosen(asked: Sequence[str] | None, known: tuple[str, ...], what: str) -> tuple[str, ...]:
    if asked is None:
        return known
    bands = tuple(asked)
    if not set(bands) <= set(known) or len(set(bands)) != len(bands):
        raise BandError(f"{what} are {', '.join(known) or 'none'}, each at most once; got {', '.join(bands)}")
    return bands


def _check_sizes(record: SampleRecord, images: Sequence[Image]) -> None:
    sizes = {image.pixels.shape[1:] for image in images}
    if len(sizes) > 1:
        found = ", ".join(f"{path} {image.pixels.shape[1:]}" for path, image in zip(record.paths, images, strict=False))
        raise SampleError(f"all images of a sample have one size; sample {record.id} has {found}; one of them is damaged or mispaired")
