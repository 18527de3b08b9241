"""Samples into a batch: tensors stacked, `meta` kept as a list."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import torch
from torch import Tensor

from geocr.core.errors import SampleError
from geocr.data.sample import FusionSample, SampleMeta


class FusionBatch(TypedDict):
    """A batch of `FusionSample`: the same keys, a leading axis, and one `meta` for each sample."""

    sar: Tensor
    """`(N, T, Cs, H, W)` float32."""
    cloudy: NotRequired[Tensor]
    """`(N, T, Co, H, W)` float32."""
    clear: NotRequired[Tensor]
    """`(N, Co, H, W)` float32."""
    cloud_mask: NotRequired[Tensor]
    """`(N, T, H, W)` bool, True = cloud or shadow."""
    valid_mask: Tensor
    """`(N, H, W)` bool, True = usable."""
    meta: list[SampleMeta]
    """One per sample, in order."""


def collate_samples(samples: Sequence[FusionSample]) -> FusionBatch:
    """Stack samples of one size, one number of dates, one set of keys and the same bands and units.

    Give it to a `DataLoader` as `collate_fn`. Pinning memory and moving to a device keep `meta` as it is.

    Raises:
        SampleError: When samples do not fit into one batch, naming two that differ.
    """
    if not samples:
        raise SampleError("a batch holds at least one sample, got none")
    first = samples[0]
    for other in samples[1:]:
        _check_alike(first, other)
    batch: FusionBatch = {
        "sar": torch.stack([sample["sar"] for sample in samples]),
        "valid_mask": torch.stack([sample["valid_mask"] for sample in samples]),
        "meta": [sample["meta"] for sample in samples],
    }
    if "cloudy" in first:
        batch["cloudy"] = torch.stack([sample["cloudy"] for sample in samples])
    if "clear" in first:
        batch["clear"] = torch.stack([sample["clear"] for sample in samples])
    if "cloud_mask" in first:
        batch["cloud_mask"] = torch.stack([sample["cloud_mask"] for sample in samples])
    return batch


def _check_alike(first: FusionSample, other: FusionSample) -> None:
    names = f"{first['meta']['id']} and {other['meta']['id']}"
    if set(first) != set(other):
        raise SampleError(
            f"samples of a batch have the same keys: {names} differ in {', '.join(sorted(set(first) ^ set(other)))}; `require` it, or drop it in a transform"
        )
    if first["sar"].shape != other["sar"].shape or first["valid_mask"].shape != other["valid_mask"].shape:
        raise SampleError(
            f"samples of a batch have one size and one number of dates: {names} have `sar` {tuple(first['sar'].shape)} and {tuple(other['sar'].shape)}; "
            "crop them to one size in a transform"
        )
    for key in ("sar_bands", "optical_bands", "sar_unit", "optical_unit"):
        if first["meta"][key] != other["meta"][key]:
            raise SampleError(f"samples of a batch have the same `{key}`: {names} have {first['meta'][key]} and {other['meta'][key]}")
