"""Ways to split samples where a data set publishes no split by region: by scene, at random, balanced, by a list."""

import warnings
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from geocr.core.errors import InputError
from geocr.data.datasets.base import DataWarning
from geocr.data.datasets.record import Records

Assignment: TypeAlias = dict[str, str | None]
"""Key of a sample (or scene) to `train`, `val` or `test`."""
SPLITS = ("train", "val", "test")
_TRIALS = 2000
"""Random assignments of scenes that are compared; with 30 scenes the best misses the wanted shares by about 1 %."""


def check_ratios(ratios: Sequence[float]) -> tuple[float, float, float]:
    """The shares of train, val and test.

    Raises:
        InputError: When they are not three positive numbers that sum to 1.
    """
    if len(ratios) != 3 or min(ratios) < 0 or abs(sum(ratios) - 1) > 1e-9:
        raise InputError(f"ratios are the shares of train, val and test and sum to 1, got {tuple(ratios)}")
    return ratios[0], ratios[1], ratios[2]


def split_by_scene(sizes: Mapping[str, Mapping[str, int]], *, ratios: Sequence[float], seed: int) -> Assignment:
    """Whole scenes to splits, so that every class comes as near to its shares as scenes allow.

    Of many seeded assignments the one is taken whose worst share, over classes and splits, is nearest to its ratio.
    No split stays empty. It depends on which scenes are there: on another part of a data set it is another split.

    Args:
        sizes: Scene to class (terrain) to number of samples.
        ratios: Shares of train, val and test.
        seed: Of the assignments.

    Raises:
        InputError: With fewer scenes than splits.
    """
    shares = np.array(check_ratios(ratios))
    scenes = sorted(sizes)
    needed = int((shares > 0).sum())
    if len(scenes) < needed:
        raise InputError(f"a split by scene needs at least {needed} scenes, found {len(scenes)} ({', '.join(scenes)}); choose another rule")
    classes = sorted({name for of in sizes.values() for name in of})
    counts = np.array([[sizes[scene].get(name, 0) for name in classes] for scene in scenes], float)
    rng = np.random.default_rng(seed)
    best, best_miss = None, np.inf
    for _ in range(_TRIALS):
        drawn = rng.choice(3, size=len(scenes), p=shares)
        if len(np.unique(drawn)) < needed:
            drawn[rng.permutation(len(scenes))[:needed]] = np.flatnonzero(shares > 0)
        found = np.array([counts[drawn == split].sum(axis=0) for split in range(3)]) / counts.sum(axis=0)
        miss = float(np.abs(found - shares[:, None]).max() + np.abs(found - shares[:, None]).mean())
        if miss < best_miss:
            best, best_miss = drawn, miss
    if best is None:
        raise InputError(f"ratios must be shares, got {tuple(ratios)}")
    return {scene: SPLITS[int(split)] for scene, split in zip(scenes, best, strict=True)}


def split_at_random(keys: Sequence[str], *, ratios: Sequence[float], seed: int) -> Assignment:
    """Samples to splits at random: the first `int(n x ratio)` of a seeded shuffle train, the next validate, the rest test.

    After SAR2Optical (ratios .7/.15/.15, seed 42), which shuffles in the order of the file system; here keys are sorted first, so
    that every machine has the same split.
    """
    train, val, _ = check_ratios(ratios)
    order = np.random.default_rng(seed).permutation(len(keys))
    ordered = [sorted(keys)[index] for index in order]
    end = int(len(keys) * train)
    stop = end + int(len(keys) * val)
    return {key: "train" if place < end else "val" if place < stop else "test" for place, key in enumerate(ordered)}


def split_balanced(classes: Mapping[str, Sequence[str]], *, per_class: int, seed: int) -> Assignment:
    """As many test and as many validation samples from each class, drawn at random; the rest trains.

    The rule of SAR2Optical's first README: 250 test and 250 validation pairs from each of four terrains.

    Args:
        classes: Class to the keys of its samples.
        per_class: Test samples per class; as many validate.
        seed: Of the draw.

    Raises:
        InputError: When a class has no sample left to train on.
    """
    assignment: Assignment = {}
    rng = np.random.default_rng(seed)
    for name in sorted(classes):
        keys = sorted(classes[name])
        if len(keys) <= 2 * per_class:
            raise InputError(
                f"a balanced split takes {per_class} test and {per_class} validation samples from each class and trains on the rest; "
                f"{name} has {len(keys)}: give a smaller per_class"
            )
        order = rng.permutation(len(keys))
        for place, index in enumerate(order):
            assignment[keys[index]] = "test" if place < per_class else "val" if place < 2 * per_class else "train"
    return assignment


def warn_if_shared(name: str, samples: Records, rule: str) -> None:
    """Warn when samples of one scene stand in several splits: neighbouring patches overlap, and scores come out too good."""
    shared = {roi: splits for roi, splits in samples.splits_of_rois().items() if len(splits - {None}) > 1}
    if shared:
        first = next(iter(shared))
        warnings.warn(
            f"the split of {name} ({rule}) shares {len(shared)} of {len(samples.splits_of_rois())} scenes between its parts "
            f"(first: {first} in {', '.join(sorted(split for split in shared[first] if split))}): patches of one scene overlap or touch, "
            "so that scores on val and test come out too good",
            DataWarning,
            stacklevel=4,
        )
