"""A model with what it is trained to minimise, as one module: losses are objects, put together once from their settings."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from geocr.core.errors import InputError
from geocr.losses import LOSSES
from geocr.losses.base import Loss, LossInput
from geocr.losses.weighted import WeightedSum
from geocr.models.base import FusionModel, FusionOutput
from geocr.training.config import Source, TermConfig
from geocr.training.network_batch import NetworkBatch


class Judged(NamedTuple):
    """A prediction and its loss."""

    total: Tensor
    """Scalar, with gradient."""
    parts: dict[str, Tensor]
    """Each term, scalar, not weighted, without gradient."""
    out: FusionOutput
    """The prediction."""


class Objective(nn.Module):
    """Predict and judge in one forward, so that gradients of several processes meet in one place.

    Losses are computed in float32, whatever the precision of the layers.

    Args:
        model: What is trained.
        losses: Image of the answer to the losses on it.
        own: Weights of the model's own terms (`disentangling_terms`).
    """

    def __init__(self, model: FusionModel, losses: Mapping[Source, WeightedSum], own: Mapping[str, float]) -> None:
        super().__init__()
        self.model = model
        self.losses = nn.ModuleDict({str(source): weighted for source, weighted in losses.items()})
        self.own = dict(own)

    def forward(self, batch: NetworkBatch) -> Judged:
        """Predict a batch and judge it."""
        out: FusionOutput = self.model(batch.sar, batch.cloudy, batch.cloud_mask if self.model.spec.needs_mask else None, batch.dates)
        totals: list[Tensor] = []
        parts: dict[str, Tensor] = {}
        if self.own and self.training and bool(batch.valid.any()):
            totals, parts = self._own_terms(batch)
        with torch.autocast(batch.sar.device.type, enabled=False):
            for source, weighted in self.losses.items():
                if not isinstance(weighted, WeightedSum):
                    continue
                found = weighted.parts(loss_input(batch, out, source))
                totals.append(weighted.total(found))
                parts |= found
        return Judged(torch.stack(totals).sum(), {name: part.detach() for name, part in parts.items()}, out)

    def _own_terms(self, batch: NetworkBatch) -> tuple[list[Tensor], dict[str, Tensor]]:
        terms = self.model.disentangling_terms(batch.sar[:, 0], batch.target, batch.valid)._asdict()  # type: ignore[operator]  # checked when built
        return [self.own[name] * terms[name].float() for name in self.own], {name: terms[name] for name in self.own}


def loss_input(batch: NetworkBatch, out: FusionOutput, source: str) -> LossInput:
    """What a loss on one image of the answer is given.

    Raises:
        InputError: When the answer has no such image.
    """
    image: Tensor | None = getattr(out, source)
    if image is None:
        raise InputError(f"a term of the loss looks at `{source}`, which this model does not give; drop it with --set loss.NAME=null")
    return LossInput(
        mean=image,
        target=batch.target.to(image.dtype),
        variance=out.variance if source == "mean" else None,
        cloudy=batch.cloudy_out,
        cloud_mask=batch.any_mask,
        valid_mask=batch.valid,
        structure_mask=out.structure_mask,
        attention=out.attention,
    )


def build_objective(model: FusionModel, terms: Mapping[str, TermConfig | None], own: Mapping[str, float]) -> Objective:
    """Put a model and its losses together.

    Raises:
        InputError: When a term's arguments do not fit, or the model has no terms of its own by these names.
        RegistryError: When there is no such loss.
    """
    by_source: dict[Source, dict[str, tuple[float, Loss]]] = {}
    for name, term in terms.items():
        if term is not None:
            by_source.setdefault(term.of, {})[name] = (term.weight, _build(name, term))
    _check_own(model, own)
    return Objective(model, {source: WeightedSum(found) for source, found in by_source.items()}, own)


def _build(name: str, term: TermConfig) -> Loss:
    kind = LOSSES.load(term.loss)
    try:
        loss: Loss = kind(**term.args)
    except TypeError as error:
        raise InputError(f"loss.{name}.args must be arguments of {term.loss}; {error}") from error
    return loss


def _check_own(model: FusionModel, own: Mapping[str, float]) -> None:
    known = ("reconstruction", "swap", "separation") if hasattr(model, "disentangling_terms") else ()
    unknown = [name for name in own if name not in known]
    if unknown:
        raise InputError(f"model_terms of this model are {', '.join(known) or 'none'}; got {', '.join(unknown)}")
