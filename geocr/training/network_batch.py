"""A batch as a network takes it: its bands in its order and its units, and the truth beside them."""

from math import isnan
from typing import NamedTuple

import torch
from torch import Tensor

from geocr.core.errors import BandError, InputError, UnitsError
from geocr.data.collate import FusionBatch
from geocr.data.sample import SampleMeta
from geocr.models.spec import ModelSpec
from geocr.training.units import optical_to_network, sar_to_network


class NetworkBatch(NamedTuple):
    """Inputs and truth, network units, finite. A tuple, because Lightning does not look into frozen dataclasses."""

    sar: Tensor
    """`(B, T, Cs, H, W)` float32."""
    cloudy: Tensor
    """`(B, T, Co, H, W)` float32; `Co` may be 0."""
    cloud_mask: Tensor | None
    """`(B, T, H, W)` bool, True is cloud or shadow; None where it is not known."""
    dates: Tensor | None
    """`(B, T)` float32, days since `DATE_EPOCH`; None unless the model reads them."""
    target: Tensor
    """`(B, C, H, W)` float32, the clear image in the bands that the model paints."""
    cloudy_out: Tensor | None
    """`(B, C, H, W)` float32, the cloudy image in those bands; None with several dates or without such an image."""
    valid: Tensor
    """`(B, H, W)` bool, True is usable."""
    ids: tuple[str, ...]
    """Of the samples."""

    def part(self, size: int) -> "NetworkBatch":
        """Its first samples."""
        return NetworkBatch._make(None if field is None else field[:size] for field in self)

    @property
    def any_mask(self) -> Tensor | None:
        """`(B, H, W)` bool: cloud or shadow in any date."""
        return None if self.cloud_mask is None else self.cloud_mask.any(dim=1)


def to_network(batch: FusionBatch, spec: ModelSpec, device: torch.device) -> NetworkBatch:
    """Bring a batch of samples to a model.

    Args:
        batch: Physical units.
        spec: The model's contract.
        device: Where to.

    Raises:
        InputError: When samples lack an image, a mask or dates that the model or its training needs.
        BandError: When they lack bands.
        UnitsError: When their units are others.
    """
    meta = batch["meta"][0]
    _check(batch, meta, spec)
    normalizer = spec.normalizer
    sar = batch["sar"][:, :, _places(meta["sar_bands"], spec.sar_bands, "Sentinel-1")].to(device, non_blocking=True)
    frames = (*batch["sar"].shape[:2], 0, *batch["sar"].shape[3:])
    cloudy, cloudy_out = torch.zeros(frames, device=device), None
    if "cloudy" in batch:
        image = batch["cloudy"].to(device, non_blocking=True)
        cloudy = optical_to_network(normalizer, image[:, :, _places(meta["optical_bands"], spec.optical_in, "optical")])
        if image.shape[1] == 1:
            cloudy_out = optical_to_network(normalizer, image[:, 0, _places(meta["optical_bands"], spec.optical_out, "optical")])
    clear = batch["clear"].to(device, non_blocking=True)[:, _places(meta["optical_bands"], spec.optical_out, "optical")]
    mask = batch.get("cloud_mask")
    return NetworkBatch(
        sar=sar_to_network(normalizer, sar),
        cloudy=cloudy,
        cloud_mask=None if mask is None else mask.to(device, non_blocking=True),
        dates=_dates(batch, spec, device),
        target=optical_to_network(normalizer, clear),
        cloudy_out=cloudy_out,
        valid=batch["valid_mask"].to(device, non_blocking=True),
        ids=tuple(one["id"] for one in batch["meta"]),
    )


def _check(batch: FusionBatch, meta: SampleMeta, spec: ModelSpec) -> None:
    if "clear" not in batch:
        raise InputError(f"training needs a clear image beside the cloudy one; samples of {meta['dataset']} have none ({meta['id']})")
    if spec.optical_in and "cloudy" not in batch:
        raise InputError(
            f"the model sees a cloudy image, and samples of {meta['dataset']} have none ({meta['id']}); choose another data set or model"
        )
    if spec.needs_mask and "cloud_mask" not in batch:
        raise InputError(
            f"the model reads a cloud mask, and samples of {meta['dataset']} have none; find clouds with --set data.cloud_mask=auto"
        )
    found, wanted = meta["optical_unit"], spec.optical_units
    if found != wanted or (spec.sar_bands and meta["sar_unit"] != spec.sar_units):
        raise UnitsError(
            f"the model was made for optical {wanted} and Sentinel-1 {spec.sar_units}, samples of {meta['dataset']} are {found} and {meta['sar_unit']}; "
            "set model.args.optical_units and model.args.sar_units where the model has them, or choose another data set"
        )


def _places(found: tuple[str, ...], wanted: tuple[str, ...], what: str) -> list[int]:
    missing = [band for band in wanted if band not in found]
    if missing:
        raise BandError(f"samples must have the {what} bands {', '.join(wanted)}; got {', '.join(found) or 'none'}")
    return [found.index(band) for band in wanted]


def _dates(batch: FusionBatch, spec: ModelSpec, device: torch.device) -> Tensor | None:
    if not spec.needs_dates:
        return None
    days = torch.tensor([one["days"] for one in batch["meta"]], dtype=torch.float32)
    if not bool(days.isfinite().all()):
        unknown = next(one["id"] for one in batch["meta"] if any(isnan(day) for day in one["days"]))
        raise InputError(
            f"the model reads when its images were taken, and sample {unknown} does not tell; choose another model or data set"
        )
    return days.to(device)
