"""Masks read from rasters: a scene classification (SCL) or a mask of one's own, at full resolution.

Nothing is read before a window asks for it. The raster is taken onto the scene's grid by nearest neighbour
(classes cannot be interpolated), with as many pixels of context as the buffer reaches, and widened there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from geocr.clouds.mask import Description, MaskRequest, check_inside, refuse_threshold
from geocr.clouds.morphology import dilate_disc, disc_margin
from geocr.core.errors import CloudMaskError, GeoreferenceError
from geocr.core.types import BoolArray, NumberArray, Window
from geocr.io.grid import SceneGrid
from geocr.io.raster import RasterReader, open_raster
from geocr.io.sar import WARP_TOLERANCE_PX
from geocr.io.scene import Scene

SCL_CLOUD_CLASSES = (3, 8, 9, 10)
"""Sen2Cor's cloud shadow, cloud of medium and of high probability, thin cirrus (ESA, Level-2A ATBD)."""
SCL_CLASSES = 12
"""SCL runs from 0 (nodata) to 11 (snow or ice)."""
MAX_STRAY_SHARE = 0.01
"""Share of other values an SCL may hold, read as clear: resampled copies have been seen with a stray 12."""


class MaskReader(RasterReader):
    """Reads the first band of a mask on the scene's grid; a `RasterReader` that warps if it must.

    Args:
        path: The mask raster.
        grid: The grid to read on.
        aligned: True when the raster's pixels are the scene's pixels, so that nothing is to be warped.
    """

    def __init__(self, path: str, *, grid: SceneGrid, aligned: bool) -> None:
        super().__init__(path)
        self.grid = grid
        self.aligned = aligned

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "grid": self.grid, "aligned": self.aligned}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"], grid=state["grid"], aligned=state["aligned"])  # type: ignore[misc]

    def _open(self) -> DatasetReader:
        source = open_raster(self.path)
        if self.aligned:
            return source
        return WarpedVRT(
            source,
            crs=self.grid.crs,
            transform=self.grid.transform,
            height=self.grid.shape[0],
            width=self.grid.shape[1],
            resampling=Resampling.nearest,
            src_nodata=source.nodata,
            nodata=source.nodata,  # the same on both sides, so that no valid value turns into nodata or away from it
            tolerance=WARP_TOLERANCE_PX,
        )

    def read_values(self, window: Window) -> tuple[NumberArray, BoolArray]:
        """Values of a window in the file's dtype and where they are observed, both `(height, width)`.

        Outside the raster the value is 0, or its nodata if it has one.
        """
        values = self.read(window, (1,))[0]
        nodata = self.handle.nodata
        seen = np.isfinite(values)
        if nodata is not None:
            seen &= values != nodata
        return values, seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RasterMask:
    """A cloud mask that lives in a file."""

    source: str
    """`scl` or `file`."""
    reader: MaskReader
    """The raster on the scene's grid."""
    classes: tuple[int, ...]
    """Values that mean cloud or shadow; empty: every value but 0."""
    buffer_m: float
    """Metres by which clouds are widened."""
    notes: tuple[str, ...] = ()
    """To be said aloud."""

    @property
    def radius_px(self) -> float:
        """The buffer in scene pixels."""
        return self.buffer_m / self.reader.grid.pixel_size_m

    def read(self, window: Window) -> BoolArray:
        """The mask of a window: `(height, width)` bool, True is cloud or shadow."""
        shape = self.reader.grid.shape
        check_inside(window, shape)
        radius_px = self.radius_px
        outer = window.grown(disc_margin(radius_px), shape)
        values, seen = self.reader.read_values(outer)
        if self.classes:
            cloud = np.isin(values, self.classes) & seen
            wide = dilate_disc(cloud, radius_px) & seen & (values != 0)
        else:
            wide = dilate_disc((values != 0) & seen, radius_px)
        cropped: BoolArray = wide[window.slices_in(outer)]
        return cropped

    def describe(self) -> Description:
        """Method, buffer and resolution as plain values."""
        return {
            "source": self.source,
            "path": self.reader.path,
            "classes": list(self.classes) or None,
            "threshold": None,
            "buffer_m": self.buffer_m,
            "working_resolution_m": self.reader.grid.pixel_size_m,
            "sun_zenith_deg": None,
            "sun_azimuth_deg": None,
            "shadows": "class 3" if self.classes else "as in the file",
        }


def make_scl_mask(scene: Scene, request: MaskRequest) -> RasterMask:
    """Clouds and shadows of a Sentinel-2 scene classification.

    A pixel of class 0 (nodata) is never cloud, not even within the buffer of one.

    Raises:
        CloudMaskError: When no file is given, or more than 1 % of a sample of its values are no scene classes.
        GeoreferenceError: When the file cannot be laid over the scene.
        InputError: When a threshold is given.
    """
    path = request.raster or scene.optical_facts.scl
    if path is None:
        raise CloudMaskError(
            "the cloud mask scl is read from a Sentinel-2 scene classification (SCL), got none; "
            "give it as --scl FILE, or use --cloud-mask auto to find clouds in the bands"
        )
    refuse_threshold(request, "the scene classification")
    raw = RasterReader(path)
    values = sample_of(raw)
    _check_classes(values, path)
    present = set(np.unique(values).tolist())
    if present in ({1}, {0, 1}):
        raise CloudMaskError(
            f"a scene classification has classes such as 4 (vegetation) and 9 (cloud); {path} holds only {sorted(present)} and looks like a mask; "
            f"give it as --cloud-mask {path}"
        )
    aligned, notes = lay_over(raw, scene.grid)
    said = f"Clouds are classes 3 (shadow), 8, 9 (cloud) and 10 (cirrus) of the scene classification, widened by {request.buffer_m:.0f} m."
    return RasterMask(
        source="scl",
        reader=MaskReader(path, grid=scene.grid, aligned=aligned),
        classes=SCL_CLOUD_CLASSES,
        buffer_m=request.buffer_m,
        notes=(*request.notes, said, *notes),
    )


