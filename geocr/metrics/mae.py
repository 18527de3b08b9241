"""Mean absolute error."""

from torch import Tensor

from geocr.metrics.base import Comparison, ImageMetric, sum_where


class MeanAbsoluteError(ImageMetric):
    """Mean of absolute errors over bands and counted pixels, in the unit of the images."""

    higher_is_better = False

    def measure(self, pair: Comparison) -> tuple[Tensor, Tensor]:
        """Sums of absolute errors."""
        return sum_where((pair.prediction - pair.reference).abs(), pair.counted)

    def finish(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean
