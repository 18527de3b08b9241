"""Whether predicted variances are as large as the errors: reliability curve, UCE, AUCE, and the discard curve."""

from typing import Literal, NamedTuple

import torch
import torchmetrics
from torch import Tensor

from geocr.core.errors import InputError
from geocr.metrics.base import MetricInput, Region

_PER_OCTAVE = 256
_LOWEST_OCTAVE = -60
_OCTAVES = 80
"""The fine histogram of pixel samples: variances from 2^-60 to 2^20, bins 0.27 % wide."""

DISCARD_STEPS = 20
"""Points of the discard curve: 5 %, 10 %, ... 100 % of the samples, the most certain first."""


class CalibrationCurve(NamedTuple):
    """The answer of `Calibration`, float64; bins without a sample are NaN."""

    uce: Tensor
    """Scalar: mean over samples of |RMSE - root mean variance| of their bins."""
    auce: Tensor
    """Scalar: mean over bins that hold a sample of the same difference."""
    edges: Tensor
    """`(bins + 1,)`: variances between which bins lie."""
    samples: Tensor
    """`(bins,)`: how many samples each bin holds."""
    root_mean_variance: Tensor
    """`(bins,)`: predicted; with `rmse` the reliability curve."""
    rmse: Tensor
    """`(bins,)`: observed."""
    discard_fraction: Tensor
    """`(20,)`: share of the samples kept, the most certain first."""
    discard_mse: Tensor
    """`(20,)`: their mean squared error; it rises where variance ranks errors rightly."""
    discard_line: Tensor
    """`(2,)`: slope and intercept of the straight line fitted to the discard curve by least squares."""


class Calibration(torchmetrics.Metric):
    """UCE and AUCE over bins of equal width in predicted variance, and the discard curve.

    Ebel et al. 2023 (UnCRtainTS, arXiv:2304.05464, section 4.3), after Levi et al. 2022, arXiv:1905.11659. In each bin the root mean
    squared error is compared with the root of the mean variance. Sample and error have to be named, because published code has two:
    its training and test scripts take an image for a sample and its mean *signed* error for the error (in which errors of both signs
    cancel), its ensemble script takes a pixel.

    Args:
        sample: `pixel`, a counted pixel, its errors and variances averaged over bands; `image`, an image, averaged over pixels too.
        error: `rms`, the root of the mean squared error of a sample, what a variance predicts; `signed_mean`, its mean signed error,
            as published. The discard curve takes mean squared errors either way, as published.
        bins: How many, 2 or more.
        binning: `equal`, so many bins of equal width between least and greatest variance; `uncrtaints`, the published code's, which
            makes one fewer of equal width, and gives the greatest variance a bin of its own.
        exact: Keep every sample. False keeps a fine histogram instead, whose bins are 0.27 % wide: a sample nearer than that to an
            edge may count on its other side; memory is fixed. None: False for pixels in bins of `equal` width, else True.
        region: Which valid pixels count; other than `all` needs `cloud_mask`.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False

    variances: list[Tensor]
    uce_squares: list[Tensor]
    squares: list[Tensor]
    histogram: Tensor
    least: Tensor
    greatest: Tensor

    def __init__(
        self,
        *,
        sample: Literal["pixel", "image"] = "pixel",
        error: Literal["rms", "signed_mean"] = "rms",
        bins: int = 20,
        binning: Literal["equal", "uncrtaints"] = "equal",
        exact: bool | None = None,
        region: Region = "all",
    ) -> None:
        super().__init__(compute_with_cache=False)  # torchmetrics' cache survives merge_state
        for name, value, allowed in (
            ("sample", sample, ("pixel", "image")),
            ("error", error, ("rms", "signed_mean")),
            ("binning", binning, ("equal", "uncrtaints")),
            ("region", region, ("all", "cloudy", "clear")),
        ):
            if value not in allowed:
                raise InputError(f"the {name} of a calibration is one of {', '.join(allowed)}, got {value!r}")
        if bins < 2:
            raise InputError(f"a calibration needs 2 bins or more, got {bins!r}; published are 20")
        self.sample, self.error, self.bins, self.binning = sample, error, bins, binning
        self.region: Region = region
        self.exact = sample == "image" or binning == "uncrtaints" if exact is None else exact
        if binning == "uncrtaints" and not self.exact:
            raise InputError(
                "the binning uncrtaints gives one sample a bin of its own, which no histogram can: leave `exact` out, or take binning='equal'"
            )
        if self.exact:
            for name in ("variances", "uce_squares", "squares"):
                self.add_state(name, [], dist_reduce_fx="cat")
        else:
            size = _PER_OCTAVE * _OCTAVES
            self.add_state("histogram", torch.zeros(4, size, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state("least", torch.tensor(torch.inf, dtype=torch.float64), dist_reduce_fx="min")
            self.add_state("greatest", torch.tensor(-torch.inf, dtype=torch.float64), dist_reduce_fx="max")

    def update(self, given: MetricInput) -> None:
        """Add a batch.

        Raises:
            InputError: When it has no variance, or one below 0 at a counted pixel.
        """
        if given.variance is None:
            raise InputError("a calibration needs the predicted variance, got variance=None; choose a model that gives one")
        counted = given.counted(self.region)
        variance = torch.where(counted, given.variance.double(), 0.0)
        if bool((variance < 0).any()):
            raise InputError(f"a variance is 0 or more, got {float(variance.min())}; give variances, not their logarithms")
        error = torch.where(counted, given.prediction.double() - given.target.double(), 0.0)
        samples = [image.mean(dim=1, keepdim=True) for image in (variance, error, error.square())]
        pixels = counted.flatten(1)
        if self.sample == "image":
            number = pixels.sum(dim=1)
            known = number > 0
            parts = [(image.flatten(1).sum(dim=1) / torch.where(known, number, 1))[known] for image in samples]
        else:
            parts = [image.flatten(1)[pixels] for image in samples]
        variances, signed, squares = parts
        self._add(variances, signed.square() if self.error == "signed_mean" else squares, squares)

    def compute(self) -> CalibrationCurve:
        """The curves; NaN where there is no sample."""
        variances, numbers, uce_squares, squares = self._sorted_groups()
        edges, inner = self._edges(variances)
        index = torch.searchsorted(inner, variances, right=True)
        count, sum_variance, sum_square = (
            torch.zeros(self.bins, dtype=torch.float64, device=numbers.device).index_add_(0, index, values)
            for values in (numbers, variances * numbers, uce_squares)
        )
        predicted, observed = (sum_variance / count).sqrt(), (sum_square / count).sqrt()
        gap = (observed - predicted).abs()
        fraction, kept = discard_curve(numbers, squares)
        return CalibrationCurve(
            uce=torch.where(count > 0, gap * count, 0.0).sum() / count.sum(),
            auce=gap.nanmean(),
            edges=edges,
            samples=count,
            root_mean_variance=predicted,
            rmse=observed,
            discard_fraction=fraction,
            discard_mse=kept,
            discard_line=fitted_line(fraction, kept),
        )

    @property
    def empty(self) -> bool:
        """True until a sample was added."""
        if self.exact:
            return not any(part.numel() for part in self.variances)
        return not bool(self.histogram[0].any())

    def _add(self, variances: Tensor, uce_squares: Tensor, squares: Tensor) -> None:
        if self.exact:
            self.variances.append(variances)
            self.uce_squares.append(uce_squares)
            self.squares.append(squares)
            return
        if variances.numel() == 0:
            return
        octave = torch.log2(variances.clamp_min(2.0**_LOWEST_OCTAVE)) - _LOWEST_OCTAVE
        index = (octave * _PER_OCTAVE).long().clamp_max(_PER_OCTAVE * _OCTAVES - 1)
        values = torch.stack([torch.ones_like(variances), variances, uce_squares, squares])
        self.histogram.index_add_(1, index, values)
        self.least = torch.minimum(self.least, variances.min())
        self.greatest = torch.maximum(self.greatest, variances.max())

    def _sorted_groups(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Samples, or bins of the fine histogram, by rising variance: variance, number, and sums of both squares, `(n,)` each."""
        if self.exact:
            joined = [_joined(state, self.device) for state in (self.variances, self.uce_squares, self.squares)]
            order = torch.argsort(joined[0], stable=True)
            variances, uce_squares, squares = (values[order] for values in joined)
            return variances, torch.ones_like(variances), uce_squares, squares
        numbers, sums, uce_squares, squares = self.histogram[:, self.histogram[0] > 0]
        return (sums / numbers).clamp(self.least, self.greatest), numbers, uce_squares, squares

    def _edges(self, variances: Tensor) -> tuple[Tensor, Tensor]:
        """All edges, and those that separate bins."""
        if variances.numel() == 0:
            edges = torch.full((self.bins + 1,), torch.nan, dtype=torch.float64, device=variances.device)
            return edges, edges[1:-1]
        least, greatest = (variances[0], variances[-1]) if self.exact else (self.least, self.greatest)
        steps = torch.arange(self.bins + 1, dtype=torch.float64, device=variances.device)
        if self.binning == "equal":
            edges = least + (greatest - least) * steps / self.bins
        else:
            edges = torch.cat([least + (greatest - least) * steps[:-1] / (self.bins - 1), greatest.reshape(1)])
            edges[self.bins - 1] = greatest
        return edges, edges[1:-1].contiguous()


