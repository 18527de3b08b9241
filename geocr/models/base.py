"""The base of every network: one typed forward, checked and padded once for all of them."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.models.card import ModelCard
from geocr.models.spec import ModelSpec


class FusionInput(NamedTuple):
    """What `FusionModel.fuse` is handed: checked, and of sides that the model can compute on."""

    sar: Tensor
    """`(B, T, Cs, H, W)` float, network units, finite, bands as in `spec.sar_bands`."""
    cloudy: Tensor
    """`(B, T, Co, H, W)` float, network units, finite, bands as in `spec.optical_in` (`Co` may be 0)."""
    cloud_mask: Tensor | None = None
    """`(B, T, H, W)` bool, True is cloud or shadow; a tensor exactly when `spec.needs_mask`."""
    dates: Tensor | None = None
    """`(B, T)` float, days since `DATE_EPOCH`; a tensor exactly when `spec.needs_dates`."""
    date_valid: Tensor | None = None
    """`(B, T)` bool, False is a date that only fills the batch and must not change the answer (its pixels are 0); None: all are real."""


class FusionOutput(NamedTuple):
    """What a network predicts, in network units. Always these fields; None where a model has none of it.

    `H, W` are the caller's. A map on a grid of its own spans the padded image (`spec.padded_px`).
    """

    mean: Tensor
    """`(B, Co, H, W)` float, bands as in `spec.optical_out`; not clipped."""
    variance: Tensor | None = None
    """`(B, Co, H, W)` float, above 0, in squared network units; None unless `spec.has_std`. One variance for
    all bands is spread over them."""
    attention: Tensor | None = None
    """`(B, T, A, h, w)` float, 0 to 1: `A` maps per date, on the model's own grid or the image's. Models over
    several dates: the weight of each date, which sums to 1 over `T`. Models that composite: the share of the
    prediction in the answer, 1 where the cloudy input is replaced (`T = A = 1`)."""
    structure_mask: Tensor | None = None
    """`(B, 1, H, W)` float, 0 to 1: where Sentinel-1 sees structure."""
    simulated: Tensor | None = None
    """`(B, Co, H, W)` float: the optical image that a stage of the model made of Sentinel-1 alone."""
    factors: dict[str, Tensor] | None = None
    """Features and reconstructions of a disentangled model by name, as its docstring lists them; each
    `(B, C, h, w)` float."""


class FusionModel(nn.Module, ABC):
    """A network that reconstructs cloud-free Sentinel-2 from cloudy Sentinel-2 and Sentinel-1.

    A subclass computes in `fuse`; this class checks shapes, pads sides to what the model can compute on
    (bottom and right, so that the model's grid stays where it was) and crops the answer. Arrays are in
    the units of `spec.normalizer`, not in those of a scene.

    Args:
        spec: The contract of this configuration.
    """

    card: ClassVar[ModelCard]
    """Facts about the model that hold for all its configurations; every model of the table states them."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def idle_parameters(self) -> frozenset[str]:
        """Names of parameters that no field of the answer depends on, kept so that published weights fit; none in most models."""
        return frozenset()

    @abstractmethod
    def fuse(self, given: FusionInput) -> FusionOutput:
        """Predict for checked inputs whose sides are at least `spec.min_size_px` and multiples of `spec.size_multiple_px`."""

    def forward(
        self,
        sar: Tensor,
        cloudy: Tensor,
        cloud_mask: Tensor | None = None,
        dates: Tensor | None = None,
        date_valid: Tensor | None = None,
    ) -> FusionOutput:
        """Predict the clear image for any side of at least one pixel.

        Args:
            sar: `(B, T, Cs, H, W)` float, network units, finite, bands as in `spec.sar_bands` (`Cs` may be 0).
            cloudy: `(B, T, Co, H, W)` float, network units, finite, bands as in `spec.optical_in` (`Co` may be 0).
            cloud_mask: `(B, T, H, W)` bool, True is cloud or shadow; None is allowed unless `spec.needs_mask`.
            dates: `(B, T)` float, days since `DATE_EPOCH`, in any order; None is allowed unless `spec.needs_dates`.
            date_valid: `(B, T)` bool, False is a date that only fills the batch: whatever its pixels hold, the
                answer is that without it. None: all dates are real.

        Returns:
            Mean, variance and what else the model gives, in the dtype of `cloudy`.

        Raises:
            InputError: When shapes or dtypes are not those above, or a sample has no real date.
        """
        if not torch.compiler.is_compiling():
            self._check_inputs(sar, cloudy, cloud_mask)
            self._check_dates(cloudy, dates, date_valid)
        if date_valid is not None:
            real = date_valid[:, :, None, None, None]
            sar, cloudy = sar.masked_fill(~real, 0.0), cloudy.masked_fill(~real, 0.0)  # whatever stood there, a NaN included
        mask = cloud_mask if self.spec.needs_mask else None
        given = FusionInput(sar, cloudy, mask, dates if self.spec.needs_dates else None, date_valid)
        rows, cols = cloudy.shape[-2:]
        size = self.spec.padded_px(rows), self.spec.padded_px(cols)
        if size != (rows, cols):
            given = given._replace(
                sar=mirror_to(sar, size), cloudy=mirror_to(cloudy, size), cloud_mask=None if mask is None else mirror_to(mask, size)
            )
        return _finished(self.fuse(given), size, (rows, cols), cloudy.dtype)

    @property
    def compute_dtype(self) -> torch.dtype:
        """Dtype of the weights, to which a model casts what enters its layers; float32 for one without weights."""
        return next((parameter.dtype for parameter in self.parameters() if parameter.is_floating_point()), torch.float32)

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

    def _check_dates(self, cloudy: Tensor, dates: Tensor | None, date_valid: Tensor | None) -> None:
        frame = tuple(cloudy.shape[:2])
        if dates is None:
            if self.spec.needs_dates:
                raise InputError("Expected dates (B, T), days since 2014-04-03, because this model reads them; got None")
        elif tuple(dates.shape) != frame or not dates.is_floating_point():
            raise InputError(f"Expected dates to be float {frame}, days since 2014-04-03, got {dates.dtype} {tuple(dates.shape)}")
        if date_valid is None:
            return
        if tuple(date_valid.shape) != frame or date_valid.dtype != torch.bool:
            raise InputError(
                f"Expected date_valid to be bool {frame}, True is a real date, got {date_valid.dtype} {tuple(date_valid.shape)}"
            )
        if not bool(date_valid.any(dim=1).all()):
            raise InputError("Expected at least one real date in each sample, got date_valid with a row of False")


def _finished(out: FusionOutput, computed: tuple[int, int], wanted: tuple[int, int], dtype: torch.dtype) -> FusionOutput:
    """The answer on the caller's pixels and in the caller's dtype; maps on a grid of their own stay whole."""

    def finished(field: Tensor | None) -> Tensor | None:
        if field is None:
            return None
        own = field if tuple(field.shape[-2:]) != computed else field[..., : wanted[0], : wanted[1]]
        return own.to(dtype)

    mean = out.mean[..., : wanted[0], : wanted[1]].to(dtype)
    factors = None
    if out.factors is not None:
        factors = {name: field for name, field in ((name, finished(field)) for name, field in out.factors.items()) if field is not None}
    return FusionOutput(
        mean, finished(out.variance), finished(out.attention), finished(out.structure_mask), finished(out.simulated), factors
    )


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
