"""The seam figure sees steps at tile lines and nothing else."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from geocr.grid.lattice import Lattice
from geocr.grid.spec import TileSpec
from geocr.inference.products import FinishedRows
from geocr.inference.seam import SeamCounter, SeamSums

LATTICE = Lattice(shape=(90, 70), spec=TileSpec(size_px=30))


def ratio_of(scene: NDArray[np.uint16], rebuilt: NDArray[np.bool_], cuts: tuple[int, ...] = (30, 60)) -> SeamSums:
    counter = SeamCounter(lattice=LATTICE)
    provenance = np.where(rebuilt, 2, 1).astype(np.uint8)
    ends = [0, *cuts, scene.shape[1]]
    total = SeamSums()
    for start, stop in itertools.pairwise(ends):
        total += counter.count(FinishedRows(row=start, scene=scene[:, start:stop], provenance=provenance[None, start:stop], std=None))
    return total


def noise() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(900, 1100, (2, 90, 70)).astype(np.uint16)


def test_noise_without_seams_gives_about_one() -> None:
    assert ratio_of(noise(), np.ones((90, 70), bool)).ratio == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("step", [(slice(None), slice(30, 60)), (slice(None), slice(None), slice(30, None))])
def test_a_step_at_a_tile_line_is_seen(step: tuple[slice, ...]) -> None:
    scene = noise()
    scene[step] += 1000
    ratio = ratio_of(scene, np.ones((90, 70), bool)).ratio
    assert ratio is not None
    assert ratio > 3


def test_a_step_between_tile_lines_or_over_observed_pixels_is_not_a_seam() -> None:
    scene = noise()
    scene[:, :, 22:] += 1000
    ratio = ratio_of(scene, np.ones((90, 70), bool)).ratio
    assert ratio is not None
    assert ratio < 1.2
    stepped = noise()
    stepped[:, 30:] += 1000
    rebuilt = np.zeros((90, 70), bool)
    rebuilt[:30] = True
    assert ratio_of(stepped, rebuilt).on_pairs < ratio_of(stepped, np.ones((90, 70), bool)).on_pairs
    assert ratio_of(stepped, rebuilt).ratio == pytest.approx(1, abs=0.3)


def test_chunks_add_up_to_the_whole() -> None:
    whole = ratio_of(noise(), np.ones((90, 70), bool), cuts=())
    assert ratio_of(noise(), np.ones((90, 70), bool), cuts=(30, 60)) == whole
    assert ratio_of(noise(), np.ones((90, 70), bool), cuts=(7, 31, 59)) == whole


def test_nothing_reconstructed_has_no_figure() -> None:
    assert ratio_of(noise(), np.zeros((90, 70), bool)).ratio is None
