"""Laws of filling from other dates, through the engine."""

import itertools
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from geocr.core.errors import ReconstructionError
from geocr.core.types import FloatArray, Reconstruction, TileInput, Window
from geocr.grid.spec import TileSpec
from geocr.inference.engine import stream_rows
from geocr.inference.plan import plan_scene
from geocr.inference.products import DAYS_NODATA, Provenance
from geocr.inference.temporal_method import TemporalMethod
from geocr.io.open import open_scene
from geocr.scenefit import SCENEFIT_TILE
from geocr.temporal import DateFill, fill_tile, fit_dates
from tests.conftest import REPOSITORY
from tests.scenes import write_raster
from tests.temporal.worlds import BANDS, Date, World, counts, disc, make_world

SHAPE = (420, 460)
MASK = disc(SHAPE, 200, 220, 90) | disc(SHAPE, 20, 400, 30)


@dataclass(frozen=True)
class Constant:
    """Fills everything with one value: what no date shows is seen at once."""

    value: float = 0.9

    def describe(self) -> dict[str, Any]:
        return {"name": "constant"}

    def __call__(self, tile: TileInput) -> Reconstruction:
        mean = np.full_like(tile.optical, self.value)
        return Reconstruction(mean=mean, std=np.full_like(mean, 0.05), sar_share=np.ones((1, *tile.window.shape), np.float32))


def fill_of(world: World) -> DateFill:
    dates = fit_dates(world.tiles)
    return DateFill(shape=SHAPE, matches=dates.matches, rest=Constant() if dates.left_px else None)


def run(world: World, fill: DateFill | None = None, *, threads: int = 1, cuts: tuple[int, ...] = ()) -> dict[str, NDArray[Any]]:
    fill = fill or fill_of(world)
    plan = plan_scene(world.tiles, fill.tile, mode="replace-clouds", with_std=True, with_days=True, threads=threads)
    ends = [0, *cuts, plan.shape[0]]
    rows = [
        rows for start, stop in itertools.pairwise(ends) for rows in stream_rows(world.tiles, plan, fill, row_start=start, row_stop=stop)
    ]
    names = ("scene", "provenance", "std", "source_days")
    return {name: np.concatenate([getattr(part, name) for part in rows], axis=1) for name in names}


def test_a_date_with_the_same_radiometry_gives_the_ground_back(tmp_path: Path) -> None:
    world = make_world(tmp_path, [Date(days=-4)], MASK)
    out = run(world)
    borrowed = out["provenance"][0] == Provenance.OBSERVED_ON_ANOTHER_DATE
    np.testing.assert_array_equal(borrowed, MASK)
    assert np.abs(out["scene"].astype(int) - counts(world.ground)).max() <= 2
    np.testing.assert_array_equal(out["scene"][:, ~MASK], world.dn[:, ~MASK])
    np.testing.assert_array_equal(out["source_days"][0], np.where(MASK, -4, 0))


def test_gain_and_offset_of_the_date_are_undone(tmp_path: Path) -> None:
    world = make_world(tmp_path, [Date(days=3, gain=0.8, offset=0.05)], MASK)
    out = run(world)
    error = (out["scene"].astype(float) - counts(world.ground))[:, MASK] * 1e-4
    assert np.sqrt((error**2).mean()) < 0.0005


def test_a_date_under_haze_that_grows_is_followed(tmp_path: Path) -> None:
    """A ramp of offset over the scene; one line for all of it would leave a standard deviation of 0.012."""
    world = make_world(tmp_path, [Date(days=3)], MASK)
    ramp = np.linspace(0, 0.04, SHAPE[1], dtype=np.float32)
    other = world.tiles.others[0]
    path = write_raster(tmp_path / "hazy.tif", counts(world.ground + ramp), nodata=0, descriptions=("B02", "B03", "B04"), scale=1e-4)
    tiles = replace(world.tiles, others=(replace(other, scene=open_scene(path)),))
    out = run(replace(world, tiles=tiles))
    error = (out["scene"].astype(float) - counts(world.ground))[:, MASK] * 1e-4
    assert np.sqrt((error**2).mean()) < 0.006


