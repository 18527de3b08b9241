"""Sentinel-1 in radar geometry: refused, or warped by its control points on demand."""

import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import GCPTransformer
from rasterio.warp import transform as transform_points

from geocr.core.errors import GeoreferenceError
from geocr.core.types import Window
from geocr.io.grid import SceneGrid
from geocr.io.open import open_scene
from geocr.io.sar import SarReader
from geocr.io.sar_options import SarOptions
from geocr.io.scene import Scene
from tests.scenes import TRANSFORM, UTM, write_raster

SHAPE = (300, 320)
DEGREES = CRS.from_epsg(4326)
GCPS = SarOptions(gcps=True)


def swath(folder: Path, name: str, values: NDArray[Any], *, bend: float = 0.0) -> str:
    """A raster in radar geometry over the scene: turned by 12 degrees, and bent; 7 x 7 control points."""
    rows, cols = values.shape[1:]
    ground = TRANSFORM * Affine.translation(-60, 40) * Affine.rotation(-12)
    points = [(row, col) for row in np.linspace(0, rows, 7) for col in np.linspace(0, cols, 7)]
    places = [ground * (col + bend * np.sin(row / rows * 3), row + bend * np.sin(col / cols * 4)) for row, col in points]
    lons, lats = transform_points(UTM, DEGREES, [x for x, _ in places], [y for _, y in places])
    gcps = [GroundControlPoint(row=row, col=col, x=lon, y=lat) for (row, col), lon, lat in zip(points, lons, lats, strict=True)]
    path = folder / name
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=rows, count=values.shape[0], dtype=values.dtype, gcps=gcps, crs=DEGREES
    ) as out:
        out.write(values)
    return str(path)


def ramp(rows: int = 430, cols: int = 440) -> NDArray[np.float32]:
    """Power that rises with the column (VV) and the row (VH): interpolated, it tells where a pixel was taken from."""
    row, col = np.mgrid[:rows, :cols]
    return np.stack([1000 + col, 1000 + row]).astype(np.float32)


@pytest.fixture
def s2(tmp_path: Path) -> str:
    return write_raster(tmp_path / "s2.tif", np.full((1, *SHAPE), 1500, np.uint16), descriptions=("B02",))


def test_pixels_come_from_where_the_spline_says(tmp_path: Path, s2: str) -> None:
    """Against the spline evaluated at each pixel: within the tolerance of 0.05 px that GDAL is given."""
    path = swath(tmp_path, "s1.tif", ramp(), bend=6.0)
    scene = open_scene(s2, path, sar=SarOptions(gcps=True, units="power"))
    read = 10 ** (scene.read_sar(scene.grid.window).astype(np.float64) / 10)
    rows, cols = np.mgrid[40:280:13, 90:300:17]  # inside the swath
    xs, ys = TRANSFORM * (cols.ravel() + 0.5, rows.ravel() + 0.5)
    lons, lats = transform_points(UTM, DEGREES, list(xs), list(ys))
    with rasterio.open(path) as source, GCPTransformer(source.gcps[0], tps=True) as spline:
        from_rows, from_cols = spline.rowcol(lons, lats, op=np.float64)
    for band, expected in zip(read, (from_cols, from_rows), strict=True):
        got = band[rows.ravel(), cols.ravel()] - 1000 + 0.5
        assert np.isfinite(got).all()
        np.testing.assert_allclose(got, expected, atol=0.06)


def test_a_finer_swath_is_averaged_in_power_over_the_pixel(tmp_path: Path, s2: str) -> None:
    """The kernel is as wide as a scene pixel, as for images on a map grid: a fine checkerboard comes out at its mean power."""
    rows, cols = 800, 800
    values = np.full((2, rows, cols), 1.0, np.float32)
    values[:, (np.add.outer(np.arange(rows), np.arange(cols)) % 2).astype(bool)] = 99.0
    ground = TRANSFORM * Affine.translation(40, 40) * Affine.rotation(-5) * Affine.scale(0.25)
    points = [(row, col) for row in np.linspace(0, rows, 5) for col in np.linspace(0, cols, 5)]
    places = [ground * (col, row) for row, col in points]
    gcps = [GroundControlPoint(row=row, col=col, x=x, y=y) for (row, col), (x, y) in zip(points, places, strict=True)]
    path = tmp_path / "fine.tif"
    with rasterio.open(path, "w", driver="GTiff", width=cols, height=rows, count=2, dtype="float32", gcps=gcps, crs=UTM) as out:
        out.write(values)
    read = open_scene(s2, str(path), sar=SarOptions(gcps=True, units="power")).read_sar(Window(row=80, col=90, height=100, width=100))
    np.testing.assert_allclose(10 ** (read / 10), 50, rtol=0.05)


anywhere = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anywhere
@given(rows=st.lists(st.integers(1, SHAPE[0] - 1), max_size=2), cols=st.lists(st.integers(1, SHAPE[1] - 1), max_size=2))
def test_a_pixel_does_not_depend_on_its_window(tmp_path: Path, rows: list[int], cols: list[int]) -> None:
    values = np.random.default_rng(0).gamma(2, 60, (2, 430, 440)).astype(np.uint16)
    path = swath(tmp_path, "s1.tif", values, bend=6.0)
    grid = SceneGrid(crs=UTM, transform=TRANSFORM, shape=SHAPE)
    reader = SarReader(path, indexes=(1, 2), units="amplitude", grid=grid, by_gcps=True)
    whole = reader.read_backscatter(grid.window)
    assert np.isfinite(whole).mean() > 0.5
    tops, lefts = [0, *sorted(set(rows)), SHAPE[0]], [0, *sorted(set(cols)), SHAPE[1]]
    for top, bottom in itertools.pairwise(tops):
        for left, right in itertools.pairwise(lefts):
            window = Window(row=top, col=left, height=bottom - top, width=right - left)
            np.testing.assert_array_equal(reader.read_backscatter(window), whole[:, top:bottom, left:right])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader)).read_backscatter(grid.window), whole)  # noqa: S301 - our own


