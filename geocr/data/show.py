"""Samples as a picture: a row each of Sentinel-1, cloudy, mask and clear."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from geocr.core.errors import InputError, OutputWriteError
from geocr.core.types import ByteArray
from geocr.data.datasets.base import FusionDataset
from geocr.data.sample import FusionSample

PANEL_PX = 192
"""Side of a panel; larger samples are shrunk by taking every n-th pixel, smaller ones enlarged."""
_MARGIN_PX, _TEXT_PX = 8, 14
_TRUE_COLOUR = ("B04", "B03", "B02")
_CLOUD_COLOUR = (220, 60, 60)
_UNKNOWN_COLOUR = (235, 235, 235)
_SAR_DB = (-25.0, 0.0)
"""Backscatter drawn from black to white."""


def spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` numbers below `count`, spread evenly."""
    if wanted >= count:
        return list(range(count))
    return [round(step * (count - 1) / max(1, wanted - 1)) for step in range(wanted)]


def draw_samples(dataset: FusionDataset, numbers: Sequence[int]) -> Image.Image:
    """Draw samples of a data set, one a row, their identifiers above.

    Args:
        dataset: Whose samples.
        numbers: Which.

    Raises:
        InputError: When there are none to draw.
    """
    if not numbers:
        raise InputError("a picture needs at least one sample, got none")
    rows = [_panels(dataset[number]) for number in numbers]
    columns = max(len(panels) for _, panels in rows)
    width = columns * (PANEL_PX + _MARGIN_PX) + _MARGIN_PX
    height = len(rows) * (PANEL_PX + _TEXT_PX + 2 * _MARGIN_PX) + _MARGIN_PX
    canvas = Image.new("RGB", (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_TEXT_PX - 2)
    for place, (title, panels) in enumerate(rows):
        top = _MARGIN_PX + place * (PANEL_PX + _TEXT_PX + 2 * _MARGIN_PX)
        draw.text((_MARGIN_PX, top), f"{title}   {' | '.join(name for name, _ in panels)}", fill=(30, 30, 30), font=font)
        for column, (_, panel) in enumerate(panels):
            picture = Image.fromarray(panel).resize((PANEL_PX, PANEL_PX), Image.Resampling.NEAREST)
            canvas.paste(picture, (_MARGIN_PX + column * (PANEL_PX + _MARGIN_PX), top + _TEXT_PX + _MARGIN_PX // 2))
    return canvas


def write_samples(dataset: FusionDataset, numbers: Sequence[int], destination: Path) -> Path:
    """Draw samples into a PNG.

    Raises:
        OutputWriteError: When it cannot be written.
    """
    image = draw_samples(dataset, numbers)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        image.save(destination, format="PNG", optimize=True)
    except OSError as error:
        raise OutputWriteError(f"a picture must be writable; {destination} is not: {error}; choose another file with -o") from error
    return destination


def _panels(sample: FusionSample) -> tuple[str, list[tuple[str, ByteArray]]]:
    """Title, and name and picture of each panel. The last date of several is drawn."""
    meta = sample["meta"]
    panels: list[tuple[str, ByteArray]] = []
    if sample["sar"].shape[1]:
        panels.append((f"{meta['sar_bands'][0]} {meta['sar_unit']}", _radar(sample["sar"][-1, 0], display=meta["sar_unit"] == "display")))
    reference = sample.get("clear", sample["cloudy"][-1] if "cloudy" in sample else None)
    if reference is not None:
        bands = _colour_bands(meta["optical_bands"])
        low, high = _stretch(reference[bands])
        if "cloudy" in sample:
            panels.append(("cloudy", _colour(sample["cloudy"][-1][bands], low, high)))
        if "cloud_mask" in sample:
            panels.append((f"mask {float(sample['cloud_mask'][-1].float().mean()):.0%}", _mask(sample["cloud_mask"][-1])))
        if "clear" in sample:
            panels.append(("clear", _colour(sample["clear"][bands], low, high)))
    dates = meta["times"]["clear"] or next((date for date in meta["times"]["cloudy"] if date), None)
    return f"{meta['id']}{f' {dates}' if dates else ''}", panels


def _colour_bands(names: Sequence[str]) -> list[int]:
    """Red, green, blue where they are; else the first three; else one thrice."""
    if all(name in names for name in _TRUE_COLOUR):
        return [names.index(name) for name in _TRUE_COLOUR]
    return [0, 1, 2] if len(names) >= 3 else [0, 0, 0]


def _stretch(image: Tensor) -> tuple[float, float]:
    seen = image[torch.isfinite(image)].numpy()
    if not seen.size:
        return 0.0, 1.0
    low, high = np.percentile(seen, [1, 99])
    return float(low), float(max(high, low + 1e-6))


def _colour(image: Tensor, low: float, high: float) -> ByteArray:
    scaled = ((image - low) / (high - low)).clamp(0, 1) ** (1 / 1.4)
    picture: ByteArray = (torch.nan_to_num(scaled).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    picture[~torch.isfinite(image).all(dim=0).numpy()] = _UNKNOWN_COLOUR
    return picture


def _radar(image: Tensor, *, display: bool) -> ByteArray:
    low, high = (0.0, 255.0) if display else _SAR_DB
    grey = ((torch.nan_to_num(image, nan=low) - low) / (high - low)).clamp(0, 1)
    picture: ByteArray = (grey[..., None].expand(-1, -1, 3).numpy() * 255).astype(np.uint8)
    picture[~torch.isfinite(image).numpy()] = _UNKNOWN_COLOUR
    return picture


def _mask(mask: Tensor) -> ByteArray:
    picture: ByteArray = np.where(mask.numpy()[..., None], np.array(_CLOUD_COLOUR, np.uint8), np.uint8(255)).astype(np.uint8)
    return picture
