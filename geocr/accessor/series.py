"""Runs of all dates of a stack, and which Sentinel-1 goes with which date."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from pydantic import ValidationError

from geocr.accessor.run import ArrayRun, DatedImages
from geocr.accessor.stack import ImageStack, mask_stack, sar_stack
from geocr.accessor.staging import StagedImage, StagingFolder
from geocr.accessor.wording import about
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.inference.plan import BAND_ROWS
from geocr.inference.reconstructor import Reconstructor
from geocr.inference.references import AUTO_DAYS
from geocr.inference.run import require_config, usable_cores

SarInput: TypeAlias = xr.DataArray | xr.Dataset | str | os.PathLike[str] | None
MaskInput: TypeAlias = xr.DataArray | str | None
ACQUIRED_TAGS = ("product_start_time", "datatake_1_datatake_sensing_start", "datetime", "tifftag_datetime")
"""Tags that tell the day of a scene, in lower case."""
SAME_DAY = np.timedelta64(12, "h")
"""Most that the times of a scene and of its mask may differ: catalogues give them to the second, the minute or the day."""
_OF_FILES = {
    "references": "other dates are those of the series: other_dates=True",
    "save_mask": "take the mask by .geocr.cloud_mask()",
    "resolution_m": "resample with xarray first",
}
"""Settings that mean nothing for arrays, and what to do instead."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wishes:
    """What the caller asked for, checked, before anything is read."""

    config: PredictConfig
    rasters: Mapping[str, ImageStack]
    """Arrays in the place of settings that name files."""
    threads: int
    reconstructor: Reconstructor | None = None

    @classmethod
    def of(
        cls, config: PredictConfig | None, settings: Mapping[str, Any], *, threads: int | None, reconstructor: Reconstructor | None = None
    ) -> "Wishes":
        """Merge settings into a config; arrays among them are kept aside.

        Raises:
            InputError: When a setting is unknown or has a value that is not allowed.
        """
        arrays = dict(_mask_arrays(settings))
        misplaced = sorted(set(arrays) - {"cloud_mask", "scl"})
        if misplaced:
            raise InputError(f"of the settings, cloud_mask and scl may be arrays, got one as {', '.join(misplaced)}")
        plain = {name: value for name, value in settings.items() if name not in arrays and value is not None}
        plain |= dict.fromkeys(arrays, "array")
        if "s2_bands" in plain:
            given_bands = plain["s2_bands"]
            plain["s2_bands"] = tuple(given_bands.split(",") if isinstance(given_bands, str) else given_bands)
        given = require_config(config).model_dump(exclude_unset=True)
        try:
            made = PredictConfig(**{**given, **plain})
        except ValidationError as error:
            found = "; ".join(map(_mistake, error.errors()))
            raise InputError(f"settings must be those of geocr.PredictConfig, with the values it allows; {found}") from error
        refused = [name for name in _OF_FILES if getattr(made, name)]
        if refused:
            raise InputError(f"{refused[0]} is a setting of files, not of arrays; {_OF_FILES[refused[0]]}")
        return cls(config=made, rasters=arrays, threads=threads or usable_cores(), reconstructor=reconstructor)

    def for_stack(self, stack: ImageStack) -> "Wishes":
        """The same, where a Dataset's bands were chosen by the names of its variables and are named by now."""
        if not stack.variables or self.config.s2_bands is None:
            return self
        return replace(self, config=self.config.model_copy(update={"s2_bands": None}))


def _mask_arrays(settings: Mapping[str, Any]) -> Iterator[tuple[str, ImageStack]]:
    """Those settings that are arrays."""
    for name, value in settings.items():
        if isinstance(value, np.ndarray):
            raise InputError(
                f"{name} lies on the scene by its coordinates, and an array of NumPy has none; give a path or a DataArray, for example "
                f"{name}=xr.DataArray(values, coords={{'y': s2.y, 'x': s2.x}}).rio.write_crs(s2.rio.crs)"
            )
        if isinstance(value, xr.DataArray | xr.Dataset):
            with about(name):
                yield name, mask_stack(value)


def _mistake(item: Mapping[str, Any]) -> str:
    """What is wrong with a setting, in a sentence."""
    if not item["loc"]:
        return str(item["msg"]).removeprefix("Value error, ")
    name = str(item["loc"][0])
    if item["type"] == "extra_forbidden":
        near = get_close_matches(name, PredictConfig.model_fields, 1)
        return f"there is none called {name}" + (f", did you mean {near[0]}?" if near else "")
    return f"{name}: {item['msg']}, got {item['input']!r}"


def _sar_given(s1: SarInput) -> ImageStack | str | None:
    if s1 is None or isinstance(s1, str | os.PathLike):
        return None if s1 is None else os.fspath(s1)
    if not isinstance(s1, xr.DataArray | xr.Dataset):
        raise InputError(
            f"s1 is a DataArray, a Dataset or a path, or None to go on without, got {type(s1).__name__}; "
            f"an array of pixels needs coordinates and a CRS to lie on the scene: xr.DataArray(...).rio.write_crs('EPSG:...')"
        )
    with about("s1"):
        return sar_stack(s1)


