"""Rows in, a strictly valid COG out: the pixels that were written, on exactly the grid, whatever goes wrong or nothing at all."""

import itertools
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
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
from rasterio.enums import ColorInterp, Resampling
from rio_cogeo.cogeo import cog_validate

from geocr.core.errors import OutputWriteError
from geocr.io.cog import MOST_OPEN, assemble_cog, colour_names, sync_rename, write_category_names
from geocr.io.grid import SceneGrid
from geocr.io.overviews import level_shapes, overview_factors
from geocr.io.part import PartWriter
from geocr.io.spec import RasterSpec, block_px
from tests.scenes import TRANSFORM, UTM

DEGREES = CRS.from_epsg(4326)
LOCAL = CRS.from_wkt(
    'PROJCS["by hand",GEOGCS["sphere",DATUM["own",SPHEROID["ball",6371000,0]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Lambert_Azimuthal_Equal_Area"],PARAMETER["latitude_of_center",47.3],PARAMETER["longitude_of_center",11.7],'
    'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def make_spec(
    shape: tuple[int, int], *, count: int = 2, dtype: str = "uint16", nodata: float | None = 0, crs: CRS = UTM, transform: Affine = TRANSFORM,
    **more: Any,
) -> RasterSpec:  # fmt: skip
    grid = SceneGrid(crs=crs, transform=transform, shape=shape)
    names = tuple(f"B{number:02d}" for number in range(1, count + 1))
    return RasterSpec(grid=grid, count=count, dtype=dtype, nodata=nodata, **{"descriptions": names, **more})


