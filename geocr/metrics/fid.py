"""Frechet inception distance on weights that the user gives."""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.image.fid import FrechetInceptionDistance as TorchmetricsFid
from torchvision.models import inception_v3

from geocr.core.errors import InputError
from geocr.metrics.base import MetricInput
from geocr.weightfile import read_weights, require_shapes

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Red, green, blue in 0 to 1, as the weights of torchvision expect."""


class InceptionFeatures(nn.Module):
    """Inception-v3 up to its pooled features or its class scores, always in evaluation mode (Szegedy et al. 2015, arXiv:1512.00567).

    Args:
        weights: Path of weights with torchvision's names, as `.safetensors` or saved by `torch.save`. geocr ships and downloads none.
        layer: `pool`, 2,048 features; `logits`, 1,000 class scores.
        resize_px: Side to which pictures are resized (bilinear, smoothed when shrinking).
        crop_px: Side of the central crop of that.
    """

    def __init__(self, weights: str | Path, *, layer: Literal["pool", "logits"] = "pool", resize_px: int = 299, crop_px: int = 299) -> None:
        super().__init__()
        if layer not in ("pool", "logits"):
            raise InputError(f"inception features are of the layer pool or logits, got {layer!r}")
        if not 75 <= crop_px <= resize_px:
            raise InputError(f"Inception-v3 needs 75 <= crop_px <= resize_px, got crop_px={crop_px!r}, resize_px={resize_px!r}")
        found = read_weights(weights)
        network = inception_v3(weights=None, aux_logits=False, init_weights=False)
        expected = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
        cure = "give the state dict of torchvision's inception_v3 (weights ported from TensorFlow have other names and another network)"
        fitting = require_shapes(found, expected, source=f"Inception-v3 weights ({weights})", cure=cure)
        network.load_state_dict(fitting, strict=False)  # all but counters of training steps, which old files lack
        if layer == "pool":
            network.fc = nn.Identity()
        self.network = network.float().eval().requires_grad_(requires_grad=False)
        self.num_features = 2048 if layer == "pool" else 1000
        self.resize_px, self.crop_px = resize_px, crop_px

    def train(self, mode: bool = True) -> "InceptionFeatures":  # noqa: ARG002 - the signature is torch's
        """Stay in evaluation mode."""
        return super().train(mode=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """`(B, num_features)` float64.

        Args:
            pictures: `(B, 3, H, W)` float: red, green, blue in 0 to 1.
        """
        size = (self.resize_px, self.resize_px)
        resized = functional.interpolate(pictures.float(), size, mode="bilinear", align_corners=False, antialias=True)
        first = (self.resize_px - self.crop_px) // 2
        cropped = resized[..., first : first + self.crop_px, first : first + self.crop_px]
        view = (1, 3, 1, 1)
        mean, std = (cropped.new_tensor(values).view(view) for values in (IMAGENET_MEAN, IMAGENET_STD))
        features: Tensor = self.network((cropped - mean) / std)
        return features.double()


class FrechetInceptionDistance(TorchmetricsFid):
    """Distance between Gaussians fitted to the features of predictions and of targets (Heusel et al. 2017, arXiv:1706.08500).

    torchmetrics' measure on a network of the user's. Its value depends on network, layer and size: compare only what shares all of
    them. SAR2Optical takes 1,000 class scores of pictures resized to 342 and cropped to 299 (`layer="logits", resize_px=342`); the
    usual FID takes 2,048 features of a network ported from TensorFlow, which is not the one torchvision has weights for.
    Invalid pixels are black in both images; an image without a valid pixel is left out.

    Args:
        weights: As for `InceptionFeatures`.
        channels: Which bands are red, green, blue; the default is that of 13-band Sentinel-2.
        white: Reflectance that is shown as white, above 0 (black is 0).
        layer: As for `InceptionFeatures`.
        resize_px: As there.
        crop_px: As there.
    """

    def __init__(
        self,
        *,
        weights: str | Path,
        channels: tuple[int, int, int] = (3, 2, 1),
        white: float = 1.0,
        layer: Literal["pool", "logits"] = "pool",
        resize_px: int = 299,
        crop_px: int = 299,
    ) -> None:
        if not white > 0:
            raise InputError(f"FID needs a `white` above 0, got {white!r}; 1 for pictures, about 0.3 for reflectance")
        if len(channels) != 3 or min(channels) < 0:
            raise InputError(f"FID needs three band indices (red, green, blue), got {channels!r}")
        network = InceptionFeatures(weights, layer=layer, resize_px=resize_px, crop_px=crop_px)
        super().__init__(feature=network, normalize=True, compute_with_cache=False)  # torchmetrics' cache survives merge_state
        self.orig_dtype = torch.float64
        self.channels, self.white = tuple(channels), white

    def update(self, given: MetricInput) -> None:  # type: ignore[override]  # both sides of the comparison at once
        """Add predictions and targets of a batch."""
        if given.prediction.shape[1] <= max(self.channels):
            raise InputError(f"FID reads bands {self.channels}, got {given.prediction.shape[1]} bands; set `channels`")
        kept = given.valid.flatten(1).any(dim=1)
        if not bool(kept.any()):
            return
        colours = torch.tensor(self.channels, device=given.prediction.device)
        for image, real in ((given.target, True), (given.prediction, False)):
            shown = torch.where(given.valid, image.index_select(1, colours) / self.white, 0.0).clamp(0, 1)
            super().update(shown[kept], real=real)

    def compute(self) -> Tensor:
        """Float64 scalar, 0 or more up to rounding.

        Raises:
            InputError: With fewer than two images.
        """
        if int(self.real_features_num_samples) < 2:
            raise InputError(
                f"FID needs at least two images, got {int(self.real_features_num_samples)}; below a few thousand it is noise, and biased upward"
            )
        return super().compute()