def runs_of(optical: ImageStack, s1: SarInput, wishes: Wishes, *, other_dates: bool = False) -> list[ArrayRun]:
    """A run for each date.

    Args:
        optical: Sentinel-2.
        s1: Sentinel-1: images, of which each date takes the nearest in time; a path; or None.
        wishes: Settings.
        other_dates: Give each date the others to fill from.

    Raises:
        InputError: When images cannot be told to belong to dates.
    """
    sar = _sar_given(s1)
    bands = -(-optical.grid.shape[0] // BAND_ROWS)
    shared = StagingFolder() if other_dates else None
    if other_dates:
        _require_days(optical)
    runs = []
    for date in range(len(optical)):
        folder = shared or StagingFolder()
        near = _near(optical, date, wishes.config) if other_dates else ()
        runs.append(
            ArrayRun(
                target=_dated(optical, date, sar, wishes, folder),
                others=tuple(_dated(optical, other, sar, wishes, folder) for other in near),
                config=wishes.config,
                reconstructor=wishes.reconstructor,
                threads=wishes.threads,
                band_threads=max(1, wishes.threads // (bands * len(optical))),
                folder=folder,
                bands_in_folder=bands * (len(optical) if shared else 1),
            )
        )
    return runs


def _dated(optical: ImageStack, date: int, sar: ImageStack | str | None, wishes: Wishes, folder: StagingFolder) -> DatedImages:
    def staged(stack: ImageStack, what: str, name: str, *, same_day: bool = True) -> StagedImage:
        number = partner(stack, optical, date, what, same_day=same_day)
        return StagedImage.of(stack, number, folder, f"{name}_{number:04d}.tif")

    image = StagedImage.of(optical, date, folder, f"s2_{date:04d}.tif")
    known = any(name.lower() in ACQUIRED_TAGS for name in image.tags)
    if optical.dates is not None and (optical.layout.time is not None or not known):
        tags = {name: text for name, text in image.tags.items() if name.lower() not in ACQUIRED_TAGS}
        image = replace(image, tags={**tags, "datetime": f"{np.datetime_as_string(optical.dates[date], unit='s')}Z"})
    return DatedImages(
        optical=image,
        sar=sar if sar is None or isinstance(sar, str) else staged(sar, "Sentinel-1", "s1", same_day=False),
        rasters={name: staged(stack, name, name) for name, stack in wishes.rasters.items()},
    )


def _require_days(optical: ImageStack) -> None:
    if optical.layout.time is None or optical.dates is None:
        raise InputError(
            f"other dates are those along a time dimension with datetime coordinates, got dimensions {tuple(map(str, optical.source.dims))}; "
            f"concatenate the dates along time, or leave other_dates out"
        )


def _near(optical: ImageStack, date: int, config: PredictConfig) -> list[int]:
    """Other dates that may be borrowed from: those that the run would not leave out for being too far away in time."""
    assert optical.dates is not None  # noqa: S101 - for mypy: required before
    limit = config.max_days if config.max_days is not None or config.method == "temporal" or config.checkpoint else AUTO_DAYS
    days = [int(abs(day.astype("datetime64[D]") - optical.dates[date].astype("datetime64[D]")).astype(int)) for day in optical.dates]
    return [number for number in range(len(days)) if number != date and (limit is None or days[number] <= limit)]


def partner(stack: ImageStack, optical: ImageStack, date: int, what: str, *, same_day: bool) -> int:
    """Number of the image of a stack that goes with a date: the nearest in time, the only one, or else the one at its place.

    Args:
        stack: The images to choose from.
        optical: Sentinel-2.
        date: Which image of it.
        what: What the stack is, in words.
        same_day: Refuse an image of another day: clouds of another date are none of this one.

    Raises:
        InputError: When none of these tells, or the nearest is of another day.
    """
    if stack.dates is not None and optical.dates is not None:
        number = int(np.argmin([abs(day - optical.dates[date]) for day in stack.dates]))
        if same_day and abs(stack.dates[number] - optical.dates[date]) > SAME_DAY:
            seen, nearest = (np.datetime_as_string(day, unit="m") for day in (optical.dates[date], stack.dates[number]))
            raise InputError(
                f"{what} of a series must have an image of every date; for {seen} the nearest is of {nearest}; add the missing one, "
                f"or give one image without time for all dates: .isel({stack.layout.time or 'time'}=0, drop=True)"
            )
        return number
    if len(stack) == 1:
        return 0
    if len(stack) == len(optical):
        return date
    raise InputError(
        f"{what} of several dates goes with Sentinel-2 by time coordinates, or one by one; got {len(stack)} images for {len(optical)} and no times; "
        f"assign them, or choose one image with .isel({stack.layout.time}=0)"
    )
