"""How far a stack of layers reaches: an interval of output pixels walked back to the inputs it is made of."""

from collections.abc import Callable
from typing import TypeAlias

Reach: TypeAlias = tuple[int, int]
"""First and last pixel of an interval on one axis, both included; may lie outside the image."""


def before_conv(reach: Reach, kernel: int, *, stride: int = 1, padding: int | None = None) -> Reach:
    """Inputs of a convolution; `padding` None keeps the size.

    Output `y` takes the inputs from `stride y - padding`, `kernel` of them.
    """
    margin = kernel // 2 if padding is None else padding
    return reach[0] * stride - margin, reach[1] * stride - margin + kernel - 1


def before_transposed(reach: Reach, kernel: int, *, stride: int, padding: int) -> Reach:
    """Inputs of a transposed convolution, whose input `x` goes to the outputs from `stride x - padding`, `kernel` of them."""
    return -((kernel - 1 - padding - reach[0]) // stride), (reach[1] + padding) // stride


def worst_radius_px(stride: int, walk: Callable[[Reach], Reach]) -> int:
    """Greatest distance between an output pixel and an input it is made of, over all places on a grid of `stride`."""
    ends = [(pixel, walk((pixel, pixel))) for pixel in range(stride)]
    return max(max(pixel - first, last - pixel) for pixel, (first, last) in ends)


def radius_within(tile_px: int, radius_px: int) -> int | None:
    """The radius, or None where it leaves no pixel of a tile untouched by its edge: such a model sees its whole tile."""
    return radius_px if 2 * radius_px < tile_px else None
