"""Distance between features of a trained network."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from geocr.core.errors import InputError
from geocr.losses.base import Loss, LossInput, mean_where
from geocr.weightfile import read_weights, require_shapes

_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Configuration D of VGG (Simonyan and Zisserman 2014, arXiv:1409.1556, table 1): widths of 3 x 3 convolutions, 0 a 2 x 2 maximum."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Red, green, blue in 0 to 1, as the weights of torchvision expect."""


class PerceptualLoss(Loss):
    r"""Mean squared difference between VGG-16 features of prediction and target.

    Johnson et al. 2016, arXiv:1603.08155. The simulation-fusion GAN takes the output of the first nine layers
    (Gao et al. 2020, doi:10.3390/rs12010191), with weight 0.8. Invalid pixels are set to the same value in both images,
    and a feature counts where at least one pixel under it (of its own cell, not of its receptive field) is valid.

    Args:
        weights: Path of VGG-16 weights with torchvision's names (`features.0.weight`, ...), as `.safetensors` or saved by
            `torch.save`. geocr ships and downloads none.
        channels: Which bands are red, green, blue; the default is that of 13-band Sentinel-2.
        layers: How many layers of `features` to run, 1 to 31 (a convolution, an activation and a maximum each count).
        low: Network value that is shown as black.
        high: Network value that is shown as white, above `low`.
        imagenet: Subtract and divide by the mean and deviation of ImageNet, as the weights of torchvision expect.
    """

    def __init__(
        self,
        *,
        weights: str,
        channels: tuple[int, int, int] = (3, 2, 1),
        layers: int = 9,
        low: float = 0.0,
        high: float = 1.0,
        imagenet: bool = True,
    ) -> None:
        super().__init__()
        if not high > low:
            raise InputError(f"perceptual needs a `high` above its `low`, got low={low!r}, high={high!r}")
        if len(channels) != 3 or min(channels) < 0:
            raise InputError(f"perceptual needs three band indices (red, green, blue), got {channels!r}")
        self.channels = tuple(channels)
        self.features = vgg16_features(layers)
        found = read_weights(Path(weights))
        wanted = {f"features.{name}": tensor for name, tensor in self.features.state_dict().items()}
        cure = "give the state dict of torchvision's vgg16"
        fitting = require_shapes(found, wanted, source=f"VGG-16 weights ({weights})", cure=cure)
        self.features.load_state_dict({name.removeprefix("features."): tensor for name, tensor in fitting.items()})
        self.features.requires_grad_(requires_grad=False)
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else ((0.0,) * 3, (1.0,) * 3)
        view = (1, 3, 1, 1)
        self.register_buffer("shift", low + (high - low) * torch.tensor(mean).view(view), persistent=False)
        self.register_buffer("spread", (high - low) * torch.tensor(std).view(view), persistent=False)
        self.shift: Tensor
        self.spread: Tensor

    def value(self, given: LossInput) -> Tensor:
        """Mean over features and their positions."""
        if given.mean.shape[1] <= max(self.channels):
            raise InputError(f"perceptual reads bands {self.channels}, got {given.mean.shape[1]} bands; set `channels`")
        with torch.no_grad():
            wanted = self.features(self._shown(given.target))
        difference = (self.features(self._shown(given.mean)) - wanted).to(given.mean.dtype).square()
        seen = functional.adaptive_max_pool2d(given.valid.to(difference.dtype), difference.shape[-2:])
        return mean_where(difference, seen > 0)

    def _shown(self, image: Tensor) -> Tensor:
        colours = image.index_select(1, torch.tensor(self.channels, device=image.device))
        shown = (colours - self.shift.to(image)) / self.spread.to(image)
        return shown.to(next(self.features.parameters()).dtype)


def vgg16_features(layers: int) -> nn.Sequential:
    """The first layers of VGG-16, numbered as in torchvision's `features`, untrained.

    Raises:
        InputError: When the number of layers is not 1 to 31.
    """
    built: list[nn.Module] = []
    bands = 3
    for width in _WIDTHS:
        if width:
            built += [nn.Conv2d(bands, width, 3, padding=1), nn.ReLU()]
            bands = width
        else:
            built.append(nn.MaxPool2d(2))
    if not 1 <= layers <= len(built):
        raise InputError(f"VGG-16 has 1 to {len(built)} layers to run, got {layers!r}")
    return nn.Sequential(*built[:layers])
