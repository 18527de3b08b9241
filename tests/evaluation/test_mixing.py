"""An ensemble is a mixture of Gaussians of equal weight."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocr.core.errors import InputError
from geocr.evaluation.mixing import average, mix
from geocr.evaluation.prediction import Prediction


def member(mean: float, variance: float | None) -> Prediction:
    return Prediction(torch.full((1, 2, 2), mean), None if variance is None else torch.full((1, 2, 2), variance))


def first(tensor: torch.Tensor | None) -> float:
    assert tensor is not None
    return float(tensor[0, 0, 0])


def test_known_values() -> None:
    members = [member(0.1, 0.01), member(0.3, 0.03)]
    assert first(mix(members, "aleatoric").mean) == pytest.approx(0.2)
    assert first(mix(members, "aleatoric").variance) == pytest.approx(0.02)
    assert first(mix(members, "epistemic").variance) == pytest.approx(0.01)
    assert first(mix(members, "both").variance) == pytest.approx(0.03)


@given(st.lists(st.tuples(st.floats(-1, 2), st.floats(0, 1)), min_size=2, max_size=6))
def test_both_is_the_variance_of_the_mixture_as_published(parts: list[tuple[float, float]]) -> None:
    """UnCRtainTS writes it as mean(variance + mean^2) - mean(mean)^2 (Ebel et al. 2023, ensemble script)."""
    members = [member(mean, variance) for mean, variance in parts]
    published = sum(v + m * m for m, v in parts) / len(parts) - (sum(m for m, _ in parts) / len(parts)) ** 2
    assert first(mix(members, "both").variance) == pytest.approx(published, abs=1e-5)


def test_members_that_agree_add_no_variance() -> None:
    alike = [member(0.5, 0.2)] * 3
    assert first(mix(alike, "epistemic").variance) == 0
    assert first(mix(alike, "both").variance) == pytest.approx(0.2)


def test_without_variances_only_disagreement_is_known() -> None:
    members = [member(0.1, None), member(0.3, 0.1)]
    assert mix(members, "aleatoric").variance is None
    assert mix(members, "both").variance is None
    assert first(mix(members, "epistemic").variance) == pytest.approx(0.01)


def test_one_member_is_no_ensemble() -> None:
    with pytest.raises(InputError, match="two members"):
        mix([member(0.1, 0.1)], "both")
    only = member(0.1, 0.1)
    assert average([only]) is only
