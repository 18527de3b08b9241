"""A checkpoint under evaluation: fed with samples by band name, answered in their units."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from geocr.checkpoint import Checkpoint
from geocr.core.errors import CheckpointError, InputError
from geocr.data.sample import FusionSample, SampleMeta
from geocr.evaluation.mixing import average
from geocr.evaluation.prediction import Prediction
from geocr.evaluation.views import VIEWS, Tta, View
from geocr.models.base import FusionModel
from geocr.models.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkInput:
    """A batch as a network takes it, in network units; the arguments of `FusionModel.forward` by name."""

    sar: Tensor
    """`(B, T, Cs, H, W)` float32."""
    cloudy: Tensor
    """`(B, T, Co, H, W)` float32."""
    cloud_mask: Tensor | None
    """`(B, T, H, W)` bool, where the model reads it."""
    dates: Tensor | None
    """`(B, T)` float32, where the model reads them."""

    def seen(self, view: View) -> Self:
        """The same batch, flipped and turned."""
        mask = None if self.cloud_mask is None else view.apply(self.cloud_mask)
        return type(self)(sar=view.apply(self.sar), cloudy=view.apply(self.cloudy), cloud_mask=mask, dates=self.dates)

    def arguments(self) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """In the order of `FusionModel.forward`."""
        return self.sar, self.cloudy, self.cloud_mask, self.dates


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkPredictor:
    """A checkpointed network; with test-time views it answers twice, without and with them."""

    name: str
    """In tables."""
    model: FusionModel
    """On its device, in eval mode."""
    device: torch.device
    """Where it computes."""
    tta: Tta = "none"
    """Views of its second answer, `<name>+flips` or `<name>+all`."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What `describe` adds."""

    @classmethod
    def of(cls, checkpoint: Checkpoint, *, name: str, device: str = "cpu", tta: Tta = "none") -> Self:
        """Put a loaded checkpoint to work.

        Raises:
            InputError: When the device is none.
        """
        place = usable_device(device)
        header = checkpoint.header
        facts = {
            "checkpoint": Path(checkpoint.path).name,
            "sha256": checkpoint.sha256,
            "model": header.model,
            "geocr_version": header.geocr_version,
            "licence": header.licence,
        }
        return cls(name=name, model=checkpoint.model.to(place).eval(), device=place, tta=tta, facts=facts)

    @property
    def best(self) -> str:
        """Name of the answer that an ensemble takes: with views where there are any."""
        return self.name if self.tta == "none" else f"{self.name}+{self.tta}"

    def bands_for(self, meta: SampleMeta) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's
        """What it was trained to predict."""
        return self.model.spec.optical_out

    def describe(self) -> dict[str, Any]:
        """Checkpoint, hash, model, licence."""
        return {"kind": "checkpoint", **self.facts}

    def require_fit(self, sample: FusionSample) -> None:
        """Refuse samples of other bands, units, number of dates; see `require_fit`."""
        require_fit(self.model.spec, sample, self.name)

    def predict(self, samples: Sequence[FusionSample]) -> list[dict[str, Prediction]]:
        """The plain answer and, with views, their average."""
        given = network_input(self.model.spec, samples)
        views = [self._forward(given, view) for view in VIEWS[self.tta]]
        answers = []
        for i in range(len(samples)):
            answer = {self.name: views[0][i]}
            if self.tta != "none":
                answer[self.best] = average([view[i] for view in views])
            answers.append(answer)
        return answers

    def _forward(self, given: NetworkInput, view: View) -> list[Prediction]:
        arguments = [None if tensor is None else tensor.to(self.device) for tensor in given.seen(view).arguments()]
        with torch.inference_mode():
            out = self.model(*arguments)
            mean = view.undo(out.mean).float().cpu()
            variance = None if out.variance is None else view.undo(out.variance).float().cpu()
        normalizer = self.model.spec.reflectance_normalizer
        means = torch.from_numpy(normalizer.mean_to_reflectance(mean.numpy()))
        if variance is None:
            return [Prediction(mean) for mean in means]
        spreads = variance / normalizer.optical_scale**2
        return [Prediction(mean, spread) for mean, spread in zip(means, spreads, strict=True)]


