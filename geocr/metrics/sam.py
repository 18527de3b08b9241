"""Spectral angle."""

import math
from typing import Literal

import torch
from torch import Tensor
from torchmetrics.functional.image import spectral_angle_mapper

from geocr.core.errors import InputError
from geocr.metrics.base import Comparison, ImageMetric, MetricInput, Pooling, Reference, Region, sum_where


class SpectralAngle(ImageMetric):
    """Mean angle between the spectra of prediction and reference over counted pixels (torchmetrics' spectral angle mapper).

    Kruse et al. 1993, doi:10.1016/0034-4257(93)90013-N. A pixel where either spectrum is the zero vector has no angle: it alone is
    left out, and counted in `zero_vectors`. (Published code lets it turn the mean of its image into NaN, and then drops the image.)

    Args:
        unit: `deg` or `rad`.
        region: As for every `ImageMetric`.
        pooling: As there.
        reference: As there.
    """

    higher_is_better = False

    zero_vectors: Tensor
    """Counted pixels without an angle, so far."""

    def __init__(
        self,
        *,
        unit: Literal["deg", "rad"] = "deg",
        region: Region = "all",
        pooling: Pooling = "image",
        reference: Reference = "target",
    ) -> None:
        super().__init__(region=region, pooling=pooling, reference=reference)
        if unit not in ("deg", "rad"):
            raise InputError(f"a spectral angle is in deg or rad, got {unit!r}")
        self.factor = 180 / math.pi if unit == "deg" else 1.0
        self.add_state("zero_vectors", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, given: MetricInput) -> None:
        """Add a batch of at least two bands."""
        if given.prediction.shape[1] < 2:
            raise InputError(f"a spectral angle needs at least two bands, got {given.prediction.shape[1]}; measure mae or rmse instead")
        super().update(given)

    def measure(self, pair: Comparison) -> tuple[Tensor, Tensor]:
        """Sums of angles."""
        empty = (pair.prediction == 0).all(dim=1, keepdim=True) | (pair.reference == 0).all(dim=1, keepdim=True)
        self.zero_vectors += (pair.counted & empty).sum()
        spectra = [torch.where(empty, 1.0, image) for image in (pair.prediction, pair.reference)]
        angles = spectral_angle_mapper(spectra[0], spectra[1], reduction="none")
        return sum_where(self.factor * angles.unsqueeze(1), pair.counted & ~empty)

    def finish(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean
