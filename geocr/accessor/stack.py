"""An xarray object as images by date, and images put back into its shape.

A `(band, y, x)` or `(time, band, y, x)` DataArray and a Dataset with a variable per band all become the same thing: for each date
one `(band, y, x)` array, NumPy or Dask, with what a file would say beside its pixels.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from geocr.accessor.georeference import grid_of_array
from geocr.accessor.layout import ROW_NAMES, TIME_NAMES, Layout, XarrayObject, band_names, layout_of, s1_band, s2_band, spatial_variables
from geocr.accessor.storage import Storage, storage_of
from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.errors import BandError, InputError, UnitsError
from geocr.io.grid import SceneGrid

DaskOrNumpy = Any
"""A NumPy or a Dask array."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageStack:
    """Images of one grid and one kind of storage, by date."""

    source: XarrayObject
    """What it was made of."""
    layout: Layout
    grid: SceneGrid
    storage: Storage
    names: tuple[str | None, ...]
    """What the bands are called, in order."""
    variables: tuple[Hashable, ...]
    """Of a Dataset: the variables that are its bands, in order; empty for a DataArray."""
    pixels: DaskOrNumpy
    """`(time, band, y, x)` in the source's own values; one date where the source has no time."""
    tags: dict[str, str]
    """What a file would carry as tags."""

    @property
    def dates(self) -> tuple[Any, ...] | None:
        """When the images were taken, `datetime64[ns]` each; None where the source does not say."""
        time = self.layout.time
        if time is None:
            scalar = next((self.source.coords[name] for name in ("time", "t", "datetime") if name in self.source.coords), None)
            return None if scalar is None or scalar.dtype.kind != "M" or scalar.ndim else (scalar.values.astype("datetime64[ns]"),)
        if time not in self.source.coords or self.source.coords[time].dtype.kind != "M":
            return None
        return tuple(self.source.coords[time].values.astype("datetime64[ns]"))

    @property
    def is_lazy(self) -> bool:
        """Whether nothing may be computed until it is asked for."""
        return isinstance(self.pixels, da.Array)

    def __len__(self) -> int:
        return int(self.pixels.shape[0])

    def put_back(self, pixels: DaskOrNumpy, names: Callable[[Hashable], Hashable] | None = None) -> XarrayObject:
        """An object like the source with other pixels: its dimensions in their order, coordinates, attributes, encoding, other variables.

        Args:
            pixels: `(time, band, y, x)`.
            names: Makes names of new variables of a Dataset beside the ones they are about; None replaces these.
        """
        if isinstance(self.source, xr.DataArray):
            return self._like(self.source, pixels if self.layout.band is not None else pixels[:, 0])
        made = {
            (variable if names is None else names(variable)): self._like(self.source[variable], pixels[:, number])
            for number, variable in enumerate(self.variables)
        }
        return self.source.assign(made)

    def _like(self, array: xr.DataArray, pixels: DaskOrNumpy) -> xr.DataArray:
        dims = [dim for dim in (self.layout.time, self.layout.band, self.layout.y, self.layout.x) if dim is not None and dim in array.dims]
        data = pixels if self.layout.time is not None and self.layout.time in array.dims else pixels[0]
        variable = xr.Variable(dims, data, attrs=array.attrs, encoding=array.encoding).transpose(*array.dims)
        return array.copy(data=variable.data)

    def plane(self, pixels: DaskOrNumpy, name: str, attrs: dict[str, Any]) -> xr.DataArray:
        """`(time, y, x)` values as a DataArray on the source's coordinates, without the time where the source has none."""
        layout = self.layout
        dims = [dim for dim in (layout.time, layout.y, layout.x) if dim is not None]
        coords = {key: value for key, value in self.source.coords.items() if set(value.dims) <= set(dims) and key not in COMPANIONS}
        array = xr.DataArray(pixels if layout.time is not None else pixels[0], dims=dims, coords=coords, name=name, attrs=attrs)
        array.encoding["grid_mapping"] = self.source.rio.grid_mapping
        return array


LAZY_ROWS = 1024
"""Rows of a chunk of an array that is still in a file and was opened without chunks."""
COMPANIONS = ("provenance", "std", "source_days")
"""Names of what goes with a result: coordinates of a DataArray, variables of a Dataset."""


def optical_stack(obj: XarrayObject, *, bands: Sequence[str] | None = None, nodata: float | None = None) -> ImageStack:
    """Sentinel-2 of a Dataset or DataArray.

    Args:
        obj: The cube.
        bands: Of a Dataset: the variables to take, in order; those that are named like Sentinel-2 bands when None.
        nodata: What stands for nothing, where the array does not say.

    Raises:
        InputError: When its dimensions are not those of a scene.
        BandError: When no band can be told.
        GeoreferenceError: When it has no CRS, or its coordinates are no grid.
        UnitsError: When its bands are stored in different ways.
    """
    if isinstance(obj, xr.Dataset):
        return _of_dataset(obj, s2_band, "Sentinel-2 bands (B02 ... B12)", chosen=bands, nodata=nodata)
    stack = _of_array(obj, nodata)
    found = [s2_band(name) if name else None for name in stack.names]
    if bands is not None and len(bands) != len(found):
        raise BandError(
            f"s2_bands must name every band of the array in its order: it has {len(found)}, got {len(bands)} names ({', '.join(bands)}); "
            f"name all of them, or choose bands first, for example with .isel(band=[1, 2, 3])"
        )
    if all(found):
        return replace(stack, names=tuple(found))
    if any(name and s1_band(name) for name in stack.names):
        raise BandError(
            f"Sentinel-2 is what clouds are removed of, and this is Sentinel-1 (bands called {', '.join(map(str, stack.names))}); "
            f"turn them round: s2.geocr.remove_clouds(s1)"
        )
    if len(found) not in (len(L1C_BANDS), len(L2A_BANDS)) and bands is None:
        raise BandError(
            f"Sentinel-2 bands must be named by the labels along the band dimension or by `long_name`, or be the 13 of L1C or the 12 of L2A; got "
            f"{len(found)} bands called {stack.names}; name them, for example s2_bands=('B02', 'B03', 'B04', 'B08')"
        )
    return stack


