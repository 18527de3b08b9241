"""`FusionSample`, what every data set yields and every model is trained on, and the check that it is one.

A value that was not observed is NaN, in both modalities, exactly as the engine hands it to a reconstructor;
`Normalizer` turns NaN into the model's fill, so that training and prediction see the same.
"""

from typing import Literal, NotRequired, TypeAlias, TypedDict

import numpy as np
import torch
from torch import Tensor

from geocr.core.bands import S1_BANDS, S2_BANDS
from geocr.core.errors import SampleError
from geocr.core.types import BoolArray
from geocr.io.grid import SceneGrid
from geocr.radiometry.normalize import DISPLAY_RANGE

SarUnit: TypeAlias = Literal["db", "display"]
"""Backscatter in dB, or a stretched picture, 0 to 255 (`geocr.radiometry.normalize.DISPLAY_RANGE`)."""
OpticalUnit: TypeAlias = Literal["reflectance", "display"]
"""Reflectance, about 0 to 1 and brighter over clouds, or the values of a stretched 8-bit picture, 0 to 255."""

LEAST_DB, GREATEST_DB = -120.0, 60.0
"""Backscatter beyond these is no measurement: noise floors lie near -40 dB, the brightest echoes near +40 dB."""
LEAST_REFLECTANCE, GREATEST_REFLECTANCE = -0.5, 7.0
"""Reflectance beyond these is in another unit: 16-bit counts end at 6.5535, an offset of -0.1 may go below 0."""


class SampleDates(TypedDict):
    """When each image of a sample was taken: ISO dates `YYYY-MM-DD`, or None where the set does not tell."""

    sar: tuple[str | None, ...]
    """One per date of `sar`."""
    cloudy: tuple[str | None, ...]
    """One per date of `cloudy`; empty without it."""
    clear: str | None
    """Of the target."""


class SamplePaths(TypedDict):
    """Files a sample was read from, as strings; empty where it was made up."""

    sar: tuple[str, ...]
    """One per date; an empty name on a date without Sentinel-1."""
    cloudy: tuple[str, ...]
    """One per date; empty without `cloudy`."""
    clear: str | None
    """The target's."""


class Skip(TypedDict):
    """A sample that could not be read and was passed over (`on_error="skip"`)."""

    id: str
    """Its identifier in the data set."""
    error: str
    """The message of the error."""


class SampleMeta(TypedDict):
    """What a sample knows about itself. Collating keeps these as a list."""

    dataset: str
    """Name in the table `DATASETS`."""
    id: str
    """Unique within the data set."""
    roi: str
    """Region, scene or group that may not straddle a split."""
    split: str | None
    """`train`, `val` or `test`; None where the set has no split."""
    grid: SceneGrid | None
    """CRS, transform and `(rows, columns)` of the pixels; None without a georeference."""
    times: SampleDates
    """When the images were taken."""
    days: tuple[float, ...]
    """Per date: days since 2014-04-03 (launch of Sentinel-1A), mean of Sentinel-1 and Sentinel-2; NaN where unknown."""
    sar_unit: SarUnit
    """Unit of `sar`."""
    optical_unit: OpticalUnit
    """Unit of `cloudy` and `clear`."""
    sar_bands: tuple[str, ...]
    """Polarisations of `sar` in order; `()` in a set without Sentinel-1."""
    optical_bands: tuple[str, ...]
    """Canonical Sentinel-2 names of the bands of `cloudy` and `clear`, in order."""
    paths: SamplePaths
    """Where it was read from."""
    skipped: tuple[Skip, ...]
    """Unreadable samples passed over to get this one; `()` as a rule."""


class FusionSample(TypedDict):
    """Sentinel-1, cloudy and clear Sentinel-2 of one patch. Rank is fixed: one date is `T = 1`."""

    sar: Tensor
    """`(T, Cs, H, W)` float32 in `meta["sar_unit"]`; NaN is missing; `Cs = 0` in a set without Sentinel-1."""
    cloudy: NotRequired[Tensor]
    """`(T, Co, H, W)` float32 in `meta["optical_unit"]`; NaN is missing. Absent where the set has none."""
    clear: NotRequired[Tensor]
    """`(Co, H, W)` float32, the target, same unit. Absent where the set has none."""
    cloud_mask: NotRequired[Tensor]
    """`(T, H, W)` bool, True = cloud or shadow in `cloudy`. Absent means not known, never clear."""
    valid_mask: Tensor
    """`(H, W)` bool, True = usable: the target and, of each modality, at least one date are observed in every band."""
    meta: SampleMeta
    """Identity, units, bands, dates, georeference, files."""


def validate_sample(sample: FusionSample) -> FusionSample:
    """Return the sample after checking dtypes, shapes, units and the polarity of its masks.

    Raises:
        SampleError: With the rule that is broken, what was expected and what came.
    """
    sar, valid, meta = sample["sar"], sample["valid_mask"], sample["meta"]
    name = f"sample {meta['id']!r} of {meta['dataset']}"
    _check_bands(name, meta)
    if sar.ndim != 4:
        raise SampleError(f"`sar` is (T, Cs, H, W): {name} has {tuple(sar.shape)}; give one date as T = 1")
    dates, size = sar.shape[0], tuple(sar.shape[2:])
    shapes = {"sar": (dates, len(meta["sar_bands"]), *size), "valid_mask": size}
    optical = len(meta["optical_bands"])
    shapes |= {"cloudy": (dates, optical, *size), "clear": (optical, *size), "cloud_mask": (dates, *size)}
    for key, tensor in _tensors(sample).items():
        dtype = torch.bool if key.endswith("_mask") else torch.float32
        if tuple(tensor.shape) != shapes[key] or tensor.dtype != dtype:
            raise SampleError(
                f"`{key}` must be {dtype} of the sample's dates, bands and size: expected {shapes[key]}, "
                f"{name} has {tuple(tensor.shape)} {tensor.dtype}"
            )
    _check_meta(name, meta, dates=dates, has_cloudy="cloudy" in sample, size=size)
    _check_units(name, sample)
    _check_valid(name, sample, valid)
    return sample


