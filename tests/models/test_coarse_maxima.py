"""The coarse grid of maxima is torch's adaptive pooling, in operations that can be exported."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from geocr.models.layers.coarse_maxima import coarse_maxima


@given(rows=st.integers(1, 40), cols=st.integers(1, 40), side=st.integers(1, 12))
def test_it_is_adaptive_max_pooling(rows: int, cols: int, side: int) -> None:
    image = torch.randn(2, 3, rows, cols, generator=torch.Generator().manual_seed(rows * 41 + cols))
    assert torch.equal(coarse_maxima(image, side), F.adaptive_max_pool2d(image, side))