def make_pixels(spec: RasterSpec, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    shape = (spec.count, *spec.grid.shape)
    if np.dtype(spec.dtype).kind == "f":
        return rng.normal(0.2, 0.3, shape).astype(spec.dtype)
    info = np.iinfo(spec.dtype)
    return rng.integers(info.min, info.max, shape, endpoint=True).astype(spec.dtype)


def write_parts(
    folder: Path, spec: RasterSpec, pixels: NDArray[Any], *, cuts: Sequence[int] = (), chunk: int = 100
) -> list[tuple[Path, int, int]]:
    rows = spec.grid.shape[0]
    ends = [0, *sorted({cut for cut in cuts if 0 < cut < rows}), rows]
    parts = []
    for row, stop in itertools.pairwise(ends):
        path = folder / f"part_{row}.tif"
        writer = PartWriter(path, spec, row=row, height=stop - row)
        for first in range(row, stop, chunk):
            writer.write(pixels[:, first : min(stop, first + chunk)])
        writer.finish()
        parts.append((path, row, stop - row))
    return parts


def make_cog(folder: Path, spec: RasterSpec, pixels: NDArray[Any], **how: Any) -> Path:
    return assemble_cog(write_parts(folder, spec, pixels, **how), folder / "out.tif", spec)


def require_same(path: Path, spec: RasterSpec, pixels: NDArray[Any]) -> None:
    valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as dataset:
        assert dataset.shape == spec.grid.shape
        assert dataset.transform == spec.grid.transform
        assert dataset.crs == spec.grid.crs
        assert set(dataset.dtypes) == {spec.dtype}
        np.testing.assert_equal(dataset.nodatavals, [spec.nodata] * spec.count)
        assert dataset.descriptions == spec.descriptions
        assert dataset.scales == (spec.scale,) * spec.count
        assert dataset.offsets == (spec.offset,) * spec.count
        tags = {**spec.tags, "AREA_OR_POINT": "Area"}  # a transform is that of areas, and is kept to the last digit as such
        assert dataset.tags().items() >= tags.items()
        np.testing.assert_array_equal(dataset.read(), pixels)


@pytest.mark.parametrize(
    "shape", [(1100, 512), (513, 512), (512, 513), (600, 1024), (1300, 1024), (1300, 1023), (2600, 2048), (3000, 256), (4200, 128)]
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_level_just_one_tile_wide_is_valid_too(tmp_path: Path, shape: tuple[int, int], dtype: str) -> None:
    spec = make_spec(shape, count=1, dtype=dtype)
    pixels = np.broadcast_to(np.arange(shape[1]).astype(dtype), (1, *shape))
    require_same(make_cog(tmp_path, spec, pixels), spec, pixels)


@given(
    rows=st.integers(1, 40_000),
    width=st.sampled_from([64, 128, 256, 384, 512]),
    twice=st.integers(0, 6),
    less=st.integers(0, 3),
)
def test_no_level_is_one_tile_wide(rows: int, width: int, twice: int, less: int) -> None:
    shapes = level_shapes((rows, (width << twice) - less))
    for levels in (shapes[:1], shapes[1:]):
        assert all(columns != block_px(levels) for height, columns in levels if max(height, columns) > 512)


SHAPES = [(1, 1), (1, 700), (100, 100), (512, 512), (513, 511), (511, 1025), (1037, 1191)]


@pytest.mark.parametrize("shape", [*SHAPES, pytest.param((2048, 1500), marks=pytest.mark.slow)])
@pytest.mark.parametrize("cuts", [(), (400,), (256, 512, 768)])
def test_any_size_in_any_parts(tmp_path: Path, shape: tuple[int, int], cuts: tuple[int, ...]) -> None:
    spec = make_spec(shape, count=1)
    pixels = make_pixels(spec)
    path = make_cog(tmp_path, spec, pixels, cuts=cuts)
    require_same(path, spec, pixels)
    with rasterio.open(path) as dataset:
        assert dataset.overviews(1) == overview_factors(shape)
        assert dataset.profile["interleave"] == "band"
        assert dataset.compression.name == "zstd"
    assert {item.name for item in tmp_path.iterdir()} == {path.name, *(item.name for item in tmp_path.glob("part_*.tif"))}


@pytest.mark.parametrize(("side", "factors"), [(1, []), (512, []), (513, [2]), (1024, [2]), (1025, [2, 4]), (10980, [2, 4, 8, 16, 32])])
def test_overviews_go_down_to_one_block(side: int, factors: list[int]) -> None:
    assert overview_factors((side, 1)) == overview_factors((1, side)) == factors
    assert side / max(factors, default=1) <= 512


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int8", "uint32", "int32", "float32", "float64"])
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    spec = make_spec((70, 90), dtype=dtype, nodata=0)
    pixels = make_pixels(spec)
    require_same(make_cog(tmp_path, spec, pixels), spec, pixels)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint16", 65535), ("uint16", None), ("int16", -9999), ("int16", -32768), ("float32", np.nan), ("float32", -9999.0), ("float32", None),
     ("float32", float(np.finfo(np.float32).min))],
)  # fmt: skip
def test_nodata(tmp_path: Path, dtype: str, nodata: float | None) -> None:
    spec = make_spec((600, 90), dtype=dtype, nodata=nodata)
    pixels = make_pixels(spec)
    if nodata is not None:
        pixels[:, :520] = nodata
    require_same(make_cog(tmp_path, spec, pixels), spec, pixels)


