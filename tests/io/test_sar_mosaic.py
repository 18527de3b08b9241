"""Several Sentinel-1 images over one scene: which one gives a pixel, and what is said of it."""

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geocr.core.errors import BandError, GeoreferenceError, InputError, UnitsError
from geocr.core.types import FloatArray, Window
from geocr.io.open import open_scene
from geocr.io.sar_mosaic import SarMosaic
from geocr.io.sar_options import SarOptions
from geocr.io.scene import Scene
from tests.scenes import TRANSFORM, write_raster

SHAPE = (60, 70)
WHOLE = Window(row=0, col=0, height=60, width=70)


@pytest.fixture
def s2(tmp_path: Path) -> str:
    return write_raster(tmp_path / "S2A_20230815T101031.tif", np.full((1, *SHAPE), 1500, np.uint16), descriptions=("B02",))


def level(db: float, holes: tuple[slice, slice] | None = None) -> FloatArray:
    values = np.stack([np.full(SHAPE, db, np.float32), np.full(SHAPE, db - 6, np.float32)])
    if holes:
        values[:, *holes] = np.nan
    return values


def s1(folder: Path, name: str, values: FloatArray, **options: Any) -> str:
    return write_raster(folder / name, values, descriptions=("VV", "VH"), **options)


def notes(scene: Scene, word: str) -> list[str]:
    return [note for note in scene.notes if word in note]


def test_the_nearest_in_time_comes_first_and_others_fill_its_holes(tmp_path: Path, s2: str) -> None:
    far = s1(tmp_path, "S1A_20230801T051700.tif", level(-20))
    near = s1(tmp_path, "S1A_20230814T051700.tif", level(-10, (slice(0, 20), slice(0, 30))))
    for order in ([far, near], [near, far]):
        scene = open_scene(s2, ",".join(order))
        assert isinstance(scene.sar, SarMosaic)
        read = scene.read_sar(WHOLE)
        np.testing.assert_allclose(read[0, :20, :30], -20, atol=1e-5)
        np.testing.assert_allclose(read[0, 20:], -10, atol=1e-5)
        np.testing.assert_allclose(read[1, 20:], -16, atol=1e-5)
        assert scene.sar_facts.days_from_optical == -1.2
        assert scene.sar_facts.files == (near, far)
        assert notes(
            scene, "mosaic of 2 images; each pixel is that of the first that measured it: S1A_20230814T051700.tif (1.2 days before"
        )


def test_at_equal_distance_the_one_with_fewer_holes_comes_first(tmp_path: Path, s2: str) -> None:
    holed = s1(tmp_path, "S1A_20230814T051700.tif", level(-10, (slice(0, 40), slice(None))))
    full = s1(tmp_path, "S1B_20230814T051800.tif", level(-20))
    np.testing.assert_allclose(open_scene(s2, f"{holed},{full}").read_sar(WHOLE)[0], -20, atol=1e-5)


def test_at_equal_distance_and_coverage_the_order_given_counts(tmp_path: Path, s2: str) -> None:
    one, two = s1(tmp_path, "one.tif", level(-10)), s1(tmp_path, "two.tif", level(-20))
    np.testing.assert_allclose(open_scene(s2, f"{two},{one}").read_sar(WHOLE)[0], -20, atol=1e-5)


def test_a_dated_image_comes_before_an_undated_one(tmp_path: Path, s2: str) -> None:
    undated, dated = s1(tmp_path, "undated.tif", level(-10)), s1(tmp_path, "S1A_20220101T000001.tif", level(-20))
    np.testing.assert_allclose(open_scene(s2, f"{undated},{dated}").read_sar(WHOLE)[0], -20, atol=1e-5)


def test_a_pixel_takes_all_polarisations_from_one_image(tmp_path: Path, s2: str) -> None:
    half = level(-10)
    half[1, :30] = np.nan
    first, second = s1(tmp_path, "first.tif", half), s1(tmp_path, "second.tif", level(-20, (slice(0, 10), slice(None))))
    read = open_scene(s2, f"{second},{first}").read_sar(WHOLE)
    np.testing.assert_allclose(read[:, 10:, :], level(-20)[:, 10:], atol=1e-5)
    np.testing.assert_allclose(read[0, :10], -10, atol=1e-5)  # no image has both there: what there is
    assert np.isnan(read[1, :10]).all()


def test_an_image_with_all_polarisations_comes_before_one_with_some(tmp_path: Path, s2: str) -> None:
    """Whole, not patched: where the first has VV alone and the second both, both are the second's; a third changes nothing then."""
    half, nothing = level(-10), level(-20)
    half[1, :20] = np.nan
    nothing[:, 20:] = np.nan
    paths = [s1(tmp_path, f"S1A_202308{day}.tif", values) for day, values in ((15, half), (16, nothing), (17, level(-30)))]
    read = open_scene(s2, ",".join(paths)).read_sar(WHOLE)
    np.testing.assert_allclose(read[:, :20], level(-20)[:, :20], atol=1e-5)
    np.testing.assert_allclose(read[:, 20:], level(-10)[:, 20:], atol=1e-5)


