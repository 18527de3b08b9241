"""Small configurations of every model in the table, with weights and images that are formulas: the same on every machine."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from geocr.models import MODELS
from geocr.models.base import FusionModel, FusionOutput
from geocr.models.card import ModelCard

DAYS = (2100.0, 2137.0, 2195.0)
"""Dates of the inputs to models that take several: of the years that SEN12MS-CR-TS covers."""


def card(name: str) -> ModelCard:
    kind: type[FusionModel] = MODELS.load(name)
    return kind.card


def _is_multi_temporal(name: str, index: int) -> bool:
    with torch.device("meta"):
        model: FusionModel = MODELS.load(name)(**card(name).small[index])
    return model.spec.multi_temporal


CASES = [pytest.param(name, index, id=f"{name}-{index}") for name in MODELS for index in range(len(card(name).small))]
MULTI_TEMPORAL = [case for case in CASES if _is_multi_temporal(*case.values)]
FIRST = [pytest.param(name, 0, id=name) for name in MODELS]


def build(name: str, index: int) -> FusionModel:
    """A configuration whose weights are a formula, so that no generator of random numbers can change them."""
    model: FusionModel = MODELS.load(name)(**card(name).small[index])
    with torch.no_grad():
        for number, (key, parameter) in enumerate(model.named_parameters()):
            scattered = torch.from_numpy(_scattered(parameter.numel(), number).reshape(tuple(parameter.shape)))
            fan = max(1, parameter[0].numel()) if parameter.ndim else 1
            if parameter.ndim > 1:
                parameter.copy_(scattered * np.sqrt(3 / fan))
            else:
                parameter.copy_(0.3 * scattered + (1 if key.endswith("weight") else 0))
    return model.eval()


def _scattered(count: int, number: int) -> np.ndarray:
    """Values from -1 to 1 without pattern or correlation, whatever the machine: the tail of a large sine's digits."""
    wave = np.sin(np.arange(1, count + 1) * 12.9898 + number * 78.233) * 43758.5453
    return (2 * (wave - np.floor(wave)) - 1).astype(np.float64)


def inputs(model: FusionModel, rows: int, cols: int, batch: int = 1) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """SAR, cloudy, mask and dates: smooth waves plus structure that no flip or shift leaves alone, by formula."""
    y, x = np.mgrid[:rows, :cols].astype(np.float32)
    dates = len(DAYS) if model.spec.multi_temporal else 1

    def images(bands: int, first: int) -> Tensor:
        def image(band: int, sample: int, date: int) -> np.ndarray:
            return 0.5 + 0.4 * np.sin(0.31 * y * (band + 1) + 0.17 * x + sample + band + 2.3 * date) + 0.001 * x

        stack = [[[image(first + band, n, t) for band in range(bands)] for t in range(dates)] for n in range(batch)]
        return torch.from_numpy(np.array(stack, np.float32).reshape(batch, dates, bands, rows, cols))

    mask = np.stack([(y + 2 * x + 3 * t) % 11 < 4 + t for t in range(dates)])
    return (
        images(len(model.spec.sar_bands), 20),
        images(len(model.spec.optical_in), 0),
        torch.from_numpy(np.broadcast_to(mask, (batch, *mask.shape)).copy()),
        torch.tensor([DAYS[:dates]] * batch),
    )


def predict(model: Any, *arrays: Tensor) -> FusionOutput:
    with torch.inference_mode():
        out: FusionOutput = model(*arrays)
    return out


def fields_of(out: FusionOutput) -> dict[str, Tensor]:
    """Every tensor of an answer by name."""
    single = {name: field for name, field in out._asdict().items() if isinstance(field, Tensor)}
    return single | {f"factors.{name}": field for name, field in (out.factors or {}).items()}


def assert_close(left: FusionOutput, right: FusionOutput, atol: float) -> None:
    """Equal within `atol` of the greatest magnitude in each field, or of 1 if that is less."""
    ours, theirs = fields_of(left), fields_of(right)
    assert set(ours) == set(theirs)
    for name, field in ours.items():
        torch.testing.assert_close(
            field, theirs[name], atol=atol * max(1.0, float(theirs[name].abs().max())), rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )
