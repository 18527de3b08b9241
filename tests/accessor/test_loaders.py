"""What odc.stac.load gives, and arrays laid out as stackstac documents them."""

from datetime import UTC, datetime
from pathlib import Path

import dask.array as da
import numpy as np
import pystac
import pytest
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr

from geocr.accessor.stack import optical_stack
from geocr.inference.run import PredictResult
from geocr.simulate.files import ScenePaths
from tests.accessor.conftest import BANDS, Blend, opened

odc_stac = pytest.importorskip("odc.stac")


def items(paths: ScenePaths, folder: Path) -> list[pystac.Item]:
    """Two items of the same scene, five days apart, an asset for each band and one for its mask as classes."""
    cloudy, mask = opened(paths.s2), opened(paths.mask)
    cloudy.attrs = {name: value for name, value in cloudy.attrs.items() if name == "_FillValue"}
    planes = {band: cloudy.isel(band=[number]) for number, band in enumerate(BANDS)}
    planes["SCL"] = xr.where(mask != 0, 9, 4).astype("uint8").rio.write_crs(cloudy.rio.crs)
    west, south, east, north = cloudy.rio.transform_bounds("EPSG:4326")
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    made = []
    for name, plane in planes.items():
        plane.transpose("band", "y", "x").rio.to_raster(folder / f"{name}.tif")
    for day in (1, 6):
        item = pystac.Item(
            f"S2_2024050{day}", {"type": "Polygon", "coordinates": [corners]}, [west, south, east, north], datetime(2024, 5, day, 10, tzinfo=UTC),
            {"proj:epsg": cloudy.rio.crs.to_epsg(), "proj:shape": list(cloudy.shape[1:]), "proj:transform": list(cloudy.rio.transform())[:6]},
            stac_extensions=["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        )  # fmt: skip
        for name in planes:
            item.add_asset(name, pystac.Asset(str(folder / f"{name}.tif"), media_type=pystac.MediaType.COG, roles=["data"]))
        made.append(item)
    return made


def test_odc_stac(paths: ScenePaths, predicted: PredictResult, tmp_path: Path) -> None:
    source = opened(paths.s2)
    cube = odc_stac.load(
        items(paths, tmp_path),
        bands=[*BANDS, "SCL"],
        chunks={"x": 64, "y": 64},
        dtype="uint16",
        nodata=0,
        crs=source.rio.crs,
        resolution=10,
    )
    assert dict(cube.sizes) == {"time": 2, "y": 160, "x": 128}
    stack = optical_stack(cube)
    assert (stack.storage.dtype, stack.storage.nodata) == ("uint16", 0)
    assert stack.grid.transform == source.rio.transform()
    clear = cube.geocr.remove_clouds(
        str(paths.s1), scl=cube["SCL"], cloud_mask="scl", mask_buffer_m=0, s2_scale=1e-4, s2_offset=-0.1, reconstructor=Blend()
    )
    assert isinstance(clear["B02"].data, da.Array)
    xr.testing.assert_identical(clear["SCL"], cube["SCL"])
    assert clear.odc.geobox == cube.odc.geobox
    clear = clear.compute()
    clouded = opened(paths.mask).values[0] != 0
    observed = (source.values != 0).any(axis=0)
    np.testing.assert_array_equal(clear["provenance"].values[1] > 1, clouded & observed)
    direct = source.geocr.remove_clouds(str(paths.s1), cloud_mask=opened(paths.mask), mask_buffer_m=0, reconstructor=Blend())
    made = np.stack([clear[band].values[0] for band in BANDS])
    np.testing.assert_array_equal(made, direct.values)


def test_the_layout_of_stackstac(paths: ScenePaths) -> None:
    """`(time, band, y, x)` float64 reflectance, NaN is nodata, corners as coordinates, the grid in attributes, much beside it as coordinates."""
    source = opened(paths.s2, decoded=True)
    transform = source.rio.transform()
    rows, cols = source.shape[1:]
    values = da.from_array(source.values[None].astype("float64"), chunks=(1, 1, 80, 80))
    cube = xr.DataArray(
        values,
        dims=("time", "band", "y", "x"),
        coords={
            "time": np.array(["2024-05-01T10:00:00"], "datetime64[ns]"),
            "id": ("time", ["S2_20240501"]),
            "band": list(BANDS),
            "x": transform.c + np.arange(cols) * 10.0,
            "y": transform.f - np.arange(rows) * 10.0,
            "eo:cloud_cover": ("time", [30.0]),
            "common_name": ("band", ["blue", "green", "red", "nir"]),
            "epsg": 32633,
        },
        attrs={"spec": "RasterSpec(epsg=32633)", "crs": str(source.rio.crs), "transform": transform, "resolution": 10.0},
        name="stackstac-1234",
    )
    assert optical_stack(cube).grid.transform == transform
    clear = cube.geocr.remove_clouds(str(paths.s1), reconstructor=Blend(), cloud_mask=opened(paths.mask), mask_buffer_m=0)
    assert set(clear.coords) == {*cube.coords, "provenance"}
    assert clear.geocr.provenance.dims == ("time", "y", "x")
    assert clear.attrs == cube.attrs
    like = source.astype("float64")
    like.encoding = {}
    expected = like.geocr.remove_clouds(str(paths.s1), reconstructor=Blend(), cloud_mask=opened(paths.mask), mask_buffer_m=0)
    np.testing.assert_array_equal(clear.values[0], expected.values)


def test_stackstac_itself(paths: ScenePaths, tmp_path: Path) -> None:
    """Where it is installed: it asks for pandas before 3, which an environment of the tests does not have."""
    stackstac = pytest.importorskip("stackstac")
    source = opened(paths.s2)
    cube = stackstac.stack(
        items(paths, tmp_path), assets=list(BANDS), epsg=source.rio.crs.to_epsg(), resolution=10, rescale=False, chunksize=80
    )
    assert optical_stack(cube).grid.transform == source.rio.transform()
    settings = {"mask_buffer_m": 0, "s2_scale": 1e-4, "s2_offset": -0.1, "reconstructor": Blend()}
    clear = cube.geocr.remove_clouds(str(paths.s1), cloud_mask=opened(paths.mask), **settings)
    assert isinstance(clear.data, da.Array)
    made = clear.isel(time=0).compute()
    direct = source.geocr.remove_clouds(str(paths.s1), cloud_mask=opened(paths.mask), mask_buffer_m=0, reconstructor=Blend())
    np.testing.assert_array_equal(made.geocr.provenance.values, direct.geocr.provenance.values)
    values, observed = np.nan_to_num(made.values), direct.geocr.provenance.values == 1
    np.testing.assert_array_equal(values[:, observed], direct.values[:, observed])
    np.testing.assert_allclose(values, direct.values, atol=0.501)  # of floats nothing is rounded to counts


def test_a_result_goes_to_netcdf_and_back(paths: ScenePaths, tmp_path: Path) -> None:
    clear = opened(paths.s2).geocr.remove_clouds(reconstructor=Blend())
    clear.to_netcdf(tmp_path / "clear.nc", engine="h5netcdf")
    back = xr.open_dataarray(tmp_path / "clear.nc", engine="h5netcdf", mask_and_scale=False, decode_coords="all")
    np.testing.assert_array_equal(back.values, clear.values)
    np.testing.assert_array_equal(back.geocr.provenance.values, clear.geocr.provenance.values)
    assert back.geocr.cloud_fraction() >= 0
