"""The base of every network: one typed forward, checked and padded once for all of them."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.spec import ModelSpec


class FusionOutput(NamedTuple):
    """What a network predicts, in network units."""

    mean: Tensor
    """`(B, Co, H, W)` float, bands as in `spec.optical_out`; not clipped."""
    variance: Tensor | None = None
    """`(B, Co, H, W)` float, above 0, in squared network units; None unless `spec.has_std`."""


class FusionModel(nn.Module, ABC):
    """A network that reconstructs cloud-free Sentinel-2 from cloudy Sentinel-2 and Sentinel-1.

    A subclass computes in `fuse`; this class checks shapes, pads sides to what the model can compute on
    (bottom and right, so that the model's grid stays where it was) and crops the answer. Arrays are in
    the units of `spec.normalizer`, not in those of a scene.

    Args:
        spec: The contract of this configuration.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec

    @abstractmethod
    def fuse(self, sar: Tensor, cloudy: Tensor, cloud_mask: Tensor | None) -> FusionOutput:
        """Predict for checked inputs whose sides are multiples of `spec.size_multiple_px`.

        Args:
            sar: As in `forward`.
            cloudy: As in `forward`.
            cloud_mask: As in `forward`; a tensor exactly when `spec.needs_mask`.
        """

    def forward(self, sar: Tensor, cloudy: Tensor, cloud_mask: Tensor | None = None) -> FusionOutput:
        """Predict the clear image for any side of at least one pixel.

        Args:
            sar: `(B, T, Cs, H, W)` float, network units, finite, bands as in `spec.sar_bands` (`Cs` may be 0).
            cloudy: `(B, T, Co, H, W)` float, network units, finite, bands as in `spec.optical_in`.
            cloud_mask: `(B, T, H, W)` bool, True is cloud or shadow; None is allowed unless `spec.needs_mask`.

        Returns:
            Mean and variance of `(B, Co, H, W)`, in the dtype of `cloudy`.

        Raises:
            InputError: When shapes or dtypes are not those above.
        """
        if not torch.compiler.is_compiling():
            self._check_inputs(sar, cloudy, cloud_mask)
        mask = cloud_mask if self.spec.needs_mask else None
        rows, cols = cloudy.shape[-2:]
        size = self.spec.padded_px(rows), self.spec.padded_px(cols)
        if size == (rows, cols):
            return self.fuse(sar, cloudy, mask)
        padded = self.fuse(mirror_to(sar, size), mirror_to(cloudy, size), None if mask is None else mirror_to(mask, size))
        variance = None if padded.variance is None else padded.variance[..., :rows, :cols]
        return FusionOutput(padded.mean[..., :rows, :cols], variance)

    def stacked(self, sar: Tensor, cloudy: Tensor) -> Tensor:
        """Both modalities on one channel axis, in `spec.channel_order`."""
        pair = (sar, cloudy) if self.spec.channel_order == "sar_first" else (cloudy, sar)
        return torch.cat(pair, dim=-3)

    def _check_inputs(self, sar: Tensor, cloudy: Tensor, cloud_mask: Tensor | None) -> None:
        spec = self.spec
        dates = "T" if spec.multi_temporal else "1"
        for name, tensor, bands in (("sar", sar, spec.sar_bands), ("cloudy", cloudy, spec.optical_in)):
            if tensor.ndim != 5 or tensor.shape[2] != len(bands) or not tensor.is_floating_point():
                raise InputError(
                    f"Expected {name} to be float (B, {dates}, {len(bands)}, H, W), got {tensor.dtype} {tuple(tensor.shape)}; bands: {bands}"
                )
        frame = (*cloudy.shape[:2], *cloudy.shape[3:])
        if (*sar.shape[:2], *sar.shape[3:]) != frame or min(frame) < 1:
            raise InputError(
                f"Expected sar and cloudy of the same B, T, H, W, none of them 0, got {tuple(sar.shape)} and {tuple(cloudy.shape)}"
            )
        if cloudy.shape[1] != 1 and not spec.multi_temporal:
            raise InputError(f"Expected one date (B, 1, C, H, W) for a mono-temporal model, got {cloudy.shape[1]} dates")
        if cloud_mask is None:
            if spec.needs_mask:
                raise InputError("Expected a cloud_mask (B, T, H, W), True is cloud, because this model reads one; got None")
        elif tuple(cloud_mask.shape) != frame or cloud_mask.dtype != torch.bool:
            raise InputError(f"Expected cloud_mask to be bool {frame}, True is cloud, got {cloud_mask.dtype} {tuple(cloud_mask.shape)}")


def mirror_to(array: Tensor, size: tuple[int, int]) -> Tensor:
    """Grow the last two axes to `size` at the bottom and right by mirroring, without repeating the edge.

    An image smaller than its margin is mirrored to and fro; one of a single row or column is repeated.

    Args:
        array: `(..., H, W)` of any dtype, bool included.
        size: `(rows, columns)`, at least `(H, W)`.
    """
    for axis, target in zip((-2, -1), size, strict=True):
        side = array.shape[axis]
        if target == side:
            continue
        period = max(1, 2 * (side - 1))
        step = torch.arange(target, device=array.device) % period
        array = array.index_select(axis, torch.where(step < side, step, period - step))
    return array
