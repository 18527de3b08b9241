"""Arrays as the files that `predict_scene` writes: Cloud-Optimized GeoTIFFs, band of rows by band of rows.

All bands of rows are tasks of one Dask graph, so that what they share, the fit of a lazy result, is computed once, and a task holds no more than its
rows.
"""

import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask import delayed
from rasterio.enums import Resampling

from geocr.accessor.layout import XarrayObject
from geocr.accessor.result import PROVENANCE, SOURCE_DAYS, STD
from geocr.accessor.stack import ImageStack, optical_stack
from geocr.accessor.storage import Storage
from geocr.core.errors import InputError
from geocr.core.types import NumberArray
from geocr.inference.outputs import OutputPaths, require_writable, write_styles
from geocr.inference.parts import part_path
from geocr.inference.plan import BAND_ROWS
from geocr.inference.products import (
    DAYS_NODATA,
    FLOAT_STD_SCALE,
    STD_NODATA,
    Provenance,
    provenance_categories,
)
from geocr.io.cog import assemble_cog, colour_names, sync_rename, write_category_names
from geocr.io.part import PartWriter
from geocr.io.spec import RasterSpec


def write_cogs(obj: XarrayObject, path: Path, *, overwrite: bool) -> Path:
    """Write an image, and what goes with it if it is a result; arguments and errors as of `GeocrAccessor.to_cog`."""
    stack = optical_stack(obj)
    if len(stack) > 1:
        raise InputError(
            f"a GeoTIFF holds one date, got {len(stack)}; choose one: .isel({stack.layout.time}=0).geocr.to_cog(...), or write them in a loop"
        )
    products = _products(obj, stack)
    paths = OutputPaths.beside(path)
    finals = {"scene": paths.scene, PROVENANCE: paths.provenance, STD: paths.std, SOURCE_DAYS: paths.source_days}
    styled = [paths.style(name) for name in (PROVENANCE, STD) if name in products]
    require_writable(paths, wanted=[*(finals[name] for name in products), *styled], inputs=[], overwrite=overwrite)
    folder = paths.scratch
    try:
        parts = _write_parts(products, folder)
        made = {name: assemble_cog(parts[name], folder / f"final_{name}.tif", spec) for name, (_, spec) in products.items()}
        specs = {name: spec for name, (_, spec) in products.items()}
        styles = write_styles(made, specs, paths, folder)
        for name, file in made.items():
            sync_rename(file, finals[name])
        for final, style in styles.items():
            sync_rename(style, final)
        if PROVENANCE in products:
            write_category_names(paths.provenance, specs[PROVENANCE])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return path


def _products(obj: XarrayObject, stack: ImageStack) -> dict[str, tuple[da.Array, RasterSpec]]:
    """Stored numbers of every product, `(band, y, x)`, and what the file says beside them."""
    held = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    tags = _tags(held, stack)
    made = {"scene": (_stored(stack.pixels[0], stack.storage), _scene_spec(stack, tags))}
    for name in (PROVENANCE, SOURCE_DAYS):
        if name in held:
            made[name] = (_plane(obj[name], stack), _plane_spec(stack, name, tags, with_days=SOURCE_DAYS in held))
    std = _std(obj, stack)
    if std is not None:
        spec = _std_spec(stack, tags)
        made[STD] = (da.map_blocks(_counts, std, spec.scale, dtype=np.uint16), spec)
    return made


def _stored(pixels: Any, storage: Storage) -> da.Array:  # noqa: ANN401 - NumPy or Dask
    array = pixels if isinstance(pixels, da.Array) else da.from_array(pixels, chunks=(-1, BAND_ROWS, -1), name=False)
    return da.map_blocks(storage.to_stored, array, dtype=storage.dtype)


def _plane(array: xr.DataArray, stack: ImageStack) -> da.Array:
    flat = array.squeeze(stack.layout.time) if stack.layout.time in array.dims else array
    return da.asarray(flat.transpose(stack.layout.y, stack.layout.x).data)[None]


def _std(obj: XarrayObject, stack: ImageStack) -> da.Array | None:
    layout = stack.layout
    if isinstance(obj, xr.Dataset):
        names = [f"{variable}_{STD}" for variable in stack.variables]
        return da.concatenate([_plane(obj[name], stack) for name in names]) if set(names) <= set(obj.data_vars) else None
    if STD not in obj.coords:
        return None
    std = obj[STD].squeeze(layout.time) if layout.time in obj[STD].dims else obj[STD]
    if layout.band is None:
        return _plane(std, stack)
    return da.asarray(std.transpose(layout.band, layout.y, layout.x).data)


