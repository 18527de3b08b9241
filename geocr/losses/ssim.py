"""Structural dissimilarity."""

from typing import Literal

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.losses.base import Loss, LossInput, mean_where
from geocr.losses.windows import gaussian_window, ssim_terms


class SsimLoss(Loss):
    r"""$1 - \mathrm{SSIM}(\hat y, y)$, the mean over bands and valid pixels of local SSIM under a Gaussian window.

    Wang et al. 2004, doi:10.1109/TIP.2003.819861, equation 13. The attention GAN adds it to its image term
    (Zhang et al. 2023), computed there on images in -1 to 1 with the constants of range 1 and zeros beyond the border:
    `data_range=1, border="zero"`.

    Args:
        data_range: Range of the values in network units, above 0.
        window_px: Side of the window, odd.
        sigma_px: Standard deviation of the window.
        border: What a window sees beyond the border: nothing (its weights are scaled up, as at invalid pixels), or zeros.
    """

    def __init__(
        self, *, data_range: float = 1.0, window_px: int = 11, sigma_px: float = 1.5, border: Literal["nothing", "zero"] = "nothing"
    ) -> None:
        super().__init__()
        if not data_range > 0:
            raise InputError(f"ssim needs a data_range above 0, got {data_range!r}; it is the range of the network's units, for example 1")
        if border not in ("nothing", "zero"):
            raise InputError(f"beyond the border ssim sees `nothing` or `zero`, got {border!r}")
        self.data_range = data_range
        self.border = border
        self.window = gaussian_window(window_px, sigma_px)  # no buffer: a module cast to half precision keeps it exact

    def value(self, given: LossInput) -> Tensor:
        """One minus the mean."""
        margin = self.window.numel() // 2 if self.border == "zero" else 0
        sides = (margin, margin, margin, margin)
        pad = torch.nn.functional.pad
        seen = pad(given.valid.to(given.mean.dtype), sides, value=1.0)
        similarity, _ = ssim_terms(pad(given.mean, sides), pad(given.target, sides), seen, self.window, self.data_range)
        rows, cols = given.mean.shape[-2:]
        inside = similarity[..., margin : margin + rows, margin : margin + cols]
        return mean_where(1 - inside, given.valid)
