"""A small network on the same features, for what a linear regression misses; much of it is switched off at random.

A scene's clear pixels come from a few hundred fields, which a network soon knows by heart. Short training and strong
dropout (Srivastava et al., JMLR 15, 2014) keep it to what holds for unseen fields.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

HIDDEN = 48
"""Units of each of the two hidden layers."""
STEPS = 200
"""Of training; more begins to memorise fields."""
_BATCH = 2048
_DROPOUT = 0.4
_RATE = 3e-3
_DECAY = 0.1
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8
_WARM_UP = 0.1

Layers = list[Tensor]
"""Weights and biases of three layers: `(out, in)`, `(out,)`, and so on."""


def train_network(features: Tensor, target: Tensor, *, seed: int) -> Layers:
    """Least squares by AdamW with a one-cycle rate.

    Args:
        features: `(n, features)` float32, standardised.
        target: `(n, bands)` float32, of about unit variance.
        seed: Of all chance in it.

    Returns:
        The trained layers. Deterministic for a seed when torch has one core.
    """
    chance = torch.Generator().manual_seed(seed)
    layers = _initial_layers([features.shape[1], HIDDEN, HIDDEN, target.shape[1]], chance)
    moments = [(torch.zeros_like(layer), torch.zeros_like(layer)) for layer in layers]
    for step in range(STEPS):
        rows = torch.randint(len(features), (_BATCH,), generator=chance)
        with torch.enable_grad():
            loss = functional.mse_loss(_forward_dropping(layers, features[rows], chance), target[rows])
            gradients = torch.autograd.grad(loss, layers)
        with torch.no_grad():
            for layer, gradient, (mean, square) in zip(layers, gradients, moments, strict=True):
                adamw_step(layer, gradient, mean, square, step=step + 1, rate=_rate_at(step / STEPS))
    return [layer.detach() for layer in layers]


def adamw_step(layer: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, *, step: int, rate: float) -> None:
    """One step of AdamW (Loshchilov and Hutter, ICLR 2019, https://arxiv.org/abs/1711.05101), in place.

    Here, and not from `torch.optim`, which imports torch's compiler with it: 130 MB of memory and seconds for six lines.

    Args:
        layer: Weights.
        gradient: Of the loss by them.
        mean: Running mean of gradients; zeros at the start.
        square: Running mean of their squares; zeros at the start.
        step: From 1.
        rate: Of learning.
    """
    layer.mul_(1 - rate * _DECAY)
    mean.lerp_(gradient, 1 - _BETAS[0])
    square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
    spread = (square.sqrt() / math.sqrt(1 - _BETAS[1] ** step)).add_(_EPSILON)
    layer.addcdiv_(mean, spread, value=-rate / (1 - _BETAS[0] ** step))


def predict_rows(layers: Layers, features: Tensor) -> Tensor:
    """`(n, features)` to `(n, bands)`."""
    hidden = functional.silu(functional.linear(features, layers[0], layers[1]))
    hidden = functional.silu(functional.linear(hidden, layers[2], layers[3]))
    return functional.linear(hidden, layers[4], layers[5])


def _initial_layers(sizes: list[int], chance: torch.Generator) -> Layers:
    layers: Layers = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        # The last layer starts small: the network corrects the regression, so that nothing is its first guess.
        scale = (0.1 if i == len(sizes) - 2 else 1.0) / math.sqrt(inputs)
        layers.append(((torch.rand(outputs, inputs, generator=chance) * 2 - 1) * scale).requires_grad_())
        layers.append(torch.zeros(outputs).requires_grad_())
    return layers


def _forward_dropping(layers: Layers, features: Tensor, chance: torch.Generator) -> Tensor:
    out = features
    for i in range(0, len(layers), 2):
        kept = torch.rand(out.shape, generator=chance) >= _DROPOUT
        out = functional.linear(out * kept / (1 - _DROPOUT), layers[i], layers[i + 1])
        if i < len(layers) - 2:
            out = functional.silu(out)
    return out


def _rate_at(done: float) -> float:
    if done < _WARM_UP:
        return _RATE * (0.04 + 0.96 * done / _WARM_UP)
    return _RATE * 0.5 * (1 + math.cos(math.pi * (done - _WARM_UP) / (1 - _WARM_UP)))
