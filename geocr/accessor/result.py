"""A result as xarray keeps it: the scene's own object with new pixels, and where they come from beside them.

Provenance travels as a coordinate of a DataArray and as a variable of a Dataset, so that it is sliced, selected, chunked, computed and saved
with the pixels it is about, by xarray's own rules.
"""

import json
from collections.abc import Hashable, Sequence
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr

from geocr._version import __version__
from geocr.accessor.layout import XarrayObject
from geocr.accessor.run import LazyResult
from geocr.accessor.stack import ImageStack
from geocr.accessor.storage import Storage
from geocr.config import PredictConfig
from geocr.core.errors import InputError
from geocr.core.types import ByteArray, NumberArray
from geocr.inference.products import DAYS_NODATA, PROVENANCE_CATEGORIES, Provenance

PROVENANCE, STD, SOURCE_DAYS = "provenance", "std", "source_days"

_DAYS_ATTRS = {
    "long_name": f"days from the scene to the date that a pixel was observed on: 0 its own, {DAYS_NODATA} where it was not observed",
    "nodata": DAYS_NODATA,
}


def attach(stack: ImageStack, results: Sequence[LazyResult], config: PredictConfig) -> XarrayObject:
    """An object like the stack's source with the results of its dates, lazy."""
    provenance = da.stack([result.provenance for result in results])
    scene = da.stack([_values(result, stack.pixels[date], stack.storage) for date, result in enumerate(results)])
    made = _without_former(stack.put_back(scene), stack)
    planes = {PROVENANCE: stack.plane(provenance, PROVENANCE, provenance_attrs(config))}
    days = [result.source_days for result in results if result.source_days is not None]
    if days:
        planes[SOURCE_DAYS] = stack.plane(da.stack(days), SOURCE_DAYS, _DAYS_ATTRS)
    stds = [result.std for result in results if result.std is not None]
    if isinstance(made, xr.Dataset):
        made = made.assign(planes)
        return made if not stds else made.assign(_std_variables(stack, da.stack(stds)))
    made = made.assign_coords({name: plane.variable for name, plane in planes.items()})
    return made if not stds else made.assign_coords({STD: _std_coordinate(stack, da.stack(stds))})


def _without_former(made: XarrayObject, stack: ImageStack) -> XarrayObject:
    """The object without what an earlier result said of its pixels: they are others now."""
    held = made.variables if isinstance(made, xr.Dataset) else made.coords
    if PROVENANCE not in held:
        return made
    former = {PROVENANCE, STD, SOURCE_DAYS} if isinstance(made, xr.DataArray) else {PROVENANCE, SOURCE_DAYS}
    return made.drop_vars([name for name in (*former, *(f"{variable}_{STD}" for variable in stack.variables)) if name in held])


def _values(result: LazyResult, original: Any, storage: Storage) -> da.Array:  # noqa: ANN401 - NumPy or Dask
    """A scene in the array's own values. What was observed is the original itself, not what a file would have kept of it."""
    if not storage.coded:
        return result.scene if not storage.as_unsigned else da.map_blocks(storage.to_values, result.scene, dtype=storage.array_dtype)
    source = (
        original.rechunk(result.scene.chunks) if isinstance(original, da.Array) else da.from_array(original, chunks=result.scene.chunks)
    )
    return da.map_blocks(_merged, result.scene, source, result.provenance[None], storage, dtype=storage.array_dtype)


def _merged(stored: NumberArray, original: NumberArray, provenance: ByteArray, storage: Storage) -> NumberArray:
    return np.where(provenance > Provenance.OBSERVED, storage.to_values(stored), original)


def _std_variables(stack: ImageStack, std: da.Array) -> dict[Hashable, xr.DataArray]:
    made: dict[Hashable, xr.DataArray] = {}
    for number, variable in enumerate(stack.variables):
        made[f"{variable}_{STD}"] = stack.plane(std[:, number], f"{variable}_{STD}", _std_attrs(str(variable)))
    return made


def _std_coordinate(stack: ImageStack, std: da.Array) -> xr.Variable:
    layout = stack.layout
    dims = [dim for dim in (layout.time, layout.band, layout.y, layout.x) if dim is not None]
    data = std if layout.time is not None else std[0]
    if layout.band is None:
        data = data[:, 0] if layout.time is not None else data[0]
    return xr.Variable(dims, data, attrs=_std_attrs("the scene"))


def _std_attrs(what: str) -> dict[str, Any]:
    return {"long_name": f"standard deviation of reconstructed reflectance of {what}, 0 where observed", "units": "1"}


def provenance_attrs(config: PredictConfig) -> dict[str, Any]:
    """What the classes mean, in the words of CF, and how the result was asked for."""
    return {
        "long_name": "where each pixel comes from",
        "flag_values": [int(kind) for kind in PROVENANCE_CATEGORIES],
        "flag_meanings": " ".join(name.replace(" ", "_") for name, _ in PROVENANCE_CATEGORIES.values()),
        "geocr_version": __version__,
        "geocr_parameters": json.dumps(config.model_dump(mode="json", exclude_unset=True), sort_keys=True),
    }


def provenance_of(obj: XarrayObject) -> xr.DataArray:
    """The provenance of a result.

    Raises:
        InputError: When there is none.
    """
    held = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    if PROVENANCE in held:
        return obj[PROVENANCE]
    raise InputError(
        "provenance is that of a result of remove_clouds: a coordinate of a DataArray, a variable of a Dataset, both called 'provenance'; got an object "
        "without. xarray keeps it in selections, arithmetic with plain arrays and saved files; it is lost by resampling, by arithmetic "
        "between two results, and by choosing single variables of a Dataset. Take it from the result before: result.geocr.provenance"
    )
