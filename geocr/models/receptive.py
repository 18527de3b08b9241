"""How far a pixel reaches through a network: measured on the network, and told from its layers."""

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
        model: Any model; it is left in the mode it came in.
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
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            if _marked(model, side, None).any():
                raise InputError("a model must give finite values for finite inputs, got NaN; its weights are broken")
            radius = 0
            for pixel in range(centre, min(centre + stride, side)):
                touched = _marked(model, side, pixel).nonzero()
                if touched.numel() and (int(touched.min()) == 0 or int(touched.max()) == side - 1):
                    return None
                radius = max(radius, int((touched - pixel).abs().max()) if touched.numel() else 0)
    finally:
        model.train(training)
    return radius


def _marked(model: FusionModel, side: int, pixel: int | None) -> torch.Tensor:
    """`(H, W)` bool on the CPU, True where the output is NaN when input pixel `(pixel, pixel)` is, or the mask's pixel changes it."""
    spec = model.spec
    device = next(chain(model.parameters(), model.buffers()), torch.empty(0)).device
    days = torch.tensor([[0.0, 100.0]] if spec.multi_temporal else [[0.0]], device=device)
    frames = [
        torch.full((1, days.shape[1], len(bands), side, side), 0.5, device=device) * (1 + days / 100).view(1, -1, 1, 1, 1)
        for bands in (spec.sar_bands, spec.optical_in)
    ]
    mask = torch.zeros((1, days.shape[1], side, side), dtype=torch.bool, device=device)
    if pixel is None:
        return _lost(model(*frames, mask, days)).cpu()
    turned = mask.clone()
    turned[0, 0, pixel, pixel] = True
    seen = _changed(model(*frames, mask, days), model(*frames, turned, days)) if spec.needs_mask else None
    for frame in frames:
        frame[..., pixel, pixel] = torch.nan
    marked = _lost(model(*frames, mask, days))
    return (marked if seen is None else marked | seen).cpu()


def _lost(out: FusionOutput) -> torch.Tensor:
    """`(H, W)` bool, True where any value of the answer is NaN."""
    seen = torch.isnan(out.mean).any(dim=1)
    if out.variance is not None:
        seen = seen | torch.isnan(out.variance).any(dim=1)
    return seen[0]


def _changed(before: FusionOutput, after: FusionOutput) -> torch.Tensor:
    """`(H, W)` bool, True where two answers differ."""
    seen = (before.mean != after.mean).any(dim=1)
    if before.variance is not None and after.variance is not None:
        seen = seen | (before.variance != after.variance).any(dim=1)
    return seen[0]


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
