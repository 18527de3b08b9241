"""Which dimension of an xarray object is what, and what its bands are called."""

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import xarray as xr

from geocr.core.bands import canonical_s1_band, canonical_s2_band, names_other_polarisation
from geocr.core.errors import InputError

XarrayObject: TypeAlias = xr.DataArray | xr.Dataset

_X_NAMES = ("x", "lon", "longitude")
ROW_NAMES = ("y", "lat", "latitude")
"""Dimensions that run down a scene."""
TIME_NAMES = ("time", "t")
_BAND_NAMES = ("band", "bands", "variable")
_SENSOR_WORDS = {"s1", "s2", "s2a", "s2b", "s2c", "sentinel1", "sentinel2", "l1c", "l2a", "sigma0", "gamma0", "msi"}
"""What producers put before a band's name: `S2-L2A-B02`, `S1-SIGMA0-VH` (openEO, WorldCereal)."""
_ABOUT_A_BAND = re.compile(r"(?:8A|\d)[_-][A-Z]", re.IGNORECASE)
"""Words behind a band's number: the variable is about the band, not the band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names of an object's dimensions."""

    y: Hashable
    x: Hashable
    time: Hashable | None
    band: Hashable | None
    """None in a Dataset, whose bands are variables, and in an array of one band."""


def layout_of(obj: XarrayObject) -> Layout:
    """Tell the dimensions of a Dataset or DataArray by their names.

    Raises:
        InputError: When there is no `y` and `x` (or `latitude` and `longitude`), or a dimension that is none of time and band.
    """
    dims = (
        list(obj.dims) if isinstance(obj, xr.DataArray) else list(dict.fromkeys(dim for var in obj.data_vars.values() for dim in var.dims))
    )
    y, x = _find(dims, ROW_NAMES), _find(dims, _X_NAMES)
    if y is None or x is None:
        raise InputError(
            f"a scene needs the dimensions y and x (or lat and lon, latitude and longitude), got {tuple(map(str, dims))}; rename them, for example "
            f"with .rename(easting='x', northing='y')"
        )
    time, band = _find(dims, TIME_NAMES), _find(dims, _BAND_NAMES)
    if isinstance(obj, xr.DataArray):
        others = [dim for dim in dims if dim not in (y, x, time, band)]
        if others:
            raise InputError(
                f"a scene has the dimensions (band, y, x) or (time, band, y, x), got {tuple(map(str, dims))}; choose along {', '.join(map(str, others))} "
                f"with .isel(...), or rename it"
            )
    return Layout(y=y, x=x, time=time, band=band if isinstance(obj, xr.DataArray) else None)


def _find(dims: Iterable[Hashable], names: tuple[str, ...]) -> Hashable | None:
    return next((dim for dim in dims if str(dim).lower() in names), None)


def spatial_variables(obj: xr.Dataset, layout: Layout) -> list[Hashable]:
    """Variables that are images: over y and x, and time if there is one."""
    return [name for name, var in obj.data_vars.items() if {layout.y, layout.x} <= set(var.dims) <= {layout.time, layout.y, layout.x}]


def s2_band(text: str) -> str | None:
    """Canonical Sentinel-2 band of a name that may carry its sensor, level and resolution: `S2-L2A-B02` and `B02_10m` are `B02`, `B02_std` is none."""
    if _ABOUT_A_BAND.search(_bare(text)):
        return None
    return canonical_s2_band(text) or canonical_s2_band(_bare(text))


def s1_band(text: str) -> str | None:
    """`VV` or `VH` of a name that may carry its sensor: `S1-SIGMA0-VH` is `VH`."""
    bare = _bare(text)
    return canonical_s1_band(bare.replace("_", " ")) if len(bare) <= len("VV") or not names_other_polarisation(bare) else None


def _bare(text: str) -> str:
    """The last word, where those before it name a sensor, a level or a radiometry."""
    words = re.split(r"[-_ ]+", text.strip())
    return words[-1] if len(words) > 1 and all(word.lower() in _SENSOR_WORDS for word in words[:-1]) else text


def band_names(array: xr.DataArray, layout: Layout) -> tuple[str | None, ...]:
    """What an array says its bands are called: `long_name`, one a band, as rioxarray reads descriptions; else the labels of its bands; else None."""
    count = array.sizes[layout.band] if layout.band is not None else 1
    described = array.attrs.get("long_name")
    if isinstance(described, tuple | list) and len(described) == count:
        return tuple(str(text) for text in described)
    if count == 1 and isinstance(described, str):
        return (described,)
    labels = array.coords.get(layout.band) if layout.band is not None else array.coords.get("band")
    if labels is not None and labels.dtype.kind in "UO":
        return tuple(str(text) for text in labels.values.reshape(-1))
    if layout.band is None and array.name is not None:
        return (str(array.name),)
    return (None,) * count
