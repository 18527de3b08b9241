"""How arrays keep their numbers: what a file would hold, and back, as xarray itself encodes and decodes."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from xarray.conventions import encode_cf_variable

from geocr.accessor.storage import storage_of
from geocr.core.errors import UnitsError


@pytest.mark.parametrize("nodata", [0, 65535, None])
def test_decoded_values_go_to_the_files_numbers_and_back_as_in_xarray(nodata: int | None) -> None:
    stored = np.array([[0, 1, 2, 5003], [65535, 65534, 7, 9999]], np.uint16)
    encoding: dict[str, Any] = {"scale_factor": 1e-4, "add_offset": -0.1, "dtype": "uint16"}
    if nodata is not None:
        encoding["_FillValue"] = np.uint16(nodata)
    attrs = {key: value for key, value in encoding.items() if key != "dtype"}
    decoded = xr.decode_cf(xr.Dataset({"b": (("y", "x"), stored, attrs)}))["b"]
    storage = storage_of(decoded)
    assert (storage.dtype, storage.scale, storage.offset) == ("uint16", 1e-4, -0.1)
    assert storage.nodata == (0 if nodata is None else nodata)
    np.testing.assert_array_equal(storage.to_stored(decoded.values), stored)
    if nodata is not None:
        np.testing.assert_array_equal(storage.to_stored(decoded.values), encode_cf_variable(decoded.variable).values)
        back = storage.to_values(stored)
        np.testing.assert_array_equal(np.isnan(back), stored == nodata)
        np.testing.assert_array_equal(back, decoded.values)


def test_nan_without_a_nodata_value_is_zero() -> None:
    array = xr.DataArray(np.array([[np.nan, 0.25]], np.float32), dims=("y", "x"))
    array.encoding = {"scale_factor": 1e-4, "dtype": "uint16"}
    storage = storage_of(array)
    np.testing.assert_array_equal(storage.to_stored(array.values), [[0, 2500]])


@pytest.mark.parametrize(("nodata", "empty"), [(-1, 65535.0), (-32768, 32768.0), (65535, 65535.0), (0, 0.0)])
def test_unsigned_numbers_in_signed_integers(nodata: int, empty: float) -> None:
    stored = np.array([[0, 1, 40000, 65535]], np.uint16)
    array = xr.DataArray(stored.view(np.int16), dims=("y", "x"), attrs={"_Unsigned": "true", "_FillValue": nodata})
    storage = storage_of(array)
    assert (storage.dtype, storage.array_dtype, storage.nodata) == ("uint16", "int16", empty)
    np.testing.assert_array_equal(storage.to_stored(array.values), stored)
    np.testing.assert_array_equal(storage.to_values(stored), array.values)


def test_a_nodata_value_that_the_type_cannot_hold_is_none() -> None:
    array = xr.DataArray(np.zeros((1, 1), np.uint16), dims=("y", "x"))
    assert storage_of(array.assign_attrs(_FillValue=-9999)).nodata is None
    assert storage_of(array.assign_attrs(_FillValue=0.5)).nodata is None
    assert storage_of(array, nodata=7).nodata == 7
    assert storage_of(array, inherited={"nodata": 9}).nodata == 9


def test_what_holds_no_numbers_is_refused() -> None:
    with pytest.raises(UnitsError, match="integers or floats, got complex64"):
        storage_of(xr.DataArray(np.zeros((1, 1), np.complex64)))
    with pytest.raises(UnitsError, match="scale_factor of an array must be a number"):
        storage_of(xr.DataArray(np.zeros((1, 1), np.uint16), attrs={"scale_factor": "ten"}))
