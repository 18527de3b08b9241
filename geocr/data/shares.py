"""How much of a patch is under cloud, usable, and covered by Sentinel-1; and filters on it."""

from dataclasses import dataclass
from typing import Any

import torch

from geocr.core.errors import InputError
from geocr.data.sample import FusionSample
from geocr.data.samplers import Patch

MOST_REMEMBERED = 100_000
"""Patches whose answer is kept: some 20 MB, whatever the number of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchShares:
    """Shares of a patch's pixels, 0 to 1."""

    cloud: float
    """Under cloud or shadow in `cloudy`, mean over dates; NaN where the sample has no mask."""
    valid: float
    """Usable: True in `valid_mask`."""
    sar: float
    """Seen by Sentinel-1 in every band, mean over dates."""


def shares_of(sample: FusionSample) -> PatchShares:
    """Shares of a sample's pixels."""
    mask = sample.get("cloud_mask")
    return PatchShares(
        cloud=float("nan") if mask is None else float(mask.float().mean()),
        valid=float(sample["valid_mask"].float().mean()),
        sar=float(torch.isfinite(sample["sar"]).all(dim=1).float().mean()) if sample["sar"].shape[1] else 0.0,
    )


class ShareFilter:
    """Keeps patches whose shares lie within bounds. What is known of a patch is remembered, for `MOST_REMEMBERED` patches.

    Args:
        dataset: What the patches are read from: `dataset[patch]` gives a `FusionSample`.
        min_cloud: Least share under cloud or shadow.
        max_cloud: Greatest.
        min_valid: Least share of usable pixels.
        min_sar: Least share seen by Sentinel-1.

    Raises:
        InputError: When a bound is outside 0 to 1; when cloud is bounded and samples have no mask.
    """

    def __init__(
        self,
        dataset: Any,  # noqa: ANN401 - any torchgeo dataset of samples
        *,
        min_cloud: float = 0.0,
        max_cloud: float = 1.0,
        min_valid: float = 0.0,
        min_sar: float = 0.0,
    ) -> None:
        bounds = {"min_cloud": min_cloud, "max_cloud": max_cloud, "min_valid": min_valid, "min_sar": min_sar}
        for name, value in bounds.items():
            if not 0 <= value <= 1:
                raise InputError(f"{name} is a share between 0 and 1, got {value!r}")
        if min_cloud > max_cloud:
            raise InputError(f"min_cloud must not exceed max_cloud, got {min_cloud} and {max_cloud}")
        self.dataset = dataset
        self.bounds = bounds
        self._known: dict[tuple[float, ...], bool] = {}

    def __call__(self, patch: Patch) -> bool:
        """Whether a patch is kept."""
        x, y, t = patch
        place = (x.start, x.stop, y.start, y.stop, t.start.timestamp())
        if place not in self._known:
            if len(self._known) >= MOST_REMEMBERED:  # of random patches hardly one comes twice
                self._known.clear()
            self._known[place] = within(shares_of(self.dataset[patch]), **self.bounds)
        return self._known[place]


def within(shares: PatchShares, *, min_cloud: float = 0.0, max_cloud: float = 1.0, min_valid: float = 0.0, min_sar: float = 0.0) -> bool:
    """Whether shares lie within bounds, which count themselves.

    Raises:
        InputError: When cloud is bounded and not known.
    """
    if shares.cloud != shares.cloud and (min_cloud > 0 or max_cloud < 1):
        raise InputError("a bound on cloud needs samples with a cloud mask; give the dataset `cloud_mask`, for example 'auto'")
    cloudy_enough = shares.cloud != shares.cloud or min_cloud <= shares.cloud <= max_cloud
    return cloudy_enough and shares.valid >= min_valid and shares.sar >= min_sar
