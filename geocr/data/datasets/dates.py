"""Which dates of a time series are input and which is the target: the published rules, as pure functions of cloud cover.

Both rules are those of SEN12MS-CR-TS and UnCRtainTS (Ebel et al., 2022 and 2023). Their loader lets the target be one of its own
inputs under the fixed rule, whenever its cover lies within the limits; here it may not, unless asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geocr.core.errors import InputError

CLEAR_COVER = 1e-3
"""Cloud share below which a date can be a target of the random rule (0.1 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DateChoice:
    """Dates of one sample, as indexes into its series."""

    inputs: tuple[int, ...]
    """Of the cloudy images, in the order of time."""
    target: int
    """Of the clear image."""
    matched: bool
    """Whether the limits on cloud cover could be met, and the target is clear (cover at most 0.1 %)."""


def choose_fixed(
    cover: Sequence[float], inputs: int, *, min_cover: float = 0.0, max_cover: float = 1.0, target_among_inputs: bool = False
) -> DateChoice:
    """The same dates each time: the least cloudy is the target (the earliest of equals), the first within the limits are inputs.

    Where too few dates lie within the limits, the first dates other than the target are taken, and `matched` is False.

    Args:
        cover: Cloud share of each date, 0 to 1, in the order of time.
        inputs: How many input dates.
        min_cover: Least cover of an input.
        max_cover: Greatest cover of an input.
        target_among_inputs: Let the target be an input too: the published loader's behaviour.

    Raises:
        InputError: When there are not enough dates, or the limits are no shares.
    """
    _check(cover, inputs)
    if not 0 <= min_cover <= max_cover <= 1:
        raise InputError(f"limits of cloud cover are shares with min_cover <= max_cover, got {min_cover}, {max_cover}")
    target = int(np.argmin(cover))
    within = [date for date, share in enumerate(cover) if min_cover <= share <= max_cover and (target_among_inputs or date != target)]
    enough = len(within) >= inputs
    chosen = within[:inputs] if enough else [date for date in range(len(cover)) if date != target][:inputs]
    return DateChoice(inputs=tuple(chosen), target=target, matched=enough and cover[target] <= CLEAR_COVER)


def choose_random(cover: Sequence[float], inputs: int, rng: np.random.Generator) -> DateChoice:
    """A clear date drawn at random is the target, its neighbours in time are inputs.

    A target has less than 0.1 % cloud; where no date has, the least cloudy is taken. Of all windows of `inputs + 1` consecutive dates
    that hold the target, the middle one is taken; its other dates are inputs.

    Args:
        cover: Cloud share of each date, 0 to 1, in the order of time.
        inputs: How many input dates.
        rng: Draws the target.

    Raises:
        InputError: When there are not enough dates.
    """
    _check(cover, inputs)
    clear = np.flatnonzero(np.asarray(cover) < CLEAR_COVER)
    target = int(rng.choice(clear)) if clear.size else int(np.argmin(cover))
    starts = [start for start in range(len(cover) - inputs) if start <= target <= start + inputs]
    start = starts[len(starts) // 2]
    chosen = tuple(date for date in range(start, start + inputs + 1) if date != target)
    return DateChoice(inputs=chosen, target=target, matched=bool(clear.size))


def _check(cover: Sequence[float], inputs: int) -> None:
    if not 1 <= inputs < len(cover):
        raise InputError(f"a series of {len(cover)} dates gives 1 to {len(cover) - 1} inputs and a target, got {inputs} inputs")
    if not np.isfinite(cover).all():
        raise InputError("the cloud cover of every date must be known; some is NaN")