GRIDS = {
    "degrees": (DEGREES, Affine(8.983152841195215e-05, 0.0, -0.7818936232976315, 0.0, -8.983152841195215e-05, 38.12881257139627)),
    "uneven numbers": (UTM, Affine(10 / 3, 0, 704342.595787463, 0, -10 / 3, 5631401.982979552)),
    "rotated": (UTM, TRANSFORM * Affine.rotation(17) * Affine.scale(1, 0.9)),
    "south up": (UTM, Affine(10, 0, 500_000, 0, 10, 5_000_000)),
    "WKT only": (LOCAL, TRANSFORM),
    "south polar": (CRS.from_epsg(3031), TRANSFORM),
    "northing first": (CRS.from_epsg(31467), TRANSFORM),
    "feet": (CRS.from_epsg(2263), TRANSFORM),
    "compound": (CRS.from_user_input("EPSG:25833+7837"), TRANSFORM),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("area_or_point", ["Area", "Point"])
def test_the_grid_is_kept_to_the_last_digit(tmp_path: Path, name: str, area_or_point: str) -> None:
    crs, transform = GRIDS[name]
    spec = make_spec((523, 90), crs=crs, transform=transform, tags={"AREA_OR_POINT": area_or_point})
    pixels = make_pixels(spec)
    require_same(make_cog(tmp_path, spec, pixels, cuts=(256,)), spec, pixels)


@given(x=st.floats(-1e7, 1e7), y=st.floats(-1e7, 1e7), size=st.floats(1e-6, 1e4), point=st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_corner_and_pixel_size(tmp_path: Path, x: float, y: float, size: float, point: bool) -> None:
    tags = {"AREA_OR_POINT": "Point" if point else "Area"}
    spec = make_spec((3, 4), transform=Affine(size, 0, x, 0, -size, y), tags=tags)
    pixels = make_pixels(spec)
    require_same(make_cog(tmp_path, spec, pixels), spec, pixels)


def test_words_survive(tmp_path: Path) -> None:
    tags = {
        "GEOCR_METHOD": json.dumps({"name": "x < y & z", "quote": 'it\'s "so"'}),
        "LONG": "a" * 5000,
        "LINES": "one\ntwo\tthree",
        "UNICODE": "Größe 10 m, 日本",
        "EQUALS": "a=b=c",
        "PROCESSING_BASELINE": "05.11",
        "TIFFTAG_DATETIME": "2020:06:01 10:00:00",
    }
    spec = make_spec((40, 50), count=3, tags=tags, descriptions=('B02 <blue & "deep">', None, "größer"), scale=1e-4, offset=-0.1)
    pixels = make_pixels(spec)
    require_same(make_cog(tmp_path, spec, pixels), spec, pixels)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e-4, 0.0), (1e-4, -0.1), (1.0, -0.5), (2.75e-05, -0.2)])
def test_scale_and_offset(tmp_path: Path, scale: float, offset: float) -> None:
    spec = make_spec((40, 50), scale=scale, offset=offset)
    pixels = make_pixels(spec)
    require_same(make_cog(tmp_path, spec, pixels), spec, pixels)


@pytest.mark.parametrize("bands", [("B04", "B03", "B02"), ("B02", "B03", "B04", "B08"), ("B08",), ("B11", "B12")])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_of_bands(tmp_path: Path, bands: tuple[str, ...], dtype: str) -> None:
    spec = make_spec((40, 50), count=len(bands), dtype=dtype, descriptions=bands, colorinterp=colour_names(bands))
    pixels = make_pixels(spec)
    path = make_cog(tmp_path, spec, pixels)
    require_same(path, spec, pixels)
    with rasterio.open(path) as dataset:
        known = {"B04": ColorInterp.red, "B03": ColorInterp.green, "B02": ColorInterp.blue}
        for band, colour in zip(bands, dataset.colorinterp, strict=True):
            if band in known:
                assert colour == known[band]
            else:
                assert colour not in (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


CATEGORIES = {0: ("nothing", (0, 0, 0, 0)), 1: ("seen & kept", (90, 130, 80, 255)), 3: ("made <up>", (200, 50, 90, 255))}


def test_classes_have_colours_names_and_pure_overviews(tmp_path: Path) -> None:
    spec = make_spec((600, 600), count=1, dtype="uint8", descriptions=("kind",), categories=CATEGORIES, resampling=Resampling.nearest)
    pixels = np.random.default_rng(0).choice([0, 1, 3], (1, 600, 600)).astype(np.uint8)
    path = make_cog(tmp_path, spec, pixels)
    require_same(path, spec, pixels)
    write_category_names(path, spec)
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[0] == ColorInterp.palette
        table = dataset.colormap(1)
        assert [table[value] for value in (1, 3)] == [CATEGORIES[1][1], CATEGORIES[3][1]]
        small = dataset.read(1, out_shape=(300, 300))
        assert set(np.unique(small)) <= {0, 1, 3}
        assert np.isin(small, [1, 3]).mean() > 0.5
    assert category_names(path) == ["nothing", "seen & kept", "", "made <up>"]
    assert cog_validate(path, strict=True, quiet=True)[0]


def category_names(path: Path) -> list[str]:
    """As GDAL reads them: rasterio has no call for it, so a VRT is written by GDAL and looked at."""
    import xml.etree.ElementTree as ET

    import rasterio.shutil

    copy = path.with_suffix(".vrt")
    rasterio.shutil.copy(path, copy, driver="VRT")
    return [item.text or "" for item in ET.parse(copy).iter("Category")]  # noqa: S314 - written a line before


@pytest.mark.parametrize(("dtype", "nodata"), [("uint16", 0), ("uint16", 65535), ("float32", np.nan), ("int16", -9999)])
def test_overviews_are_averages_of_what_was_observed(tmp_path: Path, dtype: str, nodata: float) -> None:
    spec = make_spec((520, 640), count=1, dtype=dtype, nodata=nodata)
    rng = np.random.default_rng(1)
    pixels = rng.integers(1000, 3000, (1, 520, 640)).astype(dtype)
    pixels[:, rng.random((520, 640)) < 0.3] = nodata
    path = make_cog(tmp_path, spec, pixels, cuts=(256,))
    with rasterio.open(path, overview_level=0) as dataset:
        got = dataset.read(1).astype(float)
    empty = np.isnan(pixels[0]) if np.isnan(nodata) else pixels[0] == nodata
    squares = np.where(empty, np.nan, pixels[0].astype(float)).reshape(260, 2, 320, 2)
    with np.errstate(invalid="ignore"):
        expected = np.nansum(squares, axis=(1, 3)) / np.isfinite(squares).sum(axis=(1, 3))
    hole = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(got) if np.isnan(nodata) else got == nodata, hole)
    assert np.abs(got - expected)[~hole].max() <= 0.5 + 1e-3