def warnings_of(scene: Scene) -> str:
    return " ".join(note for note in scene.notes if note.startswith("Warning"))


def test_counts_are_amplitude_and_not_calibrated_and_this_is_said(tmp_path: Path, s2: str) -> None:
    scene = open_scene(s2, swath(tmp_path, "s1.tif", np.full((2, 430, 440), 100, np.uint16)), sar=GCPS)
    assert "without terrain correction" in warnings_of(scene)
    assert "not calibrated: their dB are neither sigma0 nor gamma0" in warnings_of(scene)
    assert scene.sar_facts.radiometry is None
    read = scene.read_sar(Window(row=100, col=100, height=20, width=20))
    np.testing.assert_allclose(read, 40, atol=1e-4)  # 100 squared


def test_zeros_off_the_swath_are_no_measurement(tmp_path: Path, s2: str) -> None:
    values = np.full((2, 430, 440), 100, np.uint16)
    values[:, :, :220] = 0
    scene = open_scene(s2, swath(tmp_path, "s1.tif", values), sar=GCPS)
    read = scene.read_sar(scene.grid.window)
    assert 0.2 < np.isnan(read).mean() < 0.8
    np.testing.assert_allclose(read[np.isfinite(read)], 40, atol=1e-4)


def test_a_pair_of_files_with_control_points(tmp_path: Path, s2: str) -> None:
    stack = ramp()
    pair = [swath(tmp_path, f"iw-{name}.tiff", stack[band : band + 1], bend=4.0) for band, name in enumerate(("vv", "vh"))]
    one = swath(tmp_path, "stack.tif", stack, bend=4.0)
    options = SarOptions(gcps=True, units="power")
    read = [scene.read_sar(scene.grid.window) for scene in (open_scene(s2, s1, sar=options) for s1 in (",".join(pair), one))]
    np.testing.assert_array_equal(*read)


def test_too_few_control_points(tmp_path: Path, s2: str) -> None:
    gcps = [GroundControlPoint(row=row, col=row, x=15 + row, y=47) for row in (0, 1, 2)]
    path = tmp_path / "s1.tif"
    with rasterio.open(path, "w", driver="GTiff", width=9, height=9, count=2, dtype="uint16", gcps=gcps, crs=DEGREES) as out:
        out.write(np.ones((2, 9, 9), np.uint16))
    with pytest.raises(GeoreferenceError, match=r"takes four or more; .* has 3"):
        open_scene(s2, str(path), sar=GCPS)


def test_control_points_on_both_sides_of_the_antimeridian_are_refused(tmp_path: Path, s2: str) -> None:
    """Their middle is on the other side of the Earth; a scene there would be filled with what was measured nowhere near."""
    gcps = [GroundControlPoint(row=row, col=col, x=x, y=y) for row, y in ((0, 52), (50, 51)) for col, x in ((0, 179.5), (60, -179.5))]
    path = tmp_path / "far.tif"
    with rasterio.open(path, "w", driver="GTiff", width=60, height=50, count=2, dtype="uint16", gcps=gcps, crs=DEGREES) as out:
        out.write(np.ones((2, 50, 60), np.uint16))
    with pytest.raises(GeoreferenceError, match=r"one side of the antimeridian; .* from -179.5 to 179.5 degrees"):
        open_scene(s2, str(path), sar=GCPS)


def test_elsewhere_is_refused(tmp_path: Path) -> None:
    s2 = write_raster(
        tmp_path / "far.tif", np.ones((1, 20, 20), np.uint16), transform=TRANSFORM * Affine.translation(9000, 0), descriptions=("B02",)
    )
    with pytest.raises(GeoreferenceError, match="must overlap"):
        open_scene(s2, swath(tmp_path, "s1.tif", ramp()), sar=SarOptions(gcps=True, units="power"))


def test_no_control_points_at_all_is_no_matter_of_this_option(tmp_path: Path, s2: str) -> None:
    path = write_raster(tmp_path / "s1.tif", ramp(40, 50), crs=None, transform=Affine.identity())
    with pytest.raises(GeoreferenceError, match=r"must have a CRS and a transform; .* has none"):
        open_scene(s2, path, sar=GCPS)


@pytest.mark.real_data
def test_the_real_grd(real_data: Path, tmp_path: Path) -> None:
    """The overview of a real GRD, both as a pair and as its folder: refused, and warped by its 210 points on demand."""
    folder = real_data / "s1_grd_overview_rtpds"
    transform = Affine(200, 0, 160_000, 0, -200, 1_140_000)
    s2 = write_raster(
        tmp_path / "s2.tif", np.full((1, 100, 120), 1500, np.uint16), crs=CRS.from_epsg(32644), transform=transform, descriptions=("B02",)
    )
    for s1 in (str(folder), f"{folder / 'iw-vv.tiff'},{folder / 'iw-vh.tiff'}"):
        with pytest.raises(GeoreferenceError, match=r"radar geometry.*SNAP.*--s1-gcps"):
            open_scene(s2, s1)
        scene = open_scene(s2, s1, sar=GCPS)
        read = scene.read_sar(scene.grid.window)
        assert scene.sar_bands == ("VV", "VH")
        assert np.isfinite(read).mean() > 0.8  # the swath ends in the east
        assert np.nanmedian(read[0]) > np.nanmedian(read[1])  # cross polarisation is the weaker
    part = scene.read_sar(Window(row=33, col=41, height=20, width=60))
    np.testing.assert_array_equal(part, read[:, 33:53, 41:101])
