"""Bands of several resolutions on one grid: what a pixel is, that it does not depend on the window, and that nodata does not bleed."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from geocr.core.errors import GeoreferenceError, InputError, UnitsError
from geocr.core.types import Window
from geocr.io.grid import SceneGrid
from geocr.io.open import open_scene
from geocr.io.products.product import BandFile
from geocr.io.products.reader import StackReader
from geocr.io.products.stack import BandSource, S2Resampling, full_block_rows, open_bands, stack_grid, stack_vrt
from tests.data_makers.products import FakeProduct, write_image
from tests.data_makers.scenes import Place

UTM = CRS.from_epsg(32633)
RNG = np.random.default_rng(7)


def noise(rows: int, cols: int, share_empty: float = 0.0) -> NDArray[np.uint16]:
    values = RNG.integers(1, 9000, (rows, cols)).astype(np.uint16)
    values[RNG.random((rows, cols)) < share_empty] = 0
    return values


def stack(
    folder: Path,
    bands: dict[str, tuple[NDArray[np.uint16], float]],
    *,
    resolution_m: float | None = None,
    resampling: S2Resampling = "bilinear",
    suffix: str = ".tif",
) -> StackReader:
    """A stack of arrays, each with the side of its pixels in metres."""
    files = []
    for band, (array, metres) in bands.items():
        place = Place(left=500_000.0, top=5_200_020.0, size=array.shape, res=metres, crs=UTM)
        files.append(BandFile(band=band, path=str(write_image(folder / f"{band}{suffix}", array, place)), scale=1e-4, offset=0.0))
    sources = open_bands(tuple(files))
    grid = stack_grid(sources, resolution_m)
    vrt = stack_vrt(sources, grid, resampling=resampling, nodata=0.0, scaling=(1e-4, 0.0), tags={"A<b": 'c & "d"'})
    rows = full_block_rows(sources, grid)
    return StackReader(str(folder), vrt=vrt, files=tuple(file.path for file in files), block_rows=rows)


def read_all(reader: StackReader) -> NDArray[np.uint16]:
    rows, cols = reader.handle.shape
    return reader.read(Window(row=0, col=0, height=rows, width=cols))


def bilinear(values: NDArray[np.uint16], factor: float, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Bilinear interpolation by its definition, over valid pixels, where the nearest pixel is valid."""
    total, weights = np.zeros(shape), np.zeros(shape)
    places = [(np.arange(size) + 0.5) / factor - 0.5 for size in shape]
    low = [np.floor(place).astype(int) for place in places]
    part = [place - floor for place, floor in zip(places, low, strict=True)]
    for down in (0, 1):
        for right in (0, 1):
            row, col = low[0] + down, low[1] + right
            weight = np.outer(part[0] if down else 1 - part[0], part[1] if right else 1 - part[1])
            inside = np.outer((row >= 0) & (row < values.shape[0]), (col >= 0) & (col < values.shape[1]))
            value = values[np.ix_(row.clip(0, values.shape[0] - 1), col.clip(0, values.shape[1] - 1))].astype(float)
            weight = weight * inside * (value > 0)
            total += weight * value
            weights += weight
    nearest = (
        values[np.ix_(*(np.minimum(np.rint(place), size - 1).astype(int) for place, size in zip(places, values.shape, strict=True)))] > 0
    )
    return total / np.maximum(weights, 1e-12), nearest


@pytest.mark.parametrize("factor", [2, 6])
@pytest.mark.parametrize("empty", [0.0, 0.2])
def test_a_coarser_band_is_interpolated_as_defined_and_nodata_does_not_bleed(tmp_path: Path, factor: int, empty: float) -> None:
    coarse = noise(20, 24, empty)
    shape = (20 * factor, 24 * factor)
    got = read_all(stack(tmp_path, {"B02": (noise(*shape), 10.0), "B05": (coarse, 10.0 * factor)}))[1]
    wanted, valid = bilinear(coarse, factor, shape)
    np.testing.assert_array_equal(got > 0, valid)
    assert np.abs(got.astype(float) - wanted)[valid].max() <= 0.5 + 1e-6


@pytest.mark.parametrize("suffix", [".tif", ".jp2"])
def test_bands_on_the_grid_are_passed_on_bit_by_bit(tmp_path: Path, suffix: str) -> None:
    fine, other = noise(60, 72, 0.1), noise(60, 72)
    got = read_all(stack(tmp_path, {"B02": (fine, 10.0), "B03": (other, 10.0), "B05": (noise(30, 36), 20.0)}, suffix=suffix))
    np.testing.assert_array_equal(got[:2], [fine, other])


def test_a_finer_band_is_the_mean_of_its_observed_pixels(tmp_path: Path) -> None:
    fine = noise(60, 72, 0.3)
    fine[:2, :2] = 0
    got = read_all(stack(tmp_path, {"B02": (fine, 10.0), "B05": (noise(30, 36), 20.0)}, resolution_m=20.0))[0]
    squares = fine.reshape(30, 2, 36, 2).swapaxes(1, 2).reshape(30, 36, 4).astype(float)
    count = (squares > 0).sum(axis=2)
    wanted = squares.sum(axis=2) / np.maximum(count, 1)
    np.testing.assert_array_equal(got > 0, count > 0)
    assert got[0, 0] == 0
    assert np.abs(got - wanted).max() <= 0.5