def test_statistics_are_those_of_the_pixels_about(tmp_path: Path) -> None:
    spec = make_spec((300, 300), count=1)
    pixels = np.random.default_rng(1).integers(1000, 3000, (1, 300, 300)).astype(np.uint16)
    pixels[:, :100] = 0
    with rasterio.open(make_cog(tmp_path, spec, pixels)) as dataset:
        tags = dataset.tags(1)
    assert float(tags["STATISTICS_MEAN"]) == pytest.approx(2000, rel=0.02)
    assert 1000 <= float(tags["STATISTICS_MINIMUM"]) < float(tags["STATISTICS_MAXIMUM"]) < 3000


def test_the_same_pixels_give_the_same_bytes_however_they_are_cut(tmp_path: Path) -> None:
    spec = make_spec((700, 300))
    pixels = make_pixels(spec)
    files = []
    for name, how in (("a", {}), ("b", {"cuts": (256, 512), "chunk": 17})):
        folder = tmp_path / name
        folder.mkdir()
        files.append(make_cog(folder, spec, pixels, **how).read_bytes())
    assert files[0] == files[1]


def test_a_run_into_leftovers_of_another_one(tmp_path: Path) -> None:
    spec = make_spec((700, 300))
    pixels = make_pixels(spec)
    parts = write_parts(tmp_path, spec, pixels)
    for name in ("out.tif", "out.vrt", "out.vrt.ovr", "out.vrt.aux.xml", "out.tif.aux.xml"):
        (tmp_path / name).write_bytes(b"left over")
    require_same(assemble_cog(parts, tmp_path / "out.tif", spec), spec, pixels)


def test_another_grid_than_asked_for_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec((40, 50))
    parts = write_parts(tmp_path, spec, make_pixels(spec))
    moved = replace(spec, grid=replace(spec.grid, transform=spec.grid.transform * Affine.translation(1, 0)))
    from geocr.io import cog

    right = cog.write_skeleton
    monkeypatch.setattr(cog, "write_skeleton", lambda path, _, **how: right(path, moved, **how))
    with pytest.raises(OutputWriteError, match=r"(?s)must lie on the input's grid: expected .*got "):
        assemble_cog(parts, tmp_path / "out.tif", spec)


# failure


def test_a_missing_part_is_noticed(tmp_path: Path) -> None:
    spec = make_spec((40, 50))
    parts = write_parts(tmp_path, spec, make_pixels(spec))
    parts[0][0].unlink()
    with pytest.raises(OutputWriteError, match=r"writing .*out\.tif failed"):
        assemble_cog(parts, tmp_path / "out.tif", spec)


