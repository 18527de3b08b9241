"""Structural dissimilarity at several scales."""

import torch
from torch import Tensor
from torch.nn import functional

from geocr.core.errors import InputError
from geocr.losses.base import Loss, LossInput
from geocr.losses.windows import gaussian_window, ssim_terms

_FLOOR = 1e-4
"""Factors are kept above it: a negative one has no real power, and the slope of a root at 0 is infinite."""


class MsSsimLoss(Loss):
    r"""$1 - \overline{\mathrm{SSIM}_M}^{\,w_M} \prod_{j<M} \overline{cs_j}^{\,w_j}$, the mean over samples.

    Wang et al. 2003, doi:10.1109/ACSSC.2003.1292216, equation 7 with equal exponents per scale. $cs_j$ is the
    contrast-structure factor after halving the image $j - 1$ times by 2 x 2 means; the bar is the mean over bands and
    valid pixels of a sample. Means, at halving too, are over valid pixels, and a window sees nothing beyond the border.
    HPN-CR weights it 0.8 beside smooth L1.

    Args:
        data_range: Range of the values in network units, above 0.
        window_px: Side of the window, odd.
        sigma_px: Standard deviation of the window.
        weights: Exponents from the finest scale to the coarsest; five as published. The image must still be as large
            as the window at the coarsest.
    """

    def __init__(
        self,
        *,
        data_range: float = 1.0,
        window_px: int = 11,
        sigma_px: float = 1.5,
        weights: tuple[float, ...] = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
    ) -> None:
        super().__init__()
        if not data_range > 0:
            raise InputError(
                f"ms_ssim needs a data_range above 0, got {data_range!r}; it is the range of the network's units, for example 1"
            )
        if not weights or min(weights) <= 0:
            raise InputError(f"ms_ssim needs weights above 0, one for each scale, got {weights!r}")
        self.data_range = data_range
        self.weights = tuple(weights)
        self.window = gaussian_window(window_px, sigma_px)  # no buffer: a module cast to half precision keeps it exact

    def value(self, given: LossInput) -> Tensor:
        """One minus the product, over samples with a valid pixel."""
        smallest = self.window.numel() * 2 ** (len(self.weights) - 1)
        if min(given.mean.shape[-2:]) < smallest:
            raise InputError(
                f"ms_ssim with {len(self.weights)} scales needs sides of at least {smallest} px, got {tuple(given.mean.shape[-2:])}; "
                "give larger patches, or fewer weights"
            )
        a, b, seen = given.mean, given.target, given.valid.to(given.mean.dtype)
        known = seen.flatten(1).amax(dim=1) > 0
        result = torch.ones_like(seen[:, 0, 0, 0])
        for scale, weight in enumerate(self.weights):
            if scale:
                a, b, seen = halved(a, seen), halved(b, seen), (functional.avg_pool2d(seen, 2) > 0).to(seen.dtype)
            similarity, contrast = ssim_terms(a, b, seen, self.window, self.data_range)
            last = scale == len(self.weights) - 1
            result = result * sample_mean(similarity if last else contrast, seen).clamp_min(_FLOOR) ** weight
        dissimilarity = torch.where(known, 1 - result, torch.zeros_like(result))
        return dissimilarity.sum() / known.sum().clamp_min(1)


def halved(image: Tensor, seen: Tensor) -> Tensor:
    """Means of 2 x 2 pixels over those that are seen; 0 where none is. An odd last row or column is dropped."""
    share = functional.avg_pool2d(seen, 2)
    return functional.avg_pool2d(image * seen, 2) / torch.where(share > 0, share, torch.ones_like(share))


def sample_mean(values: Tensor, seen: Tensor) -> Tensor:
    """`(B,)`: mean over bands and seen pixels of each sample; 0 where none is."""
    number = seen.flatten(1).sum(dim=1) * values.shape[1]
    return (values * seen).flatten(1).sum(dim=1) / number.clamp_min(1)
