"""Sentinel-1 on the scene's grid: the same whatever the window, and interpolated in power."""

import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject

from geocr.core.types import FloatArray, Window
from geocr.io.grid import SceneGrid
from geocr.io.open import open_scene
from geocr.io.sar import SarReader, kernel_scale
from geocr.radiometry.sar import SarUnits
from tests.scenes import TRANSFORM, UTM, write_raster

GRID = SceneGrid(crs=UTM, transform=TRANSFORM, shape=(90, 110))
DEGREES = CRS.from_epsg(4326)
UTM_NEXT = CRS.from_epsg(32632)
GEOMETRIES: dict[str, tuple[CRS, Affine, tuple[int, int]]] = {
    "same": (UTM, TRANSFORM, (90, 110)),
    "shifted by a third of a pixel": (UTM, TRANSFORM * Affine.translation(1 / 3, -1 / 3), (95, 115)),
    "finer": (UTM, TRANSFORM * Affine.translation(-7, -7) * Affine.scale(0.31), (340, 400)),
    "coarser": (UTM, TRANSFORM * Affine.translation(-3, -3) * Affine.scale(2.7), (40, 46)),
    "part of the scene": (UTM, TRANSFORM * Affine.translation(20.4, 30.2), (40, 50)),
    "rotated": (UTM, TRANSFORM * Affine.translation(-20, -10) * Affine.rotation(11), (150, 160)),
    "south up": (UTM, TRANSFORM * Affine.translation(0.25, 90) * Affine.scale(1, -1), (90, 110)),
    "degrees": (DEGREES, Affine(1.2e-4, 0, 14.9995, 0, -0.9e-4, 47.8535), (110, 130)),
    "next zone": (UTM_NEXT, Affine(10, 0, 948_500, 0, -10, 5_317_700), (150, 160)),
}
UNITS: tuple[SarUnits, ...] = ("db", "power", "amplitude", "display")


def in_units(power: NDArray[np.float64], units: SarUnits) -> FloatArray:
    if units == "db":
        return (10 * np.log10(power)).astype(np.float32)
    return (np.sqrt(power) if units == "amplitude" else power).astype(np.float32)


@dataclass(frozen=True)
class Source:
    """A Sentinel-1 file, and the power it stands for (NaN is nodata)."""

    path: str
    power: NDArray[np.float64]
    crs: CRS
    transform: Affine
    units: SarUnits

    @property
    def reader(self) -> SarReader:
        return SarReader(self.path, indexes=(1, 2), units=self.units, grid=GRID)

    def read(self) -> FloatArray:
        return self.reader.read_backscatter(GRID.window)


def make_source(folder: Path, geometry: str, units: SarUnits = "db", nodata: float | None = None, *, holes: bool = True) -> Source:
    crs, transform, shape = GEOMETRIES[geometry]
    rng = np.random.default_rng(3)
    power = 10 ** rng.normal(-1.2, 0.5, (2, *shape))
    values = in_units(power, units)
    if holes:
        gap = rng.random(shape) < 0.03
        gap[: shape[0] // 6] = True
        fill = np.nan if nodata is None else nodata
        values[:, gap] = fill
        power[:, gap] = np.nan
    path = write_raster(folder / f"s1_{units}.tif", values, crs=crs, transform=transform, nodata=nodata, descriptions=("VV", "VH"))
    return Source(path=path, power=power, crs=crs, transform=transform, units=units)


def reprojected(source: Source) -> FloatArray:
    """The oracle: GDAL's warp of the power array in memory, with exact coordinates."""
    with rasterio.open(source.path) as dataset:
        scale_y, scale_x = kernel_scale(dataset, GRID)
    target = np.full((2, *GRID.shape), np.nan, np.float32)
    for col in range(0, GRID.shape[1], 5):  # GDAL transforms rows of up to five pixels exactly, longer ones by interpolation
        strip = np.full((2, GRID.shape[0], min(5, GRID.shape[1] - col)), np.nan, np.float32)
        reproject(
            source.power.astype(np.float32), strip, src_transform=source.transform, src_crs=source.crs, src_nodata=np.nan,
            dst_transform=GRID.transform * Affine.translation(col, 0), dst_crs=GRID.crs, dst_nodata=np.nan, resampling=Resampling.bilinear,
            XSCALE=scale_x, YSCALE=scale_y, SOURCE_EXTRA=10,
        )  # fmt: skip
        target[:, :, col : col + 5] = strip
    with np.errstate(divide="ignore", invalid="ignore"):
        return target if source.units == "display" else 10 * np.log10(target)


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_parity_with_a_warp_of_the_whole_power_array(tmp_path: Path, geometry: str, units: SarUnits) -> None:
    source = make_source(tmp_path, geometry, units)
    got, expected = source.read(), reprojected(source)
    assert got.dtype == np.float32
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("geometry", "scale"),
    [("same", (1, 1)), ("shifted by a third of a pixel", (1, 1)), ("finer", (0.31, 0.31)), ("coarser", (1, 1)), ("rotated", (1, 1)),
     ("south up", (1, 1)), ("degrees", (1, 0.8975)), ("next zone", (1, 1))],
)  # fmt: skip
def test_the_kernel_is_as_wide_as_a_scene_pixel(tmp_path: Path, geometry: str, scale: tuple[float, float]) -> None:
    with rasterio.open(make_source(tmp_path, geometry).path) as dataset:
        np.testing.assert_allclose(kernel_scale(dataset, GRID), scale, rtol=5e-3)


