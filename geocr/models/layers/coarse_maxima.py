"""Maxima on a grid of fixed size, whatever the size of the image."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own idiom


def coarse_maxima(image: Tensor, side: int) -> Tensor:
    """The greatest value in each cell of a `side` x `side` grid over the image.

    Cell `i` spans pixels `floor(i * H / side)` to `ceil((i + 1) * H / side)`: what adaptive max pooling computes,
    in operations that can be exported.

    Args:
        image: `(N, C, H, W)` float of any size.
        side: Cells on either axis.
    """
    rows, cols = image.shape[-2:]
    if rows % side == 0 and cols % side == 0:
        return F.max_pool2d(image, (rows // side, cols // side))
    return _along(_along(image, -2, side), -1, side)


def _along(image: Tensor, axis: int, side: int) -> Tensor:
    """Maxima over the cells of one axis: each cell is a row of indices, the last one repeated to the longest cell's length."""
    length = image.shape[axis]
    cells = range(side)
    first = torch.tensor([cell * length // side for cell in cells], device=image.device)
    last = torch.tensor([-(-(cell + 1) * length // side) - 1 for cell in cells], device=image.device)
    longest = -(-length // side) + 1
    index = torch.minimum(first[:, None] + torch.arange(longest, device=image.device), last[:, None])
    taken = image.index_select(axis, index.flatten())
    cut = taken.movedim(axis, -1).reshape(*taken.movedim(axis, -1).shape[:-1], side, longest)
    return cut.amax(dim=-1).movedim(-1, axis)
