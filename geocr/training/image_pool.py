"""A pool of past images for a discriminator (Shrivastava et al., 2017, arXiv:1612.07828, section 2.3)."""

import torch
from torch import Tensor


class ImagePool:
    """Gives half the images as they come and half from the past, once it is full; draws from torch's generator.

    Args:
        size: Images kept; 0 gives all as they come.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def exchange(self, images: Tensor) -> Tensor:
        """Put images in and take as many out.

        Args:
            images: `(B, C, H, W)`, without gradient.
        """
        if self.size == 0:
            return images
        return torch.stack([self._one(image) for image in images])

    def _one(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if bool(torch.rand(()) < 0.5):
            return image
        place = int(torch.randint(self.size, ()))
        past, self.images[place] = self.images[place], image.clone()
        return past
