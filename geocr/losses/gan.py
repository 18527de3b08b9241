"""Adversarial losses: what generator and discriminator minimise, given the discriminator's scores.

Scores are unbounded maps of any shape, one score per patch (Isola et al. 2017, arXiv:1611.07004); no sigmoid is in the discriminator.
A score belongs to a patch, not to a pixel: to keep invalid pixels out, put the same value at them in the real and in the generated image.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from geocr.core.errors import InputError


class AdversarialLoss(nn.Module, ABC):
    """A pair of losses over scores, each the mean over all scores."""

    @abstractmethod
    def generator(self, fake: Tensor) -> Tensor:
        """What the generator minimises.

        Args:
            fake: Float, any shape: scores of generated images, with gradient.
        """

    @abstractmethod
    def per_score(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator minimises, score by score, for real and for generated images."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half the sum of the means over real and over generated images, as in pix2pix.

        Args:
            real: Float, any shape: scores of real images.
            fake: Float, the shape of `real`: scores of generated images, detached from the generator.

        Raises:
            InputError: When the shapes differ.
        """
        if real.shape != fake.shape:
            raise InputError(
                f"Expected scores of real and generated images of the same shape, got {tuple(real.shape)} and {tuple(fake.shape)}"
            )
        on_real, on_fake = self.per_score(real, fake)
        return 0.5 * (on_real.mean() + on_fake.mean())


class LeastSquaresGan(AdversarialLoss):
    r"""Generator $(D(G) - 1)^2$; discriminator $(D(y) - 1)^2$ and $D(G)^2$ (Mao et al. 2017, arXiv:1611.04076)."""

    def generator(self, fake: Tensor) -> Tensor:
        """Distance from 1."""
        return (fake - 1).square().mean()

    def per_score(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Distance from 1 and from 0."""
        return (real - 1).square(), fake.square()


class CrossEntropyGan(AdversarialLoss):
    r"""Cross-entropy of $\sigma(D)$; the generator's is the non-saturating form (Goodfellow et al. 2014, arXiv:1406.2661).

    The loss of SAR2Optical and, without least squares, of pix2pix.
    """

    def generator(self, fake: Tensor) -> Tensor:
        """Cross-entropy against 1."""
        return functional.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))

    def per_score(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy against 1 and against 0."""
        return functional.softplus(-real), functional.softplus(fake)


class HingeGan(AdversarialLoss):
    r"""Generator $-D(G)$; discriminator $\max(0, 1 - D(y))$ and $\max(0, 1 + D(G))$ (Lim and Ye 2017, arXiv:1705.02894)."""

    def generator(self, fake: Tensor) -> Tensor:
        """Minus the score."""
        return -fake.mean()

    def per_score(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Distance from the margin."""
        return functional.relu(1 - real), functional.relu(1 + fake)
