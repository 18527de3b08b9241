"""What a network must beat: rules and fits that need no training, each as a method under evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from geocr.core.errors import InputError, RegistryError, TooFewClearPixelsError
from geocr.core.types import BoolArray, FloatArray, TileInput, Window
from geocr.data.sample import FusionSample, SampleMeta
from geocr.evaluation.interpolation import interpolate_holes
from geocr.evaluation.prediction import Prediction, measured_scale
from geocr.models.base import FusionModel
from geocr.models.least_cloudy import LeastCloudy
from geocr.models.mosaic import Mosaic
from geocr.radiometry.normalize import Normalizer
from geocr.scenefit.fit import fit_scene


class Patch(NamedTuple):
    """One date of a sample in numpy."""

    image: FloatArray
    """`(band, y, x)` float32, NaN is missing."""
    cloud: BoolArray
    """`(y, x)`, True is cloud or shadow."""

    @property
    def known(self) -> BoolArray:
        """`(y, x)`: clear, and observed in every band."""
        known: BoolArray = ~self.cloud & np.isfinite(self.image).all(axis=0)
        return known


Rule: TypeAlias = Callable[[FusionSample, int], Prediction]
"""From a sample and a seed to a prediction of all its bands."""


def last_date(sample: FusionSample) -> FloatArray:
    """`(band, y, x)`: the cloudy image of the latest day (of the last date where days are not known); its gaps from the mean of the others."""
    days = np.asarray(sample["meta"]["days"])
    newest = int(np.nanargmax(days)) if np.isfinite(days).any() else len(days) - 1
    image: FloatArray = _without_gaps(sample["cloudy"].numpy())[newest]
    return image


def _without_gaps(cloudy: FloatArray) -> FloatArray:
    """`(date, band, y, x)`: what a date did not observe as the mean of those that did; NaN where none did."""
    seen = np.isfinite(cloudy)
    if len(cloudy) == 1 or seen.all():
        return cloudy
    number = np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)
    filled: FloatArray = np.where(seen, cloudy, np.where(seen, cloudy, 0).sum(axis=0) / number).astype(np.float32)
    return filled


def least_cloudy_date(sample: FusionSample) -> int:
    """The date whose mask covers least; the first of several."""
    return int(sample["cloud_mask"].flatten(1).float().mean(dim=1).argmin())


def _patch(sample: FusionSample) -> Patch:
    date = least_cloudy_date(sample)
    return Patch(sample["cloudy"][date].numpy(), sample["cloud_mask"][date].numpy())


def repeat_input(sample: FusionSample, seed: int) -> Prediction:  # noqa: ARG001 - a rule's signature
    """The cloudy image itself."""
    return Prediction(torch.from_numpy(last_date(sample)))


def fill_mean(sample: FusionSample, seed: int) -> Prediction:  # noqa: ARG001 - a rule's signature
    """Each band's mean over the clear pixels, under the clouds; the input where there is no clear pixel."""
    patch = _patch(sample)
    known = patch.known
    if not known.any():
        return Prediction(torch.from_numpy(patch.image), fallback="input")
    means = patch.image[:, known].mean(axis=1, dtype=np.float64).astype(np.float32)
    return Prediction(torch.from_numpy(np.where(patch.cloud, means[:, None, None], patch.image)))


def fill_interpolated(sample: FusionSample, seed: int) -> Prediction:  # noqa: ARG001 - a rule's signature
    """`interpolate_holes` of the clouds; the input where there is no clear pixel."""
    patch = _patch(sample)
    if not patch.known.any():
        return Prediction(torch.from_numpy(patch.image), fallback="input")
    return Prediction(torch.from_numpy(interpolate_holes(patch.image, patch.cloud, patch.known)))


@dataclass(frozen=True, slots=True, eq=False)
class _PatchSource:
    """A patch as the fit on a scene reads one."""

    whole: TileInput

    @property
    def shape(self) -> tuple[int, int]:
        return self.whole.window.shape

    def read(self, window: Window) -> TileInput:
        rows, cols = window.slices_in(self.whole.window)
        whole = self.whole
        return TileInput(
            window=window,
            optical=whole.optical[:, rows, cols],
            sar=whole.sar[:, rows, cols],
            cloud_mask=whole.cloud_mask[rows, cols],
            valid=whole.valid[rows, cols],
        )