anywhere = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("geometry", GEOMETRIES)
@anywhere
@given(
    units=st.sampled_from(UNITS),
    rows=st.lists(st.integers(1, GRID.shape[0] - 1), max_size=3),
    cols=st.lists(st.integers(1, GRID.shape[1] - 1), max_size=3),
)
def test_a_pixel_does_not_depend_on_its_window(tmp_path: Path, geometry: str, units: SarUnits, rows: list[int], cols: list[int]) -> None:
    reader = make_source(tmp_path, geometry, units).reader
    whole = reader.read_backscatter(GRID.window)
    tops, lefts = [0, *sorted(set(rows)), GRID.shape[0]], [0, *sorted(set(cols)), GRID.shape[1]]
    for top, bottom in itertools.pairwise(tops):
        for left, right in itertools.pairwise(lefts):
            part = reader.read_backscatter(Window(row=top, col=left, height=bottom - top, width=right - left))
            np.testing.assert_array_equal(part, whole[:, top:bottom, left:right])


@pytest.mark.parametrize("geometry", ["degrees", "finer"])
@pytest.mark.parametrize("window", [(0, 0, 1, 1), (45, 54, 1, 1), (89, 109, 1, 1), (0, 50, 90, 1), (13, 0, 1, 110)])
def test_single_pixels_rows_and_columns(tmp_path: Path, geometry: str, window: tuple[int, int, int, int]) -> None:
    reader = make_source(tmp_path, geometry).reader
    row, col, height, width = window
    part = reader.read_backscatter(Window(row=row, col=col, height=height, width=width))
    np.testing.assert_array_equal(part, reader.read_backscatter(GRID.window)[:, row : row + height, col : col + width])


@pytest.mark.parametrize(
    ("units", "nodata"),
    [("db", np.nan), ("db", -9999.0), ("db", 0.0), ("db", None), ("power", np.nan), ("power", -9999.0), ("power", 0.0), ("power", None),
     ("amplitude", 0.0), ("amplitude", np.nan), ("amplitude", None), ("display", np.nan), ("display", 0.0), ("display", -9999.0), ("display", None)],
)  # fmt: skip
def test_on_the_same_grid_the_input_comes_back_and_nodata_is_nan(tmp_path: Path, units: SarUnits, nodata: float | None) -> None:
    source = make_source(tmp_path, "same", units, nodata)
    got = source.read()
    expected = source.power if units == "display" else 10 * np.log10(source.power)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(source.power))
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("nodata", [-9999.0, np.nan, None])
def test_db_on_the_same_grid_comes_back_to_the_bit(tmp_path: Path, nodata: float | None) -> None:
    """Nothing is interpolated, so nothing goes through power and back."""
    values = np.random.default_rng(0).normal(-14, 5, (2, 90, 110)).astype(np.float32)
    holes = values > -5
    written = values.copy()
    written[holes] = -np.inf if nodata is None else nodata
    path = write_raster(tmp_path / "s1.tif", written, nodata=nodata, descriptions=("VV", "VH"))
    got = SarReader(path, indexes=(2, 1), units="db", grid=GRID).read_backscatter(GRID.window)
    np.testing.assert_array_equal(got, np.where(holes, np.float32(np.nan), values)[::-1])
    assert got.dtype == np.float32