def network_input(spec: ModelSpec, samples: Sequence[FusionSample]) -> NetworkInput:
    """Samples of one shape as a network takes them: bands by name, normalised, missing values filled."""
    meta = samples[0]["meta"]
    sar_places = [meta["sar_bands"].index(band) for band in spec.sar_bands]
    sar = np.stack([sample["sar"].numpy()[:, sar_places] for sample in samples])
    if spec.optical_in:
        places = [meta["optical_bands"].index(band) for band in spec.optical_in]
        cloudy = np.stack([sample["cloudy"].numpy()[:, places] for sample in samples])
    else:
        cloudy = np.empty((*sar.shape[:2], 0, *sar.shape[3:]), np.float32)
    mask = torch.stack([sample["cloud_mask"] for sample in samples]) if spec.needs_mask else None
    dates = torch.tensor([sample["meta"]["days"] for sample in samples], dtype=torch.float32) if spec.needs_dates else None
    return NetworkInput(
        sar=torch.from_numpy(spec.normalizer.sar_to_network(sar)),
        cloudy=torch.from_numpy(spec.reflectance_normalizer.optical_to_network(cloudy)),
        cloud_mask=mask,
        dates=dates,
    )


def require_fit(spec: ModelSpec, sample: FusionSample, name: str) -> None:
    """Refuse a sample that a model was not trained for.

    Raises:
        CheckpointError: Listing everything that does not fit, and what would.
    """
    misfits = [*_unit_misfits(spec, sample["meta"]), *_band_misfits(spec, sample["meta"]), *_part_misfits(spec, sample)]
    if misfits:
        meta = sample["meta"]
        raise CheckpointError(f"a checkpoint must fit the data it is evaluated on; {name} on {meta['dataset']}: {'; '.join(misfits)}")


def _unit_misfits(spec: ModelSpec, meta: SampleMeta) -> list[str]:
    found = []
    if spec.optical_units != meta["optical_unit"]:
        found.append(f"it was trained on optical values in {spec.optical_units}, and these are in {meta['optical_unit']}")
    if spec.sar_bands and meta["sar_bands"] and spec.sar_units != meta["sar_unit"]:
        found.append(f"it was trained on Sentinel-1 in {spec.sar_units}, and this is in {meta['sar_unit']}")
    if spec.level == "L2A" and "B10" in meta["optical_bands"]:
        found.append("it was trained on L2A, and these samples are L1C: they have B10; give a checkpoint trained on L1C")
    return found


def _band_misfits(spec: ModelSpec, meta: SampleMeta) -> list[str]:
    absent = [band for band in (*spec.optical_in, *spec.sar_bands) if band not in (*meta["optical_bands"], *meta["sar_bands"])]
    has = ", ".join((*meta["sar_bands"], *meta["optical_bands"]))
    return [f"samples lack {', '.join(absent)} (they have {has}); give a checkpoint for these bands"] if absent else []


def _part_misfits(spec: ModelSpec, sample: FusionSample) -> list[str]:
    found = []
    dates = sample["sar"].shape[0]
    if not spec.multi_temporal and dates != 1:
        found.append(f"it takes one date, and samples have {dates}; ask the data set for one, if it can: geocr data list")
    if spec.optical_in and "cloudy" not in sample:
        found.append("it reads the cloudy image, and samples have none")
    if spec.needs_mask and "cloud_mask" not in sample:
        found.append("it reads the cloud mask, and samples have none; give --cloud-mask auto")
    if spec.needs_dates and not all(np.isfinite(sample["meta"]["days"])):
        found.append(f"it reads the days of its dates, and those of sample {sample['meta']['id']} are not known")
    return found


def usable_device(device: str) -> torch.device:
    """The device of a name; `auto` is a GPU where there is one.

    Raises:
        InputError: When it is none, or not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"a device is auto, cpu, cuda or cuda:N, got {device!r}") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {device!r} needs a CUDA GPU, and torch sees none; use --device cpu")
    return place
