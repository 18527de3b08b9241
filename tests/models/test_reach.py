import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from geocr.models.layers.reach import before_conv, before_transposed, radius_within, worst_radius_px


def inputs_of(layer: nn.Module, output: int, length: int) -> tuple[int, int]:
    """First and last input pixel of an output pixel, by gradients of a layer whose weights are all 1."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(1.0)
    image = torch.zeros(1, 1, length, requires_grad=True)
    layer(image)[0, 0, output].backward()
    assert image.grad is not None
    touched = image.grad[0, 0].nonzero().flatten().tolist()
    return touched[0], touched[-1]


@settings(max_examples=40, deadline=None)
@given(kernel=st.integers(1, 7), stride=st.integers(1, 3), output=st.integers(8, 12))
def test_before_a_convolution(kernel: int, stride: int, output: int) -> None:
    padding = kernel // 2
    layer = nn.Conv1d(1, 1, kernel, stride, padding, bias=False)
    assert before_conv((output, output), kernel, stride=stride) == inputs_of(layer, output, 64)


@settings(max_examples=40, deadline=None)
@given(kernel=st.integers(2, 6), stride=st.integers(1, 2), padding=st.integers(0, 1), output=st.integers(20, 30))
def test_before_a_transposed_convolution(kernel: int, stride: int, padding: int, output: int) -> None:
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding, bias=False)
    assert before_transposed((output, output), kernel, stride=stride, padding=padding) == inputs_of(layer, output, 64)


def test_the_worst_place_on_the_grid_decides() -> None:
    """By hand: output 0 is made of -1 and 0 of the half, these of -3 to 2; output 1 of 0 and 1, these of -1 to 4; each 3 away."""

    def walk(reach: tuple[int, int]) -> tuple[int, int]:
        return before_conv(before_transposed(reach, 4, stride=2, padding=1), 4, stride=2, padding=1)

    assert (walk((0, 0)), walk((1, 1))) == ((-3, 2), (-1, 4))
    assert worst_radius_px(2, walk) == 3
    assert worst_radius_px(2, lambda reach: (reach[0] // 2 * 2, reach[1])) == 1


@pytest.mark.parametrize(("radius", "expected"), [(31, 31), (32, None), (33, None)])
def test_a_reach_that_leaves_no_core_of_a_tile_is_the_whole_tile(radius: int, expected: int | None) -> None:
    assert radius_within(64, radius) == expected
