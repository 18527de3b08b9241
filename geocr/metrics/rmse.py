"""Root mean squared error."""

from torch import Tensor

from geocr.metrics.base import Comparison, ImageMetric, sum_where


class RootMeanSquaredError(ImageMetric):
    """Root of the mean of squared errors over bands and counted pixels, in the unit of the images."""

    higher_is_better = False

    def measure(self, pair: Comparison) -> tuple[Tensor, Tensor]:
        """Sums of squared errors."""
        return sum_where((pair.prediction - pair.reference).square(), pair.counted)

    def finish(self, mean: Tensor) -> Tensor:
        """Its root."""
        return mean.sqrt()
