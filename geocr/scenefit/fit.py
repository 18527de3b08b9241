"""Fit a reconstructor on the clear pixels of the very scene it is to fill."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geocr.core.types import FloatArray, NumberArray, Window
from geocr.scenefit.branch import train_branch
from geocr.scenefit.census import Census
from geocr.scenefit.coarse import CELL_PX, PIECE_PX, CoarseScene, sum_scene
from geocr.scenefit.error import FitError
from geocr.scenefit.features import BLOCK_PX, context_count
from geocr.scenefit.model import Filler, SceneFit
from geocr.scenefit.sampling import MIN_CLEAR_PX, Lessons, choose_windows, draw_lessons, sample_scaling, select, split_places, too_few
from geocr.scenefit.scaling import Scaling
from geocr.scenefit.source import FitSource
from geocr.scenefit.spread import fit_spread, pixel_traits
from geocr.scenefit.threads import one_core

_FOLDS = 3
_MIN_LESSONS = 500
"""Hidden pixels below which nothing can be learnt and tested."""
_CAUTION_SQUARES = 6.0
"""Squares of 64 x 64 pixels that a scene must have many times over before its own errors tell the whole story."""


def fit_scene(
    source: FitSource, *, seed: int = 0, piece_px: tuple[int, int] = PIECE_PX, on_progress: Callable[[str], None] = lambda _: None
) -> SceneFit:
    """Learn how this scene's clear pixels follow from their surroundings and Sentinel-1.

    Clear pixels are hidden under synthetic clouds of the scene's own shapes; a regression and small networks learn to
    restore them, each tested on squares of the scene that it did not see. Reads the scene once, in strips, and some
    windows of it again; memory does not grow with the scene beyond its picture at 32 pixels.

    Args:
        source: The scene with its cloud mask.
        seed: Of all chance. The same seed and scene give the same fit to the last bit, whatever the number of cores.
        piece_px: Rows and columns to read at once, multiples of 32. Changes no bit.
        on_progress: Told what begins, in a few words.

    Returns:
        The fitted reconstructor.

    Raises:
        TooFewClearPixelsError: When the scene has fewer than `MIN_CLEAR_PX` clear pixels, or none that can be hidden.
    """
    with one_core(), torch.no_grad():
        on_progress("measuring the scene")
        first = source.read(Window(row=0, col=0, height=1, width=1))
        scaling = sample_scaling(source)
        census = Census(first.optical.shape[0])
        sums = sum_scene(source, scaling, piece_px=piece_px, on_piece=census.count)
        census.require_lessons(scaling.live)
        clear_px = round(float(sums.weight[0].sum(dtype=np.float64)) * CELL_PX**2)
        if clear_px < MIN_CLEAR_PX:
            raise too_few(clear_px)
        on_progress("hiding clear pixels")
        rng = np.random.default_rng(seed)
        lessons = draw_lessons(source, choose_windows(sums, source.shape, rng), sums, scaling, rng)
        if len(lessons) < _MIN_LESSONS:
            raise too_few(clear_px)
        on_progress("learning")
        full, blind = _fit_fillers(lessons, scaling, seed, rng)
        return SceneFit(
            shape=source.shape,
            bands=first.optical.shape[0],
            sar_bands=first.sar.shape[0],
            scaling=scaling,
            coarse=CoarseScene.from_sums(sums),
            full=full.filler,
            blind=None if blind is None else blind.filler,
            error=_expected_error(full, blind, census, scaling, bands=first.optical.shape[0], clear_px=clear_px),
            seed=seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _TestedFiller:
    """A filler and how it did on pixels it had not seen."""

    filler: Filler
    errors: FloatArray
    """`(n, live bands)` reflectance."""
    ratios: FloatArray
    """`(n, live bands)`: size of the error in standard deviations that were fitted elsewhere."""


def _fit_fillers(lessons: Lessons, scaling: Scaling, seed: int, rng: np.random.Generator) -> tuple[_TestedFiller, _TestedFiller | None]:
    """The branch with Sentinel-1 and the one without; only the latter, as the first, in a scene without."""
    context = context_count(scaling.to_components.shape[0])
    has_sar = lessons.has_sar
    if int(has_sar.sum()) < _MIN_LESSONS:
        return _fit_filler(lessons, scaling, context, seed, rng, networks=True), None
    full = _fit_filler(select(lessons, has_sar), scaling, lessons.features.shape[1], seed, rng, networks=True)
    return full, _fit_filler(lessons, scaling, context, seed, rng, networks=False)


def _fit_filler(lessons: Lessons, scaling: Scaling, count: int, seed: int, rng: np.random.Generator, *, networks: bool) -> _TestedFiller:
    """Train a branch on the first `count` features, and learn the spread of its errors on squares left out."""
    features = torch.from_numpy(lessons.features[:, :count])
    nearest = torch.from_numpy(lessons.nearest)
    base = torch.addmm(torch.from_numpy(scaling.optical_mean), nearest, torch.from_numpy(scaling.to_reflectance).T)
    truth = torch.from_numpy(lessons.truth)
    trained = train_branch(features, truth - base, split_places(lessons.place, _FOLDS, rng), networks=networks, seed=seed)
    correction = torch.from_numpy(trained.unseen)
    errors = (base + correction - truth).numpy()
    traits = pixel_traits(features.T, correction.T, (base + correction).T, nearest.shape[1])
    gap = torch.from_numpy(lessons.gap)
    caution = _caution(lessons)
    filler = Filler(branch=trained.branch, spread=fit_spread(errors, gap, traits, caution=caution))
    halves = split_places(lessons.place, 2, rng)
    return _TestedFiller(filler=filler, errors=errors, ratios=_unseen_ratios(errors, gap, traits, halves, caution))


def _caution(lessons: Lessons) -> float:
    """Factor on the standard deviation for how little of a scene was seen.

    Pixels of a square are alike, so squares are what is counted: with few of them, hidden ground differs more from the learnt than
    learnt squares do from each other.
    """
    squares = len(np.unique(lessons.place // BLOCK_PX, axis=0))
    return float(np.sqrt(1 + _CAUTION_SQUARES / squares))


def _unseen_ratios(errors: FloatArray, gap: Tensor, traits: Tensor, halves: NumberArray, caution: float) -> FloatArray:
    """Errors of each half of the squares, in standard deviations learnt on the other half."""
    ratios = np.empty_like(errors)
    for half in (0, 1):
        learn, test = np.flatnonzero(halves != half), np.flatnonzero(halves == half)
        if learn.size and test.size:
            spread = fit_spread(errors[learn], gap[learn], traits[:, learn], caution=caution)
            ratios[test] = np.abs(errors[test]) / spread(gap[test], traits[:, test]).T.numpy()
    return ratios


def _expected_error(
    full: _TestedFiller, blind: _TestedFiller | None, census: Census, scaling: Scaling, *, bands: int, clear_px: int
) -> FitError:
    """The errors of both branches, each counted as often as it will be used."""
    tested = [(full, census.with_sar if blind is not None else census.with_sar + census.without_sar)]
    if blind is not None:
        tested.append((blind, census.without_sar))
    if not sum(count for _, count in tested):  # nothing to fill: the branch that would be used first
        tested[0] = (full, 1)
    weights = np.array([count for _, count in tested], np.float64)
    weights /= weights.sum()
    squares = np.array([np.mean(part.errors.astype(np.float64) ** 2, axis=0) for part, _ in tested])
    by_band = dict(zip(scaling.live, np.sqrt(weights @ squares), strict=True))
    return FitError(
        rmse=tuple(float(by_band[band]) if band in by_band else None for band in range(bands)),
        rmse_overall=float(np.sqrt(weights @ squares.mean(axis=1))),
        rmse_with_sar=None if blind is None else float(np.sqrt(squares[0].mean())),
        rmse_without_sar=float(np.sqrt(squares[-1].mean())),
        within_one_std=float(weights @ [np.mean(part.ratios <= 1) for part, _ in tested]),
        within_two_std=float(weights @ [np.mean(part.ratios <= 2) for part, _ in tested]),
        held_out_px=len(full.errors),
        clear_px=clear_px,
    )
