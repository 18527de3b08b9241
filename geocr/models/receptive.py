"""How far a pixel reaches through a network: measured on the network, and told from its layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from geocr.core.errors import InputError
from geocr.models.base import FusionModel, FusionOutput

_WHOLE_TILE_LAYERS = (
    nn.modules.instancenorm._InstanceNorm,  # noqa: SLF001 - torch's only common base of the family
    nn.GroupNorm,
    nn.modules.pooling._AdaptiveAvgPoolNd,  # noqa: SLF001
    nn.modules.pooling._AdaptiveMaxPoolNd,  # noqa: SLF001
    nn.MultiheadAttention,
)


def probe_receptive_radius(model: FusionModel, *, window_px: int = 256) -> int | None:
    """Measure how far an input pixel changes the output, by marking pixels with NaN and looking where NaN arrives.

    NaN survives every weight, ReLU and pooling, so one pass finds each path, whatever the weights are; a
    finite disturbance would miss those that are switched off. Every position on the model's grid is tried,
    since strided layers reach unequally far from each. A model over several dates is tried with two. The
    mask and its paths, which cannot hold a NaN, are tried by turning a pixel of it over: paths that the
    weights switch off are then taken to be those of the images.

    Args:
        model: Any model; every layer is left in the mode it came in.
        window_px: Side of the square that is tried, rounded up to the model's size.

    Returns:
        Greatest distance in pixels on either axis, or None when the influence reaches the square's edge: the
        model sees the whole tile, or farther than `window_px / 2`.

    Raises:
        InputError: When the model gives NaN for inputs without NaN.
    """
    side = model.spec.padded_px(window_px)
    stride = model.spec.size_multiple_px
    centre = side // 2 // stride * stride
    with evaluating(model):
        if _marked(model, side, None).any():
            raise InputError("a model must give finite values for finite inputs, got NaN; its weights are broken")
        radius = 0
        for pixel in range(centre, min(centre + stride, side)):
            touched = _marked(model, side, pixel).nonzero()
            if touched.numel() and (int(touched.min()) == 0 or int(touched.max()) == side - 1):
                return None
            radius = max(radius, int((touched - pixel).abs().max()) if touched.numel() else 0)
    return radius


STRIP_PX = 4
"""Least short side of a strip."""

EVERY_PLACE_UP_TO = 16
"""Greatest stride of which every place is tried; of wider ones the two outermost on either side, so that deep networks take seconds."""


def strip_reach_px(model: FusionModel, *, within_px: int) -> int:
    """Measure how far the model sees along each axis, in strips: quick, for checking a radius that is already known.

    As `probe_receptive_radius`, but a whole row (then a whole column) of a narrow strip is marked, so that only its long
    side must hold the reach. Exact where rows and columns are reached independently, as by every convolution and pooling.

    Args:
        model: Any model; every layer is left in the mode it came in.
        within_px: Distance up to which the reach is told exactly; of a farther one only that it is farther.

    Returns:
        Greatest distance in pixels on either axis.

    Raises:
        InputError: When the model gives NaN for inputs without NaN.
    """
    stride = model.spec.size_multiple_px
    first = model.spec.padded_px(within_px + 1)
    long, short = model.spec.padded_px(first + stride + within_px + 1), model.spec.padded_px(STRIP_PX)
    lines = [first + place for place in (range(stride) if stride <= EVERY_PLACE_UP_TO else (0, 1, stride - 2, stride - 1))]
    with evaluating(model):
        reach = max(_line_reach_px(model, (long, short), 0, lines), _line_reach_px(model, (short, long), 1, lines))
        if reach > within_px and _marked(model, model.spec.padded_px(STRIP_PX), None).any():
            raise InputError("a model must give finite values for finite inputs, got NaN; its weights are broken")
    return reach


def _line_reach_px(model: FusionModel, size: tuple[int, int], axis: int, lines: list[int]) -> int:
    """Greatest distance from any of these rows (axis 0) or columns of the images, each marked in an image of its own, to where it arrives."""
    sar, cloudy, mask, days = _probe_inputs(model, size)
    count = len(lines)
    sar, cloudy, days = (tensor.repeat(count, *[1] * (tensor.ndim - 1)) for tensor in (sar, cloudy, days))
    mask = mask.repeat(count, 1, 1, 1)
    turned = mask.clone()
    seen = None
    for sample, line in enumerate(lines):
        turned[sample].select(axis + 1, line).fill_(True)
    if model.spec.needs_mask:
        seen = _changed(
            model(sar, cloudy, mask, days), model(sar, cloudy, turned, days)
        )  # as many images each: other counts round differently
    for sample, line in enumerate(lines):
        sar[sample].select(axis + 2, line).fill_(torch.nan)
        cloudy[sample].select(axis + 2, line).fill_(torch.nan)
    touched = _lost(model(sar, cloudy, mask, days))
    touched = (touched if seen is None else touched | seen).any(dim=2 - axis).cpu()
    return max(int((row.nonzero() - line).abs().max()) if row.any() else 0 for row, line in zip(touched, lines, strict=True))


@contextmanager
def evaluating(model: FusionModel) -> Iterator[None]:
    """Eval mode without gradients, and every layer back in its own mode after it."""
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for layer, training in modes:
            layer.training = training


def _probe_inputs(model: FusionModel, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Both images, a clear mask and days, as `FusionModel.forward` takes them: one date, or two that differ."""
    spec = model.spec
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    days = torch.tensor([[0.0, 100.0]] if spec.multi_temporal else [[0.0]], device=device)
    sar, cloudy = (
        torch.full((1, days.shape[1], len(bands), *size), 0.5, device=device) * (1 + days / 100).view(1, -1, 1, 1, 1)
        for bands in (spec.sar_bands, spec.optical_in)
    )
    return sar, cloudy, torch.zeros((1, days.shape[1], *size), dtype=torch.bool, device=device), days


