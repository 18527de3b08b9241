"""Linear regression of reflectance on features, with its strength of shrinkage chosen on squares of the scene left out."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geocr.core.types import NumberArray

_SHRINKAGE = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Tried in turn; relative to a feature's unit variance."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldedRidge:
    """One regression per fold, fitted on the other folds."""

    weights: Tensor
    """`(folds, features + 1, bands)` float32; the last row is the constant."""
    unseen: Tensor
    """`(n, bands)` float32: each pixel's prediction by the regression that did not see it."""
    shrinkage: float
    """The chosen strength."""


def with_constant(features: Tensor) -> Tensor:
    """`(n, features)` with a column of ones behind."""
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


def fit_folded_ridge(features: Tensor, target: Tensor, fold: NumberArray) -> FoldedRidge:
    """Fit all folds at all strengths from one set of sums, and keep the strength that predicts unseen squares best.

    Args:
        features: `(n, features)` float32, standardised.
        target: `(n, bands)` float32.
        fold: `(n,)` int64, counted from 0.
    """
    folds = int(fold.max()) + 1
    rows = [torch.from_numpy(np.flatnonzero(fold == part)) for part in range(folds)]
    extended = with_constant(features)
    squares = [extended[row].double().T @ extended[row].double() for row in rows]
    products = [extended[row].double().T @ target[row].double() for row in rows]
    best: tuple[float, float, Tensor, Tensor] | None = None
    for strength in _SHRINKAGE:
        weights, unseen, error = [], torch.empty_like(target), 0.0
        for part, row in enumerate(rows):
            others = [other for other in range(folds) if other != part]
            count = sum(len(rows[other]) for other in others)
            penalty = strength * count * torch.eye(extended.shape[1], dtype=torch.float64)
            penalty[-1, -1] = 1e-9 * count
            solved = torch.linalg.solve(sum_of(squares, others) + penalty, sum_of(products, others)).float()
            unseen[row] = extended[row] @ solved
            error += float((unseen[row] - target[row]).double().square().sum())
            weights.append(solved)
        if best is None or error < best[0]:
            best = (error, strength, torch.stack(weights), unseen)
    assert best is not None  # noqa: S101 - for mypy: strengths are never empty
    return FoldedRidge(weights=best[2], unseen=best[3], shrinkage=best[1])


def sum_of(tensors: list[Tensor], chosen: list[int]) -> Tensor:
    """Sum of some of the tensors, in order."""
    return torch.stack([tensors[i] for i in chosen]).sum(dim=0)