def make_file_mask(scene: Scene, request: MaskRequest) -> RasterMask:
    """A mask of the caller's own: the first band of a raster; all but 0, NaN and its nodata is cloud.

    Raises:
        CloudMaskError: When no file is given.
        RasterNotFoundError: When there is none at the path.
        GeoreferenceError: When the file cannot be laid over the scene.
        InputError: When a threshold is given.
    """
    if request.raster is None:
        raise CloudMaskError("a cloud mask from a file needs the file's path, got none; give it as --cloud-mask FILE")
    refuse_threshold(request, "a file")
    path = request.raster
    raw = RasterReader(path)
    aligned, notes = lay_over(raw, scene.grid)
    count = raw.handle.count
    if count > 1:
        notes.append(f"The cloud mask is the first of the {count} bands of {path}.")
    values = np.unique(sample_of(raw))
    if values.size > 2:
        notes.append(f"{path} holds more than two values (such as {values[1]:g} and {values[-1]:g}): all but 0 are taken as cloud.")
    said = f"Clouds are read from {path} (all but 0), widened by {request.buffer_m:.0f} m."
    return RasterMask(
        source="file",
        reader=MaskReader(path, grid=scene.grid, aligned=aligned),
        classes=(),
        buffer_m=request.buffer_m,
        notes=(*request.notes, said, *notes),
    )


def sample_of(raw: RasterReader) -> NumberArray:
    """Some observed values of a raster's first band, flat."""
    values = raw.sample((1,))
    nodata = raw.handle.nodata
    return values[np.isfinite(values) if nodata is None else np.isfinite(values) & (values != nodata)]


def _check_classes(values: NumberArray, path: str) -> None:
    wrong = (values < 0) | (values >= SCL_CLASSES) | (values != np.floor(values))
    if wrong.sum() > MAX_STRAY_SHARE * values.size:
        raise CloudMaskError(
            f"a scene classification holds whole numbers from 0 to 11, got {values[wrong][0]!s} in {path}; "
            "choose the SCL file of the product, or give a mask as --cloud-mask FILE"
        )


def lay_over(raw: RasterReader, grid: SceneGrid) -> tuple[bool, list[str]]:
    """Whether a raster's pixels are the scene's, and sentences on how it lies over it.

    Raises:
        GeoreferenceError: When it has no CRS and another shape than the scene, or lies elsewhere.
    """
    source, path = raw.handle, raw.path
    if source.crs is None:
        if source.shape != grid.shape:
            raise GeoreferenceError(
                f"a mask without a CRS must have the scene's own pixels, {grid.shape[0]} rows x {grid.shape[1]} columns; "
                f"{path} has no CRS and {source.shape[0]} x {source.shape[1]}; write its CRS into it: `gdal_edit.py -a_srs EPSG:… -a_ullr … {path}`"
            )
        return True, [f"{path} has no CRS and the scene's size: its pixels are taken as the scene's."]
    if source.crs == grid.crs and source.shape == grid.shape and source.transform.almost_equals(grid.transform, precision=1e-9):
        return True, []
    _check_overlap(source, grid, path)
    return False, [] if _covers(source, grid) else [f"{path} does not cover the whole scene: what lies outside it is taken as clear."]


def _check_overlap(source: DatasetReader, grid: SceneGrid, path: str) -> None:
    target = rasterio.transform.array_bounds(*grid.shape, grid.transform)
    try:
        west, south, east, north = transform_bounds(source.crs, grid.crs, *rasterio.transform.array_bounds(*source.shape, source.transform))
    except RasterioError as error:
        raise GeoreferenceError(f"a mask must be transformable into the scene's CRS; {path} is not: {error}") from error
    if not (west < target[2] and east > target[0] and south < target[3] and north > target[1]):
        raise GeoreferenceError(
            f"a mask must overlap the scene; in {grid.crs.to_string()} {path} spans x {west:.6g} to {east:.6g}, y {south:.6g} to {north:.6g} and "
            f"the scene x {target[0]:.6g} to {target[2]:.6g}, y {target[1]:.6g} to {target[3]:.6g}; choose the mask of this scene"
        )


def _covers(source: DatasetReader, grid: SceneGrid) -> bool:
    """True when the scene's outermost pixels, sampled along its border, all lie inside the raster."""
    rows, cols = grid.shape
    down, across = np.linspace(0.5, rows - 0.5, 9), np.linspace(0.5, cols - 0.5, 9)
    edge = [(row, col) for row in down for col in (0.5, cols - 0.5)] + [(row, col) for row in (0.5, rows - 0.5) for col in across]
    points = [grid.transform * (col, row) for row, col in edge]
    xs, ys = transform_points(grid.crs, source.crs, [x for x, _ in points], [y for _, y in points])
    inverse = ~source.transform
    pixels = [inverse * (x, y) for x, y in zip(xs, ys, strict=True)]
    return all(0 <= col <= source.width and 0 <= row <= source.height for col, row in pixels)