def _counts(std: NumberArray, scale: float) -> NumberArray:
    """The counts that `predict_scene` writes for a standard deviation: 0 is observed."""
    counts: NumberArray = np.where(np.isnan(std), STD_NODATA, np.rint(np.nan_to_num(std) / np.float32(scale))).astype(np.uint16)
    return counts


def _scene_spec(stack: ImageStack, tags: Mapping[str, str]) -> RasterSpec:
    storage = stack.storage
    return RasterSpec(
        grid=stack.grid,
        count=len(stack.names),
        dtype=storage.dtype,
        nodata=storage.nodata,
        descriptions=stack.names,
        scale=storage.scale,
        offset=storage.offset,
        colorinterp=colour_names([name or "" for name in stack.names]),
        tags=tags,
    )


def _std_spec(stack: ImageStack, tags: Mapping[str, str]) -> RasterSpec:
    storage = stack.storage
    is_scaled_count = np.dtype(storage.dtype).kind in "ui" and storage.scale != 1
    return RasterSpec(
        grid=stack.grid,
        count=len(stack.names),
        dtype="uint16",
        nodata=STD_NODATA,
        descriptions=tuple(f"{name or f'band {number}'} standard deviation" for number, name in enumerate(stack.names, start=1)),
        scale=abs(storage.scale) if is_scaled_count else FLOAT_STD_SCALE,
        tags=tags,
    )


def _plane_spec(stack: ImageStack, name: str, tags: Mapping[str, str], *, with_days: bool) -> RasterSpec:
    """Provenance, or the days of a pixel's source: one band that is never averaged."""
    is_classes = name == PROVENANCE
    categories = provenance_categories(with_days=with_days)
    names = {f"PROVENANCE_{value}": title for value, (title, _) in categories.items()}
    return RasterSpec(
        grid=stack.grid,
        count=1,
        dtype="uint8" if is_classes else "int16",
        nodata=float(Provenance.NODATA) if is_classes else DAYS_NODATA,
        descriptions=(PROVENANCE if is_classes else "days from the scene to the source",),
        tags={**tags, **names} if is_classes else tags,
        categories=categories if is_classes else {},
        resampling=Resampling.nearest,
    )


def _tags(held: Any, stack: ImageStack) -> dict[str, str]:  # noqa: ANN401 - variables or coordinates
    """What the object says of itself, how it was made, and the notice that Copernicus asks for."""
    made = held[PROVENANCE].attrs if PROVENANCE in held else {}
    said = {name.upper(): str(made[name]) for name in ("geocr_version", "geocr_parameters") if name in made}
    year = datetime.now(UTC).year if stack.dates is None else stack.dates[0].astype("datetime64[Y]")
    return {"ATTRIBUTION": f"Contains modified Copernicus Sentinel data [{year}]", **stack.tags, **said}


def _write_parts(products: Mapping[str, tuple[da.Array, RasterSpec]], folder: Path) -> dict[str, list[tuple[Path, int, int]]]:
    """Compute and write every band of rows of every product; returns path, first row and rows of each part."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    parts: dict[str, list[tuple[Path, int, int]]] = {}
    tasks = []
    for name, (array, spec) in products.items():
        rows, cols = spec.grid.shape
        bands = array.rechunk((spec.count, BAND_ROWS, cols))
        parts[name] = []
        for number, row in enumerate(range(0, rows, BAND_ROWS)):
            height = min(BAND_ROWS, rows - row)
            parts[name].append((part_path(folder, name, row), row, height))
            block = bands.blocks[0, number, 0]
            tasks.append(
                delayed(_write_part, traverse=False)(block.to_delayed(optimize_graph=False).item(), _Box((folder, name, spec, row)))
            )
    for (path, _, _), content in zip([part for product in parts.values() for part in product], dask.compute(*tasks), strict=True):
        if content is not None:
            path.write_bytes(content)
    return parts


class _Box:
    """A value that Dask does not look into."""

    def __init__(self, value: Any) -> None:  # noqa: ANN401 - anything
        self.value = value


def _write_part(block: NumberArray, place: _Box) -> bytes | None:
    """Write a part where the client's folder is seen; else return it as bytes."""
    folder, name, spec, row = place.value
    if folder.is_dir():
        _write(block, folder, name, spec, row)
        return None

    with tempfile.TemporaryDirectory(prefix="geocr-") as local:
        _write(block, Path(local), name, spec, row)
        return part_path(Path(local), name, row).read_bytes()


def _write(block: NumberArray, folder: Path, name: str, spec: RasterSpec, row: int) -> None:
    writer = PartWriter(part_path(folder, name, row), spec, row=row, height=block.shape[1])
    try:
        writer.write(np.ascontiguousarray(block))
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
