"""Adversarial losses by their equations."""

import numpy as np
import pytest
import torch

from geocr.core.errors import InputError
from geocr.losses import ADVERSARIAL_LOSSES
from geocr.losses.gan import AdversarialLoss

REAL = torch.tensor([[2.0, 0.5], [-1.0, 30.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.1, -2.0], [3.0, -40.0]], dtype=torch.float64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def expected(name: str) -> tuple[float, float]:
    """Generator's and discriminator's loss."""
    real, fake = REAL.numpy(), FAKE.numpy()
    if name == "lsgan":
        return np.mean((fake - 1) ** 2), 0.5 * (np.mean((real - 1) ** 2) + np.mean(fake**2))
    if name == "bce":
        return np.mean(-np.log(sigmoid(fake))), 0.5 * (np.mean(-np.log(sigmoid(real))) + np.mean(-np.log(1 - sigmoid(fake))))
    return -np.mean(fake), 0.5 * (np.mean(np.maximum(0, 1 - real)) + np.mean(np.maximum(0, 1 + fake)))


@pytest.mark.parametrize("name", tuple(ADVERSARIAL_LOSSES))
def test_values(name: str) -> None:
    loss: AdversarialLoss = ADVERSARIAL_LOSSES.load(name)()
    generator, discriminator = expected(name)
    assert float(loss.generator(FAKE)) == pytest.approx(generator, rel=1e-12)
    assert float(loss.discriminator(REAL, FAKE)) == pytest.approx(discriminator, rel=1e-12)


@pytest.mark.parametrize("name", tuple(ADVERSARIAL_LOSSES))
def test_gradients_and_direction(name: str) -> None:
    loss: AdversarialLoss = ADVERSARIAL_LOSSES.load(name)()
    scores = [0.3 + torch.rand(3, 4, dtype=torch.float64).requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(loss.generator, scores[:1])
    assert torch.autograd.gradcheck(loss.discriminator, scores)
    fake = torch.zeros(5, requires_grad=True)
    loss.generator(fake).backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all()  # the generator wants higher scores
    fake.grad = None
    loss.discriminator(torch.zeros(5), fake).backward()
    assert (fake.grad >= 0).all()


def test_large_scores_stay_finite() -> None:
    loss: AdversarialLoss = ADVERSARIAL_LOSSES.load("bce")()
    assert float(loss.discriminator(torch.tensor([-1e4]), torch.tensor([1e4]))) == pytest.approx(1e4)


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match=r"same shape, got \(2, 2\) and \(2,\)"):
        ADVERSARIAL_LOSSES.load("hinge")().discriminator(REAL, FAKE[0])
