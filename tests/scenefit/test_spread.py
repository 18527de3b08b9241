"""The standard deviation: calibrated under heavy tails, and never falling with the gap."""

import numpy as np
import pytest
import torch

from geocr.scenefit.spread import fit_spread


@pytest.mark.parametrize("tail", [3, 30])
def test_quantiles_hold_on_new_errors_of_heavy_and_light_tails(tail: int) -> None:
    rng = np.random.default_rng(0)
    gap = torch.from_numpy(rng.uniform(0, 200, 8000).astype(np.float32))
    traits = torch.from_numpy(rng.standard_normal((3, 8000)).astype(np.float32))
    scale = 0.01 * (1 + gap.numpy() / 50) * np.exp(0.4 * traits[0].numpy())
    errors = (scale[:, None] * rng.standard_t(tail, (8000, 3))).astype(np.float32)
    spread = fit_spread(errors[:4000], gap[:4000], traits[:, :4000])
    ratio = np.abs(errors[4000:]) / spread(gap[4000:], traits[:, 4000:]).T.numpy()
    assert 0.6 <= np.mean(ratio <= 1) <= 0.8
    assert np.mean(ratio <= 2) >= 0.9


def test_it_never_falls_with_the_gap() -> None:
    rng = np.random.default_rng(1)
    gap = torch.from_numpy(rng.uniform(0, 60, 2000).astype(np.float32))
    errors = rng.standard_normal((2000, 2)).astype(np.float32) * 0.02
    spread = fit_spread(errors, gap, torch.zeros(3, 2000))
    gaps = torch.linspace(0, 1000, 300)
    assert (torch.diff(spread(gaps, torch.zeros(3, 300))[0]) >= -1e-7).all()


def test_caution_widens_it() -> None:
    rng = np.random.default_rng(2)
    errors, gap = rng.standard_normal((500, 1)).astype(np.float32), torch.zeros(500)
    plain, wide = (fit_spread(errors, gap, torch.zeros(3, 500), caution=c) for c in (1.0, 1.5))
    torch.testing.assert_close(wide.bands, plain.bands * 1.5)
