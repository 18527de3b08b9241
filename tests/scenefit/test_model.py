"""A fitted scene as a reconstructor: the tile never shows."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocr.core.errors import ReconstructionError
from geocr.core.types import FloatArray, TileInput, Window
from geocr.grid.lattice import Lattice
from geocr.grid.spec import TileSpec
from geocr.scenefit import SCENEFIT_TILE, SceneFit
from tests.scenefit.fields import ArraySource, fill_tiled

Fields = tuple[ArraySource, FloatArray]


def cloudy(source: ArraySource, array: FloatArray) -> FloatArray:
    return array[:, source.cloud]


@settings(max_examples=5)
@given(rows=st.sets(st.sampled_from([64, 128, 192, 256])), cols=st.sets(st.sampled_from([64, 128, 192, 256])))
def test_tiled_equals_whole_to_the_last_bit(fields: Fields, fitted: SceneFit, rows: set[int], cols: set[int]) -> None:
    source, _ = fields
    whole = fitted(source.whole())
    tiled = fill_tiled(fitted, source, [0, *sorted(rows), source.shape[0]], [0, *sorted(cols), source.shape[1]])
    assert whole.std is not None
    assert tiled.std is not None
    np.testing.assert_array_equal(cloudy(source, tiled.mean), cloudy(source, whole.mean))
    np.testing.assert_array_equal(cloudy(source, tiled.std), cloudy(source, whole.std))


@pytest.mark.parametrize("size", [192, 256, 320])
def test_the_lattice_of_the_engine_gives_the_whole(fields: Fields, fitted: SceneFit, size: int) -> None:
    source, _ = fields
    whole = fitted(source.whole()).mean
    lattice = Lattice(shape=source.shape, spec=TileSpec(size_px=size, halo_px=fitted.halo_px, align_px=fitted.alignment_px))
    out = np.full_like(whole, np.nan)
    for row in lattice.rows:
        for col in lattice.cols:
            window, kept = Lattice.window(row, col), Lattice.kept(row, col)
            inner = kept.slices_in(window)
            out[:, kept.row : kept.row_stop, kept.col : kept.col_stop] = fitted(source.read(window)).mean[:, *inner]
    np.testing.assert_array_equal(cloudy(source, out), cloudy(source, whole))


def test_threads_and_torch_cores_do_not_change_a_bit(fields: Fields, fitted: SceneFit) -> None:
    source, _ = fields
    before = torch.get_num_threads()
    results = []
    try:
        for cores in (1, 2):
            torch.set_num_threads(cores)
            results.append(fitted(source.whole()).mean)
    finally:
        torch.set_num_threads(before)
    with ThreadPoolExecutor(4) as pool:
        results += [result.mean for result in pool.map(lambda _: fitted(source.whole()), range(4))]
    for result in results[1:]:
        np.testing.assert_array_equal(cloudy(source, result), cloudy(source, results[0]))


def test_it_travels_to_workers(fields: Fields, fitted: SceneFit) -> None:
    source, _ = fields
    copy = pickle.loads(pickle.dumps(fitted))  # noqa: S301 - our own bytes
    np.testing.assert_array_equal(copy(source.whole()).mean, fitted(source.whole()).mean)
    assert copy.describe() == fitted.describe()


def test_what_lies_under_the_clouds_is_never_looked_at(fields: Fields, fitted: SceneFit) -> None:
    source, truth = fields
    seen = ArraySource(np.where(source.cloud, truth, source.optical).astype(np.float32), source.sar, source.cloud)
    np.testing.assert_array_equal(cloudy(source, fitted(seen.whole()).mean), cloudy(source, fitted(source.whole()).mean))


def test_a_clear_tile_comes_back_as_it_is(fields: Fields, fitted: SceneFit) -> None:
    source, _ = fields
    clear = ArraySource(source.optical, source.sar, np.zeros_like(source.cloud))
    result = fitted(clear.whole())
    np.testing.assert_array_equal(result.mean, source.optical)


@pytest.mark.parametrize("window", [Window(row=1, col=0, height=64, width=64), Window(row=0, col=0, height=65, width=64)])
def test_a_tile_off_the_lattice_is_refused(fields: Fields, fitted: SceneFit, window: Window) -> None:
    with pytest.raises(ReconstructionError, match="multiples of 64"):
        fitted(fields[0].read(window))


def test_a_tile_of_another_scene_is_refused(fields: Fields, fitted: SceneFit) -> None:
    tile = fields[0].whole()
    other = TileInput(window=tile.window, optical=tile.optical[:3], sar=tile.sar, cloud_mask=tile.cloud_mask, valid=tile.valid)
    with pytest.raises(ReconstructionError, match="4 optical and 2 SAR"):
        fitted(other)


def test_its_tiles_are_what_the_engine_is_told(fitted: SceneFit) -> None:
    assert fitted.tile == SCENEFIT_TILE
    assert fitted.has_std