anywhere = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anywhere
@given(
    rows=st.lists(st.integers(1, SHAPE[0] - 1), max_size=3), cols=st.lists(st.integers(1, SHAPE[1] - 1), max_size=3), seed=st.integers(0, 5)
)
def test_a_pixel_does_not_depend_on_its_window(tmp_path: Path, s2: str, rows: list[int], cols: list[int], seed: int) -> None:
    """Images on other grids, with holes and dark rims: the mosaic of any partition is the mosaic."""
    rng = np.random.default_rng(seed)
    paths = []
    for number, shift in enumerate((0.0, 0.4, -7.3)):
        db = rng.normal(-12, 3, (2, *SHAPE)).astype(np.float32)
        db[:, rng.random(SHAPE) < 0.1] = np.nan
        db[:, :, :9] = np.nan
        db[:, :, 9:14] = rng.normal(-36, 3, (2, SHAPE[0], 5))
        paths.append(s1(tmp_path, f"p{number}.tif", db, transform=TRANSFORM * Affine.translation(shift, shift)))
    scene = open_scene(s2, ",".join(paths))
    whole = scene.read_sar(WHOLE)
    tops, lefts = [0, *sorted(set(rows)), SHAPE[0]], [0, *sorted(set(cols)), SHAPE[1]]
    for top, bottom in itertools.pairwise(tops):
        for left, right in itertools.pairwise(lefts):
            part = scene.read_sar(Window(row=top, col=left, height=bottom - top, width=right - left))
            np.testing.assert_array_equal(part, whole[:, top:bottom, left:right])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scene)).read_sar(WHOLE), whole)  # noqa: S301 - our own


def test_mixed_orbits_are_warned_of(tmp_path: Path, s2: str) -> None:
    up = s1(tmp_path, "a.tif", level(-10), tags={"ORBIT_DIRECTION": "ASCENDING"})
    down = s1(tmp_path, "b.tif", level(-10), tags={"ORBIT_DIRECTION": "DESCENDING"})
    assert notes(open_scene(s2, f"{up},{down}"), "Warning: the mosaic mixes ascending and descending")
    assert not notes(open_scene(s2, f"{up},{up}"), "Warning")
    tracks = [s1(tmp_path, f"t{track}.tif", level(-10), tags={"RELATIVE_ORBIT": track}) for track in ("22", "95")]
    assert notes(open_scene(s2, ",".join(tracks)), "joins different relative orbits")


def test_images_elsewhere_are_left_out_and_said(tmp_path: Path, s2: str) -> None:
    here = s1(tmp_path, "here.tif", level(-10))
    away = s1(tmp_path, "away.tif", level(-10), transform=TRANSFORM * Affine.translation(500, 0))
    scene = open_scene(s2, f"{away},{here}")
    assert notes(scene, "do not overlap the scene: away.tif")
    assert not isinstance(scene.sar, SarMosaic)
    with pytest.raises(GeoreferenceError, match="must overlap"):
        open_scene(s2, f"{away},{away}")


def test_unlike_images_make_no_mosaic(tmp_path: Path, s2: str) -> None:
    both = s1(tmp_path, "a_gamma0.tif", level(-10))
    with pytest.raises(BandError, match=r"a_gamma0\.tif has VV, VH and only\.tif VV; leave one out"):
        open_scene(s2, f"{both},{write_raster(tmp_path / 'only.tif', level(-10)[:1], descriptions=('VV',))}")
    other = s1(tmp_path, "b_sigma0.tif", level(-10))
    with pytest.raises(UnitsError, match=r"share one radiometry; got a_gamma0\.tif gamma0, b_sigma0\.tif sigma0"):
        open_scene(s2, f"{both},{other}")
    assert open_scene(s2, f"{both},{other}", sar=SarOptions(radiometry="gamma0")).sar_facts.radiometry == "gamma0"


# days


@pytest.mark.parametrize(
    ("name", "days"),
    [("S1A_20230817T051700.tif", 1.8), ("S1A_20230815T101031.tif", 0), ("S1A_20230810.tif", -5), ("S1A_20230815.tif", 0), ("s1.tif", None)],
)
def test_the_days_between_both(tmp_path: Path, s2: str, name: str, days: float | None) -> None:
    scene = open_scene(s2, s1(tmp_path, name, level(-10)))
    assert scene.sar_facts.days_from_optical == days
    assert notes(scene, "no name or tag dates Sentinel-1" if days is None else "Sentinel-1 was taken")


def test_max_days_is_kept(tmp_path: Path, s2: str) -> None:
    five = s1(tmp_path, "S1A_20230810T101031.tif", level(-10))
    assert open_scene(s2, five, sar=SarOptions(max_days=5)).sar is not None
    with pytest.raises(
        InputError, match=r"within --max-days 4 of Sentinel-2; S1A_20230810T101031\.tif lies 5 days away; choose another date"
    ):
        open_scene(s2, five, sar=SarOptions(max_days=4))


def test_max_days_and_an_unknown_date(tmp_path: Path, s2: str) -> None:
    """A limit that cannot be checked is not kept: the run stops and says how to date a file."""
    unknown = s1(tmp_path, "s1.tif", level(-10))
    with pytest.raises(InputError, match=r"s1\.tif has no known distance.*name the files with their dates"):
        open_scene(s2, unknown, sar=SarOptions(max_days=30))


def test_max_days_thins_a_mosaic(tmp_path: Path, s2: str) -> None:
    near, far = s1(tmp_path, "S1A_20230814T051700.tif", level(-10)), s1(tmp_path, "S1A_20230714T051700.tif", level(-20))
    scene = open_scene(s2, f"{far},{near}", sar=SarOptions(max_days=6))
    assert notes(scene, "Left out, as --max-days 6 wants: S1A_20230714T051700.tif lies 32.2 days away")
    np.testing.assert_allclose(scene.read_sar(WHOLE)[0], -10, atol=1e-5)
