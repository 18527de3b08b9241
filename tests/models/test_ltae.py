"""Temporal attention against its definition, computed here in numpy and double precision."""

import numpy as np
import pytest
import torch
from torch import nn

from geocr.models.layers.date_mean import DateMean
from geocr.models.layers.ltae import TemporalAttention


def made(*, values: bool, seed: int = 0) -> TemporalAttention:
    torch.manual_seed(seed)
    layer = TemporalAttention(8, heads=2, d_model=12, d_k=3, values=values)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer.eval()


def by_definition(layer: TemporalAttention, series: np.ndarray, days: np.ndarray, kept: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Attention `(heads, T)` and values before the MLP `(d_model,)` of one pixel's `(T, C)`, from the dates that count only."""
    weights = {key: value.detach().double().numpy() for key, value in layer.state_dict().items()}
    x = series[kept].astype(np.float64)
    for first in (0, 4):  # two groups of four channels, normalised together over the dates
        group = x[:, first : first + 4]
        x[:, first : first + 4] = (group - group.mean()) / np.sqrt(group.var() + 1e-5)
    x = x * weights["in_norm.weight"] + weights["in_norm.bias"]
    x = x @ weights["in_conv.weight"][:, :, 0].T + weights["in_conv.bias"]
    for place in range(12):
        i = place % 6  # the same code for either head, six wide
        angle = days[kept] / 1000 ** (2 * (i // 2) / 6)
        x[:, place] += np.sin(angle) if i % 2 == 0 else np.cos(angle)
    keys = (x @ weights["key.weight"].T + weights["key.bias"]).reshape(len(kept), 2, 3)
    logits = np.einsum("thk,hk->ht", keys, weights["query"]) / np.sqrt(3)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    attention = np.zeros((2, len(series)))
    attention[:, kept] = shares
    values = np.concatenate([shares[h] @ x[:, 6 * h : 6 * h + 6] for h in range(2)])
    return attention, values


@pytest.mark.parametrize("kept", [[0, 1, 2, 3], [1, 3], [2]])
def test_attention_and_values_are_those_of_the_definition(kept: list[int]) -> None:
    layer = made(values=True)
    generator = np.random.default_rng(4)
    features = generator.normal(size=(1, 4, 8, 3, 2)).astype(np.float32)
    days = np.array([[2000.0, 2100.0, 2031.0, 1875.0]])
    valid = torch.tensor([[i in kept for i in range(4)]])
    maps, values = layer(torch.from_numpy(features), torch.from_numpy(days).float(), valid)
    assert layer.mlp is not None
    assert layer.out_norm is not None
    assert values is not None
    for row in range(3):
        for col in range(2):
            attention, joined = by_definition(layer, features[0, :, :, row, col], days[0], kept)
            np.testing.assert_allclose(maps[0, :, :, row, col].detach().numpy().T, attention, atol=2e-4)
            expected = layer.out_norm(layer.mlp(torch.from_numpy(joined).float()[None]))[0]
            np.testing.assert_allclose(values[0, :, row, col].detach().numpy(), expected.detach().numpy(), atol=5e-3)


def test_without_a_mask_all_dates_count() -> None:
    layer = made(values=False)
    features, days = torch.randn(2, 3, 8, 4, 4), torch.tensor([[1.0, 50.0, 99.0]] * 2)
    plain, nothing = layer(features, days, None)
    masked, _ = layer(features, days, torch.ones(2, 3, dtype=torch.bool))
    assert nothing is None
    torch.testing.assert_close(plain, masked)


def test_a_single_date_gets_all_the_weight() -> None:
    attention, _ = made(values=False)(torch.randn(1, 1, 8, 4, 4), torch.tensor([[300.0]]), None)
    assert torch.equal(attention, torch.ones(1, 1, 2, 4, 4))


def test_each_head_weighs_its_share_of_the_channels() -> None:
    features = torch.arange(2 * 4, dtype=torch.float32).view(1, 2, 4, 1, 1)  # date 0: 0 1 2 3, date 1: 4 5 6 7
    attention = torch.tensor([[1.0, 0.25], [0.0, 0.75]]).view(1, 2, 2, 1, 1)
    grouped = DateMean("att_group")(features, attention, None).flatten().tolist()
    assert grouped == [0, 1, 0.25 * 2 + 0.75 * 6, 0.25 * 3 + 0.75 * 7]
    shared = DateMean("att_mean")(features, attention, None).flatten().tolist()
    assert shared == [0.625 * k + 0.375 * (k + 4) for k in range(4)]
    assert DateMean("mean")(features, attention, None).flatten().tolist() == [2, 3, 4, 5]
    only_second = torch.tensor([[False, True]])
    assert DateMean("mean")(features, attention, only_second).flatten().tolist() == [4, 5, 6, 7]


def test_coarse_attention_is_enlarged_bilinearly() -> None:
    features = torch.ones(1, 1, 2, 4, 4)
    attention = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).view(1, 1, 1, 2, 2)
    weights = DateMean("att_group")(features, attention, None)
    np.testing.assert_allclose(weights[0, 0, 0].numpy(), [0, 0.25, 0.75, 1])
