"""Cubes as people have them: a variable for each band, dates, names of their own, real ones."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr

from geocr.accessor.series import ACQUIRED_TAGS, Wishes, runs_of
from geocr.accessor.stack import optical_stack
from geocr.core.errors import BandError, InputError, UnitsError
from geocr.inference.products import DAYS_NODATA
from geocr.inference.run import PredictResult, predict_scene
from geocr.simulate.files import ScenePaths
from tests.accessor.conftest import BANDS, Blend, opened

WORLDCEREAL = ("worldcereal_preprocessed_inputs.nc", "WORLDCEREAL-INPUTS-10m_belgium_good_32631_2020-08-30_2022-03-03.nc")


def as_dataset(array: xr.DataArray, names: tuple[str, ...] = BANDS) -> xr.Dataset:
    """A variable for each band, each with the attributes of the whole."""
    planes = {name: array.isel(band=number, drop=True).assign_attrs(long_name=name) for number, name in enumerate(names)}
    return xr.Dataset(planes)


def series(array: xr.DataArray, days: list[str], name: str = "time") -> xr.DataArray:
    return xr.concat([array] * len(days), dim=xr.IndexVariable(name, np.array(days, "datetime64[ns]")))


@pytest.mark.parametrize("lazy", [False, True])
def test_a_variable_for_each_band(paths: ScenePaths, predicted: PredictResult, lazy: bool) -> None:
    chunks = {"y": 64} if lazy else None
    radar = as_dataset(opened(paths.s1, chunks=chunks), ("S1-SIGMA0-VV", "S1-SIGMA0-VH"))
    cube = as_dataset(opened(paths.s2, chunks=chunks), tuple(f"S2-L2A-{band}" for band in BANDS)).merge(radar, compat="override")
    clear = cube.geocr.remove_clouds(cube, reconstructor=Blend(), uncertainty=True)
    assert isinstance(clear["S2-L2A-B02"].data, da.Array) is lazy
    assert list(clear.data_vars) == [*cube.data_vars, "provenance", *(f"S2-L2A-{band}_std" for band in BANDS)]
    expected = opened(str(predicted.scene)).values
    for number, band in enumerate(BANDS):
        variable = clear[f"S2-L2A-{band}"]
        np.testing.assert_array_equal(variable.values, expected[number])
        assert variable.attrs == cube[f"S2-L2A-{band}"].attrs
    np.testing.assert_array_equal(clear.geocr.provenance.values, opened(str(predicted.provenance)).values[0])
    xr.testing.assert_identical(clear["S1-SIGMA0-VV"], cube["S1-SIGMA0-VV"])


def test_ascending_rows_equal_the_same_file(paths: ScenePaths, tmp_path: Path) -> None:
    turned = opened(paths.s2).isel(y=slice(None, None, -1))
    turned.rio.to_raster(tmp_path / "turned.tif")
    expected = predict_scene(str(paths.s1), str(tmp_path / "turned.tif"), tmp_path / "clear.tif", reconstructor=Blend())
    clear = turned.geocr.remove_clouds(opened(paths.s1), reconstructor=Blend())
    np.testing.assert_array_equal(clear.values, opened(str(expected.scene)).values)


@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_other_dtypes_equal_the_same_file(paths: ScenePaths, tmp_path: Path, dtype: str) -> None:
    values = opened(paths.s2)
    if dtype == "int16":
        cloudy = values.astype(dtype).rio.write_nodata(0)
    else:
        cloudy = opened(paths.s2, decoded=True).astype(dtype)
        cloudy.encoding = {}
    cloudy.rio.to_raster(tmp_path / "scene.tif")
    expected = predict_scene(str(paths.s1), str(tmp_path / "scene.tif"), tmp_path / "clear.tif", reconstructor=Blend())
    clear = cloudy.geocr.remove_clouds(str(paths.s1), reconstructor=Blend())
    assert clear.dtype == dtype
    np.testing.assert_array_equal(clear.values, opened(str(expected.scene)).values)


def test_a_series_is_done_date_by_date(paths: ScenePaths, predicted: PredictResult) -> None:
    cloudy = opened(paths.s2, chunks={"y": 80})
    empty = xr.zeros_like(cloudy)
    cube = xr.concat(
        [cloudy, empty, cloudy], dim=xr.IndexVariable("t", np.array(["2024-05-01", "2024-05-06", "2024-06-01"], "datetime64[ns]"))
    )
    radar = series(opened(paths.s1, chunks={}), ["2024-04-30", "2024-06-02"])
    clear = cube.transpose("t", "y", "x", "band").geocr.remove_clouds(radar, reconstructor=Blend())
    assert clear.dims == ("t", "y", "x", "band")
    clear = clear.compute()
    expected = opened(str(predicted.scene)).values
    np.testing.assert_array_equal(clear.isel(t=0).transpose("band", "y", "x").values, expected)
    np.testing.assert_array_equal(clear.isel(t=2).transpose("band", "y", "x").values, expected)
    assert not clear.isel(t=1).values.any()
    provenance = clear.geocr.provenance
    assert provenance.dims == ("t", "y", "x")
    np.testing.assert_array_equal(provenance.isel(t=2).values, opened(str(predicted.provenance)).values[0])
    fraction = cube.geocr.cloud_fraction()
    assert isinstance(fraction.data, da.Array)
    assert fraction.values.tolist() == [predicted.summary["cloud_share"], 0, predicted.summary["cloud_share"]]
    with pytest.raises(InputError, match=r"\.isel\(t=0\)"):
        clear.geocr.preview()
    with pytest.raises(InputError, match=r"\.isel\(t=0\)"):
        clear.geocr.to_cog("never.tif")


def test_each_date_takes_the_nearest_radar(paths: ScenePaths) -> None:
    cloudy, radar = opened(paths.s2), opened(paths.s1)
    cube = series(cloudy, ["2024-05-01", "2024-06-01"])
    both = xr.concat([radar, radar + 3], dim=xr.IndexVariable("time", np.array(["2024-05-02", "2024-06-02"], "datetime64[ns]")))
    clear = cube.geocr.remove_clouds(both, reconstructor=Blend())
    later = cloudy.geocr.remove_clouds(radar + 3, reconstructor=Blend())
    np.testing.assert_array_equal(clear.isel(time=1).values, later.values)
    assert not np.array_equal(clear.isel(time=0).values, later.values)


def test_the_day_of_one_scene_is_its_tags_or_else_its_coordinate(paths: ScenePaths) -> None:
    cloudy = opened(paths.s2).assign_coords(time=np.datetime64("2024-05-01T10:00", "ns"))
    for tags, expected in (({}, "2024-05-01T10:00:00Z"), ({"datetime": "2021-07-02T00:00:00Z"}, "2021-07-02T00:00:00Z")):
        bare = {name: text for name, text in cloudy.attrs.items() if name.lower() not in ACQUIRED_TAGS}
        scene = cloudy.copy()
        scene.attrs = bare | tags
        (run,) = runs_of(optical_stack(scene), None, Wishes.of(None, {}, threads=1))
        with rasterio.open(run.inputs()[0]) as staged:
            assert staged.tags()["datetime"] == expected


def test_a_mask_of_another_day_is_none(paths: ScenePaths) -> None:
    cube = series(opened(paths.s2, chunks={}), ["2024-05-01", "2024-05-06", "2024-06-01"])
    mask = opened(paths.mask).isel(band=0, drop=True)
    masks = series(mask, ["2024-05-01T10:00", "2024-06-01T10:00"])
    with pytest.raises(
        InputError, match=r"cloud_mask of a series must have an image of every date; for 2024-05-06T00:00 the nearest is of 2024-05-01"
    ):
        cube.geocr.remove_clouds(cloud_mask=masks, reconstructor=Blend())
    with pytest.raises(InputError, match=r"scl of a series"):
        cube.geocr.cloud_mask("scl", scl=masks.isel(time=0))
    both = cube.isel(time=[0, 2]).geocr.cloud_mask(masks, mask_buffer_m=0)
    assert both.dims == ("time", "y", "x")
    assert cube.geocr.cloud_mask(mask).shape[0] == 3  # one without time is for all


def test_settings_of_files_are_refused_wherever_they_are_said(paths: ScenePaths) -> None:
    for settings, cure in (
        ({"references": ("a.tif",)}, "other_dates=True"),
        ({"save_mask": True}, "cloud_mask"),
        ({"resolution_m": 20}, "resample"),
    ):
        for said in (settings, {"config": _config(**settings)}):
            with pytest.raises(InputError, match=cure):
                opened(paths.s2).geocr.remove_clouds(reconstructor=Blend(), **said)


@pytest.mark.slow
def test_other_dates_fill_as_references_of_predict_scene_do(paths: ScenePaths, tmp_path: Path) -> None:
    cloudy, mask = opened(paths.s2), opened(paths.mask)
    other = cloudy.isel(x=slice(None, None, -1)).assign_coords(
        x=cloudy.x
    )  # clouds elsewhere, over another place: only the filling counts here
    for name, image in (("S2_20240501.tif", cloudy), ("S2_20240504.tif", other)):
        image.rio.to_raster(tmp_path / name)
    expected = predict_scene(
        None, str(tmp_path / "S2_20240501.tif"), tmp_path / "clear.tif",
        config=_config(references=(str(tmp_path / "S2_20240504.tif"),)),
    )  # fmt: skip
    cube = xr.concat([cloudy, other], dim=xr.IndexVariable("time", np.array(["2024-05-01", "2024-05-04"], "datetime64[ns]"))).chunk(time=1)
    clear = cube.geocr.remove_clouds(other_dates=True).isel(time=0).compute()
    np.testing.assert_array_equal(clear.values, opened(str(expected.scene)).values)
    np.testing.assert_array_equal(clear.geocr.provenance.values, opened(str(expected.provenance)).values[0])
    days = clear["source_days"].values
    borrowed = clear.geocr.provenance.values == 4
    assert borrowed.any()
    assert set(days[borrowed].tolist()) == {3}
    assert set(days[~borrowed].tolist()) <= {0, DAYS_NODATA}
    flat = mask.isel(band=0, drop=True)
    turned = flat.isel(x=slice(None, None, -1)).assign_coords(x=flat.x)
    masks = xr.concat([flat, turned], dim=cube.time)
    given = cube.geocr.remove_clouds(other_dates=True, cloud_mask=masks, mask_buffer_m=0).isel(time=0).compute()
    provenance = given.geocr.provenance.values
    assert (provenance == 4).any()
    assert not ((provenance == 4) & ((masks.values[1] != 0) | (masks.values[0] == 0))).any()


def _config(**settings: Any) -> Any:
    from geocr.config import PredictConfig

    return PredictConfig(**settings)


def test_unclear_bands_are_refused(paths: ScenePaths) -> None:
    cloudy = opened(paths.s2)
    nameless = cloudy.assign_attrs()
    del nameless.attrs["long_name"]
    with pytest.raises(BandError, match="s2_bands="):
        nameless.geocr.cloud_mask()
    assert nameless.geocr.cloud_fraction(s2_bands=BANDS) == cloudy.geocr.cloud_fraction()
    cube = as_dataset(cloudy)
    with pytest.raises(BandError, match="B02 more than once"):
        cube.assign(blue=cube.B02).geocr.cloud_mask()
    with pytest.raises(BandError, match="must hold Sentinel-1"):
        cube.geocr.remove_clouds(cube)
    with pytest.raises(UnitsError, match="stored alike"):
        cube.assign(B03=cube.B03.astype("int16")).geocr.cloud_mask()
    assert optical_stack(cube[["B04", "B02"]]).names == ("B04", "B02")


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "mask_and_scale"), [(WORLDCEREAL[0], False), (WORLDCEREAL[1], True)])
def test_worldcereal(real_data: Path, tmp_path: Path, name: str, mask_and_scale: bool) -> None:
    """netCDF cubes of openEO: `t`, unsigned numbers in int16, nodata 65535, the CRS in a variable."""
    cube = xr.open_dataset(real_data / "worldcereal_s1s2_series" / name, engine="h5netcdf", mask_and_scale=mask_and_scale)
    radar = 20 * np.log10((cube[[v for v in cube if str(v).endswith(("VV", "VH"))]]).astype("uint16").astype("float32")) - 83
    radar = radar.rio.write_crs(32631)
    part = cube.isel(t=slice(0, 2))
    half = np.zeros(part[next(v for v in part if "B" in str(v))].shape[1:], bool)
    half[10:30, 10:30] = True
    stack = optical_stack(part, nodata=65535)
    masks = xr.DataArray(half, dims=("y", "x"), coords={"y": cube.y, "x": cube.x}).rio.write_crs(32631)
    clear = part.geocr.remove_clouds(radar, cloud_mask=masks, mask_buffer_m=0, nodata=65535, reconstructor=Blend())
    assert isinstance(clear["provenance"].data, da.Array)
    clear = clear.compute()
    provenance = clear.geocr.provenance.values
    assert (provenance[:, half] == 2).any()
    for variable in stack.variables:
        assert clear[variable].dtype == cube[variable].dtype
        kept = provenance < 2
        np.testing.assert_array_equal(clear[variable].values[kept], part[variable].values[kept])
        assert not np.array_equal(clear[variable].values, part[variable].values)
        assert not (clear[variable].values.astype("uint16")[provenance >= 2] == 65535).any()
    day = part.isel(t=0)
    image = day[list(stack.variables)].to_dataarray("band").astype("uint16").rio.write_crs(32631).rio.write_nodata(65535)
    image.attrs["long_name"] = tuple(stack.names)
    image.rio.to_raster(tmp_path / "s2.tif")
    masks.astype("uint8").rio.to_raster(tmp_path / "mask.tif")
    vv, vh = sorted(map(str, radar), reverse=True)
    sar = radar[[vv, vh]].sel(t=cube.t[0]).to_dataarray("band").rio.write_crs(32631)
    sar.attrs["long_name"] = ("VV", "VH")
    sar.rio.to_raster(tmp_path / "s1.tif")
    expected = predict_scene(
        str(tmp_path / "s1.tif"), str(tmp_path / "s2.tif"), tmp_path / "clear.tif",
        config=_config(cloud_mask=str(tmp_path / "mask.tif"), mask_buffer_m=0), reconstructor=Blend(),
    )  # fmt: skip
    made = clear.isel(t=0)[list(stack.variables)].to_dataarray("band").astype("uint16").values
    np.testing.assert_array_equal(made, opened(str(expected.scene)).values)
