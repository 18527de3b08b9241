"""Peak signal-to-noise ratio."""

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.metrics.base import Comparison, ImageMetric, Pooling, Reference, Region, sum_where


class PeakSignalNoiseRatio(ImageMetric):
    """10 log10(peak^2 / mean squared error) in dB, over bands and counted pixels.

    Args:
        peak: Greatest value of the images, above 0: 1 for reflectance, 255 for 8 bits.
        perfect_db: What an image without error counts; infinite by the formula, and then so is the mean.
        region: As for every `ImageMetric`.
        pooling: As there.
        reference: As there.
        band_count: As there.
    """

    higher_is_better = True

    def __init__(
        self,
        *,
        peak: float = 1.0,
        perfect_db: float = float("inf"),
        region: Region = "all",
        pooling: Pooling = "image",
        reference: Reference = "target",
        band_count: int | None = None,
    ) -> None:
        super().__init__(region=region, pooling=pooling, reference=reference, band_count=band_count)
        if not peak > 0:
            raise InputError(f"psnr needs a peak above 0, got {peak!r}; 1 for reflectance, 255 for 8 bits")
        self.peak = peak
        self.perfect_db = perfect_db

    def measure(self, pair: Comparison) -> tuple[Tensor, Tensor]:
        """Sums of squared errors."""
        return sum_where((pair.prediction - pair.reference).square(), pair.counted)

    def finish(self, mean: Tensor) -> Tensor:
        """The ratio in dB."""
        return torch.where(mean == 0, self.perfect_db, 10 * torch.log10(self.peak**2 / mean))
