"""The grid of an array: no half pixel too many, whichever way its axes run."""

from typing import Any

import numpy as np
import pytest
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from geocr.accessor.georeference import grid_of_array
from geocr.accessor.layout import layout_of
from geocr.core.errors import GeoreferenceError, InputError
from geocr.io.grid import SceneGrid

T = Affine(10.0, 0.0, 499_980.0, 0.0, -10.0, 5_300_040.0)


def array(transform: Affine = T, shape: tuple[int, int] = (6, 5), *, at: float = 0.5, names: tuple[str, str] = ("y", "x")) -> xr.DataArray:
    """An array whose coordinates name the point `at` (0.5 is the centre, 0 the corner) of each pixel."""
    ys = transform.f + (np.arange(shape[0]) + at) * transform.e
    xs = transform.c + (np.arange(shape[1]) + at) * transform.a
    return xr.DataArray(np.zeros(shape, np.uint16), dims=names, coords={names[0]: ys, names[1]: xs})


def grid(obj: xr.DataArray | xr.Dataset) -> SceneGrid:
    return grid_of_array(obj, layout_of(obj))


def test_centres_are_centres() -> None:
    assert grid(array().rio.write_crs(32633)) == SceneGrid(crs=CRS.from_epsg(32633), transform=T, shape=(6, 5))


@pytest.mark.parametrize("at", [0.5, 0.0])
def test_a_transform_tells_centres_from_corners(at: float) -> None:
    by_mapping = array(at=at).rio.write_crs(32633)
    by_mapping.coords["spatial_ref"].attrs["GeoTransform"] = " ".join(map(str, T.to_gdal()))
    assert grid(by_mapping).transform == T
    by_attribute = array(at=at).assign_attrs(transform=tuple(T)[:6], crs="epsg:32633")  # as stackstac has it, corners by default
    assert grid(by_attribute) == SceneGrid(crs=CRS.from_epsg(32633), transform=T, shape=(6, 5))
    part = by_mapping.isel(y=slice(2, 5), x=slice(1, None))
    assert grid(part).transform == T * Affine.translation(1, 2)


def test_a_contradiction_is_refused() -> None:
    shifted = array(at=0.25).rio.write_crs(32633).assign_attrs(transform=tuple(T)[:6])
    with pytest.raises(GeoreferenceError, match=r"centres or corners.*0\.25 of a pixel"):
        grid(shifted)


@given(
    st.integers(2, 300),
    st.integers(2, 300),
    st.sampled_from([10.0, 20.0, 0.1, 8.983e-05]),
    st.tuples(st.booleans(), st.booleans()),
    st.booleans(),
)
def test_any_grid_comes_back(rows: int, cols: int, side: float, turned: tuple[bool, bool], keeps_transform: bool) -> None:
    up, west = turned
    transform = Affine(-side if west else side, 0.0, 399_960.0, 0.0, side if up else -side, 5_200_020.0)
    made = array(transform, (rows, cols)).rio.write_crs(32633)
    if keeps_transform:
        made.coords["spatial_ref"].attrs["GeoTransform"] = " ".join(repr(value) for value in transform.to_gdal())
        assert grid(made).transform == transform
    else:
        assert grid(made).transform.almost_equals(transform, precision=side * 1e-6)
        assert grid(made).transform.almost_equals(made.rio.transform(recalc=True), precision=side * 1e-9)


def test_a_stale_transform_does_not_count() -> None:
    made = array(shape=(6, 10)).rio.write_crs(32633).rio.write_transform(T)
    coarse = made.coarsen(y=2, x=5).mean()
    assert grid(coarse).transform == Affine(50.0, 0.0, T.c, 0.0, -20.0, T.f)
    assert grid(made.isel(y=slice(None, None, -1))).transform.almost_equals(Affine(10, 0, T.c, 0, 10, T.f - 60), precision=1e-6)


@pytest.mark.parametrize("names", [("lat", "lon"), ("latitude", "longitude"), ("Y", "X")])
def test_names_of_axes(names: tuple[str, str]) -> None:
    made = array(Affine(0.001, 0, 12.0, 0, -0.001, 48.0), names=names).rio.set_spatial_dims(names[1], names[0]).rio.write_crs(4326)
    assert grid(made).transform.almost_equals(Affine(0.001, 0, 12.0, 0, -0.001, 48.0), precision=1e-12)
    assert grid(made).crs.to_epsg() == 4326


def test_what_is_no_grid_is_refused() -> None:
    good = array().rio.write_crs(32633)
    cases: list[tuple[Any, type[Exception], str]] = [
        (array(), GeoreferenceError, "must have a CRS"),
        (good.assign_coords(x=[0.0, 10, 20, 35, 40]), GeoreferenceError, "evenly spaced"),
        (good.assign_coords(x=[0.0, 10, np.nan, 30, 40]), GeoreferenceError, "NaN"),
        (good.drop_vars("y"), GeoreferenceError, "coordinates along y"),
        (good.isel(x=[0]), GeoreferenceError, "how large its pixel"),
        (good.assign_attrs(transform=tuple(Affine.rotation(10) * T)[:6]), GeoreferenceError, "rotated"),
        (good.rename(x="easting"), InputError, r"\.rename\(easting='x'"),
    ]
    for obj, kind, message in cases:
        with pytest.raises(kind, match=message):
            grid(obj)
