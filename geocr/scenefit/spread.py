"""How sure a reconstructed pixel is: one standard deviation per pixel and band, learnt from errors on unseen pixels.

Errors have heavy tails (a bright field that radar cannot tell from its neighbours), so the scale is set by quantiles:
about 70 % of errors lie within one standard deviation, and at least 92.5 % within two.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geocr.core.types import FloatArray

_KNOTS = 10
"""Of the growth with distance: gaps of 0, 1, 3, 7 ... 511."""
_WITHIN_ONE = 0.70
_WITHIN_TWO = 0.925
_SHRINKAGE = 0.01
_LEAST_STD = 1e-6
"""Reflectance; a hundredth of a count of any product."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spread:
    """Standard deviation from what is known of a pixel."""

    growth: Tensor
    """`(knots,)` float32: logarithm of the relative error at each gap; never falls."""
    slopes: Tensor
    """`(3,)` float32: of its growth with brightness, contrast of the surroundings, and size of the correction."""
    bands: Tensor
    """`(bands, 1)` float32 reflectance: each band's scale."""

    def __call__(self, gap: Tensor, traits: Tensor) -> Tensor:
        """Standard deviation.

        Args:
            gap: `(pixels,)`, see `BlockFeatures.gap`.
            traits: `(3, pixels)`, see `pixel_traits`.

        Returns:
            `(bands, pixels)` float32 reflectance, positive.
        """
        return self.bands * torch.exp(_relative(gap, traits, self.growth, self.slopes))


def pixel_traits(values: Tensor, correction: Tensor, mean: Tensor, components: int) -> Tensor:
    """What makes errors large besides distance.

    Args:
        values: `(features, pixels)`.
        correction: `(bands, pixels)`: what was added to the nearest context.
        mean: `(bands, pixels)`: the reconstruction.
        components: Optical components.

    Returns:
        `(3, pixels)` float32: logarithms of brightness, of the surroundings' contrast over the five finest scales, and of the
        size of the correction.
    """
    brightness = mean.abs().mean(dim=0)
    contrast = values[: 5 * components].square().mean(dim=0).sqrt()
    size = correction.square().mean(dim=0).sqrt()
    return torch.stack([torch.log(brightness + 0.02), torch.log(contrast + 0.02), torch.log(size + 0.003)])


def fit_spread(errors: FloatArray, gap: Tensor, traits: Tensor, *, caution: float = 1.0) -> Spread:
    """Learn from errors on pixels that the reconstruction had not seen.

    Args:
        errors: `(n, bands)` reflectance.
        gap: `(n,)`.
        traits: `(3, n)`.
        caution: Factor on the result, at least 1.
    """
    absolute = torch.from_numpy(np.abs(errors))
    typical = absolute.square().mean(dim=0).sqrt() + 1e-6
    # The root mean square over bands, not its square: one wild pixel must not decide for a thousand.
    target = torch.log((absolute / typical).square().mean(dim=1).sqrt() + 0.02).double()
    design = torch.cat([_hats(gap), traits]).T.double()
    penalty = _SHRINKAGE * len(design) / _KNOTS * _smoothness(design.shape[1])
    solved = torch.linalg.solve(design.T @ design + penalty, design.T @ target)
    growth = torch.cummax(solved[:_KNOTS], dim=0).values.float()
    slopes = torch.clamp(solved[_KNOTS:], -1.0, 1.0).float()
    # Brought to about one on the whole, so that `bands` is in reflectance and its floor means the same in every scene.
    growth = growth - _relative(gap, traits, growth, slopes).mean()
    ratio = absolute / torch.exp(_relative(gap, traits, growth, slopes))[:, None]
    one = torch.from_numpy(np.quantile(ratio.numpy(), _WITHIN_ONE, axis=0))
    two = torch.from_numpy(np.quantile(ratio.numpy(), _WITHIN_TWO, axis=0)) / 2
    return Spread(growth=growth, slopes=slopes, bands=torch.clamp(torch.maximum(one, two) * caution, min=_LEAST_STD).float()[:, None])


def _relative(gap: Tensor, traits: Tensor, growth: Tensor, slopes: Tensor) -> Tensor:
    """Logarithm of the error relative to the band's scale; summed term by term, so that it does not depend on the pixel count."""
    out = torch.zeros_like(gap)
    for weight, level in zip(_hats(gap), growth, strict=True):
        out = out + weight * level
    for trait, slope in zip(traits, slopes, strict=True):
        out = out + trait * slope
    return out


def _hats(gap: Tensor) -> Tensor:
    """`(knots, pixels)`: linear interpolation over the logarithm of the gap."""
    position = torch.clamp(torch.log2(1 + gap), 0, _KNOTS - 1)
    return torch.clamp(1 - (position[None] - torch.arange(_KNOTS, dtype=torch.float32)[:, None]).abs(), min=0)


def _smoothness(size: int) -> Tensor:
    """Penalty on steps between neighbouring knots, so that gaps without a lesson follow the others; a little on all."""
    steps = torch.zeros(_KNOTS - 1, size, dtype=torch.float64)
    for i in range(_KNOTS - 1):
        steps[i, i], steps[i, i + 1] = -1.0, 1.0
    return steps.T @ steps + 1e-3 * torch.eye(size, dtype=torch.float64)