def test_pixels_that_no_date_shows_fall_to_the_rest(tmp_path: Path) -> None:
    clouds = disc(SHAPE, 200, 260, 60)
    world = make_world(tmp_path, [Date(days=2, clouds=clouds)], MASK)
    out = run(world)
    left = MASK & clouds
    np.testing.assert_array_equal(out["provenance"][0] == Provenance.RECONSTRUCTED_WITH_SAR, left)
    np.testing.assert_array_equal(out["provenance"][0] == Provenance.OBSERVED_ON_ANOTHER_DATE, MASK & ~clouds)
    assert (out["scene"][:, left] == 9000).all()
    assert (out["source_days"][0][left] == DAYS_NODATA).all()
    assert (out["std"][:, left] == 500).all()


def test_a_cloud_that_no_date_shows_never_passes_for_ground(tmp_path: Path) -> None:
    world = make_world(tmp_path, [Date(days=2, clouds=disc(SHAPE, 200, 260, 60))], MASK)
    fill = replace(fill_of(world), rest=None)  # as if the date had shown all of it when it was matched
    with pytest.raises(ReconstructionError, match="finite"):
        run(world, fill)


def test_the_nearest_date_comes_first_whatever_the_order_and_ties_go_to_the_earlier(tmp_path: Path) -> None:
    left, right = (np.zeros(SHAPE, bool) for _ in range(2))
    left[:, :200], right[:, 260:] = True, True
    dates = [Date(days=9), Date(days=-5, clouds=right, name="b"), Date(days=5, clouds=left, name="a")]
    world = make_world(tmp_path / "one", dates, MASK)
    out = run(world)
    days = out["source_days"][0]
    assert set(np.unique(days[MASK & right])) == {5}
    assert set(np.unique(days[MASK & left])) == {-5}
    assert set(np.unique(days[MASK & ~left & ~right])) == {-5}


def test_a_date_that_is_cloudy_there_leaves_it_to_a_farther_one(tmp_path: Path) -> None:
    world = make_world(tmp_path, [Date(days=1, clouds=disc(SHAPE, 200, 220, 50)), Date(days=20, gain=1.2, offset=-0.01)], MASK)
    out = run(world)
    inner = disc(SHAPE, 200, 220, 50) & MASK
    assert set(np.unique(out["source_days"][0][inner])) == {20}
    assert set(np.unique(out["source_days"][0][MASK & ~inner])) == {1}
    error = (out["scene"].astype(float) - counts(world.ground))[:, MASK] * 1e-4
    assert np.sqrt((error**2).mean()) < 0.0008
    assert fill_of(world).rest is None  # all is shown by one date or the other: nothing need be fitted


@pytest.mark.parametrize("threads", [1, 4])
def test_threads_cuts_and_tiles_change_no_byte(tmp_path: Path, threads: int) -> None:
    clouds = disc(SHAPE, 180, 250, 70)
    dates = [Date(days=2, clouds=clouds, gain=1.1, noise=0.004), Date(days=-3, clouds=disc(SHAPE, 230, 190, 60), noise=0.004)]
    world = make_world(tmp_path, [*dates, Date(days=-8, clouds=MASK, noise=0.01)], MASK)
    fill = fill_of(world)
    reference = run(world, fill)
    whole = fill(world.tiles.read(Window(row=0, col=0, height=SHAPE[0], width=SHAPE[1])))  # one tile, no margins anywhere
    again = run(world, pickle.loads(pickle.dumps(fill)), threads=threads, cuts=(100, 301))  # noqa: S301 - our own bytes
    for name, array in reference.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
    borrowed = reference["provenance"][0] == Provenance.OBSERVED_ON_ANOTHER_DATE
    scale = world.tiles.scene.scale
    np.testing.assert_array_equal(scale.to_dn(whole.mean)[:, borrowed], reference["scene"][:, borrowed])


