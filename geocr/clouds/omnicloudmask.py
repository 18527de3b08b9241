"""OmniCloudMask: networks that find thick and thin cloud and shadow in red, green and near infrared, at 10 to 50 m.

Wright et al., "Training sensor-agnostic deep learning models for remote sensing: Achieving state-of-the-art cloud and cloud shadow
identification with OmniCloudMask", Remote Sens. Environ. 322, 2025. The package is an optional extra (`pip install 'geocr[omnicloudmask]'`)
and fetches its weights when it is first used. It is handed blocks of the scene, each with context around it, from a lattice that
depends on nothing but the scene: so memory is bounded, and a pixel's answer is the same in whatever window it is asked for.
"""

import warnings
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from math import ceil, prod, sqrt

import numpy as np

from geocr.clouds.mask import MaskRequest, refuse_threshold
from geocr.clouds.morphology import dilate_disc
from geocr.clouds.working import CHUNK_VALUES, COARSE_PIXELS, CoarseMask, WorkingGrid
from geocr.core.errors import CloudMaskError
from geocr.core.types import BoolArray, ByteArray, FloatArray, Window
from geocr.io.grid import SceneGrid
from geocr.io.scene import Scene, block_mean

NIR_BANDS = ("B8A", "B08")
"""Near infrared, the better liked first: that of the package's own loader for Sentinel-2."""
FINEST_M, COARSEST_M = 10.0, 50.0
"""Pixel sizes that the networks are made for."""
BLOCK_PX = 2000
"""Side of a block without its context, working pixels."""
CONTEXT_PX = 150
"""Context on each side of a block: half of what the package lets its patches overlap."""
LEAST_SIDE_PX = 32
"""Smallest patch that the package takes; smaller scenes are refused."""
THICK, THIN, SHADOW = 1, 2, 3
"""Its classes; 0 is clear."""


def why_unavailable(bands: tuple[str, ...]) -> str | None:
    """Why OmniCloudMask cannot run on a scene with these bands here, or None when it can (if its weights are there)."""
    if not {"B04", "B03"} <= set(bands) or not set(NIR_BANDS) & set(bands):
        return f"OmniCloudMask needs B04, B03 and B8A or B08; the scene has {', '.join(bands)}"
    if find_spec("omnicloudmask") is None:
        return "OmniCloudMask is not installed; `pip install 'geocr[omnicloudmask]'`"
    return None


def make_omnicloudmask_mask(scene: Scene, request: MaskRequest) -> CoarseMask:
    """The OmniCloudMask of a scene of either level.

    Raises:
        CloudMaskError: When bands or the package are missing, its weights cannot be had, or pixels are not of 10 to 50 m.
        InputError: When a threshold is given.
    """
    refuse_threshold(request, "OmniCloudMask")
    reason = why_unavailable(scene.bands)
    if reason is not None:
        raise CloudMaskError(f"{reason}; or use --cloud-mask auto to find clouds by other means")
    working = fine_working_grid(scene.grid)
    bands = ("B04", "B03", next(band for band in NIR_BANDS if band in scene.bands))
    cloud, shadow, seen = np.zeros((3, *working.shape), bool)
    for block in _blocks(working.shape):
        outer = _with_context(block, working.shape)
        picture, valid = _picture(scene, bands, working, outer)
        inner = block.slices_in(outer)
        here = block.slices_in(Window(row=0, col=0, height=working.shape[0], width=working.shape[1]))
        seen[here] = valid[inner]
        if valid.any():
            classes = _classes(picture)
            cloud[here] = ((classes == THICK) | (classes == THIN))[inner] & valid[inner]
            shadow[here] = (classes == SHADOW)[inner] & valid[inner]
    radius_px = request.buffer_m / working.resolution_m
    if request.buffer_m > 0:
        radius_px = max(1.0, radius_px)
    observed = max(1, int(seen.sum()))
    return CoarseMask(
        source="omnicloudmask",
        working=working,
        cloud=dilate_disc(cloud | shadow, radius_px) & seen,
        facts={
            "version": version("omnicloudmask"),
            "threshold": None,
            "buffer_m": radius_px * working.resolution_m,
            "sun_zenith_deg": None,
            "sun_azimuth_deg": None,
            "shadows": "class 3",
            "cloud_share": int(cloud.sum()) / observed,
            "shadow_share": int(shadow.sum()) / observed,
        },
        notes=(*request.notes, _sentence(working, radius_px), *_nir_note(bands)),
    )