def _joined(state: list[Tensor] | Tensor, device: torch.device) -> Tensor:
    """A list state as one tensor; synchronisation between processes leaves a tensor, and nothing an empty list."""
    if isinstance(state, Tensor):
        return state
    return torch.cat(state) if state else torch.zeros(0, dtype=torch.float64, device=device)


def discard_curve(numbers: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error of the most certain samples, for growing shares of them.

    Args:
        numbers: `(n,)` float64: how many samples each group holds, groups by rising variance.
        squares: `(n,)` float64: sums of their squared errors.

    Returns:
        Shares and mean squared errors, `(20,)` each; NaN where a share holds no sample. Within a group the error is even.
    """
    steps = torch.arange(1, DISCARD_STEPS + 1, dtype=torch.float64, device=numbers.device)
    zero = numbers.new_zeros(1)
    reached, total = torch.cat([zero, numbers.cumsum(0)]), torch.cat([zero, squares.cumsum(0)])
    kept = (reached[-1] * steps / DISCARD_STEPS + 1e-9).floor()  # whole samples, as published
    group = torch.searchsorted(reached, kept).clamp(1, max(len(numbers), 1))
    if len(numbers) == 0:
        return steps / DISCARD_STEPS, torch.full_like(steps, torch.nan)
    inside = (kept - reached[group - 1]) / numbers[group - 1]
    return steps / DISCARD_STEPS, (total[group - 1] + inside * squares[group - 1]) / kept


def fitted_line(x: Tensor, y: Tensor) -> Tensor:
    """`(2,)`: slope and intercept by least squares over points that are not NaN; NaN with fewer than two."""
    known = ~y.isnan()
    x, y = x[known], y[known]
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return torch.stack([slope, y.mean() - slope * x.mean()])
