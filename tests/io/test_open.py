"""`open_scene`: every decision it takes, and every file it refuses."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.errors import BandError, GeoreferenceError, InputError, RasterNotFoundError, RasterReadError, UnitsError
from geocr.core.types import Window
from geocr.io.open import open_scene
from geocr.io.scene import Scene
from tests.scenes import TRANSFORM, UTM, write_raster

SHAPE = (40, 50)
WHOLE = Window(row=0, col=0, height=40, width=50)


def s2_file(folder: Path, count: int = 4, *, dtype: str = "uint16", value: float = 1500, **options: Any) -> str:
    options.setdefault("descriptions", ("B02", "B03", "B04", "B08") if count == 4 else ())
    return write_raster(folder / "s2.tif", np.full((count, *SHAPE), value, dtype), **options)


def s1_file(folder: Path, values: NDArray[Any] | None = None, name: str = "s1.tif", **options: Any) -> str:
    if values is None:
        values = np.random.default_rng(0).normal(-12, 3, (2, *SHAPE)).astype(np.float32)
    return write_raster(folder / name, values, **options)


def beside_nodata(scene: Scene) -> list[str]:
    """What is said, apart from the note that DN 0 is taken as nodata."""
    return [note for note in scene.notes if "DN 0" not in note]


def notes_of(scene: Scene, word: str) -> list[str]:
    return [note for note in scene.notes if word in note]


# bands


@pytest.mark.parametrize("descriptions", [("B2", "b03", "Band 4", "nir"), ("B02 (blue)", "green", "RED", "S2_B08")])
def test_bands_by_description(tmp_path: Path, descriptions: tuple[str, ...]) -> None:
    scene = open_scene(s2_file(tmp_path, descriptions=descriptions))
    assert scene.bands == ("B02", "B03", "B04", "B08")
    assert scene.indexes == (1, 2, 3, 4)
    assert not notes_of(scene, "named")
    assert scene.level == "L2A"


@pytest.mark.parametrize(("count", "level", "bands"), [(13, "L1C", L1C_BANDS), (12, "L2A", L2A_BANDS)])
@pytest.mark.parametrize("prefix", [None, "Band ", "Band_"])
def test_bands_by_count_said_aloud(tmp_path: Path, count: int, level: str, bands: tuple[str, ...], prefix: str | None) -> None:
    """Writers that do not know better describe bands as Band 1, Band 2 and so on: that is their number, not their name."""
    descriptions = () if prefix is None else tuple(f"{prefix}{number}" for number in range(1, count + 1))
    scene = open_scene(s2_file(tmp_path, count, descriptions=descriptions))
    assert scene.bands == bands
    assert scene.level == level
    assert notes_of(scene, f"{count} bands are taken as {level} in product order")


def test_bands_by_argument_win_over_descriptions(tmp_path: Path) -> None:
    scene = open_scene(s2_file(tmp_path), s2_bands=("B8A", "red", "b11", "B12"))
    assert scene.bands == ("B8A", "B04", "B11", "B12")


@pytest.mark.parametrize("descriptions", [(), ("B02", None, "B04", "B08"), ("B02", "B02", "B04", "B08"), ("B02", "x", "B04", "B08")])
def test_bands_that_cannot_be_told(tmp_path: Path, descriptions: tuple[str | None, ...]) -> None:
    with pytest.raises(BandError, match=r"s2\.tif has 4 bands described as .*--s2-bands B02,B03,B04,B08"):
        open_scene(s2_file(tmp_path, descriptions=descriptions))


def test_sentinel_1_in_the_place_of_sentinel_2_is_told(tmp_path: Path) -> None:
    with pytest.raises(BandError, match=r"described as \('VV', 'VH'\); that is Sentinel-1: give S1 first, then S2"):
        open_scene(s1_file(tmp_path, descriptions=("VV", "VH")), s2_file(tmp_path))


@pytest.mark.parametrize("names", [("B02",), ("B02", "B03", "B04", "B05", "B06")])
def test_as_many_names_as_bands(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(BandError, match=rf"has 4 bands, got {len(names)} names"):
        open_scene(s2_file(tmp_path), s2_bands=names)


@pytest.mark.parametrize("names", [("B02", "B03", "B04", "B17"), ("B02", "B03", "B04", "blue")])
def test_wrong_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(BandError, match="--s2-bands"):
        open_scene(s2_file(tmp_path), s2_bands=names)


# radiometry of Sentinel-2


@pytest.mark.parametrize("tag", ["PROCESSING_BASELINE", "processing_baseline"])
@pytest.mark.parametrize(
    ("baseline", "offset"),
    [("04.00", -0.1), ("N0509", -0.1), ("05.11", -0.1), ("02.14", 0.0), ("N0301", 0.0), ("03.99", 0.0), ("N0400", -0.1)],
)
def test_the_baseline_tells_the_offset(tmp_path: Path, tag: str, baseline: str, offset: float) -> None:
    scene = open_scene(s2_file(tmp_path, tags={tag: baseline}))
    assert (scene.scale.scale, scene.scale.offset) == (1e-4, offset)
    assert notes_of(scene, f"Processing baseline {baseline}")
    np.testing.assert_allclose(scene.read_reflectance(WHOLE), 0.15 + offset, atol=1e-7)


def test_a_baseline_that_is_no_number(tmp_path: Path) -> None:
    path = s2_file(tmp_path, tags={"PROCESSING_BASELINE": "new"})
    with pytest.raises(UnitsError, match=r"such as 04\.00 or N0400; .*'new'; give --s2-scale and --s2-offset"):
        open_scene(path)
    assert open_scene(path, s2_scale=1e-4, s2_offset=-0.1).scale.offset == -0.1


def test_the_files_scale_tags_win(tmp_path: Path) -> None:
    scene = open_scene(s2_file(tmp_path, scale=2e-4, offset=-0.05, tags={"PROCESSING_BASELINE": "04.00"}))
    assert (scene.scale.scale, scene.scale.offset) == (2e-4, -0.05)
    assert not beside_nodata(scene)


def test_an_untagged_file_is_assumed_aloud(tmp_path: Path) -> None:
    scene = open_scene(s2_file(tmp_path))
    assert (scene.scale.scale, scene.scale.offset, scene.scale.nodata) == (1e-4, 0.0, 0.0)
    assert notes_of(scene, "no scale tags")


@pytest.mark.parametrize(
    ("scale", "offset", "expected", "says"),
    [
        (1e-3, -0.2, (1e-3, -0.2), []),
        (1e-3, None, (1e-3, 0.0), ["assumed: offset 0 (--s2-offset to say otherwise)"]),
        (None, -0.2, (1e-4, -0.2), ["assumed: scale 0.0001 (--s2-scale to"]),
        (None, None, (1e-4, 0.0), ["assumed: scale 0.0001 and offset 0 (--s2-scale and --s2-offset to"]),
    ],
)
def test_arguments_win_and_only_what_is_assumed_is_said(
    tmp_path: Path, scale: float | None, offset: float | None, expected: tuple[float, float], says: list[str]
) -> None:
    scene = open_scene(s2_file(tmp_path), s2_scale=scale, s2_offset=offset)
    assert (scene.scale.scale, scene.scale.offset) == expected
    assert len(beside_nodata(scene)) == len(says)
    for text in says:
        assert notes_of(scene, text)


def test_bands_of_different_scale_are_refused_unless_overridden(tmp_path: Path) -> None:
    path = s2_file(tmp_path)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1e-4, 1e-4, 2e-4, 1e-4)
    with pytest.raises(UnitsError, match=r"share one scale and offset.*give --s2-scale and --s2-offset to override"):
        open_scene(path)
    with pytest.raises(UnitsError):
        open_scene(path, s2_scale=1e-4)
    assert open_scene(path, s2_scale=1e-4, s2_offset=0.0).scale.scale == 1e-4


@pytest.mark.parametrize(
    ("value", "nodata"), [(0.15, None), (0.15, np.nan), (1.9, -9999.0), (-0.01, -9999.0), (0.3, float(np.finfo(np.float32).min))]
)
def test_floats_up_to_two_are_reflectance(tmp_path: Path, value: float, nodata: float | None) -> None:
    pixels = np.full((4, *SHAPE), value, np.float32)
    if nodata is not None:
        pixels[:, :10] = nodata
    path = write_raster(tmp_path / "s2.tif", pixels, nodata=nodata, descriptions=("B02", "B03", "B04", "B08"))
    scene = open_scene(path)
    assert (scene.scale.scale, scene.scale.offset) == (1.0, 0.0)
    assert notes_of(scene, "taken as reflectance")
    reflectance = scene.read_reflectance(WHOLE)
    np.testing.assert_allclose(reflectance[:, 10:], value, rtol=1e-6)
    assert np.isnan(reflectance[:, :10]).all() == (nodata is not None)


def test_floats_above_two_are_counts(tmp_path: Path) -> None:
    scene = open_scene(s2_file(tmp_path, dtype="float32"))
    assert scene.scale.scale == 1e-4
    assert np.isnan(scene.scale.nodata)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("nodata", [0, 7, None])
def test_dtype_and_nodata_are_the_files(tmp_path: Path, dtype: str, nodata: float | None) -> None:
    scene = open_scene(s2_file(tmp_path, dtype=dtype, value=100, nodata=nodata))
    assert scene.scale.dtype == dtype
    expected = nodata if nodata is not None else (np.nan if dtype == "float32" else 0)
    np.testing.assert_equal(scene.scale.nodata, expected)


def test_complex_pixels_are_no_scene(tmp_path: Path) -> None:
    with pytest.raises(UnitsError, match="integers or floats, got complex64"):
        open_scene(s2_file(tmp_path, dtype="complex64"))


# where it lies


def test_the_grid_is_the_files_to_the_last_digit(tmp_path: Path) -> None:
    transform = Affine(10 / 3, 0.1, 704342.595787463, -0.1, -10 / 3, 5631401.982979552)
    scene = open_scene(s2_file(tmp_path, transform=transform))
    assert scene.grid.transform == transform
    assert scene.grid.crs == UTM
    assert scene.grid.shape == SHAPE


def test_sentinel_2_without_a_crs(tmp_path: Path) -> None:
    with pytest.raises(GeoreferenceError, match=r"s2\.tif has none; .*gdal_edit.py -a_srs"):
        open_scene(s2_file(tmp_path, crs=None, transform=Affine.identity()))
    with pytest.raises(GeoreferenceError, match="must have a CRS and a transform"):
        open_scene(s2_file(tmp_path, crs=None))


def test_sentinel_1_without_a_crs(tmp_path: Path) -> None:
    with pytest.raises(GeoreferenceError, match=r"s1\.tif has none; .*gdal_edit.py -a_srs"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path, crs=None, transform=Affine.identity()))


def test_ground_control_points_alone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "grd.tif"
    gcps = [GroundControlPoint(row=row, col=col, x=15 + col * 1e-4, y=47 - row * 1e-4) for row in (0, 40) for col in (0, 50)]
    with rasterio.open(path, "w", driver="GTiff", width=50, height=40, count=2, dtype="uint16", gcps=gcps, crs=CRS.from_epsg(4326)) as out:
        out.write(np.ones((2, *SHAPE), np.uint16))
    with pytest.raises(
        GeoreferenceError, match=r"must be terrain-corrected; .*control points only .*SNAP, pyroSAR or ASF HyP3.*OPERA.*--s1-gcps"
    ):
        open_scene(s2_file(tmp_path), str(path))


@pytest.mark.parametrize(("east", "south"), [(500, 0), (-500, 0), (0, 400), (0, -400), (50, 0), (0, 40)])
def test_no_overlap(tmp_path: Path, east: int, south: int) -> None:
    s1 = s1_file(tmp_path, transform=TRANSFORM * Affine.translation(east, south))
    with pytest.raises(GeoreferenceError, match=r"must overlap .* spans x .* and the scene x .*--no-s1"):
        open_scene(s2_file(tmp_path), s1)


@pytest.mark.parametrize(("east", "south"), [(49, 0), (-49, 0), (0, 39), (0, -39), (49, 39)])
def test_an_overlap_of_one_pixel_is_enough(tmp_path: Path, east: int, south: int) -> None:
    scene = open_scene(s2_file(tmp_path), s1_file(tmp_path, transform=TRANSFORM * Affine.translation(east, south)))
    assert np.isfinite(scene.read_sar(WHOLE)).any()


def test_no_overlap_in_another_crs_and_on_the_other_side_of_the_earth(tmp_path: Path) -> None:
    for west, north in ((-120.0, 47.85), (16.5, 47.85), (15.0, -47.8)):
        s1 = s1_file(tmp_path, crs=CRS.from_epsg(4326), transform=Affine(1e-4, 0, west, 0, -1e-4, north))
        with pytest.raises(GeoreferenceError, match="overlap"):
            open_scene(s2_file(tmp_path), s1)


@pytest.mark.parametrize("flipped", ["s1", "s2", "both"])
def test_rasters_whose_rows_go_north_overlap_too(tmp_path: Path, flipped: str) -> None:
    northward = TRANSFORM * Affine.translation(0, 40) * Affine.scale(1, -1)
    db = np.tile(np.linspace(-20, -5, 40, dtype=np.float32)[:, None], (2, 1, 50))
    s1 = s1_file(
        tmp_path, db[:, ::-1].copy() if flipped in ("s1", "both") else db, transform=northward if flipped in ("s1", "both") else TRANSFORM
    )
    scene = open_scene(s2_file(tmp_path, transform=northward if flipped in ("s2", "both") else TRANSFORM), s1)
    np.testing.assert_allclose(scene.read_sar(WHOLE), db[:, ::-1] if flipped in ("s2", "both") else db, atol=1e-5)


# files


@pytest.mark.parametrize("which", ["s1", "s2"])
def test_missing(tmp_path: Path, which: str) -> None:
    files = {"s1": s1_file(tmp_path), "s2": s2_file(tmp_path)} | {which: str(tmp_path / "absent.tif")}
    with pytest.raises(RasterNotFoundError, match=r"nothing at .*absent\.tif; check the path \(working directory: "):
        open_scene(files["s2"], files["s1"])


@pytest.mark.parametrize("which", ["s1", "s2"])
@pytest.mark.parametrize("kind", ["text", "empty", "folder"])
def test_not_a_raster(tmp_path: Path, which: str, kind: str) -> None:
    path = tmp_path / "notes.tif"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("not a raster\n" if kind == "text" else "")
    files = {"s1": s1_file(tmp_path), "s2": s2_file(tmp_path)} | {which: str(path)}
    empty_pair = kind == "folder" and which == "s1"
    expected = RasterNotFoundError if empty_pair else RasterReadError
    words = r"one GeoTIFF for VV and one for VH" if empty_pair else r"must be rasters that GDAL .* reads; .*notes\.tif is not"
    with pytest.raises(expected, match=words):
        open_scene(files["s2"], files["s1"])


def cut(path: str, share: float) -> str:
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: round(len(data) * share)])
    return path


def test_truncated_sentinel_1(tmp_path: Path) -> None:
    s1 = cut(s1_file(tmp_path), 0.5)
    with pytest.raises(RasterReadError, match=re.escape(s1)):
        open_scene(s2_file(tmp_path), s1)


def test_truncated_sentinel_2(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 9999, (4, *SHAPE)).astype(np.uint16)
    s2 = cut(write_raster(tmp_path / "s2.tif", pixels, descriptions=("B02", "B03", "B04", "B08")), 0.5)
    with pytest.raises(RasterReadError, match=r"s2\.tif (fails in rows 0 to 39, columns 0 to 49 .*truncated or damaged|is not)"):
        open_scene(s2).read_dn(WHOLE)


# Sentinel-1


def test_one_band_by_description_by_file_name_and_by_default(tmp_path: Path) -> None:
    one = np.full((1, *SHAPE), -10, np.float32)
    s2 = s2_file(tmp_path)
    described = open_scene(s2, s1_file(tmp_path, one, descriptions=("VH",)))
    assert described.sar_bands == ("VH",)
    assert not notes_of(described, "Sentinel-1 band is")
    named = open_scene(s2, s1_file(tmp_path, one, "S1A_IW_vh_2020.tif"))
    assert named.sar_bands == ("VH",)
    assert notes_of(named, "one Sentinel-1 band is taken as VH")
    assert open_scene(s2, s1_file(tmp_path, one, "radar.tif")).sar_bands == ("VV",)
    assert described.read_sar(WHOLE).shape == (1, *SHAPE)


def test_two_bands_without_names_are_taken_aloud(tmp_path: Path) -> None:
    scene = open_scene(s2_file(tmp_path), s1_file(tmp_path))
    assert scene.sar_bands == ("VV", "VH")
    assert notes_of(scene, "taken as VV, VH")


@pytest.mark.parametrize("count", [3, 4])
def test_more_than_two_bands(tmp_path: Path, count: int) -> None:
    with pytest.raises(BandError, match=rf"two bands \(VV, VH\) or one; .* has {count}; .*rio stack s1\.tif --bidx 1,2"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path, np.zeros((count, *SHAPE), np.float32)))


@pytest.mark.parametrize(
    "descriptions", [("HH", "HV"), ("Sigma0_HH", "Sigma0_HV"), ("VV", "HH"), ("VV", "VV"), ("VV", None), ("HH",), ("sigma0_hv_db",)]
)
def test_other_polarisations(tmp_path: Path, descriptions: tuple[str | None, ...]) -> None:
    values = np.full((len(descriptions), *SHAPE), -10, np.float32)
    with pytest.raises(BandError, match=r"must be VV .*HH and HV are not supported; correct the band descriptions"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path, values, descriptions=descriptions))


def test_a_file_name_may_say_hh(tmp_path: Path) -> None:
    with pytest.raises(BandError, match="HH and HV are not supported"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path, np.full((1, *SHAPE), -10, np.float32), "s1_hh.tif"))


@pytest.mark.parametrize(("shift", "units"), [(0, "dB"), (100, "power")])
def test_units_are_told_from_the_values(tmp_path: Path, shift: float, units: str) -> None:
    values = np.random.default_rng(0).normal(-12, 3, (2, *SHAPE)).astype(np.float32) + shift
    scene = open_scene(s2_file(tmp_path), s1_file(tmp_path, values))
    assert notes_of(scene, f"Sentinel-1 is taken as {units}")


@pytest.mark.parametrize("nodata", [-9999.0, -1.0])
def test_nodata_below_zero_does_not_make_power_decibels(tmp_path: Path, nodata: float) -> None:
    values = np.full((2, *SHAPE), 0.1, np.float32)
    values[:, :10] = nodata
    scene = open_scene(s2_file(tmp_path), s1_file(tmp_path, values, nodata=nodata))
    assert notes_of(scene, "taken as power")
    np.testing.assert_allclose(scene.read_sar(WHOLE)[:, 10:], -10, atol=1e-5)


def test_given_units_are_not_second_guessed(tmp_path: Path) -> None:
    values = np.full((2, *SHAPE), 7, np.uint8)
    scene = open_scene(s2_file(tmp_path), s1_file(tmp_path, values), s1_units="display")
    np.testing.assert_array_equal(scene.read_sar(WHOLE), 7)
    assert not notes_of(scene, "taken as power")


def test_unknown_units(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--s1-units must be one of auto, db, power, amplitude, display, got 'dB'"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path), s1_units="dB")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_integer_counts_are_refused_with_the_flag(tmp_path: Path, dtype: str) -> None:
    with pytest.raises(UnitsError, match=r"s1\.tif is u?int\d+: .*--s1-units amplitude"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path, np.full((2, *SHAPE), 100, dtype)))


def test_integers_with_a_scale_tag_are_values(tmp_path: Path) -> None:
    scene = open_scene(s2_file(tmp_path), s1_file(tmp_path, np.full((2, *SHAPE), -1234, np.int16), scale=0.01))
    assert notes_of(scene, "taken as dB")
    np.testing.assert_allclose(scene.read_sar(WHOLE), -12.34, atol=1e-4)


def test_complex_backscatter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnitsError, match=r"s1\.tif is complex64, a single-look complex"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path, np.ones((2, *SHAPE), np.complex64)))


def test_a_sentinel_1_of_nothing_but_nodata(tmp_path: Path) -> None:
    with pytest.raises(UnitsError, match="shows none; give --s1-units, or --no-s1"):
        open_scene(s2_file(tmp_path), s1_file(tmp_path, np.full((2, *SHAPE), np.nan, np.float32)))


def test_paths_are_absolute_so_that_workers_find_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s2_file(tmp_path)
    s1_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    scene = open_scene("s2.tif", "s1.tif")
    assert scene.sar is not None
    assert (scene.optical.path, scene.sar.path) == (str(tmp_path / "s2.tif"), str(tmp_path / "s1.tif"))


# real files


@pytest.mark.real_data
def test_a_raw_grd_is_refused(real_data: Path, tmp_path: Path) -> None:
    with pytest.raises(GeoreferenceError, match=r"iw-vv\.tiff lies in radar geometry.*SNAP"):
        open_scene(s2_file(tmp_path), str(real_data / "s1_grd_overview_rtpds" / "iw-vv.tiff"))


@pytest.mark.real_data
def test_real_pairs_open(real_data: Path) -> None:
    spain = real_data / "sen1floods11_spain_512"
    scene = open_scene(str(spain / "Spain_7370579_S2Hand.tif"), str(spain / "Spain_7370579_S1Hand.tif"))
    assert scene.bands == L1C_BANDS
    assert scene.sar_bands == ("VV", "VH")
    window = Window(row=100, col=200, height=64, width=64)
    with rasterio.open(scene.sar.path) as source:  # type: ignore[union-attr]
        expected = source.read(window=((100, 164), (200, 264)))
    np.testing.assert_allclose(scene.read_sar(window), expected, atol=1e-5)
    place = "38D_378R_2_3.tif"
    terramesh = real_data / "terramesh_224"
    named = open_scene(str(terramesh / "S2L2A" / place), str(terramesh / "S1RTC" / place))
    assert named.bands == L2A_BANDS
    assert len(beside_nodata(named)) == 5
    assert notes_of(named, "dates either image")


@pytest.mark.real_data
def test_a_cube_of_subdatasets_is_refused_by_name(real_data: Path) -> None:
    cube = next((real_data / "worldcereal_s1s2_series").glob("*.nc"))
    with pytest.raises(RasterReadError, match=r"is a container of \d+ rasters .*netcdf:.*gdal_translate"):
        open_scene(str(cube))


def test_power_that_is_negative_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    s1 = write_raster(tmp_path / "s1.tif", rng.normal(-12, 3, (2, 40, 40)).astype(np.float32), descriptions=("VV", "VH"))
    s2 = write_raster(tmp_path / "s2.tif", np.full((2, 40, 40), 900, np.uint16), descriptions=("B02", "B03"))
    with pytest.raises(UnitsError, match="look like dB"):
        open_scene(s2, s1, s1_units="power")


def test_the_few_values_of_a_nearly_empty_file_are_found(tmp_path: Path) -> None:
    db = np.full((2, 700, 300), np.nan, np.float32)
    db[:, 3:6, :4] = -11
    s1 = write_raster(tmp_path / "s1.tif", db, nodata=np.nan, descriptions=("VV", "VH"))
    s2 = write_raster(tmp_path / "s2.tif", np.full((2, 40, 40), 900, np.uint16), descriptions=("B02", "B03"))
    scene = open_scene(s2, s1)
    assert scene.sar is not None
    assert scene.sar.units == "db"


def test_taking_dn_0_for_nodata_is_said_where_the_file_does_not(tmp_path: Path) -> None:
    pixels = np.full((2, 40, 40), 900, np.uint16)
    silent = open_scene(write_raster(tmp_path / "a.tif", pixels, descriptions=("B02", "B03")))
    named = open_scene(write_raster(tmp_path / "b.tif", pixels, descriptions=("B02", "B03"), nodata=0))
    assert any("DN 0 is taken as nodata" in note for note in silent.notes)
    assert not any("nodata" in note for note in named.notes)