def test_a_dark_valid_pixel_never_becomes_nodata(tmp_path: Path) -> None:
    dark = np.ones((20, 20), np.uint16)
    dark[::2] = 3
    for resampling in ("bilinear", "cubic"):
        folder = tmp_path / resampling
        got = read_all(stack(folder, {"B02": (noise(40, 40), 10.0), "B05": (dark, 20.0)}, resampling=resampling))  # type: ignore[arg-type]
        assert got.min() > 0


def test_cubic_is_sharper_than_bilinear_and_as_bright(tmp_path: Path) -> None:
    edge = np.full((20, 20), 1000, np.uint16)
    edge[:, 10:] = 5000
    fine = noise(40, 40)
    soft, sharp = (
        read_all(stack(tmp_path / way, {"B02": (fine, 10.0), "B05": (edge, 20.0)}, resampling=way))[1].astype(float)  # type: ignore[arg-type]
        for way in ("bilinear", "cubic")
    )
    assert np.diff(sharp, axis=1).max() > np.diff(soft, axis=1).max()
    assert sharp[:, :10].mean() == pytest.approx(soft[:, :10].mean(), abs=60)
    flat = np.full((20, 20), 1234, np.uint16)
    np.testing.assert_array_equal(
        read_all(stack(tmp_path / "flat", {"B02": (fine, 10.0), "B05": (flat, 20.0)}, resampling="cubic"))[1], 1234
    )


ROWS, COLS = 150, 168
CASES = {
    "bilinear": ({"B02": 10.0, "B05": 20.0, "B01": 60.0}, None, "bilinear"),
    "cubic": ({"B02": 10.0, "B05": 20.0, "B01": 60.0}, None, "cubic"),
    "20 m": ({"B02": 10.0, "B05": 20.0, "B01": 60.0}, 20.0, "bilinear"),
    "25 m": ({"B02": 10.0, "B05": 20.0, "B01": 60.0}, 25.0, "cubic"),
    "not nested": ({"B02": 250.11389521640092, "B05": 501.36986301369865, "B01": 1504.109589041096}, None, "bilinear"),
}


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[StackReader, NDArray[np.uint16]]]:
    made = {}
    for name, (metres, resolution, resampling) in CASES.items():
        first = metres["B02"]
        bands = {band: (noise(round(ROWS * first / step), round(COLS * first / step), 0.1), step) for band, step in metres.items()}
        reader = stack(tmp_path_factory.mktemp("stack"), bands, resolution_m=resolution, resampling=resampling, suffix=".jp2")  # type: ignore[arg-type]
        made[name] = reader, read_all(reader)
    return made


@pytest.mark.parametrize("case", CASES)
@given(data=st.data())
@settings(max_examples=40)
def test_a_pixel_does_not_depend_on_the_window(
    readers: dict[str, tuple[StackReader, NDArray[np.uint16]]], case: str, data: st.DataObject
) -> None:
    reader, whole = readers[case]
    rows, cols = whole.shape[1:]
    row, col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    window = Window(row=row, col=col, height=data.draw(st.integers(1, rows - row)), width=data.draw(st.integers(1, cols - col)))
    fresh = pickle.loads(pickle.dumps(reader))  # noqa: S301 - our own bytes; no block in a cache: as a worker reads
    np.testing.assert_array_equal(fresh.read(window), whole[:, row : row + window.height, col : col + window.width])


@pytest.mark.parametrize(
    ("resolution", "shape", "pixel"), [(None, (61, 75), 10.0), (10.0, (61, 75), 10.0), (20.0, (31, 38), 20.0), (61.0, (10, 13), 61.0)]
)
def test_the_grid_begins_at_the_corner_and_covers_every_pixel(
    tmp_path: Path, resolution: float | None, shape: tuple[int, int], pixel: float
) -> None:
    reader = stack(tmp_path, {"B02": (noise(61, 75), 10.0)}, resolution_m=resolution)
    assert reader.handle.shape == shape
    assert tuple(reader.handle.transform)[:6] == pytest.approx((pixel, 0, 500_000, 0, -pixel, 5_200_020), rel=1e-15)
    assert (read_all(reader) > 0).all()  # pixels of the far edge are averages of what there is of them


def test_finer_than_the_scene_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"coarser than the scene's own 10 m; got 5 m, and finer pixels would be invented"):
        stack(tmp_path, {"B02": (noise(8, 8), 10.0)}, resolution_m=5.0)
    path = str(tmp_path / "B02.tif")
    with pytest.raises(InputError, match="positive number of metres"):
        open_scene(path, s2_bands=("B02",), resolution_m=-20.0)
    with pytest.raises(InputError, match="bilinear or cubic"):
        open_scene(path, s2_bands=("B02",), s2_resampling="nearest")  # type: ignore[arg-type]


