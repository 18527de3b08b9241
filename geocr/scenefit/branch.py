"""One learnt way from features to reflectance: nearest context, plus a regression, plus networks, each as far as it helps."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from geocr.core.types import BoolArray, NumberArray
from geocr.scenefit.network import Layers, predict_rows, train_network
from geocr.scenefit.ridge import fit_folded_ridge, with_constant
from geocr.scenefit.threads import one_core

_LIMIT = 5.0
"""Standardised features are clipped there: nothing was learnt further out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch:
    """A trained predictor of what is to be added to the nearest context."""

    shift: Tensor
    """`(features, 1)`: mean of the features."""
    scale: Tensor
    """`(features, 1)`: their standard deviation."""
    weights: Tensor
    """`(bands, features)`: the folds' regressions, averaged."""
    constant: Tensor
    """`(bands, 1)`."""
    networks: Layers
    """The folds' networks side by side, with the average in the last layer; empty without networks."""
    shrinkage: float
    """Of the regression."""
    shares: tuple[float, float]
    """How much of the regression and of the networks is used, 0 to 1, by squares left out."""

    def __call__(self, features: Tensor) -> Tensor:
        """`(features, pixels)` to `(bands, pixels)` of reflectance above the nearest context."""
        rows = torch.clamp((features[: len(self.shift)] - self.shift) / self.scale, -_LIMIT, _LIMIT)
        out = torch.addmm(self.constant, self.weights, rows)
        if self.networks:
            first, first_bias, second, second_bias, last, last_bias = self.networks
            hidden = functional.silu(torch.addmm(first_bias, first, rows))
            hidden = hidden.view(len(second), -1, hidden.shape[1])
            hidden = functional.silu(torch.baddbmm(second_bias, second, hidden)).flatten(0, 1)
            out = out + torch.addmm(last_bias, last, hidden)
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedBranch:
    """A branch, and what it predicts for squares it did not see."""

    branch: Branch
    unseen: NumberArray
    """`(n, bands)` reflectance above the nearest context, by the fold that left the pixel's square out."""


def train_branch(features: Tensor, target: Tensor, fold: NumberArray, *, networks: bool, seed: int) -> TrainedBranch:
    """Fit on all but one fold, once for each; use their average.

    Args:
        features: `(n, features)` float32.
        target: `(n, bands)` float32 reflectance above the nearest context.
        fold: `(n,)` int64, by squares of the scene.
        networks: Whether to train networks on what the regression leaves.
        seed: Of the networks.
    """
    shift, scale = features.mean(dim=0), features.std(dim=0) + 1e-3
    rows = torch.clamp((features - shift) / scale, -_LIMIT, _LIMIT)
    unit = target.std() + 1e-6
    ridge = fit_folded_ridge(rows, target / unit, fold)
    folds = len(ridge.weights)
    unseen_networks = torch.zeros_like(target)
    nets: list[Layers] = []
    if networks:
        with ThreadPoolExecutor(folds) as pool:
            jobs = [
                pool.submit(_train_fold, rows, target / unit, fold != part, ridge.weights[part], seed=seed + part) for part in range(folds)
            ]
        for part, job in enumerate(jobs):
            layers = job.result()
            left_out = torch.from_numpy(np.flatnonzero(fold == part))
            unseen_networks[left_out] = predict_rows(layers, rows[left_out])
            nets.append(layers)
    shares = _shares(target / unit, ridge.unseen, unseen_networks)
    mean_weights = ridge.weights.mean(dim=0) * shares[0] * unit
    branch = Branch(
        shift=shift[:, None],
        scale=scale[:, None],
        weights=mean_weights[:-1].T.contiguous(),
        constant=mean_weights[-1][:, None].contiguous(),
        networks=_side_by_side(nets, float(unit) * shares[1]) if nets and shares[1] > 0 else [],
        shrinkage=ridge.shrinkage,
        shares=shares,
    )
    unseen = (shares[0] * ridge.unseen + shares[1] * unseen_networks) * unit
    return TrainedBranch(branch=branch, unseen=unseen.numpy())


def _train_fold(rows: Tensor, target: Tensor, learn: BoolArray, weights: Tensor, *, seed: int) -> Layers:
    with one_core():
        seen = torch.from_numpy(np.flatnonzero(learn))
        left = target[seen] - with_constant(rows[seen]) @ weights
        return train_network(rows[seen], left, seed=seed)


def _shares(target: Tensor, regression: Tensor, networks: Tensor) -> tuple[float, float]:
    """Least squares of the unseen truth on the two predictions, both kept between 0 and 1."""
    parts = torch.stack([regression.flatten(), networks.flatten()], dim=1).double()
    squares = parts.T @ parts + 1e-9 * len(parts) * torch.eye(2, dtype=torch.float64)
    both = torch.linalg.solve(squares, parts.T @ target.flatten().double())
    share = min(max(float(both[1]), 0.0), 1.0)
    rest = target.flatten().double() - share * parts[:, 1]
    return min(max(float(parts[:, 0] @ rest / squares[0, 0]), 0.0), 1.0), share


def _side_by_side(nets: list[Layers], unit: float) -> Layers:
    """Networks of the same shape as one: their first layers stacked, their last ones averaged."""
    factor = unit / len(nets)
    return [
        torch.cat([net[0] for net in nets]).contiguous(),
        torch.cat([net[1] for net in nets])[:, None].contiguous(),
        torch.stack([net[2] for net in nets]).contiguous(),
        torch.stack([net[3] for net in nets])[:, :, None].contiguous(),
        torch.cat([net[4] * factor for net in nets], dim=1).contiguous(),
        (torch.stack([net[5] for net in nets]).sum(dim=0) * factor)[:, None].contiguous(),
    ]
