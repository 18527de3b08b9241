"""What can be told of every model in the table without weights: `geocr models` and the tables of the docs read it here."""

import inspect
from typing import Any, Literal, get_args, get_origin, get_type_hints

from geocr.models import MODELS
from geocr.models.base import FusionModel
from geocr.models.meta import without_memory


def describe_model(name: str) -> dict[str, Any]:
    """Facts of a model at its default configuration, as JSON keeps them.

    The model is built without memory, so that the largest answers as fast as the smallest. `options` holds
    the arguments of its constructor: `default`, and `choices` where they are closed.

    Raises:
        RegistryError: When the table has no such name.
    """
    kind = MODELS.load(name)
    with without_memory():
        model: FusionModel = kind()
    spec = model.spec
    return {
        "name": name,
        **_card(kind),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "sar_bands": list(spec.sar_bands),
        "sar_units": spec.sar_units,
        "optical_in": list(spec.optical_in),
        "optical_out": list(spec.optical_out),
        "optical_units": spec.optical_units,
        "level": spec.level,
        "channel_order": spec.channel_order,
        "multi_temporal": spec.multi_temporal,
        "needs_mask": spec.needs_mask,
        "needs_dates": spec.needs_dates,
        "has_std": spec.has_std,
        "size_multiple_px": spec.size_multiple_px,
        "min_size_px": spec.min_size_px,
        "tile_px": spec.tile_px,
        "receptive_radius_px": spec.receptive_radius_px,
        "options": _options(kind),
    }


def _card(kind: type[FusionModel]) -> dict[str, Any]:
    """From the card, or nothing known for a model of another package that states none."""
    card = getattr(kind, "card", None)
    if card is None:
        return dict.fromkeys(("title", "paper", "url", "original_licence", "torch_export", "onnx"))
    return {
        "title": card.title,
        "paper": card.paper,
        "url": card.url,
        "original_licence": card.original_licence,
        "torch_export": card.not_exportable or "yes",
        "onnx": card.not_onnx or card.not_exportable or "yes",
    }


def _options(kind: type[FusionModel]) -> dict[str, dict[str, Any]]:
    hints = get_type_hints(kind.__init__)
    found: dict[str, dict[str, Any]] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        if name == "normalizer":  # units are told by themselves
            continue
        default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        choices = _choices(hints.get(name))
        found[name] = {"default": default} | ({"choices": choices} if choices else {})
    return found


def _choices(hint: object) -> list[Any]:
    """Values of the literals in a type, those of a union together."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [choice for part in get_args(hint) for choice in _choices(part)]