def test_a_plain_raster_is_averaged_too(tmp_path: Path) -> None:
    from tests.scenes import write_raster

    pixels = np.stack([noise(40, 44), noise(40, 44)])
    path = write_raster(tmp_path / "s2.tif", pixels, descriptions=("B04", "B08"), scale=1e-4, offset=-0.05, nodata=0, tags={"A": "b"})
    scene = open_scene(path, resolution_m=20.0)
    assert (scene.grid.shape, scene.bands, scene.scale.offset, scene.optical.path) == ((20, 22), ("B04", "B08"), -0.05, path)
    assert scene.optical.handle.tags()["A"] == "b"
    wanted = pixels.reshape(2, 20, 2, 22, 2).mean(axis=(2, 4))
    assert np.abs(scene.read_dn(scene.grid.window) - wanted).max() <= 0.5
    assert "On the grid of 20 m, B04, B08 are finer, and averaged." in scene.notes


def test_tags_and_band_names_reach_the_reader(tmp_path: Path) -> None:
    handle = stack(tmp_path, {"B02": (noise(8, 8), 10.0), "B03": (noise(8, 8), 10.0)}).handle
    assert handle.tags()["A<b"] == 'c & "d"'
    assert (handle.descriptions, handle.scales, handle.nodatavals) == (("B02", "B03"), (1e-4, 1e-4), (0.0, 0.0))


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    place = FakeProduct(rows_10m=12, cols_10m=12).place(10)
    one = BandFile(band="B02", path=str(write_image(tmp_path / "a.tif", noise(12, 12), place)))
    zone = Place(left=place.left, top=place.top, size=(12, 12), res=10.0, crs=CRS.from_epsg(32634))
    elsewhere = BandFile(band="B03", path=str(write_image(tmp_path / "b.tif", noise(12, 12), zone)))
    with pytest.raises(GeoreferenceError, match=r"one CRS; .*32633 and .*32634"):
        open_bands((one, elsewhere))
    bytes_ = BandFile(band="B03", path=str(write_image(tmp_path / "c.tif", noise(12, 12).astype(np.uint8), place)))
    with pytest.raises(UnitsError, match=r"share one dtype and one nodata value; .*uint16.*uint8"):
        open_bands((one, bytes_))
    with pytest.raises(InputError, match=r"has 1 bands, and B04 was looked for in band 2"):
        open_bands((BandFile(band="B04", path=one.path, index=2),))


def test_a_grid_knows_itself_whatever_the_digits() -> None:
    from geocr.io.products.stack import _same_grid

    grid = SceneGrid(crs=UTM, transform=Affine(10, 0, 500_000, 0, -10, 5_200_020), shape=(10_980, 10_980))
    nearly = SceneGrid(crs=UTM, transform=grid.transform * Affine.translation(1e-9, 0), shape=grid.shape)
    shifted = SceneGrid(crs=UTM, transform=grid.transform * Affine.translation(0.5, 0), shape=grid.shape)
    assert _same_grid(grid, nearly)
    assert not _same_grid(grid, shifted)


@pytest.mark.parametrize(("resolution_m", "rows"), [(None, 1024), (20, 512), (30, 1024), (60, 512), (70, 146), (100, 512), (5000, 2)])
def test_rows_are_read_as_full_blocks_of_the_finest_band_fill_them(resolution_m: float | None, rows: int) -> None:
    """Blocks of 10 m bands have 1024 rows: 3 of them are 512 rows of 60 m, none of less. No multiple of 70 m ends with one soon."""

    def source(band: str, metres: float, block: int) -> BandSource:
        size = round(109_800 / metres)
        grid = SceneGrid(crs=UTM, transform=Affine(metres, 0, 500_000, 0, -metres, 5_200_020), shape=(size, size))
        file = BandFile(band=band, path=f"{band}.jp2")
        return BandSource(file=file, grid=grid, dtype="uint16", nodata=None, scale=1e-4, offset=0, block=(block, block), description=band)

    sources = (source("B01", 60, 192), source("B02", 10, 1024), source("B05", 20, 640))
    assert full_block_rows(sources, stack_grid(sources, resolution_m)) == rows


def test_only_jpeg_2000_is_read_by_its_blocks(tmp_path: Path) -> None:
    assert stack(tmp_path, {"B02": (noise(24, 24), 10), "B05": (noise(12, 12), 20)}).jp2_rows is None
    reader = stack(tmp_path, {"B02": (noise(24, 24), 10), "B05": (noise(12, 12), 20)}, suffix=".jp2", resolution_m=20)
    assert reader.jp2_rows == pickle.loads(pickle.dumps(reader)).jp2_rows == 12  # noqa: S301 - our own bytes


def test_blocks_of_a_stack_are_those_of_its_finest_file_on_its_grid(tmp_path: Path) -> None:
    reader = stack(tmp_path, {"B02": (noise(400, 64), 10), "B05": (noise(200, 32), 20)}, resolution_m=20)
    with rasterio.open(reader.files[0]) as finest:
        rows, cols = finest.block_shapes[0]
    assert 64 <= rows < 400  # GDAL takes blocks from 32 pixels
    assert reader.handle.block_shapes == [(round(rows / 2), cols // 2)] * 2
