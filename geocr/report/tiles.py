"""Tiles of a run's rasters for the viewer: in the scene's own pixels, so that nothing is resampled at full resolution.

rio-tiler reads them. A tile of level `k` is `TILE_PX` pixels wide and shows `TILE_PX * 2**k` pixels of the scene; level 0 is the scene itself.
Tiles at the right and lower edge are as small as what is left.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Literal, get_args

import numpy as np
import rasterio
from PIL import Image
from rasterio.io import DatasetReader

from geocr.core.errors import InputError
from geocr.core.types import BoolArray, ByteArray, FloatArray, NumberArray, Window
from geocr.io.qgis import std_range
from geocr.io.raster import open_raster
from geocr.report.classes import ProvenanceClass, provenance_classes
from geocr.report.layers import Palette, palette_of, read_pixels, std_colours
from geocr.report.rendering import band_names, class_colours, picture_of, rgb_indexes, same_bands, shrunk_shape
from geocr.report.result import READ_OPTIONS, ResultFiles, open_result

Layer = Literal["after", "before", "provenance", "std"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
TILE_PX = 256
_PALETTE_PX = 800


def require_tiler() -> None:
    """Raise unless what reads tiles is installed.

    Raises:
        InputError: With the way to install it.
    """
    try:
        import rio_tiler.io.rasterio  # noqa: F401, PLC0415
    except ImportError as error:
        raise InputError("the viewer needs the package rio-tiler, which is not installed; pip install 'geocr[view]'") from error


class SceneTiles:
    """Pictures of parts of a run; safe to share between threads, each call opens what it reads.

    Args:
        files: The rasters of the run. No other file is ever read.

    Raises:
        InputError: When rio-tiler is not installed.
        RasterReadError: When a raster cannot be read.
    """

    def __init__(self, files: ResultFiles) -> None:
        require_tiler()
        from rio_tiler.errors import NoOverviewWarning  # noqa: PLC0415 - an optional extra

        # the input may well have none: `slow_layers` says it once, in words
        warnings.simplefilter("ignore", NoOverviewWarning)
        self.files = files
        with rasterio.Env(**READ_OPTIONS), open_result(replace(files, before=None)) as result:
            pixels = read_pixels(result, shrunk_shape(result.scene.shape, _PALETTE_PX))
            self.shape: tuple[int, int] = result.scene.shape
            self.bands = result.bands
            self.classes: tuple[ProvenanceClass, ...] = provenance_classes(result.provenance)
            self.palette: Palette = palette_of(pixels, std_range(pixels.std) if pixels.std is not None else 1.0)
        self._draw: dict[str, Callable[[DatasetReader, tuple[Window, tuple[int, int]]], ByteArray]] = {
            "after": self._after,
            "before": self._before,
            "provenance": self._provenance,
            "std": self._std,
        }

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What there is to show."""
        return tuple(layer for layer in LAYERS if self._has(layer))

    @property
    def slow_layers(self) -> tuple[Layer, ...]:
        """Rasters without overviews: their tiles take longer the more of the scene they show."""
        slow: list[Layer] = []
        for layer in self.layers:
            with self._open(layer) as dataset:
                if max(dataset.shape) > 2 * TILE_PX and not dataset.overviews(1):
                    slow.append(layer)
        return tuple(slow)

    @property
    def levels(self) -> int:
        """Levels: in the last, the scene is one tile."""
        return max(0, int(np.ceil(np.log2(max(self.shape) / TILE_PX)))) + 1

    def tile(self, layer: str, level: int, row: int, col: int) -> bytes | None:
        """A PNG, or None where there is no such tile.

        Raises:
            RasterReadError: When the raster cannot be read.
        """
        place = self._place(level, row, col)
        if place is None or not self._has(layer):
            return None
        with rasterio.Env(**READ_OPTIONS), self._open(layer) as dataset:
            pixels = self._draw[layer](dataset, place)
        stream = BytesIO()
        Image.fromarray(pixels).save(stream, format="PNG", compress_level=1)
        return stream.getvalue()

    def _has(self, layer: str) -> bool:
        optional = {"before": self.files.before, "std": self.files.std}
        return layer in LAYERS and (layer not in optional or optional[layer] is not None)

    def _open(self, layer: str) -> DatasetReader:
        """A layer that there is, open for the caller alone."""
        files = self.files
        if layer == "before" and files.before is not None:
            return files.before.open()
        return open_raster({"after": files.scene, "provenance": files.provenance}.get(layer) or files.std or "")

    def _place(self, level: int, row: int, col: int) -> tuple[Window, tuple[int, int]] | None:
        """The scene's pixels that a tile shows, and its size."""
        if not 0 <= level < self.levels or row < 0 or col < 0:
            return None
        side = TILE_PX << level
        height, width = min(side, self.shape[0] - row * side), min(side, self.shape[1] - col * side)
        if height < 1 or width < 1:
            return None
        return Window(row=row * side, col=col * side, height=height, width=width), (-(-height >> level), -(-width >> level))

    def _after(self, dataset: DatasetReader, place: tuple[Window, tuple[int, int]]) -> ByteArray:
        return self._photograph(dataset, place, band_names(dataset))

    def _before(self, dataset: DatasetReader, place: tuple[Window, tuple[int, int]]) -> ByteArray:
        return self._photograph(dataset, place, self.files.before.bands if self.files.before is not None else ())

    def _photograph(self, dataset: DatasetReader, place: tuple[Window, tuple[int, int]], names: Sequence[str | None]) -> ByteArray:
        bands = same_bands(rgb_indexes(self.bands), self.bands, names)
        pixels, hidden = read_part(dataset, bands, place, "average")
        values: FloatArray = pixels.astype(np.float32)
        values[hidden] = np.nan
        valid: BoolArray = ~np.logical_and.reduce(hidden, axis=0)
        return np.dstack([picture_of(values, self.palette.stretch, valid), valid.astype(np.uint8) * 255])

    def _provenance(self, dataset: DatasetReader, place: tuple[Window, tuple[int, int]]) -> ByteArray:
        values = read_part(dataset, [1], place, "nearest")[0][0]
        shown = np.isin(values, [kind.value for kind in self.classes if kind.replaced])
        return np.dstack([class_colours(dataset, values), shown.astype(np.uint8) * 255])

    def _std(self, dataset: DatasetReader, place: tuple[Window, tuple[int, int]]) -> ByteArray:
        counts, hidden = read_part(dataset, list(range(1, dataset.count + 1)), place, "nearest")
        known = ~hidden & (counts > 0)
        scales = np.array(dataset.scales, np.float32)[:, None, None]
        with np.errstate(invalid="ignore"):
            mean = (counts * scales).sum(axis=0, where=known, dtype=np.float32) / known.sum(axis=0, dtype=np.float32)
        return std_colours(mean, self.palette.std_top)


def read_part(
    dataset: DatasetReader, bands: list[int], place: tuple[Window, tuple[int, int]], resampling: Literal["average", "nearest"]
) -> tuple[NumberArray, NumberArray]:
    """Pixels of a window at some size, and where bands hold nothing (bool), both `(band, y, x)`.

    rio-tiler reads them from the overview that fits; where the size is the window's, pixels are the file's own.
    """
    from rio_tiler.io.rasterio import ImageReader  # noqa: PLC0415 - an optional extra, and slow to import

    window, (height, width) = place
    bounds = (window.col, window.row_stop, window.col_stop, window.row)  # left, bottom, right, top: rows count downward here
    with ImageReader(None, dataset=dataset) as reader:
        image = reader.part(bounds, indexes=bands, width=width, height=height, resampling_method=resampling)
    return image.array.data, np.ma.getmaskarray(image.array)