def test_one_bit_of_damage_to_a_part_is_noticed(tmp_path: Path) -> None:
    spec = make_spec((600, 500))
    parts = write_parts(tmp_path, spec, make_pixels(spec))
    data = bytearray(parts[0][0].read_bytes())
    data[len(data) // 2] ^= 1
    parts[0][0].write_bytes(data)
    with pytest.raises(OutputWriteError, match=r"tile \d+ of .*part_0\.tif is not: the file was damaged"):
        assemble_cog(parts, tmp_path / "out.tif", spec)


def test_a_rename_that_fails_names_the_output(tmp_path: Path) -> None:
    made, final = tmp_path / "made.tif", tmp_path / "final.tif"
    made.write_bytes(b"x")
    final.mkdir()
    (final / "file").write_bytes(b"y")
    with pytest.raises(OutputWriteError, match=r"writing .*final\.tif failed"):
        sync_rename(made, final)


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from geocr.core.errors import OutputWriteError
from tests.io.test_cog import make_pixels, make_spec, require_same, write_parts
from geocr.io.cog import assemble_cog, sync_rename

folder, limit, stage = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spec = make_spec((600, 500), dtype="uint16")
pixels = make_pixels(spec)
parts = write_parts(folder, spec, pixels) if stage == "assemble" else []
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    if stage == "parts":
        write_parts(folder, spec, pixels)
        path = folder / "part_0.tif"
    else:
        path = assemble_cog(parts, folder / "made.tif", spec)
        sync_rename(path, folder / "out.tif")
        path = folder / "out.tif"
except OutputWriteError as error:
    print("refused:", error)
else:
    import rasterio
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), pixels)
    print("whole:", path.stat().st_size)
"""


def run_limited(folder: Path, limit: int, stage: str) -> str:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(folder), str(limit), stage], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("stage", ["parts", "assemble"])
def test_a_full_disk_is_said_and_never_passes_for_success(tmp_path: Path, stage: str) -> None:
    (tmp_path / "free").mkdir()
    free = run_limited(tmp_path / "free", 10**9, stage)
    assert free.startswith("whole:")
    size = int(free.split()[1])
    for number, limit in enumerate([0, 1000, size // 3, size - 200_000, size - 1000, size - 1]):
        folder = tmp_path / str(number)
        folder.mkdir()
        said = run_limited(folder, limit, stage)
        assert said.startswith("refused: "), f"with {limit} of {size} bytes: {said}"
        assert "free space or choose another folder with -o" in said
        assert not (folder / ("part_0.tif" if stage == "parts" else "out.tif")).exists()


def test_a_tall_scene_holds_no_more_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each open part takes GDAL some megabytes: memory would grow with the scene's rows."""
    spec = make_spec((32 * 2 * MOST_OPEN, 20), count=2)
    parts = write_parts(tmp_path, spec, make_pixels(spec), cuts=range(32, spec.grid.shape[0], 32))
    held: list[Any] = []
    most = []
    open_file = rasterio.open

    def counting(*args: Any, **options: Any) -> Any:
        held.append(open_file(*args, **options))
        most.append(sum(not dataset.closed for dataset in held))
        return held[-1]

    with monkeypatch.context() as patch:
        patch.setattr("geocr.io.part.rasterio.open", counting)
        assemble_cog(parts, tmp_path / "tall.tif", spec)
    assert max(most) == 1
    held.clear()
    most.clear()
    few = make_spec((32 * MOST_OPEN, 20), count=2)
    (tmp_path / "few").mkdir()
    few_parts = write_parts(tmp_path / "few", few, make_pixels(few), cuts=range(32, few.grid.shape[0], 32))
    with monkeypatch.context() as patch:
        patch.setattr("geocr.io.part.rasterio.open", counting)
        assemble_cog(few_parts, tmp_path / "few.tif", few)
    assert all(dataset.closed for dataset in held)
    assert max(most) <= MOST_OPEN + 1  # and the result, which is checked