def usable(sar: Tensor, cloudy: Tensor | None, clear: Tensor | None) -> Tensor:
    """`valid_mask` of a sample: `(H, W)` bool, True where target and one date of each modality are observed in every band.

    Args:
        sar: `(T, Cs, H, W)`; NaN is missing. Zero bands count as observed.
        cloudy: `(T, Co, H, W)` or None.
        clear: `(Co, H, W)` or None.
    """
    valid = _observed(sar).any(axis=0)
    if cloudy is not None:
        valid &= _observed(cloudy).any(axis=0)
    if clear is not None:
        valid &= _observed(clear)
    return torch.from_numpy(valid)


def _observed(images: Tensor) -> BoolArray:
    """`(..., H, W)` bool, True where every band of `(..., bands, H, W)` is finite: where their sum is.

    In numpy: one thread and one pass, where a loader's workers would otherwise fight for cores.
    """
    finite: BoolArray = np.isfinite(images.detach().cpu().numpy().sum(axis=-3, dtype=np.float32))
    return finite


def _tensors(sample: FusionSample) -> dict[str, Tensor]:
    found = {"sar": sample["sar"], "valid_mask": sample["valid_mask"]}
    if "cloudy" in sample:
        found["cloudy"] = sample["cloudy"]
    if "clear" in sample:
        found["clear"] = sample["clear"]
    if "cloud_mask" in sample:
        found["cloud_mask"] = sample["cloud_mask"]
    return found


def _check_bands(name: str, meta: SampleMeta) -> None:
    for key, bands, known in (("sar_bands", meta["sar_bands"], S1_BANDS), ("optical_bands", meta["optical_bands"], tuple(S2_BANDS))):
        if not set(bands) <= set(known) or len(set(bands)) != len(bands):
            raise SampleError(f"`{key}` are canonical names, each once, among {', '.join(known)}: {name} has {bands}")
    if meta["sar_unit"] not in ("db", "display") or meta["optical_unit"] not in ("reflectance", "display"):
        raise SampleError(
            f"units of a sample are db or display, reflectance or display: {name} has {meta['sar_unit']!r}, {meta['optical_unit']!r}"
        )


def _check_meta(name: str, meta: SampleMeta, *, dates: int, has_cloudy: bool, size: tuple[int, ...]) -> None:
    counts = {
        'times["sar"]': (len(meta["times"]["sar"]), dates),
        'times["cloudy"]': (len(meta["times"]["cloudy"]), dates if has_cloudy else 0),
        "days": (len(meta["days"]), dates),
    }
    for key, (found, expected) in counts.items():
        if found != expected:
            raise SampleError(f"`meta` must tell of each date: expected {expected} in {key}, {name} has {found}")
    grid = meta["grid"]
    if grid is not None and grid.shape != size:
        raise SampleError(f'`meta["grid"]` must be the grid of the pixels: expected {size}, {name} has {grid.shape}')


def _check_units(name: str, sample: FusionSample) -> None:
    meta = sample["meta"]
    sar_range = (LEAST_DB, GREATEST_DB) if meta["sar_unit"] == "db" else DISPLAY_RANGE
    optical_range = (LEAST_REFLECTANCE, GREATEST_REFLECTANCE) if meta["optical_unit"] == "reflectance" else DISPLAY_RANGE
    for key, tensor in _tensors(sample).items():
        if key.endswith("_mask"):
            continue
        unit, (low, high) = (meta["sar_unit"], sar_range) if key == "sar" else (meta["optical_unit"], optical_range)
        if torch.isinf(tensor).any():
            raise SampleError(f"a missing value is NaN, never infinite: `{key}` of {name} holds infinities")
        seen = tensor[torch.isfinite(tensor)]
        if seen.numel() and not (low <= float(seen.min()) and float(seen.max()) <= high):
            raise SampleError(
                f"`{key}` in {unit} lies between {low:g} and {high:g}: {name} has {float(seen.min()):g} to {float(seen.max()):g}; "
                "its unit is another one, or its scale was not applied"
            )
        if key == "sar" and unit == "db" and seen.numel() and float(seen.min()) >= 0:
            raise SampleError(
                f"backscatter in dB is mostly negative: `sar` of {name} has {float(seen.min()):g} to {float(seen.max()):g}; "
                "it is linear power or amplitude: convert it, dB = 10 log10(power)"
            )


def _check_valid(name: str, sample: FusionSample, valid: Tensor) -> None:
    wrong = valid & ~usable(sample["sar"], sample.get("cloudy"), sample.get("clear"))
    if wrong.any():
        raise SampleError(
            f"True in `valid_mask` means observed in the target and in a date of each modality: "
            f"{name} has {int(wrong.sum())} True pixels that are not; its polarity may be reversed"
        )
