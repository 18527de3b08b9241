"""The small network's training, beside torch's own optimiser."""

import torch

from geocr.scenefit.network import _BETAS, _DECAY, _EPSILON, adamw_step


def test_a_step_is_torchs_adamw_step() -> None:
    torch.manual_seed(0)
    ours = [torch.randn(5, 3), torch.randn(5)]
    theirs = [layer.clone().requires_grad_() for layer in ours]
    moments = [(torch.zeros_like(layer), torch.zeros_like(layer)) for layer in ours]
    optimizer = torch.optim.AdamW(theirs, lr=1.0, betas=_BETAS, eps=_EPSILON, weight_decay=_DECAY, foreach=False)
    for step, rate in enumerate((1e-3, 3e-3, 2e-3, 1e-4), start=1):
        gradients = [torch.randn_like(layer) for layer in ours]
        for layer, gradient, (mean, square) in zip(ours, gradients, moments, strict=True):
            adamw_step(layer, gradient, mean, square, step=step, rate=rate)
        for layer, gradient in zip(theirs, gradients, strict=True):
            layer.grad = gradient
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        for own, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(own, other.detach(), rtol=1e-6, atol=1e-7)
