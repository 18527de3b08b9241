"""How an array keeps its numbers: as a raster file would, or decoded from one, as xarray does by default.

A file holds digital numbers with scale, offset and nodata. An array opened with `mask_and_scale=False` holds the same
numbers, and the rest in its attributes. Opened with `mask_and_scale=True` it holds floats with NaN, and in its
`encoding` the way back. The engine works on what the file would hold, so that a result does not depend on how the file was opened.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
import xarray as xr
from xarray.conventions import encode_cf_variable

from geocr.core.errors import UnitsError
from geocr.core.types import NumberArray

_NODATA_NAMES = ("_FillValue", "missing_value", "fill_value", "nodata")
"""Where rioxarray looks for nodata, in this order."""
_CODED = ("scale_factor", "add_offset", "_FillValue", "missing_value", "dtype", "_Unsigned", "rasterio_dtype")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """How one image is kept, in an array and in a file."""

    dtype: str
    """NumPy name of the file's type."""
    nodata: float | None
    """The file's nodata, or None."""
    scale: float
    """The file's scale tag."""
    offset: float
    """The file's offset tag."""
    array_dtype: str
    """NumPy name of the array's type."""
    coded: Mapping[str, Any] = field(default_factory=dict)
    """xarray's encoding of the array, as far as it turns values into the file's numbers; empty where the array holds those."""
    as_unsigned: bool = False
    """True where signed integers stand for unsigned ones of their size (`_Unsigned` of netCDF)."""

    def to_stored(self, values: NumberArray) -> NumberArray:
        """The file's numbers of an array's values, in `dtype`."""
        if self.coded:
            variable = xr.Variable(tuple(f"d{i}" for i in range(values.ndim)), values, encoding=dict(self.coded))
            values = np.asarray(encode_cf_variable(variable).values)
        return values.view(self.dtype) if self.as_unsigned and values.dtype != self.dtype else values.astype(self.dtype, copy=False)

    def to_values(self, stored: NumberArray) -> NumberArray:
        """The array's values of a file's numbers, in `array_dtype`."""
        if not self.coded:
            return stored.view(self.array_dtype) if self.as_unsigned else stored.astype(self.array_dtype, copy=False)
        values = stored.astype(self.array_dtype)
        # in the array's own precision, by the very scalars of its encoding, as xarray and rioxarray decode: a Python float is rounded to float32, one of NumPy is not
        values *= self.coded.get("scale_factor", 1)
        values += self.coded.get("add_offset", 0)
        nodata = self.coded.get("_FillValue")
        if nodata is not None and not np.isnan(nodata):
            values[stored == nodata] = np.nan
        return values


def storage_of(array: xr.DataArray, *, nodata: float | None = None, inherited: Mapping[Hashable, Any] | None = None) -> Storage:
    """Tell how an array is kept, from its dtype, attributes and encoding.

    Args:
        array: The image.
        nodata: The caller's word, which comes before the array's own.
        inherited: Attributes of the Dataset around it: some cubes say there what nodata is.

    Raises:
        UnitsError: When its scale or nodata is no number, or its dtype is no number's.
    """
    attrs, encoding = array.attrs, array.encoding
    if array.dtype.kind not in "uif":
        raise UnitsError(f"a scene must hold integers or floats, got {array.dtype} in {array.name!r}")
    coded = _coded(array)
    file_type = np.dtype(coded.get("rasterio_dtype", coded.get("dtype", array.dtype)) if coded else array.dtype)
    as_unsigned = str(attrs.get("_Unsigned", coded.get("_Unsigned", ""))).lower() == "true" and file_type.kind == "i"
    if as_unsigned:
        file_type = np.dtype(f"u{file_type.itemsize}")
    empty = nodata if nodata is not None else _nodata(array, coded, inherited or {})
    if coded:
        coded = {name: value for name, value in coded.items() if name not in ("_Unsigned", "rasterio_dtype", "missing_value")}
        coded["dtype"] = str(file_type)
        if empty is None and file_type.kind != "f":
            empty = 0.0  # what NaN becomes in counts without a nodata value of their own: as in the products
        if empty is not None:
            coded["_FillValue"] = nan if np.isnan(empty) else file_type.type(empty)
    return Storage(
        dtype=str(file_type),
        nodata=_fitting(empty, file_type, as_unsigned=as_unsigned),
        scale=_number(attrs.get("scale_factor", encoding.get("scale_factor", 1.0)), "scale_factor", array),
        offset=_number(attrs.get("add_offset", encoding.get("add_offset", 0.0)), "add_offset", array),
        array_dtype=str(array.dtype),
        coded=coded,
        as_unsigned=as_unsigned and not coded,
    )


def _coded(array: xr.DataArray) -> dict[str, Any]:
    """The encoding that the values are to be put through; empty where they are the file's numbers as they are."""
    if array.dtype.kind != "f":
        return {}
    coded = {name: array.encoding[name] for name in _CODED if array.encoding.get(name) is not None}
    is_count = np.dtype(coded.get("rasterio_dtype", coded.get("dtype", "float32"))).kind in "ui"
    if not is_count and not {"scale_factor", "add_offset"} & set(coded):
        return {}
    return coded


def _nodata(array: xr.DataArray, coded: Mapping[str, Any], inherited: Mapping[Hashable, Any]) -> float | None:
    places: tuple[Mapping[Any, Any], ...] = (coded,) if coded else (array.attrs, array.encoding, inherited)
    for place in places:
        for name in _NODATA_NAMES:
            if place.get(name) is not None:
                return _number(place[name], name, array)
    if coded:
        return None
    several = array.attrs.get("nodatavals")
    return None if several is None else _number(several, "nodatavals", array)


def _fitting(nodata: float | None, dtype: "np.dtype[Any]", *, as_unsigned: bool) -> float | None:
    """Nodata as the file's type can hold it: None when it cannot, and then no pixel is it."""
    if nodata is None:
        return None
    if dtype.kind == "f":
        return nan if np.isnan(nodata) else nodata  # one object for all: NaN equals nothing else, and bands are compared
    if as_unsigned and nodata < 0:
        nodata += 2.0 ** (8 * dtype.itemsize)
    info = np.iinfo(dtype)
    return nodata if float(nodata).is_integer() and info.min <= nodata <= info.max else None


def _number(value: Any, name: str, array: xr.DataArray) -> float:  # noqa: ANN401 - attributes hold anything
    try:
        return float(np.asarray(value).reshape(-1)[0])
    except (TypeError, ValueError, IndexError) as error:
        raise UnitsError(f"{name} of an array must be a number, got {value!r} in {array.name!r}; correct it in its attrs") from error
