"""Structural similarity under the windows that papers use."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.metrics.base import Comparison, ImageMetric, MetricInput, Pooling, Reference, Region, sum_where

_BLOCK_PX = 64
"""Rows of the banded matrix that are multiplied at once: fewer waste less on zeros, more keep the multiplication busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SsimWindow:
    """How local means are taken. Implementations differ in each of these, and so do their results.

    Raises:
        InputError: When the size is even, or too small for a sample variance, or sigma is not above 0.
    """

    kind: Literal["gaussian", "uniform"] = "gaussian"
    """Weights of the window."""
    size_px: int = 11
    """Side, odd."""
    sigma_px: float = 1.5
    """Standard deviation of a Gaussian window."""
    centre_px: float | None = None
    """Where a Gaussian peaks, counted from the window's first pixel; None: in the middle."""
    border: Literal["inside", "zero"] = "inside"
    """`inside`: only pixels whose window lies inside the image count; `zero`: all count, and windows see zeros beyond the border."""
    sample_variance: bool = False
    """Divide variances by n - 1 instead of n."""
    invalid: Literal["left_out", "zero"] = "left_out"
    """What windows see at invalid pixels: nothing (weights of the others are scaled up to sum to 1), or zeros."""

    def __post_init__(self) -> None:
        """Refuse what is no window."""
        if self.size_px < 3 or self.size_px % 2 == 0 or not self.sigma_px > 0:
            raise InputError(
                f"an SSIM window needs an odd size of 3 or more and a sigma above 0, got {self.size_px!r} and {self.sigma_px!r}"
            )

    def weights(self) -> Tensor:
        """`(size_px,)` float64, the same along rows and columns; they sum to 1."""
        if self.kind == "uniform":
            return torch.full((self.size_px,), 1 / self.size_px, dtype=torch.float64)
        centre = self.size_px // 2 if self.centre_px is None else self.centre_px
        offsets = torch.arange(self.size_px, dtype=torch.float64) - centre
        weights = torch.exp(-offsets.square() / (2 * self.sigma_px**2))
        return weights / weights.sum()


class StructuralSimilarity(ImageMetric):
    """Mean of local SSIM over bands and counted pixels (Wang et al. 2004, doi:10.1109/TIP.2003.819861, equation 13, K1 = 0.01, K2 = 0.03).

    torchmetrics has one window (Gaussian, mirrored border) and no masks, so the map is computed here; with `border="inside"` it is
    torchmetrics' map without its mirrored border.

    Args:
        data_range: Range of the images, above 0: 1 for reflectance, 255 for 8 bits.
        window: How local means are taken.
        region: As for every `ImageMetric`; windows of counted pixels see all valid ones.
        pooling: As there.
        reference: As there.
        band_count: As there.
    """

    higher_is_better = True

    def __init__(
        self,
        *,
        data_range: float = 1.0,
        window: SsimWindow | None = None,
        region: Region = "all",
        pooling: Pooling = "image",
        reference: Reference = "target",
        band_count: int | None = None,
    ) -> None:
        super().__init__(region=region, pooling=pooling, reference=reference, band_count=band_count)
        if not data_range > 0:
            raise InputError(f"ssim needs a data_range above 0, got {data_range!r}; 1 for reflectance, 255 for 8 bits")
        self.data_range = data_range
        self.window = SsimWindow() if window is None else window

    def update(self, given: MetricInput) -> None:
        """Add a batch whose sides are at least those of the window."""
        if min(given.prediction.shape[-2:]) < self.window.size_px:
            raise InputError(
                f"SSIM with a window of {self.window.size_px} px needs images at least as large, got {tuple(given.prediction.shape[-2:])}"
            )
        super().update(given)

    def measure(self, pair: Comparison) -> tuple[Tensor, Tensor]:
        """Sums of local SSIM."""
        similarity = pair.map_of(
            ("ssim", self.window, self.data_range), lambda: ssim_map(pair, window=self.window, data_range=self.data_range)
        )
        return sum_where(similarity, pair.counted & self._centres(pair.counted))

    def finish(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean

    def _centres(self, like: Tensor) -> Tensor:
        inside = torch.ones_like(like)
        if self.window.border == "inside":
            half = self.window.size_px // 2
            inside = torch.zeros_like(like)
            inside[..., half : like.shape[-2] - half, half : like.shape[-1] - half] = True
        return inside


def ssim_map(pair: Comparison, *, window: SsimWindow, data_range: float) -> Tensor:
    """`(B, C, H, W)` float64: SSIM of the window around each pixel; whatever it is at invalid pixels.

    Args:
        pair: What is compared.
        window: How local means are taken.
        data_range: Range of the images.
    """
    maps = [
        _similarity(*image, window=window, data_range=data_range)
        for image in zip(pair.prediction, pair.reference, pair.valid, strict=True)  # one by one: five times their size is in memory
    ]
    return torch.stack(maps)


def _similarity(a: Tensor, b: Tensor, valid: Tensor, *, window: SsimWindow, data_range: float) -> Tensor:
    """The map of one image, `(C, H, W)`."""
    line = window.weights().to(a.device)
    means = _windowed(torch.cat([a, b, a * a, b * b, a * b]), line)
    if window.invalid == "left_out" and not bool(valid.all()):
        seen = 1 - _windowed((~valid).to(a.dtype), line)
        means /= torch.where(valid, seen, 1.0)
    mean_a, mean_b, square_a, square_b, product = torch.chunk(means, 5)
    area = window.size_px**2
    factor = area / (area - 1) if window.sample_variance else 1.0
    variances = factor * (square_a - mean_a.square() + square_b - mean_b.square())
    covariance = factor * (product - mean_a * mean_b)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return top / ((mean_a.square() + mean_b.square() + c1) * (variances + c2))


def _windowed(image: Tensor, line: Tensor) -> Tensor:
    """Weighted sums of `(N, H, W)` around each pixel, zeros beyond the border: a banded matrix on each side, which is deterministic."""
    down = torch.cat([band @ image[:, seen] for seen, band in _bands(image.shape[-2], line)], dim=-2)
    return torch.cat([down[..., seen] @ band.T for seen, band in _bands(image.shape[-1], line)], dim=-1)


def _bands(size: int, line: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The banded matrix of a side in blocks of rows: the columns in which a block is not 0, and the block `(rows, columns)` there.

    Row i of the matrix has the window's weights around column i.
    """
    half = line.numel() // 2
    for first in range(0, size, _BLOCK_PX):
        last = min(first + _BLOCK_PX, size)
        seen = slice(max(0, first - half), min(size, last + half))
        rows = torch.arange(first, last, device=line.device).unsqueeze(1)
        taps = torch.arange(seen.start, seen.stop, device=line.device).unsqueeze(0) - rows + half
        yield seen, torch.where((taps >= 0) & (taps < line.numel()), line[taps.clamp(0, line.numel() - 1)], 0.0)
