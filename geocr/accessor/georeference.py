"""The grid of an xarray object: where its pixels lie, to the digit and to the half pixel.

Coordinates name the centres of pixels, by convention (CF, rioxarray, odc-stac). Some arrays name corners: stackstac does, unless asked
otherwise. Whoever takes the one for the other shifts a scene by half a pixel. Where an array also carries its
transform (`GeoTransform` of the grid mapping, or `attrs["transform"]`), the two together tell.
"""

from collections.abc import Hashable
from typing import Any

import numpy as np
import rioxarray  # noqa: F401 - registers .rio
import xarray as xr
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geocr.accessor.layout import Layout, XarrayObject
from geocr.core.errors import GeoreferenceError
from geocr.io.grid import SceneGrid

SPACING_TOLERANCE = 1e-3
"""Share of a pixel by which coordinates may deviate from even spacing: that of coordinates kept as float32."""
PHASE_TOLERANCE = 1e-2
"""Share of a pixel within which a coordinate counts as a centre or as a corner."""
_CRS_NAMES = ("spatial_ref", "crs_wkt")


def grid_of_array(obj: XarrayObject, layout: Layout) -> SceneGrid:
    """CRS, transform and shape of a Dataset or DataArray.

    Args:
        obj: With even coordinates along y and x, ascending or descending.
        layout: Its dimensions.

    Raises:
        GeoreferenceError: When it has no CRS or no coordinates, they are uneven, or they contradict its transform.
    """
    stored = _stored_transform(obj)
    if stored is not None and (stored.b or stored.d):
        raise GeoreferenceError(
            f"coordinates along y and x cannot tell where a rotated grid lies, and the transform is {tuple(stored)[:6]}; "
            f"reproject first, for example with .rio.reproject(crs)"
        )
    across = _axis(obj, layout.x, None if stored is None else (stored.c, stored.a))
    down = _axis(obj, layout.y, None if stored is None else (stored.f, stored.e))
    transform = Affine(across[1], 0.0, across[0], 0.0, down[1], down[0])
    return SceneGrid(crs=_crs(obj), transform=transform, shape=(obj.sizes[layout.y], obj.sizes[layout.x]))


def _axis(obj: XarrayObject, dim: Hashable, stored: tuple[float, float] | None) -> tuple[float, float]:
    """Outer edge of the first pixel and step to the next, along one dimension."""
    if dim not in obj.coords:
        if stored is not None:
            return stored
        raise GeoreferenceError(
            f"a scene needs coordinates along {dim}, or a transform, got neither; write one with .rio.write_transform(...)"
        )
    values = np.asarray(obj.coords[dim].values, np.float64)
    if not np.isfinite(values).all():
        raise GeoreferenceError(f"coordinates must be numbers, and some along {dim} are NaN; assign those of the pixels' centres")
    if values.size == 1:
        return _single(float(values[0]), dim, stored)
    step = (values[-1] - values[0]) / (values.size - 1)
    even = values[0] + step * np.arange(values.size)
    if step == 0 or float(np.abs(values - even).max()) > SPACING_TOLERANCE * abs(step):
        raise GeoreferenceError(
            f"coordinates must be evenly spaced, and those along {dim} are not (from {values[0]} to {values[-1]}, {values.size} of them); "
            f"put the scene on a grid first, for example with .rio.reproject or .interp"
        )
    first, step = float(values[0]), float(step)
    if stored is None or abs(step - stored[1]) > SPACING_TOLERANCE * abs(step) / values.size:
        return first - step / 2, step  # no transform, or that of before it was resampled or turned over
    return _outer_edge(first, dim, stored), stored[1]


def _single(value: float, dim: Hashable, stored: tuple[float, float] | None) -> tuple[float, float]:
    if stored is None:
        raise GeoreferenceError(f"one coordinate along {dim} does not tell how large its pixel is; write it with .rio.write_transform(...)")
    return _outer_edge(value, dim, stored), stored[1]


def _outer_edge(first: float, dim: Hashable, stored: tuple[float, float]) -> float:
    """Outer edge of the first pixel, in the digits of a transform that may be that of a larger array it was cut from."""
    origin, step = stored
    pixels = (first - origin) / step
    for shift in (0.5, 0.0):  # a centre, or a corner
        whole = round(pixels - shift)
        if abs(pixels - shift - whole) <= PHASE_TOLERANCE:
            return origin + whole * step
    raise GeoreferenceError(
        f"coordinates name centres or corners of pixels, and the first along {dim}, {first!r}, lies {pixels - np.floor(pixels):.2f} of a pixel "
        f"beyond a corner of the transform's grid (origin {origin!r}, step {step!r}); correct one of them, for example with .rio.write_transform()"
    )


def _stored_transform(obj: XarrayObject) -> Affine | None:
    """The transform that an object carries apart from its coordinates."""
    attrs = _grid_mapping(obj)
    text = attrs.get("GeoTransform")
    if text is not None:
        values = [float(part) for part in str(text).split()] if isinstance(text, str) else [float(part) for part in text]
        return Affine.from_gdal(*values[:6])
    given = obj.attrs.get("transform")
    return None if given is None else Affine(*[float(value) for value in tuple(given)[:6]])


def _crs(obj: XarrayObject) -> CRS:
    attrs = _grid_mapping(obj)
    text: Any = next((attrs[name] for name in _CRS_NAMES if attrs.get(name)), None)
    try:
        if text is not None:
            return CRS.from_user_input(text)
        found = obj.rio.crs  # the other ways: CF parameters of a projection, attrs["crs"]
    except CRSError as error:
        raise GeoreferenceError(
            f"a scene's CRS must be one that PROJ knows, got {text!r} ({error}); write it with .rio.write_crs('EPSG:...')"
        ) from error
    if found is None:
        raise GeoreferenceError("a scene must have a CRS, got none; write it with .rio.write_crs('EPSG:...')")
    return found


def _grid_mapping(obj: XarrayObject) -> dict[Hashable, Any]:
    """Attributes of the grid mapping variable: a coordinate, or in a Dataset opened without `decode_coords` a variable like the others."""
    name = obj.rio.grid_mapping
    if name in obj.coords:
        return dict(obj.coords[name].attrs)
    if isinstance(obj, xr.Dataset) and name in obj.data_vars:
        return dict(obj[name].attrs)
    return {}
