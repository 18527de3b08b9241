"""A result as a picture, reduced chunk by chunk: whatever its size, only what is shown is held."""

import tempfile
from pathlib import Path
from typing import Any

import dask
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from PIL import Image

from geocr.accessor.layout import XarrayObject
from geocr.accessor.result import PROVENANCE, provenance_of
from geocr.accessor.stack import ImageStack, optical_stack
from geocr.core.errors import InputError
from geocr.core.types import ByteArray, FloatArray
from geocr.inference.products import PROVENANCE_CATEGORIES
from geocr.report.quicklook import PANEL_PX, write_quicklook

_PICTURE_GRID = Affine(10.0, 0.0, 0.0, 0.0, -10.0, 0.0)
"""Of the temporary files, whose place does not matter: rasterio warns of a file that has none, or the identity."""


def draw_preview(result: XarrayObject, before: XarrayObject | None) -> Image.Image:
    """Before, after and provenance side by side; without the first where it is not known.

    Args:
        result: Of `remove_clouds`, one date.
        before: The cloudy scene on the same grid, or None.

    Raises:
        InputError: When it is no result, has several dates, or the two differ in size.
    """
    provenance = provenance_of(result)
    after = optical_stack(result)
    if len(after) > 1:
        raise InputError(f"a preview shows one date, got {len(after)}; choose one: result.isel({after.layout.time}=0).geocr.preview()")
    stacks = [after] if before is None else [optical_stack(before), after]
    if len({stack.pixels.shape for stack in stacks}) > 1:
        raise InputError(
            f"before and after must be the same pixels and bands, got {stacks[0].pixels.shape[1:]} and {after.pixels.shape[1:]}"
        )
    factor = -(-max(after.grid.shape) // PANEL_PX)
    planes = [_reduced(stack, factor) for stack in stacks]
    others = [dim for dim in provenance.dims if dim not in (after.layout.y, after.layout.x)]
    flat = provenance.squeeze(others, drop=True).transpose(after.layout.y, after.layout.x)
    *images, classes = dask.compute(*planes, flat[::factor, ::factor].data)
    names = tuple(name or f"B{number}" for number, name in enumerate(after.names, start=1))
    return _picture([np.asarray(image, np.float32) for image in images], np.asarray(classes, np.uint8), names, after.tags)


def _reduced(stack: ImageStack, factor: int) -> Any:  # noqa: ANN401 - NumPy or Dask
    """`(band, y, x)` float32 stored numbers, NaN is nodata, averaged over squares of pixels; those at the far edges may be partial."""
    array = xr.DataArray(stack.pixels[0], dims=("band", "y", "x"))
    values = array.astype(np.float32)
    if stack.storage.nodata is not None and not stack.storage.coded and not np.isnan(stack.storage.nodata):
        nodata = stack.storage.nodata
        values = values.where(
            array != (nodata if not stack.storage.as_unsigned else array.dtype.type(np.uint64(nodata).astype(array.dtype)))
        )
    if factor == 1:
        return values.data
    return values.coarsen(y=factor, x=factor, boundary="pad").mean().data


def _picture(images: list[FloatArray], classes: ByteArray, names: tuple[str, ...], tags: dict[str, str]) -> Image.Image:
    classes = classes[: images[0].shape[1], : images[0].shape[2]]
    with tempfile.TemporaryDirectory(prefix="geocr-preview-") as folder:
        files = [_write(Path(folder) / f"{number}.tif", image, names, tags) for number, image in enumerate(images)]
        shown = _write_classes(Path(folder) / "classes.tif", classes)
        picture = write_quicklook(files[0], files[-1], shown, Path(folder) / "preview.png")
        with Image.open(picture) as opened:
            opened.load()
            return opened if len(images) > 1 else _without_first_panel(opened)


def _without_first_panel(picture: Image.Image) -> Image.Image:
    """The picture of two panels: before is not known, and the first of the three showed the result too."""
    return picture.crop((picture.width // 3, 0, picture.width, picture.height))


def _write(path: Path, image: FloatArray, names: tuple[str, ...], tags: dict[str, str]) -> str:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=image.shape[0],
        height=image.shape[1],
        width=image.shape[2],
        dtype="float32",
        nodata=np.nan,
        transform=_PICTURE_GRID,
    ) as file:
        file.write(image)
        file.update_tags(**{key: value for key, value in tags.items() if key == "ATTRIBUTION"})
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
    return str(path)


def _write_classes(path: Path, classes: ByteArray) -> str:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=classes.shape[0],
        width=classes.shape[1],
        dtype="uint8",
        nodata=0,
        transform=_PICTURE_GRID,
    ) as file:
        file.write(classes, 1)
        file.write_colormap(1, {value: colour for value, (_, colour) in PROVENANCE_CATEGORIES.items()})
        file.update_tags(**{f"{PROVENANCE.upper()}_{value}": name for value, (name, _) in PROVENANCE_CATEGORIES.items()})
    return str(path)