@pytest.mark.parametrize("nodata", [-9999.0, 0.0, np.nan])
def test_nodata_never_bleeds_into_its_neighbours(tmp_path: Path, nodata: float) -> None:
    source = make_source(tmp_path, "shifted by a third of a pixel", "db", nodata)
    got = source.read()
    seen = 10 * np.log10(source.power[np.isfinite(source.power)])
    assert np.isnan(got).any()
    assert np.nanmin(got) >= seen.min() - 1e-4
    assert np.nanmax(got) <= seen.max() + 1e-4


@pytest.mark.parametrize("units", ["power", "amplitude"])
def test_untagged_zeros_of_counts_and_power_are_no_measurement(tmp_path: Path, units: SarUnits) -> None:
    values = np.full((2, 90, 110), 4, np.float32)
    values[:, :, :30] = 0
    path = write_raster(tmp_path / "s1.tif", values, transform=TRANSFORM * Affine.translation(0.5, 0.5), descriptions=("VV", "VH"))
    got = SarReader(path, indexes=(1, 2), units=units, grid=GRID).read_backscatter(GRID.window)
    assert np.isnan(got[:, 2:, :30]).all()
    level = 10 * np.log10(16 if units == "amplitude" else 4)
    np.testing.assert_allclose(got[:, 2:-2, 30:-2], level, atol=1e-5)  # column 30 lies half over the zeros


def test_display_zeros_are_values(tmp_path: Path) -> None:
    values = np.zeros((2, 90, 110), np.uint8)
    values[:, 50:] = 200
    path = write_raster(tmp_path / "s1.tif", values, descriptions=("VV", "VH"))
    got = SarReader(path, indexes=(1, 2), units="display", grid=GRID).read_backscatter(GRID.window)
    np.testing.assert_array_equal(got, values)


def test_minus_infinity_is_no_measurement(tmp_path: Path) -> None:
    values = np.full((2, 90, 110), -10, np.float32)
    values[:, 40, 50] = -np.inf
    path = write_raster(tmp_path / "s1.tif", values, descriptions=("VV", "VH"))
    got = SarReader(path, indexes=(1, 2), units="db", grid=GRID).read_backscatter(GRID.window)
    assert np.isnan(got[:, 40, 50]).all()
    assert np.isnan(got).sum() == 2
    shifted = write_raster(tmp_path / "s.tif", values, transform=TRANSFORM * Affine.translation(0.5, 0.5), descriptions=("VV", "VH"))
    moved = SarReader(shifted, indexes=(1, 2), units="db", grid=GRID).read_backscatter(GRID.window)[:, 2:, 2:]
    np.testing.assert_allclose(moved[np.isfinite(moved)], -10, atol=1e-4)


def test_interpolation_is_done_in_power(tmp_path: Path) -> None:
    """Halfway between -20 and 0 dB: power gives 10 log10(0.505) = -2.967, dB would give -10, amplitude -5.19."""
    values = np.full((2, 90, 110), -20, np.float32)
    values[:, :, 1::2] = 0
    path = write_raster(tmp_path / "s1.tif", values, transform=TRANSFORM * Affine.translation(0.5, 0), descriptions=("VV", "VH"))
    got = SarReader(path, indexes=(1, 2), units="db", grid=GRID).read_backscatter(GRID.window)
    np.testing.assert_allclose(got[:, 1:-1, 1:-1], 10 * np.log10(0.505), atol=1e-3)


