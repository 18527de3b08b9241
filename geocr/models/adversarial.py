"""What adversarial training asks of a model: its discriminator, and what that sees beside an image."""

from abc import abstractmethod

import torch
from torch import Tensor

from geocr.models.base import FusionModel
from geocr.models.discriminators import DiscriminatorName, PatchGAN, PixelGAN, make_discriminator
from geocr.models.layers.tile_norm import NormName
from geocr.models.spec import ModelSpec


class AdversarialModel(FusionModel):
    """A model that is trained against a discriminator; the model itself is the generator.

    The discriminator is no part of the model: it is made for training and left behind. It judges
    `pair(sar, cloudy, image)` for the clear image and for `mean`, all in network units. Some models give more than
    `mean` to compare with the truth (`simulated`, `attention`): their docstrings say what the paper does with it.

    Args:
        spec: The contract of this configuration.
        condition_channels: Channels of `condition`.
        discriminator_norm: Normalisation of the discriminator.
    """

    def __init__(self, spec: ModelSpec, *, condition_channels: int, discriminator_norm: NormName) -> None:
        super().__init__(spec)
        self.condition_channels = condition_channels
        self.discriminator_norm: NormName = discriminator_norm

    @abstractmethod
    def condition(self, sar: Tensor, cloudy: Tensor) -> Tensor:
        """What the discriminator sees beside the image: `(B, condition_channels, H, W)`.

        Args:
            sar: `(B, 1, Cs, H, W)` float, network units.
            cloudy: `(B, 1, Co, H, W)` float, network units.
        """

    def discriminator(self, kind: DiscriminatorName = "patch", *, width: int = 64, layers: int = 3) -> PatchGAN | PixelGAN:
        """A fresh discriminator for this configuration; the defaults are the paper's.

        Args:
            kind: Patches or single pixels.
            width: Channels behind its first convolution.
            layers: Strided convolutions of a PatchGAN.

        Raises:
            InputError: When an argument is out of range.
        """
        channels = self.condition_channels + len(self.spec.optical_out)
        return make_discriminator(kind, channels, width=width, layers=layers, norm=self.discriminator_norm)

    def pair(self, sar: Tensor, cloudy: Tensor, image: Tensor) -> Tensor:
        """Condition and image as the discriminator takes them.

        Args:
            sar: As in `condition`.
            cloudy: As in `condition`.
            image: `(B, bands of optical_out, H, W)` float, network units: the truth or the model's `mean`.

        Returns:
            `(B, condition_channels + bands, H, W)`.
        """
        return torch.cat((self.condition(sar, cloudy), image), dim=1)