def sar_stack(obj: XarrayObject, *, nodata: float | None = None) -> ImageStack:
    """Sentinel-1 of a Dataset (variables named like VV, VH) or DataArray (one or two bands).

    Raises:
        GeocrError: As `optical_stack`.
    """
    if isinstance(obj, xr.Dataset):
        return _of_dataset(obj, s1_band, "Sentinel-1 polarisations (VV, VH)", chosen=None, nodata=nodata)
    stack = _of_array(obj, nodata)
    return replace(stack, names=tuple(s1_band(name) or name if name else None for name in stack.names))


def mask_stack(obj: XarrayObject) -> ImageStack:
    """A cloud mask or scene classification: one image a date, booleans as 0 and 1."""
    if isinstance(obj, xr.Dataset):
        raise InputError(
            f"a mask must be one variable, got a Dataset of {', '.join(map(str, obj.data_vars))}; give one of them: ds['name']"
        )
    stack = _of_array(obj.astype(np.uint8) if obj.dtype.kind == "b" else obj, None)
    if stack.pixels.shape[1] != 1:
        raise InputError(f"a mask has one band, got {stack.pixels.shape[1]}; choose one with .isel(band=...)")
    return replace(stack, names=("mask",))


def _of_array(array: xr.DataArray, nodata: float | None) -> ImageStack:
    layout, array = layout_of(array), _unread(array)
    whole = array.expand_dims([name for name, dim in (("__time", layout.time), ("__band", layout.band)) if dim is None])
    order = (layout.time or "__time", layout.band or "__band", layout.y, layout.x)
    return ImageStack(
        source=array,
        layout=layout,
        grid=grid_of_array(array, layout),
        storage=storage_of(array, nodata=nodata),
        names=band_names(array, layout),
        variables=(),
        pixels=whole.transpose(*order).data,
        tags=_tags(array.attrs),
    )


def _of_dataset(
    obj: xr.Dataset, canonical: Callable[[str], str | None], what: str, *, chosen: Sequence[str] | None, nodata: float | None
) -> ImageStack:
    layout = layout_of(obj)
    images = spatial_variables(obj, layout)
    if chosen is None:
        named = {name: band for name in images if (band := canonical(str(name)) or canonical(str(obj[name].attrs.get("long_name", ""))))}
    else:
        named = {name: s2_band(name) or name for name in chosen}
    doubles = sorted({band for band in named.values() if list(named.values()).count(band) > 1})
    if not named or doubles or not set(named) <= set(images):
        came = f"{', '.join(doubles)} more than once" if doubles else "none" if not named else ", ".join(map(str, set(named) - set(images)))
        raise BandError(
            f"a Dataset must hold {what}, a variable each over {layout.y} and {layout.x}; got {came} among {', '.join(map(str, obj.data_vars))}; "
            f"choose them, for example ds[['B02', 'B03', 'B04', 'B08']].geocr"
        )
    time = layout.time if any(layout.time in obj[name].dims for name in named) else None
    layout = replace(layout, time=time)
    storages = {name: storage_of(obj[name], nodata=nodata, inherited=obj.attrs) for name in named}
    first = next(iter(storages.values()))
    for name, storage in storages.items():
        if storage != first:
            raise UnitsError(
                f"all bands of a scene must be stored alike; {name} is {storage} and {next(iter(named))} is {first}; make them alike"
            )
    order = ("__time" if time is None else time, layout.y, layout.x)
    arrays = [_unread(obj[name]) for name in named]
    planes = [(array if time is not None else array.expand_dims("__time")).transpose(*order).data for array in arrays]
    join = da.stack if any(isinstance(plane, da.Array) for plane in planes) else np.stack
    return ImageStack(
        source=obj,
        layout=layout,
        grid=grid_of_array(obj, layout),
        storage=first,
        names=tuple(str(band) for band in named.values()),
        variables=tuple(named),
        pixels=join(planes, axis=1),
        tags=_tags(_common([obj[name].attrs for name in named]) | obj.attrs),
    )


def _unread(array: xr.DataArray) -> xr.DataArray:
    """What is still in a file becomes a Dask array and stays there; to be done first, since xarray reads a file for less than a transposition."""
    if array.chunks is not None or array.variable._in_memory:  # noqa: SLF001 - xarray has no public word for it
        return array
    sizes = {dim: 1 if str(dim).lower() in TIME_NAMES else LAZY_ROWS if str(dim).lower() in ROW_NAMES else -1 for dim in array.dims}
    return array.chunk(sizes)


def _common(several: list[dict[Hashable, Any]]) -> dict[Hashable, Any]:
    """Attributes that all bands share."""
    first = several[0]
    return {key: value for key, value in first.items() if all(str(attrs.get(key)) == str(value) for attrs in several)}


def _tags(attrs: dict[Hashable, Any]) -> dict[str, str]:
    """Attributes as a GeoTIFF's tags: sun angles, dates, processing baseline and whatever else is a word or a number."""
    beside = (
        "scale_factor",
        "add_offset",
        "_FillValue",
        "missing_value",
        "nodata",
        "nodatavals",
        "long_name",
        "transform",
        "grid_mapping",
        "crs",
    )
    return {str(key): str(value) for key, value in attrs.items() if isinstance(value, str | int | float | np.number) and key not in beside}