def fill_fitted(sample: FusionSample, seed: int) -> Prediction:
    """`fit_scene` on the patch by itself, as `predict-scene` does on a scene; interpolation where it has too few clear pixels."""
    patch, scale = _patch(sample), measured_scale(sample["meta"])
    date = least_cloudy_date(sample)
    image = patch.image / np.float32(scale)
    whole = TileInput(
        window=Window(row=0, col=0, height=image.shape[1], width=image.shape[2]),
        optical=image,
        sar=sample["sar"][date].numpy(),
        cloud_mask=patch.cloud,
        valid=np.isfinite(image).any(axis=0),
    )
    try:
        fit = fit_scene(_PatchSource(whole), seed=seed)
    except TooFewClearPixelsError:
        simpler = fill_interpolated(sample, seed)
        return simpler._replace(fallback=simpler.fallback or "interpolation")
    found = fit(whole)
    mean = np.where(patch.cloud, found.mean * np.float32(scale), patch.image)
    if found.std is None:
        return Prediction(torch.from_numpy(mean))
    std = np.where(patch.cloud, found.std * np.float32(scale), np.float32(0))
    return Prediction(torch.from_numpy(mean), torch.from_numpy(std).square())


def _by_model(kind: type[LeastCloudy | Mosaic]) -> Rule:
    def rule(sample: FusionSample, seed: int) -> Prediction:  # noqa: ARG001 - a rule's signature
        seen = torch.isfinite(sample["cloudy"]).all(dim=1)
        cloudy = torch.from_numpy(_without_gaps(sample["cloudy"].numpy()))
        model: FusionModel = kind(optical_bands=sample["meta"]["optical_bands"], normalizer=Normalizer(sar_clip=(), optical_clip=None))
        with torch.inference_mode():
            out = model(sample["sar"][None, :, :0], torch.nan_to_num(cloudy)[None], (sample["cloud_mask"] | ~seen)[None])
        mean = out.mean[0].clone()
        return Prediction(mean.masked_fill(~torch.isfinite(cloudy).any(dim=0), torch.nan))

    return rule


class _Entry(NamedTuple):
    rule: Rule
    needs_mask: bool
    title: str


_BASELINES: dict[str, _Entry] = {
    "input": _Entry(repeat_input, False, "the cloudy image itself; of several dates the latest"),
    "mean_fill": _Entry(fill_mean, True, "the mean of the clear pixels, band by band"),
    "interpolation": _Entry(fill_interpolated, True, "linear from the rims of the clouds"),
    "scenefit": _Entry(fill_fitted, True, "geocr's default method, fitted on the patch by itself"),
    "least_cloudy": _Entry(_by_model(LeastCloudy), True, "the least cloudy date"),
    "mosaic": _Entry(_by_model(Mosaic), True, "the mean of the clear dates, pixel by pixel"),
}
BASELINES = MappingProxyType({name: entry.title for name, entry in _BASELINES.items()})
"""Every baseline by name, with a line about it. Those that fill one image take the least cloudy of several dates."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline as a method under evaluation.

    Raises:
        RegistryError: When there is none of this name.
    """

    name: str
    """One of `BASELINES`."""
    seed: int = 0
    """Of the fit on a scene."""

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        if self.name not in _BASELINES:
            raise RegistryError(f"baselines are {', '.join(_BASELINES)}; got {self.name!r}")

    def bands_for(self, meta: SampleMeta) -> tuple[str, ...]:
        """All that a sample has."""
        return meta["optical_bands"]

    def describe(self) -> dict[str, Any]:
        """What it does."""
        return {"kind": "baseline", "title": BASELINES[self.name]} | ({"seed": self.seed} if self.name == "scenefit" else {})

    def require_fit(self, sample: FusionSample) -> None:
        """Refuse samples without a cloudy image, or without the mask that most baselines need.

        Raises:
            InputError: With the cure.
        """
        lacking = ["the cloudy image"] if "cloudy" not in sample else []
        if _BASELINES[self.name].needs_mask and "cloud_mask" not in sample:
            lacking.append("a cloud mask (give --cloud-mask auto, where the set is in reflectance)")
        if lacking:
            raise InputError(
                f"the baseline {self.name} needs {' and '.join(lacking)}, which samples of {sample['meta']['dataset']} lack; leave it out"
            )

    def predict(self, samples: Sequence[FusionSample]) -> list[dict[str, Prediction]]:
        """One answer a sample."""
        rule = _BASELINES[self.name].rule
        return [{self.name: rule(sample, self.seed)} for sample in samples]