def fine_working_grid(grid: SceneGrid) -> WorkingGrid:
    """The scene's own pixels, or squares of them where those are too fine or too many.

    Raises:
        CloudMaskError: When that gives no pixels of 10 to 50 m.
    """
    factor = max(1, ceil(FINEST_M / grid.pixel_size_m - 1e-6), ceil(sqrt(prod(grid.shape) / COARSE_PIXELS) - 1e-9))
    while ceil(grid.shape[0] / factor) * ceil(grid.shape[1] / factor) > COARSE_PIXELS:
        factor += 1
    working = WorkingGrid(scene_shape=grid.shape, factor=factor, resolution_m=grid.pixel_size_m * factor)
    if working.resolution_m > COARSEST_M + 1e-6 or min(working.shape) < LEAST_SIDE_PX:
        raise CloudMaskError(
            f"OmniCloudMask works on pixels of {FINEST_M:g} to {COARSEST_M:g} m and sides of at least {LEAST_SIDE_PX} of them; this scene of "
            f"{grid.shape[0]} x {grid.shape[1]} pixels would give it {working.shape[0]} x {working.shape[1]} of {working.resolution_m:g} m; "
            "use --cloud-mask auto"
        )
    return working


def _blocks(shape: tuple[int, int]) -> Iterator[Window]:
    rows, cols = shape
    for row in range(0, rows, BLOCK_PX):
        for col in range(0, cols, BLOCK_PX):
            yield Window(row=row, col=col, height=min(BLOCK_PX, rows - row), width=min(BLOCK_PX, cols - col))


def _with_context(block: Window, shape: tuple[int, int]) -> Window:
    """The block with its context; a sliver at the scene's far edge is given more, so that no picture is smaller than a patch may be."""
    outer = block.grown(CONTEXT_PX, shape)
    row, col = (max(0, min(start, stop - LEAST_SIDE_PX)) for start, stop in ((outer.row, outer.row_stop), (outer.col, outer.col_stop)))
    return Window(row=row, col=col, height=outer.row_stop - row, width=outer.col_stop - col)


def _picture(scene: Scene, bands: tuple[str, ...], working: WorkingGrid, outer: Window) -> tuple[FloatArray, BoolArray]:
    """Reflectances of a window of the working grid, `(3, rows, columns)` float32 with 0 where nothing is, and where something is."""
    picture = np.zeros((len(bands), *outer.shape), np.float32)
    valid = np.zeros(outer.shape, bool)
    factor, (rows, cols) = working.factor, working.scene_shape
    left, right = outer.col * factor, min(cols, outer.col_stop * factor)
    step = max(1, CHUNK_VALUES // (len(bands) * (right - left) * factor))
    for start in range(0, outer.height, step):
        top = (outer.row + start) * factor
        bottom = min(rows, (outer.row + min(outer.height, start + step)) * factor)
        mean, seen = block_mean(scene.read_reflectance(Window(row=top, col=left, height=bottom - top, width=right - left), bands), factor)
        here = slice(start, start + mean.shape[1])
        valid[here] = seen.all(axis=0)
        picture[:, here] = np.where(valid[here], np.maximum(mean, np.float32(1e-4)), np.float32(0))  # an observed pixel is never its nodata
    return picture, valid


def _classes(picture: FloatArray) -> ByteArray:
    """The package's classes of a picture, `(rows, columns)` uint8.

    Raises:
        CloudMaskError: When its weights cannot be had.
    """
    import omnicloudmask  # noqa: PLC0415 - torch and the models behind it, for those who use it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a block is smaller than a patch, or holds much nodata
            found = omnicloudmask.predict_from_array(picture, no_data_value=0, apply_no_data_mask=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise CloudMaskError(
            f"OmniCloudMask must run, and fetches its weights when it is first used; here: {error}; run it once with a network, or use --cloud-mask auto"
        ) from error
    classes: ByteArray = np.asarray(found).reshape(picture.shape[1:]).astype(np.uint8)
    return classes


def _sentence(working: WorkingGrid, radius_px: float) -> str:
    return (
        f"Clouds and shadows are found by OmniCloudMask on a grid of {working.resolution_m:.0f} m, "
        f"and widened by {radius_px * working.resolution_m:.0f} m."
    )


def _nir_note(bands: tuple[str, ...]) -> tuple[str, ...]:
    return () if NIR_BANDS[0] in bands else ("OmniCloudMask is given B08 as near infrared: the scene has no B8A.",)
