"""Border noise: dark rims of the swath are unmeasured, dark lakes inside are not."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocr.core.types import FloatArray, Window
from geocr.io.grid import SceneGrid
from geocr.io.open import open_scene
from geocr.io.sar import SarReader
from geocr.io.sar_border import BORDER_DARK_DB, BORDER_REACH_PX, border_noise
from geocr.io.sar_options import SarOptions
from tests.scenes import TRANSFORM, UTM, write_raster


def swath(shape: tuple[int, int], rim: int, gap: int = 10) -> FloatArray:
    """Land at -12 dB, `gap` columns without measurement on the left, and a rim of noise beside them."""
    rng = np.random.default_rng(1)
    db = rng.normal(-12, 2, (2, *shape)).astype(np.float32)
    db[:, :, gap : gap + rim] = rng.normal(-45, 3, (2, shape[0], rim))
    db[:, :, :gap] = np.nan
    return db


@pytest.mark.parametrize("rim", [1, 5, BORDER_REACH_PX - 1, BORDER_REACH_PX])
def test_a_rim_up_to_the_reach_goes_and_nothing_else(rim: int) -> None:
    db = swath((40, 100), rim)
    expected = np.zeros((40, 100), bool)
    expected[:, 10 : 10 + rim] = True
    np.testing.assert_array_equal(border_noise(db), expected)


def test_of_a_wider_rim_the_part_within_reach_goes() -> None:
    noise = border_noise(swath((40, 100), BORDER_REACH_PX + 1))
    assert noise[:, 10 : 10 + BORDER_REACH_PX].all()
    assert not noise[:, 10 + BORDER_REACH_PX :].any()


def test_a_dark_lake_inside_stays_and_one_on_the_edge_goes() -> None:
    db = swath((40, 100), 0)
    db[:, 10:20, 30:40] = -38
    assert not border_noise(db).any()
    db[:, 15, 10:31] = -38  # a dark river to the edge: chained to it, so it counts
    assert border_noise(db)[10:20, 30:40].all()


def test_corners_chain_too() -> None:
    db = swath((40, 100), 0)
    steps = np.arange(12)
    db[:, 10 + steps, 10 + steps] = -45
    assert border_noise(db)[10 + steps, 10 + steps].all()
    assert border_noise(db).sum() == steps.size


@pytest.mark.parametrize(("value", "is_noise"), [(-0.01, True), (0.0, False), (0.01, False)])
def test_where_dark_begins(value: float, is_noise: bool) -> None:
    db = swath((20, 30), 0)
    db[:, :, 10] = BORDER_DARK_DB + value
    assert bool(border_noise(db)[:, 10].all()) is is_noise


def test_every_measured_polarisation_must_be_dark() -> None:
    db = swath((20, 30), 3)
    db[0, :5, 10:13] = -12  # VV measures land: only the cross polarisation is weak there
    db[1, 5:8, 10:13] = np.nan  # only VV is measured, and dark
    noise = border_noise(db)
    assert not noise[:5].any()
    assert noise[5:, 10:13].all()


def reader(path: str, shape: tuple[int, int]) -> SarReader:
    grid = SceneGrid(crs=UTM, transform=TRANSFORM, shape=shape)
    return SarReader(path, indexes=(1, 2), units="db", grid=grid, without_border_noise=True)


anywhere = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anywhere
@given(
    rows=st.lists(st.integers(1, 149), max_size=3),
    cols=st.lists(st.integers(1, 159), max_size=3),
    seed=st.integers(0, 20),
    dark=st.floats(0.3, 0.95),
)
def test_a_pixel_does_not_depend_on_its_window(tmp_path: Path, rows: list[int], cols: list[int], seed: int, dark: float) -> None:
    """Random mazes of dark pixels, whose chains are longer than the reach: any partition gives the same."""
    shape = (150, 160)
    rng = np.random.default_rng(seed)
    db = np.where(rng.random(shape) < dark, -40, -10).astype(np.float32)[None].repeat(2, axis=0)
    db[:, rng.random(shape) < 0.0005] = np.nan
    db[:, :3] = np.nan
    source = reader(write_raster(tmp_path / f"m{seed}.tif", db), shape)
    whole = source.read_backscatter(source.grid.window)
    assert np.isnan(whole).sum() > np.isnan(db).sum()
    tops, lefts = [0, *sorted(set(rows)), shape[0]], [0, *sorted(set(cols)), shape[1]]
    for top, bottom in itertools.pairwise(tops):
        for left, right in itertools.pairwise(lefts):
            part = source.read_backscatter(Window(row=top, col=left, height=bottom - top, width=right - left))
            np.testing.assert_array_equal(part, whole[:, top:bottom, left:right])


def test_the_farthest_of_a_rim_is_known_in_a_window_of_its_own(tmp_path: Path) -> None:
    """All of the chain that decides it lies outside the window, the unmeasured pixel at its end as far as one can be."""
    rim = swath((30, 200), BORDER_REACH_PX + 1)
    source = reader(write_raster(tmp_path / "s1.tif", rim), (30, 200))
    last = 10 + BORDER_REACH_PX - 1
    assert np.isnan(source.read_backscatter(Window(row=15, col=last, height=1, width=1))).all()
    assert np.isfinite(source.read_backscatter(Window(row=15, col=last + 1, height=1, width=1))).all()


def test_a_bright_window_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The margin is only read where something dark asks for it."""
    source = reader(write_raster(tmp_path / "s1.tif", swath((200, 300), 0)), (200, 300))
    asked: list[Window] = []
    read = SarReader.read
    monkeypatch.setattr(SarReader, "read", lambda self, window, indexes=None: asked.append(window) or read(self, window, indexes))
    window = Window(row=50, col=100, height=20, width=20)
    source.read_backscatter(window)
    assert asked == [window]


def test_masked_by_default_and_kept_on_demand(tmp_path: Path) -> None:
    shape = (40, 60)
    s2 = write_raster(tmp_path / "s2.tif", np.full((1, *shape), 1500, np.uint16), descriptions=("B02",))
    db = swath(shape, 6)
    s1 = write_raster(tmp_path / "s1.tif", db, descriptions=("VV", "VH"))
    whole = Window(row=0, col=0, height=40, width=60)
    assert np.isnan(open_scene(s2, s1).read_sar(whole)[:, :, 10:16]).all()
    kept = open_scene(s2, s1, sar=SarOptions(border_noise="keep")).read_sar(whole)
    np.testing.assert_allclose(kept, db, atol=1e-4)


def test_a_picture_has_no_border_noise(tmp_path: Path) -> None:
    values = np.zeros((2, 20, 30), np.uint8)
    grid = SceneGrid(crs=UTM, transform=TRANSFORM, shape=(20, 30))
    path = write_raster(tmp_path / "s1.tif", values)
    picture = SarReader(path, indexes=(1, 2), units="display", grid=grid, without_border_noise=True)
    np.testing.assert_array_equal(picture.read_backscatter(grid.window), 0)
