"""Validation samples as a picture: what the model saw, what it made of it, and the truth."""

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from geocr.core.types import ByteArray
from geocr.data.show import PANEL_PX
from geocr.models.base import FusionOutput
from geocr.models.spec import ModelSpec
from geocr.training.network_batch import NetworkBatch
from geocr.training.units import mean_to_physical

_MARGIN_PX, _TEXT_PX = 6, 14
_TRUE_COLOUR = ("B04", "B03", "B02")
_CLOUD_COLOUR = (220, 60, 60)


def draw_predictions(rows: list[tuple[NetworkBatch, FusionOutput]], spec: ModelSpec) -> Image.Image:
    """One sample a row: Sentinel-1, cloudy input, prediction, truth, mask, attention, standard deviation, as far as there are such.

    Colours of a row are stretched alike, by its truth; the last date of several is shown.

    Args:
        rows: Batches of one sample with their predictions.
        spec: The model's contract.
    """
    drawn = [(batch.ids[0], _panels(batch, out, spec)) for batch, out in rows]
    columns = max(len(panels) for _, panels in drawn)
    step_x, step_y = PANEL_PX + _MARGIN_PX, PANEL_PX + _TEXT_PX + 2 * _MARGIN_PX
    canvas = Image.new("RGB", (columns * step_x + _MARGIN_PX, len(drawn) * step_y + _MARGIN_PX), (255, 255, 255))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(_TEXT_PX - 2)
    for row, (title, panels) in enumerate(drawn):
        top = _MARGIN_PX + row * step_y
        pen.text((_MARGIN_PX, top), f"{title}   {' | '.join(panels)}", fill=(30, 30, 30), font=font)
        for column, panel in enumerate(panels.values()):
            picture = Image.fromarray(panel).resize((PANEL_PX, PANEL_PX), Image.Resampling.NEAREST)
            canvas.paste(picture, (_MARGIN_PX + column * step_x, top + _TEXT_PX + _MARGIN_PX // 2))
    return canvas


def _panels(batch: NetworkBatch, out: FusionOutput, spec: ModelSpec) -> dict[str, ByteArray]:
    bands = _colour_bands(spec.optical_out)
    truth = mean_to_physical(spec.normalizer, batch.target[0].float().cpu())
    low, high = _stretch(truth[bands][:, batch.valid[0].cpu()])

    def colour(image: Tensor, chosen: list[int]) -> ByteArray:
        return _shades(mean_to_physical(spec.normalizer, image.float().cpu())[chosen], low, high)

    panels: dict[str, ByteArray] = {}
    if spec.sar_bands:
        start, stop = spec.normalizer.sar_range
        panels[spec.sar_bands[0]] = _shades(batch.sar[0, -1, :1].cpu(), start, stop)
    if spec.optical_in:
        panels["cloudy"] = colour(batch.cloudy[0, -1], _colour_bands(spec.optical_in))
    panels["prediction"] = colour(out.mean[0], bands)
    panels["truth"] = _shades(truth[bands], low, high)
    if out.simulated is not None:
        panels["simulated"] = colour(out.simulated[0], bands)
    if batch.cloud_mask is not None:
        mask = batch.cloud_mask[0, -1].cpu().numpy()[..., None]
        panels["mask"] = np.where(mask, np.array(_CLOUD_COLOUR, np.uint8), np.uint8(255)).astype(np.uint8)
    if out.attention is not None:
        panels["attention"] = _shades(_one_map(out.attention[0].float().cpu(), tuple(truth.shape[-2:])), 0.0, 1.0)
    if out.structure_mask is not None:
        panels["structure"] = _shades(out.structure_mask[0].float().cpu(), 0.0, 1.0)
    if out.variance is not None:
        std = out.variance[0].float().cpu().clamp_min(0).mean(dim=0, keepdim=True).sqrt()
        panels["std"] = _shades(std, 0.0, max(float(std.max()), 1e-6))
    return panels


def _one_map(attention: Tensor, size: tuple[int, ...]) -> Tensor:
    """`(1, y, x)`: the last date's maps, averaged, on the image's pixels."""
    return functional.interpolate(attention[-1].mean(dim=0)[None, None], size=size, mode="nearest")[0]


def _colour_bands(names: tuple[str, ...]) -> list[int]:
    if all(name in names for name in _TRUE_COLOUR):
        return [names.index(name) for name in _TRUE_COLOUR]
    return [0, 1, 2] if len(names) >= 3 else [0]


def _stretch(seen: Tensor) -> tuple[float, float]:
    if not seen.numel():
        return 0.0, 1.0
    low, high = np.percentile(seen.numpy(), [1, 99])
    return float(low), float(max(high, low + 1e-6))


def _shades(image: Tensor, low: float, high: float) -> ByteArray:
    """`(1 or 3, y, x)` as `(y, x, 3)` bytes."""
    scaled = torch.nan_to_num((image - low) / (high - low)).clamp(0, 1) * 255
    picture: ByteArray = scaled.expand(3, -1, -1).permute(1, 2, 0).numpy().astype(np.uint8)
    return picture
