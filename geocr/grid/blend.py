"""Fading one tile into the next.

The weight of the incoming tile rises as a squared sine (a Hann ramp) and the outgoing tile has the rest,
so weights sum to one by construction. The mix is computed as `old + w (new - old)`: where two tiles agree the
result is their value to the last bit, which the sum of two products would not give.
"""

from functools import lru_cache

import numpy as np

from geocr.core.types import FloatArray


@lru_cache(maxsize=16)
def fade_weights(length: int) -> FloatArray:
    """Weight of the incoming tile at each of `length` shared pixels: float32, rising, strictly inside 0 to 1."""
    weights = np.sin(0.5 * np.pi * (np.arange(length) + 0.5) / length) ** 2
    out: FloatArray = weights.astype(np.float32)
    out.setflags(write=False)
    return out


def fade(old: FloatArray, new: FloatArray, *, axis: int) -> None:
    """Mix an outgoing tile into an incoming one over the pixels they share, in place.

    Args:
        old: Outgoing tile's values, `(band, y, x)` float32.
        new: Incoming tile's values, same shape; becomes the mix, equal to `old` and `new` wherever they are equal.
        axis: 1 to fade down the rows, 2 to fade along the columns.
    """
    weights = fade_weights(new.shape[axis])
    weights = weights[:, None] if axis == 1 else weights
    for outgoing, incoming in zip(old, new, strict=True):  # a band at a time stays in the processor's cache
        change = incoming - outgoing
        change *= weights
        np.add(change, outgoing, out=incoming)
