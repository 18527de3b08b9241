"""The base of every loss: one typed input, and invalid pixels that cannot reach the result."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError

Region = Literal["all", "cloudy", "clear"]
"""Which valid pixels a loss counts: all of them, those under cloud or shadow, or the others."""

_IMAGES = ("mean", "target", "variance", "cloudy")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossInput:
    """What a loss is given, in network units. A loss says in `needs` which optional fields it reads."""

    mean: Tensor
    """`(B, C, H, W)` float: the prediction."""
    target: Tensor
    """`(B, C, H, W)` float: the clear image."""
    variance: Tensor | None = None
    """`(B, C, H, W)` or `(B, 1, H, W)` float, above 0: predicted variance of `mean`, in squared network units."""
    cloudy: Tensor | None = None
    """`(B, C, H, W)` float: the cloudy image, in the bands of the prediction."""
    cloud_mask: Tensor | None = None
    """`(B, H, W)` bool, True is cloud or shadow in the cloudy image."""
    valid_mask: Tensor | None = None
    """`(B, H, W)` bool, True is usable; values elsewhere, NaN included, change neither loss nor gradient. None: all."""
    structure_mask: Tensor | None = None
    """`(B, 1, H, W)` float, 0 to 1: where Sentinel-1 sees structure."""
    attention: Tensor | None = None
    """`(B, ..., h, w)` float, 0 to 1: share of the prediction in the answer, on any grid."""

    @property
    def valid(self) -> Tensor:
        """`(B, 1, H, W)` bool: `valid_mask`, or True everywhere."""
        if self.valid_mask is not None:
            return self.valid_mask.unsqueeze(1)
        batch, _, rows, cols = self.mean.shape
        return torch.ones((batch, 1, rows, cols), dtype=torch.bool, device=self.mean.device)

    def counted(self, region: Region) -> Tensor:
        """`(B, 1, H, W)` bool: the valid pixels of a region; `cloud_mask` must be there unless it is `all`."""
        if region == "all" or self.cloud_mask is None:
            return self.valid
        cloud = self.cloud_mask.unsqueeze(1)
        return self.valid & (cloud if region == "cloudy" else ~cloud)

    def checked(self, needs: frozenset[str]) -> "LossInput":
        """Return itself after checking that shapes agree and that what a loss needs is there.

        Raises:
            InputError: When a shape or dtype is not the one documented, or a needed field is None.
        """
        shape = tuple(self.mean.shape)
        if len(shape) != 4 or 0 in shape or not self.mean.is_floating_point():
            raise InputError(f"Expected `mean` to be float (B, C, H, W) with no side of 0, got {self.mean.dtype} {shape}")
        missing = sorted(name for name in needs if getattr(self, name) is None)
        if missing:
            raise InputError(f"this loss needs {', '.join(missing)}, got None; choose a model or data set that gives it, or another loss")
        single = (shape[0], 1, *shape[2:])
        pixels = (shape[0], *shape[2:])
        for name, allowed in {
            "target": (shape,),
            "variance": (shape, single),
            "cloudy": (shape,),
            "structure_mask": (single,),
            "cloud_mask": (pixels,),
            "valid_mask": (pixels,),
        }.items():
            tensor: Tensor | None = getattr(self, name)
            if tensor is None:
                continue
            kind = torch.bool if name in ("cloud_mask", "valid_mask") else None
            if tuple(tensor.shape) not in allowed or (tensor.dtype != kind if kind else not tensor.is_floating_point()):
                expected = " or ".join(str(one) for one in allowed)
                raise InputError(
                    f"Expected `{name}` to be {'bool' if kind else 'float'} {expected} beside `mean` {shape}, got {tensor.dtype} {tuple(tensor.shape)}"
                )
        return self

    def cleaned(self) -> "LossInput":
        """The same with neutral values (variance 1, else 0) at invalid pixels, and half precision widened to float32.

        A value that is replaced here has no gradient, whatever it was: that is why NaN may stand at invalid pixels.
        """
        valid = None if self.valid_mask is None else self.valid
        changes = {}
        for name in (*_IMAGES, "structure_mask", "attention"):
            tensor: Tensor | None = getattr(self, name)
            if tensor is None:
                continue
            wide = tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
            if valid is not None and name != "attention":
                wide = torch.where(valid, wide, torch.full_like(wide, 1.0 if name == "variance" else 0.0))
            changes[name] = wide
        return replace(self, **changes)


def present(tensor: Tensor | None) -> Tensor:
    """A field that the loss named in `needs`, so that it is there.

    Raises:
        InputError: When it is not.
    """
    if tensor is None:
        raise InputError("a loss reads only what it names in `needs`; add the field there")
    return tensor


class Loss(nn.Module, ABC):
    """A loss over one prediction. Subclasses compute in `value`, on an input whose invalid pixels are neutral."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """Optional fields of `LossInput` that the loss cannot do without."""

    def forward(self, given: LossInput) -> Tensor:
        """Return the loss, a scalar; 0 with gradient 0 where no pixel is valid.

        Raises:
            InputError: When the input lacks what the loss needs, or a shape or dtype is wrong.
        """
        if not torch.compiler.is_compiling():
            given.checked(self.required())
        return self.value(given.cleaned())

    def required(self) -> frozenset[str]:
        """Fields that this configuration of the loss needs."""
        return self.needs

    @abstractmethod
    def value(self, given: LossInput) -> Tensor:
        """The loss of a checked and cleaned input."""


def mean_where(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of `values` over the pixels that count; 0, with gradient 0, where none does.

    Args:
        values: `(B, C, H, W)` float, finite.
        counted: `(B, 1, H, W)` bool.
    """
    weights = counted.to(values.dtype)
    number = weights.sum() * values.shape[1]
    return (values * weights).sum() / number.clamp_min(1)


class RegionLoss(Loss):
    """A mean over the pixels of a region of what a subclass computes per value.

    Args:
        region: Which valid pixels count; other than `all` needs `cloud_mask`.
    """

    def __init__(self, *, region: Region = "all") -> None:
        super().__init__()
        if region not in ("all", "cloudy", "clear"):
            raise InputError(f"a loss counts the region all, cloudy or clear, got {region!r}")
        self.region: Region = region

    def required(self) -> frozenset[str]:
        """The mask, where the region depends on it."""
        return self.needs if self.region == "all" else self.needs | {"cloud_mask"}

    def value(self, given: LossInput) -> Tensor:
        """Mean over bands and counted pixels."""
        return mean_where(self.per_value(given), given.counted(self.region))

    @abstractmethod
    def per_value(self, given: LossInput) -> Tensor:
        """`(B, C, H, W)`: what is averaged."""
