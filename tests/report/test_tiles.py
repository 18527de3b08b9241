"""Tiles for the viewer: at full resolution they are the scene itself, cut."""

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from geocr.core.errors import InputError
from geocr.io.qgis import std_range
from geocr.report.layers import std_colours
from geocr.report.rendering import picture_of
from geocr.report.result import find_result
from geocr.report.tiles import TILE_PX, SceneTiles
from tests.report.runs import Run, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"), (300, 530), overviews=True)


@pytest.fixture(scope="module")
def tiles(run: Run) -> SceneTiles:
    return SceneTiles(find_result(run.scene))


def whole(tiles: SceneTiles, layer: str, level: int) -> NDArray[np.uint8]:
    """All tiles of a level, joined."""
    rows = []
    for row in range(99):
        line = []
        for col in range(99):
            content = tiles.tile(layer, level, row, col)
            if content is None:
                break
            line.append(np.asarray(Image.open(BytesIO(content)).convert("RGBA")))
        if not line:
            break
        rows.append(np.concatenate(line, axis=1))
    return np.concatenate(rows)


@pytest.mark.parametrize(("layer", "pixels"), [("after", lambda run: run.after), ("before", lambda run: run.before_dn)])
def test_tiles_at_full_resolution_are_the_scene(
    tiles: SceneTiles, run: Run, layer: str, pixels: Callable[[Run], NDArray[np.uint16]]
) -> None:
    joined = whole(tiles, layer, 0)
    valid = run.classes != 0
    expected = picture_of(pixels(run)[[2, 1, 0]].astype(np.float32), tiles.palette.stretch, valid)
    np.testing.assert_array_equal(joined[valid][:, :3], expected[valid])
    np.testing.assert_array_equal(joined[..., 3] == 255, valid)


def test_provenance_tiles_are_the_classes_colours(tiles: SceneTiles, run: Run) -> None:
    joined = whole(tiles, "provenance", 0)
    assert (joined[run.classes == 2] == (240, 150, 40, 255)).all()
    assert (joined[run.classes == 3] == (200, 50, 90, 255)).all()
    assert (joined[run.classes <= 1][:, 3] == 0).all()


def test_uncertainty_is_shown_where_something_was_reconstructed(tiles: SceneTiles, run: Run) -> None:
    joined, shown = whole(tiles, "std", 0), np.isin(run.classes, (2, 3))
    np.testing.assert_array_equal(joined[..., 3] == 255, shown)
    assert run.std_counts is not None
    mean = np.where(shown, run.std_counts.astype(np.float32).mean(axis=0) * np.float32(1e-4), np.float32(np.nan))
    expected = std_colours(mean, tiles.palette.std_top)  # in reflectance, as the legend says
    assert tiles.palette.std_top == std_range(mean)
    assert len(np.unique(expected[shown], axis=0)) > 5
    np.testing.assert_allclose(joined[shown].astype(int), expected[shown].astype(int), atol=20)


def test_levels_halve_until_one_tile_is_all(tiles: SceneTiles) -> None:
    assert tiles.levels == 3
    for level, shape in enumerate([(300, 530), (150, 265), (75, 133)]):
        assert whole(tiles, "after", level).shape[:2] == shape
    assert tiles.tile("after", 2, 0, 1) is None
    assert whole(tiles, "after", 1)[60:90, 120:150, :3].mean() == pytest.approx(
        whole(tiles, "after", 0)[120:180, 240:300, :3].mean(), abs=8
    )


@pytest.mark.parametrize(
    "place", [("after", -1, 0, 0), ("after", 3, 0, 0), ("after", 0, 2, 0), ("after", 0, 0, 3), ("after", 0, -1, 0), ("other", 0, 0, 0)]
)
def test_there_is_nothing_outside(tiles: SceneTiles, place: tuple[str, int, int, int]) -> None:
    assert tiles.tile(*place) is None


def test_layers_that_a_run_lacks_are_none(tmp_path: Path) -> None:
    run = make_run(tmp_path, std=False)
    Path(run.s2).unlink()
    tiles = SceneTiles(find_result(run.scene))
    assert tiles.layers == ("after", "provenance")
    assert tiles.levels == 1
    assert tiles.tile("before", 0, 0, 0) is None
    assert tiles.tile("std", 0, 0, 0) is None


def test_rasters_without_overviews_are_named(tiles: SceneTiles, tmp_path: Path) -> None:
    assert tiles.slow_layers == ("before",)
    assert max(tiles.shape) > 2 * TILE_PX
    assert SceneTiles(find_result(make_run(tmp_path).scene)).slow_layers == ()


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rio_tiler.io.rasterio", None)
    with pytest.raises(InputError, match=r"needs the package rio-tiler, which is not installed; pip install 'geocr\[view\]'"):
        SceneTiles(find_result(make_run(tmp_path).scene))