@dataclass(frozen=True)
class Small(DateFill):
    """The same with tiles so small that the scene has many of them."""

    @property
    def tile(self) -> TileSpec:
        spec = fill_tile(len(self.matches))
        return replace(spec, size_px=2 * spec.halo_px + 64)


def test_small_tiles_change_no_byte(tmp_path: Path) -> None:
    dates = [Date(days=2, clouds=disc(SHAPE, 180, 250, 70), noise=0.004), Date(days=-3, gain=1.1, noise=0.004)]
    world = make_world(tmp_path, dates, MASK)
    fill = fill_of(world)
    small = Small(shape=SHAPE, matches=fill.matches, rest=fill.rest)
    one, many = run(world, fill), run(world, small)
    for name, array in one.items():
        np.testing.assert_array_equal(many[name], array, err_msg=name)


def stripes(folder: Path, biases: tuple[float, ...], wide_px: int) -> tuple[World, DateFill]:
    """A wide cloud of which each date shows one stripe less than the date after it, each date matched wrong by its bias."""
    mask = np.zeros(SHAPE, bool)
    mask[20:400, 30:430] = True
    dates = []
    for number in range(len(biases)):
        clouds = mask.copy()
        clouds[:, : SHAPE[1] if number == len(biases) - 1 else 30 + (number + 1) * wide_px] = False
        dates.append(Date(days=number + 1, clouds=clouds))
    world = make_world(folder, dates, mask)
    matches = []
    for match, bias in zip(fit_dates(world.tiles).matches, biases, strict=True):
        assert match is not None
        matches.append(replace(match, offset=match.offset + np.float32(bias), std=np.full_like(match.std, 0.02)))
    return world, DateFill(shape=SHAPE, matches=tuple(matches), rest=Constant())


def test_a_farther_date_is_bent_to_what_was_borrowed_before(tmp_path: Path) -> None:
    world, fill = stripes(tmp_path, (0.0, 0.02), 200)
    out = run(world, fill)
    error = ((out["scene"].astype(float) - counts(world.ground)) * 1e-4)[:, 150:270].mean(axis=(0, 1))  # far from clear ground
    assert set(np.unique(out["source_days"][0][200, 30:430])) == {1, 2}
    assert abs(error[226]) < 0.001
    assert abs(error[231]) < 0.008  # just behind the border between the dates
    assert error[300:380] == pytest.approx(np.full(80, 0.02), abs=0.001)


def test_a_chain_of_dates_needs_the_whole_margin(tmp_path: Path) -> None:
    """Each date is bent to the one before, so a pixel depends on places several corrections away."""
    world, fill = stripes(tmp_path, (0.0, 0.02, -0.02, 0.02, -0.02), 30)
    whole = fill(world.tiles.read(Window(row=0, col=0, height=SHAPE[0], width=SHAPE[1])))
    part = fill(world.tiles.read(Window(row=0, col=64, height=SHAPE[0], width=SHAPE[1] - 64)))
    margin = fill_tile(5).halo_px - SCENEFIT_TILE.halo_px
    shown = np.isfinite(whole.source_days[0]) if whole.source_days is not None else np.zeros(SHAPE, bool)
    shown[:, : 64 + margin] = False
    assert shown.any()
    np.testing.assert_array_equal(part.mean[:, shown[:, 64:]], whole.mean[:, shown])


def test_a_date_that_lacks_one_band_of_a_pixel_is_not_used_there(tmp_path: Path) -> None:
    world = make_world(tmp_path, [Date(days=2), Date(days=9)], MASK)
    pixels = counts(world.ground)
    pixels[1, 190:210, 200:240] = 0
    path = write_raster(tmp_path / "gap.tif", pixels, nodata=0, descriptions=BANDS, scale=1e-4)
    near, far = world.tiles.others
    tiles = replace(world.tiles, others=(replace(near, scene=open_scene(path)), far))
    days = run(replace(world, tiles=tiles))["source_days"][0]
    assert set(np.unique(days[190:210, 200:240])) == {9}


