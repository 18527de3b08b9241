"""Best, median and worst sample of a method as a picture: radar, input, mask, prediction, truth, error."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from geocr.core.types import ByteArray
from geocr.data.sample import FusionSample
from geocr.evaluation.baselines import last_date
from geocr.evaluation.measuring import MethodMeasures
from geocr.evaluation.prediction import Prediction, measured_scale
from geocr.evaluation.run import EvaluationResult, Row

PANEL_PX = 192
"""Side of a panel."""
_MARGIN_PX, _TEXT_PX = 8, 14
_TRUE_COLOUR = ("B04", "B03", "B02")
_UNKNOWN = (235, 235, 235)
_CLOUD = (220, 60, 60)
_SAR_DB = (-25.0, 0.0)


class Chosen(NamedTuple):
    """A sample worth looking at."""

    rank: str
    """`best`, `median` or `worst`."""
    place: int
    """Of the sample in the evaluation."""
    key: str
    """The measure by which it was chosen."""
    value: float
    """Its value."""


def choose(rows: Sequence[Row], measures: MethodMeasures) -> list[Chosen]:
    """Best, median and worst of one method's rows, by the first measure of the preset: under cloud where that is measured.

    Of two samples of one value the earlier counts as better. Samples whose value is not a number are passed over.
    """
    keys = list(measures.sums)
    key = f"{keys[0]}_cloudy" if f"{keys[0]}_cloudy" in keys else keys[0]
    sign = -1 if measures.directions()[key] else 1
    known = sorted((sign * row[key], place) for place, row in enumerate(rows) if not math.isnan(row[key]))
    if not known:
        return []
    ranks = {"best": 0, "median": (len(known) - 1) // 2, "worst": len(known) - 1}
    return [Chosen(rank, known[index][1], key, sign * known[index][0]) for rank, index in ranks.items()]


def draw_galleries(result: EvaluationResult) -> dict[str, Image.Image]:
    """Method to picture, a row for each of its chosen samples. Predicts those samples again."""
    plan = result.plan
    chosen = {name: choose([row for row in result.rows if row["method"] == name], measures) for name, measures in result.measures.items()}
    places = sorted({one.place for ones in chosen.values() for one in ones})
    seen = {}
    for place in places:
        sample = plan.dataset[plan.numbers[place]]
        seen[place] = (sample, plan.methods.predict([sample])[0])
    bands = {place: plan.methods.bands_of(sample["meta"]) for place, (sample, _) in seen.items()}
    return {
        name: _draw([(_title(one, seen[one.place][0]), panels_of(seen[one.place][0], seen[one.place][1][name], bands[one.place][name])) for one in ones])
        for name, ones in chosen.items()
        if ones
    }  # fmt: skip


def _title(one: Chosen, sample: FusionSample) -> str:
    return f"{one.rank}: {sample['meta']['id']}, {one.key} {one.value:.4g}"


def panels_of(sample: FusionSample, prediction: Prediction, predicted: tuple[str, ...]) -> list[tuple[str, ByteArray]]:
    """Name and picture `(H, W, 3)` of each panel: common stretch by the truth; errors from black to white at 0.1 of white."""
    meta = sample["meta"]
    colours = _colour_bands(predicted)
    own = [meta["optical_bands"].index(band) for band in colours]
    theirs = [predicted.index(band) for band in colours]
    truth, mean = sample["clear"][own], prediction.mean[theirs]
    seen = truth[torch.isfinite(truth)].numpy()
    low, high = (float(end) for end in np.percentile(seen, [1, 99])) if seen.size else (0.0, 1.0)
    panels: list[tuple[str, ByteArray]] = []
    if sample["sar"].shape[1]:
        ends = (0.0, 255.0) if meta["sar_unit"] == "display" else _SAR_DB
        panels.append((meta["sar_bands"][0], _picture(sample["sar"][-1, :1].expand(3, -1, -1), ends, gamma=1.0)))
    if "cloudy" in sample:
        panels.append(("input", _picture(torch.from_numpy(last_date(sample))[own], (low, high))))
    if "cloud_mask" in sample:
        mask = sample["cloud_mask"].any(dim=0).numpy()
        panels.append((f"mask {mask.mean():.0%}", np.where(mask[..., None], np.array(_CLOUD, np.uint8), np.uint8(255)).astype(np.uint8)))
    panels.append(("prediction", _picture(mean, (low, high))))
    white = 0.1 * measured_scale(meta)
    if prediction.variance is not None:
        std = prediction.variance[theirs].mean(dim=0, keepdim=True).sqrt().expand(3, -1, -1)
        panels.append(("std", _picture(std, (0.0, white), gamma=1.0)))
    panels.append(("truth", _picture(truth, (low, high))))
    error = (mean - truth).abs().mean(dim=0, keepdim=True).expand(3, -1, -1)
    panels.append(("error", _picture(error, (0.0, white), gamma=1.0)))
    return panels


def _colour_bands(names: Sequence[str]) -> tuple[str, ...]:
    """Red, green, blue where they are; else the first three; else one thrice."""
    if all(name in names for name in _TRUE_COLOUR):
        return _TRUE_COLOUR
    return tuple(names[:3]) if len(names) >= 3 else (names[0],) * 3


def _picture(image: Tensor, ends: tuple[float, float], *, gamma: float = 1.4) -> ByteArray:
    low, high = ends
    scaled = ((image - low) / max(high - low, 1e-6)).clamp(0, 1) ** (1 / gamma)
    picture: ByteArray = (torch.nan_to_num(scaled).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    picture[~torch.isfinite(image).all(dim=0).numpy()] = _UNKNOWN
    return picture


def _draw(rows: Sequence[tuple[str, list[tuple[str, ByteArray]]]]) -> Image.Image:
    columns = max(len(panels) for _, panels in rows)
    step = PANEL_PX + _TEXT_PX + 2 * _MARGIN_PX
    canvas = Image.new("RGB", (columns * (PANEL_PX + _MARGIN_PX) + _MARGIN_PX, len(rows) * step + _MARGIN_PX), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_TEXT_PX - 2)
    for number, (title, panels) in enumerate(rows):
        top = _MARGIN_PX + number * step
        draw.text((_MARGIN_PX, top), f"{title}   {' | '.join(name for name, _ in panels)}", fill=(30, 30, 30), font=font)
        for column, (_, panel) in enumerate(panels):
            picture = Image.fromarray(panel).resize((PANEL_PX, PANEL_PX), Image.Resampling.NEAREST)
            canvas.paste(picture, (_MARGIN_PX + column * (PANEL_PX + _MARGIN_PX), top + _TEXT_PX + _MARGIN_PX // 2))
    return canvas
