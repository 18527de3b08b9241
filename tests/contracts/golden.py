"""Golden values of a model: `python -m tests.contracts.golden NAME` writes `tests/golden/NAME.json`.

To be run once, when a model is new; a later difference means that the model changed.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.contracts.small_models import build, card, fields_of, inputs, predict

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def sampled(name: str, field: Tensor) -> list[Any]:
    """What of an answer is kept: 5 x 5 pixels of the image fields, 24 values evenly through every other."""
    if name in {"mean", "variance"}:
        kept: list[Any] = field[0, :, ::5, ::6].double().tolist()
        return kept
    flat = field.double().flatten()
    values: list[Any] = flat[torch.linspace(0, flat.numel() - 1, 24).long()].tolist()
    return values


def compute(name: str) -> list[dict[str, Any]]:
    """Golden values of each small configuration."""
    found = []
    for index, kwargs in enumerate(card(name).small):
        model = build(name, index)
        fields = fields_of(predict(model, *inputs(model, 20, 28)))
        values = {"mean": None, "variance": None} | {key: sampled(key, field) for key, field in fields.items()}
        found.append({"kwargs": dict(kwargs), **values})
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


if __name__ == "__main__":
    torch.set_num_threads(1)
    for chosen in sys.argv[1:]:
        rows = [json.dumps({key: value if key == "kwargs" else _rounded(value) for key, value in row.items()}) for row in compute(chosen)]
        (GOLDEN / f"{chosen}.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")