def test_nodata_stays_nodata_and_a_date_with_gaps_is_not_used_there(tmp_path: Path) -> None:
    gap = np.zeros(SHAPE, bool)
    gap[190:210, 200:240] = True
    world = make_world(tmp_path, [Date(days=2)], MASK, nodata=gap)
    out = run(world)
    assert (out["scene"][:, gap] == 0).all()
    assert (out["provenance"][0][gap] == Provenance.NODATA).all()
    assert (out["source_days"][0][gap] == DAYS_NODATA).all()


def test_a_date_that_shares_too_little_clear_ground_is_not_used(tmp_path: Path) -> None:
    clouds = np.ones(SHAPE, bool)
    clouds[MASK] = False
    clouds[:2, :30] = False  # 60 clear pixels in common
    world = make_world(tmp_path, [Date(days=1, clouds=clouds), Date(days=6)], MASK)
    fill = fill_of(world)
    assert [match is None for match in fill.matches] == [True, False]
    assert fill.describe()["dates"][0] == {"used": False}
    assert set(np.unique(run(world, fill)["source_days"][0][MASK])) == {6}


def test_the_standard_deviation_is_what_the_match_leaves(tmp_path: Path) -> None:
    world = make_world(tmp_path, [Date(days=2, noise=0.01)], MASK)
    fill = fill_of(world)
    (match,) = fill.matches
    assert match is not None
    assert match.std.ravel() == pytest.approx(np.full(3, 0.01), rel=0.05)
    out = run(world, fill)
    error = (out["scene"].astype(float) - counts(world.ground))[:, MASK] * 1e-4
    assert np.mean(np.abs(error) <= out["std"][:, MASK] * 1e-4) == pytest.approx(0.68, abs=0.03)


def test_the_border_of_a_patch_does_not_show(tmp_path: Path) -> None:
    """A date whose radiometry steps inside the cloud's surroundings: the match follows, the border correction does the rest."""
    world = make_world(tmp_path, [Date(days=2, offset=0.02)], MASK)
    fill = fill_of(world)
    (match,) = fill.matches
    assert match is not None
    biased = replace(
        match, offset=match.offset + np.float32(0.01), std=np.full_like(match.std, 0.01)
    )  # an error that only the border tells
    out = run(world, DateFill(shape=SHAPE, matches=(biased,), rest=None))
    rim = MASK & ~disc(SHAPE, 200, 220, 87) & ~disc(SHAPE, 20, 400, 30)
    error = (out["scene"].astype(float) - counts(world.ground)) * 1e-4
    assert np.abs(error[:, rim]).mean() < 0.003
    assert error[:, disc(SHAPE, 200, 220, 40)].mean() == pytest.approx(0.01, abs=0.001)  # far inside nothing tells it


@pytest.mark.slow
def test_memory_does_not_grow_with_the_height(tmp_path: Path) -> None:
    """Each step by itself: comparing takes more than twice what filling does, and would hide what that held."""
    peaks = []
    for rows in (1200, 3600):
        command = [sys.executable, "-m", "tests.temporal.tall_fill", str(tmp_path / str(rows)), str(rows)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
        peaks.append([int(peak) for peak in done.stdout.split()])
    for low, high in zip(*peaks, strict=True):
        assert high < 1.1 * low


@pytest.mark.slow
def test_the_scene_fit_takes_over_where_no_date_is_clear(tmp_path: Path) -> None:
    clouds = disc(SHAPE, 200, 260, 60)
    world = make_world(tmp_path, [Date(days=2, clouds=clouds)], MASK, sar=True)
    fill = TemporalMethod(seed=0, others=world.tiles.others).prepare(world.tiles)
    assert isinstance(fill, DateFill)
    assert fill.rest is not None
    out, cut = run(world, fill), run(world, fill, threads=2, cuts=(111,))
    for name, array in out.items():
        np.testing.assert_array_equal(cut[name], array, err_msg=name)
    left = MASK & clouds
    np.testing.assert_array_equal(out["provenance"][0] == Provenance.RECONSTRUCTED_WITH_SAR, left)
    error: FloatArray = (out["scene"].astype(float) - counts(world.ground))[:, left] * 1e-4
    assert np.sqrt((error**2).mean()) < 0.06
