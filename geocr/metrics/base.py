"""What a measure is given, and the base of those that are sums over pixels: regions, bands, pooling, merging."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torchmetrics
from torch import Tensor

from geocr.core.errors import InputError

Region = Literal["all", "cloudy", "clear"]
"""Which valid pixels count: all, those under cloud or shadow, or the others."""

Pooling = Literal["image", "batch", "pooled"]
"""What is averaged: the values of images, those of batches, or nothing because all pixels go into one value."""

Reference = Literal["target", "cloudy"]
"""What the prediction is compared with: the clear image, or the cloudy one (for what should have stayed as it was)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricInput:
    """A batch to measure, in reflectance (or picture values of 0 to 1): undo a network's scaling first, see `unscaled`.

    Raises:
        InputError: When shapes or dtypes are not those below.
    """

    prediction: Tensor
    """`(B, C, H, W)` float. NaN at a valid pixel makes the result NaN: it is not left out."""
    target: Tensor
    """`(B, C, H, W)` float: the clear image."""
    cloudy: Tensor | None = None
    """`(B, C, H, W)` float: the cloudy image, in the same bands."""
    variance: Tensor | None = None
    """`(B, C, H, W)` float, not negative: predicted variance, in squared reflectance."""
    cloud_mask: Tensor | None = None
    """`(B, H, W)` bool, True is cloud or shadow in the input; with several dates, in any of them. None: no region but `all`."""
    valid_mask: Tensor | None = None
    """`(B, H, W)` bool, True is usable: values elsewhere, NaN included, change no result. None: all."""
    shared: "dict[Reference, Comparison] | None" = field(default=None, repr=False)
    """Filled by the first measure of a suite for the others, whatever their regions and bands; None shares nothing."""

    def __post_init__(self) -> None:
        """Compare shapes."""
        shape = tuple(self.prediction.shape)
        if len(shape) != 4 or 0 in shape or not self.prediction.is_floating_point():
            raise InputError(f"Expected `prediction` to be float (B, C, H, W) with no side of 0, got {self.prediction.dtype} {shape}")
        for name in ("target", "cloudy", "variance"):
            image: Tensor | None = getattr(self, name)
            if image is not None and (tuple(image.shape) != shape or not image.is_floating_point()):
                raise InputError(f"Expected `{name}` to be float {shape} like `prediction`, got {image.dtype} {tuple(image.shape)}")
        for name in ("cloud_mask", "valid_mask"):
            mask: Tensor | None = getattr(self, name)
            if mask is not None and (tuple(mask.shape) != (shape[0], *shape[2:]) or mask.dtype != torch.bool):
                raise InputError(f"Expected `{name}` to be bool {(shape[0], *shape[2:])}, got {mask.dtype} {tuple(mask.shape)}")

    @property
    def valid(self) -> Tensor:
        """`(B, 1, H, W)` bool: `valid_mask`, or True everywhere."""
        if self.valid_mask is not None:
            return self.valid_mask.unsqueeze(1)
        batch, _, rows, cols = self.prediction.shape
        return torch.ones((batch, 1, rows, cols), dtype=torch.bool, device=self.prediction.device)

    def counted(self, region: Region) -> Tensor:
        """`(B, 1, H, W)` bool: the valid pixels of a region.

        Raises:
            InputError: When the region is not `all` and there is no cloud mask.
        """
        if region == "all":
            return self.valid
        if self.cloud_mask is None:
            raise InputError(
                f"the region {region!r} needs a cloud_mask (B, H, W), True is cloud, got None; give one, or measure the region 'all'"
            )
        cloud = self.cloud_mask.unsqueeze(1)
        return self.valid & (cloud if region == "cloudy" else ~cloud)

    def comparison(self, reference: Reference, region: Region) -> "Comparison":
        """Prediction and reference as measures take them; with `shared`, converted once for all regions.

        Raises:
            InputError: When the reference, or the mask of the region, is missing.
        """
        known = None if self.shared is None else self.shared.get(reference)
        if known is None:
            truth = self.target if reference == "target" else self.cloudy
            if truth is None:
                raise InputError("this metric compares with the cloudy image, got cloudy=None; give `cloudy`, or choose reference='target'")
            valid = self.valid
            prediction, truth = (torch.where(valid, image.double(), 0.0) for image in (self.prediction, truth))
            known = Comparison(prediction=prediction, reference=truth, counted=valid, valid=valid)
            if self.shared is not None:
                self.shared[reference] = known
        return replace(known, counted=self.counted(region))  # its maps are the same object

    def unscaled(self, scale_by: float) -> "MetricInput":
        """The batch of a network whose units are `scale_by` times reflectance: images divided by it, variance by its square.

        Raises:
            InputError: When `scale_by` is not above 0.
        """
        if not scale_by > 0:
            raise InputError(f"a network's scale must be above 0, got {scale_by!r}; UnCRtainTS trains at 10 times reflectance")
        return replace(
            self,
            prediction=self.prediction / scale_by,
            target=self.target / scale_by,
            cloudy=None if self.cloudy is None else self.cloudy / scale_by,
            variance=None if self.variance is None else self.variance / scale_by**2,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Two batches of images to compare, in float64."""

    prediction: Tensor
    """`(B, C, H, W)` float64; 0 where invalid."""
    reference: Tensor
    """As `prediction`."""
    counted: Tensor
    """`(B, 1, H, W)` bool: pixels whose measure counts."""
    valid: Tensor
    """`(B, 1, H, W)` bool: pixels that a window around a counted one may see."""
    maps: dict[Hashable, Tensor] = field(default_factory=dict, repr=False)
    """Maps that do not depend on what is counted, by what decides them."""

    def map_of(self, key: Hashable, compute: Callable[[], Tensor]) -> Tensor:
        """A map, computed by the first measure that asks for it."""
        if key not in self.maps:
            self.maps[key] = compute()
        return self.maps[key]


class ImageMetric(torchmetrics.Metric, ABC):
    """A measure made of sums over pixels, streamed in float64.

    A subclass says what is summed (`measure`) and what is made of a sum (`finish`); this class chooses pixels, adds up,
    and averages. State is additive: any split of the images (of the batches, with `pooling="batch"`) merged by
    `merge_state`, or synchronised between processes, gives the value of the whole.

    Args:
        region: Which valid pixels count; other than `all` needs `cloud_mask`.
        pooling: What is averaged.
        reference: What the prediction is compared with.
        band_count: Report each of this many bands by itself; None: all bands as one.
    """

    full_state_update = False
    is_differentiable = False

    total: Tensor
    number: Tensor
    skipped: Tensor

    def __init__(
        self, *, region: Region = "all", pooling: Pooling = "image", reference: Reference = "target", band_count: int | None = None
    ) -> None:
        super().__init__(compute_with_cache=False)  # torchmetrics' cache survives merge_state
        for name, value, allowed in (
            ("region", region, ("all", "cloudy", "clear")),
            ("pooling", pooling, ("image", "batch", "pooled")),
            ("reference", reference, ("target", "cloudy")),
        ):
            if value not in allowed:
                raise InputError(f"the {name} of a metric is one of {', '.join(allowed)}, got {value!r}")
        self.region: Region = region
        self.pooling: Pooling = pooling
        self.reference: Reference = reference
        self.band_count = band_count
        size = 1 if band_count is None else band_count
        self.add_state("total", torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("number", torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("skipped", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @abstractmethod
    def measure(self, pair: Comparison) -> tuple[Tensor, Tensor]:
        """Sums over counted pixels of each image and band, and how many values went into each.

        Returns:
            Two `(B, C)` float64, or two `(B, 1)` where the measure has no bands.
        """

    @abstractmethod
    def finish(self, mean: Tensor) -> Tensor:
        """What the measure makes of the mean of what was summed."""

    def update(self, given: MetricInput) -> None:
        """Add a batch.

        Raises:
            InputError: When the region's mask, the reference or the promised number of bands is missing.
        """
        bands = given.prediction.shape[1]
        if self.band_count not in (None, bands):
            raise InputError(f"this metric reports {self.band_count} bands, got {bands}")
        self._add(*self.measure(given.comparison(self.reference, self.region)))

    def compute(self) -> Tensor:
        """Float64 scalar, or `(band_count,)`; NaN where nothing counted."""
        mean = self.total / self.number
        value = self.finish(mean) if self.pooling == "pooled" else mean
        return value if self.band_count is not None else value.squeeze(0)

    def total_of(self, state: Literal["skipped", "zero_vectors"]) -> Tensor:
        """Int64 scalar: a counter, summed over processes."""
        with self.sync_context(should_sync=True, should_unsync=True):
            counter: Tensor = getattr(self, state)
            return counter.clone()

    def _add(self, sums: Tensor, numbers: Tensor) -> None:
        if self.band_count is None:
            sums, numbers = sums.sum(dim=1, keepdim=True), numbers.sum(dim=1, keepdim=True)
        self.skipped += (numbers == 0).all(dim=1).sum()
        if self.pooling == "pooled":
            self.total += sums.sum(dim=0)
            self.number += numbers.sum(dim=0)
            return
        if self.pooling == "batch":
            sums, numbers = sums.sum(dim=0, keepdim=True), numbers.sum(dim=0, keepdim=True)
        known = numbers > 0
        values = self.finish(sums / torch.where(known, numbers, 1.0))
        self.total += torch.where(known, values, 0.0).sum(dim=0)
        self.number += known.sum(dim=0)


def sum_where(values: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """`(B, C)` sums of `(B, C, H, W)` values over counted pixels `(B, 1, H, W)`, and how many those are."""
    sums = torch.where(counted, values, 0.0).sum(dim=(2, 3))
    return sums, counted.sum(dim=(2, 3)).to(values.dtype).expand_as(sums)
