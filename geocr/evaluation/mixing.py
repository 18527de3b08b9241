"""Several predictions of one sample as one: the mean and variance of a mixture of Gaussians of equal weight."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from geocr.core.errors import InputError
from geocr.evaluation.prediction import Prediction

EnsembleVariance: TypeAlias = Literal["aleatoric", "epistemic", "both"]
"""What of a mixture's variance is reported.

Aleatoric: the mean of the variances, what each member thinks is noise. Epistemic: the variance of the means, what members disagree on.
Both: their sum, the variance of the mixture.
"""
ENSEMBLE_VARIANCES: tuple[EnsembleVariance, ...] = ("aleatoric", "epistemic", "both")


def mix(members: Sequence[Prediction], kind: EnsembleVariance) -> Prediction:
    """Mean of the means, and a variance: Lakshminarayanan et al. 2017, arXiv:1612.01474, section 2.4.

    Args:
        members: Two predictions or more of one sample, of one shape.
        kind: Which part of the variance. The epistemic part divides by the number of members, as a mixture does.

    Returns:
        In float32, computed in float64. No variance where an aleatoric one is asked for and a member has none.

    Raises:
        InputError: With fewer than two members.
    """
    if len(members) < 2:
        raise InputError(f"an ensemble has two members or more, got {len(members)}; give more checkpoints, or leave --ensemble out")
    means = torch.stack([member.mean.double() for member in members])
    variance: Tensor | None = means.var(dim=0, correction=0) if kind != "aleatoric" else None
    if kind != "epistemic":
        aleatoric = mean_variance(members)
        variance = aleatoric if variance is None or aleatoric is None else variance + aleatoric
    fallback = next((member.fallback for member in members if member.fallback is not None), None)
    return Prediction(means.mean(dim=0).float(), None if variance is None else variance.float(), fallback)


def mean_variance(members: Sequence[Prediction]) -> Tensor | None:
    """Float64 mean of the members' variances; None where one has none."""
    known = [member.variance.double() for member in members if member.variance is not None]
    return torch.stack(known).mean(dim=0) if len(known) == len(members) else None


def average(views: Sequence[Prediction]) -> Prediction:
    """Views of one network as one prediction: mean of means, mean of variances. Their spread is no claim about the error."""
    return views[0] if len(views) == 1 else mix(views, "aleatoric")
