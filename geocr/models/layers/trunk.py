"""What lies between the stacked inputs and the head: one interface for the networks that several models share."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Trunk(nn.Module, ABC):
    """Features of stacked inputs in two steps, between which a model may work on them (as SSCR does)."""

    encoded_width: int
    """Channels that `encode` gives."""
    decoded_width: int
    """Channels that `decode` gives."""
    multi_temporal: bool
    """Whether it takes several dates; others take exactly one."""
    stride_px: int
    """Sides are multiples of this."""
    min_px: int
    """Least side."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` of stacked inputs, dates in the batch, to `(N, encoded_width, H, W)`."""

    @abstractmethod
    def decode(self, features: Tensor, dates: Tensor | None, date_valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features of all dates to those of the answer.

        Args:
            features: `(B, T, encoded_width, H, W)`.
            dates: `(B, T)` float, days; a tensor exactly when `multi_temporal`.
            date_valid: `(B, T)` bool, or None: all dates count.

        Returns:
            `(B, decoded_width, H, W)`, and attention `(B, T, heads, h, w)` or None.
        """


def by_date(flat: Tensor, like: Tensor) -> Tensor:
    """`(B * T, C, H, W)` as `(B, T, C, H, W)`, with `B` and `T` of another."""
    return flat.view(like.shape[0], like.shape[1], *flat.shape[1:])