def test_a_finer_source_is_averaged_in_power_over_the_pixel(tmp_path: Path) -> None:
    """GDAL widens the bilinear kernel: a checkerboard of 2.5 m comes out even, at the mean power."""
    values = np.full((2, 360, 440), -20, np.float32)
    values[:, (np.add.outer(np.arange(360), np.arange(440)) % 2).astype(bool)] = 0
    path = write_raster(tmp_path / "s1.tif", values, transform=TRANSFORM * Affine.scale(0.25), descriptions=("VV", "VH"))
    got = SarReader(path, indexes=(1, 2), units="db", grid=GRID).read_backscatter(GRID.window)
    np.testing.assert_allclose(got[:, 1:-1, 1:-1], 10 * np.log10(0.505), atol=1e-3)


def test_outside_the_source_is_nan(tmp_path: Path) -> None:
    got = make_source(tmp_path, "part of the scene", holes=False).read()
    assert np.isfinite(got[:, 32:68, 23:68]).all()
    assert np.isnan(got[:, :29]).all()
    assert np.isnan(got[:, 72:]).all()
    assert np.isnan(got[:, :, :19]).all()
    assert np.isnan(got[:, :, 72:]).all()


def test_a_gap_in_one_polarisation_is_not_one_in_the_other(tmp_path: Path) -> None:
    values = np.full((2, 90, 110), -10, np.float32)
    values[0, 40:50, 40:50] = np.nan
    values[1, 60:70, 60:70] = np.nan
    path = write_raster(tmp_path / "s1.tif", values, nodata=np.nan, descriptions=("VV", "VH"))
    got = SarReader(path, indexes=(1, 2), units="db", grid=GRID).read_backscatter(GRID.window)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(values))


@pytest.mark.parametrize("descriptions", [("VV", "VH"), ("Sigma0_VV_db", "Sigma0_VH_db")])
def test_polarisations_are_found_by_name_even_when_swapped(tmp_path: Path, descriptions: tuple[str, str]) -> None:
    db = np.random.default_rng(0).normal(-12, 3, (2, 90, 110)).astype(np.float32)
    s2 = write_raster(tmp_path / "s2.tif", np.ones((1, 90, 110), np.uint16), descriptions=("B02",))
    straight = open_scene(s2, write_raster(tmp_path / "a.tif", db, descriptions=descriptions))
    swapped = open_scene(s2, write_raster(tmp_path / "b.tif", db[::-1].copy(), descriptions=descriptions[::-1]))
    assert straight.sar_bands == swapped.sar_bands == ("VV", "VH")
    np.testing.assert_array_equal(swapped.read_sar(GRID.window), straight.read_sar(GRID.window))
    np.testing.assert_allclose(straight.read_sar(GRID.window), db, atol=1e-5)


def test_scale_tags_of_integer_db_are_obeyed(tmp_path: Path) -> None:
    """Products such as 100 x dB in int16 carry GDAL's scale 0.01."""
    counts = np.random.default_rng(0).integers(-2500, 500, (2, 90, 110)).astype(np.int16)
    counts[:, :10] = -32768
    path = write_raster(tmp_path / "s1.tif", counts, nodata=-32768, descriptions=("VV", "VH"), scale=0.01, offset=-1.0)
    got = SarReader(path, indexes=(1, 2), units="db", grid=GRID).read_backscatter(GRID.window)
    expected = np.where(counts == -32768, np.nan, counts * 0.01 - 1)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_reader_travels_and_is_shared(tmp_path: Path) -> None:
    reader = make_source(tmp_path, "degrees").reader
    expected = reader.read_backscatter(GRID.window)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader)).read_backscatter(GRID.window), expected)  # noqa: S301 - our own
    windows = [Window(row=row, col=0, height=10, width=110) for row in range(0, 90, 10)] * 3
    with ThreadPoolExecutor(8) as pool:
        for window, part in zip(windows, pool.map(reader.read_backscatter, windows), strict=True):
            np.testing.assert_array_equal(part, expected[:, window.row : window.row_stop])


def test_odd_file_names_do_not_break_the_chain(tmp_path: Path) -> None:
    folder: Any = tmp_path / "a & b <c> 'd' \"e\""
    folder.mkdir()
    source = make_source(folder, "same")
    assert np.isfinite(source.read()).any()
