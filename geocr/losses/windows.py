"""Local statistics under a Gaussian window that pixels can be left out of."""

import torch
from torch import Tensor
from torch.nn import functional

from geocr.core.errors import InputError


def gaussian_window(size_px: int, sigma_px: float) -> Tensor:
    """`(size_px,)` float64 weights of a centred Gaussian, which sum to 1.

    Raises:
        InputError: When the size is even or below 1, or sigma is not above 0.
    """
    if size_px < 1 or size_px % 2 == 0 or not sigma_px > 0:
        raise InputError(
            f"a Gaussian window needs an odd size and a sigma above 0, got size_px={size_px!r}, sigma_px={sigma_px!r}; usual are 11 and 1.5"
        )
    offsets = torch.arange(size_px, dtype=torch.float64) - size_px // 2
    weights = torch.exp(-offsets.square() / (2 * sigma_px**2))
    return weights / weights.sum()


def windowed(image: Tensor, window: Tensor) -> Tensor:
    """Weighted sums around each pixel, zeros beyond the border.

    Args:
        image: `(B, C, H, W)` float.
        window: `(k,)` float, the same along rows and columns.
    """
    bands, half = image.shape[1], window.numel() // 2
    line = window.to(image)
    image = functional.conv2d(image, line.view(1, 1, -1, 1).expand(bands, 1, -1, 1), padding=(half, 0), groups=bands)
    return functional.conv2d(image, line.view(1, 1, 1, -1).expand(bands, 1, 1, -1), padding=(0, half), groups=bands)


def ssim_terms(a: Tensor, b: Tensor, weight: Tensor, window: Tensor, data_range: float) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure factor around each pixel.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861, equations 13 and 6 with K1 = 0.01, K2 = 0.03.

    Args:
        a: `(B, C, H, W)` float, 0 where `weight` is 0.
        b: As `a`.
        weight: `(B, 1, H, W)` float, 0 or 1: pixels that windows see. The others and what lies beyond the border take
            no part: weights of the rest are scaled up to sum to 1.
        window: As in `windowed`.
        data_range: Range of the values.

    Returns:
        Two `(B, C, H, W)`; whatever they are where `weight` is 0.
    """
    seen = windowed(weight, window)
    seen = torch.where(weight > 0, seen, torch.ones_like(seen))
    sums = windowed(torch.cat([a, b, a * a, b * b, a * b], dim=1), window) / seen
    mean_a, mean_b, square_a, square_b, product = torch.chunk(sums, 5, dim=1)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    variances = (square_a - mean_a.square()).clamp_min(0) + (square_b - mean_b.square()).clamp_min(0)
    contrast = (2 * (product - mean_a * mean_b) + c2) / (variances + c2)
    luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    return luminance * contrast, contrast