def _marked(model: FusionModel, side: int, pixel: int | None) -> torch.Tensor:
    """`(H, W)` bool on the CPU, True where the output is NaN when input pixel `(pixel, pixel)` is, or the mask's pixel changes it."""
    sar, cloudy, mask, days = _probe_inputs(model, (side, side))
    if pixel is None:
        return _lost(model(sar, cloudy, mask, days))[0].cpu()
    turned = mask.clone()
    turned[0, 0, pixel, pixel] = True
    seen = _changed(model(sar, cloudy, mask, days), model(sar, cloudy, turned, days)) if model.spec.needs_mask else None
    for frame in (sar, cloudy):
        frame[..., pixel, pixel] = torch.nan
    marked = _lost(model(sar, cloudy, mask, days))
    return (marked if seen is None else marked | seen)[0].cpu()


def _lost(out: FusionOutput) -> torch.Tensor:
    """`(B, H, W)` bool, True where any value of the answer is NaN."""
    seen = torch.isnan(out.mean).any(dim=1)
    if out.variance is not None:
        seen = seen | torch.isnan(out.variance).any(dim=1)
    return seen


def _changed(before: FusionOutput, after: FusionOutput) -> torch.Tensor:
    """`(B, H, W)` bool, True where two answers differ."""
    seen = (before.mean != after.mean).any(dim=1)
    if before.variance is not None and after.variance is not None:
        seen = seen | (before.variance != after.variance).any(dim=1)
    return seen


def whole_tile_warning(model: FusionModel) -> str | None:
    """A sentence to say aloud when the result of a pixel depends on the tile it lies in, else None.

    Told from the layers (normalisation by statistics of the tile, global pooling, attention) and from a
    spec that declares no finite radius.
    """
    found = {type(layer).__name__ for layer in model.modules() if isinstance(layer, _WHOLE_TILE_LAYERS)}
    found |= {
        f"{type(layer).__name__} without running statistics"
        for layer in model.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None  # noqa: SLF001
    }
    if not found and model.spec.receptive_radius_px is not None:
        return None
    why = ", ".join(sorted(found)) or "no finite receptive radius"
    return (
        f"This model sees its whole tile ({why}): a pixel's value depends on the tile around it. "
        f"Keep the recommended tile of {model.spec.tile_px} px, and let tiles overlap; seams are blended, not absent."
    )
