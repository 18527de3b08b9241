"""Choose a cloud mask: by name, by file, or the best that the scene's bands allow."""

from math import isfinite
from pathlib import Path

from geocr.clouds.mask import CloudMask, MaskRequest
from geocr.clouds.raster import make_file_mask
from geocr.clouds.s2cloudless import why_unavailable
from geocr.clouds.sun import sun_from_arguments, sun_from_tags
from geocr.core.errors import InputError, RasterNotFoundError
from geocr.core.registry import Registry
from geocr.io.scene import Scene

CLOUD_MASKS = Registry(
    "geocr.cloud_masks",
    {
        "s2cloudless": "geocr.clouds.s2cloudless:make_s2cloudless_mask",
        "scl": "geocr.clouds.raster:make_scl_mask",
        "rule": "geocr.clouds.rule:make_rule_mask",
    },
)
"""Makers of cloud masks, `(scene, request) -> CloudMask`. A new one is a file and a line here."""

DEFAULT_BUFFER_M = 60.0
"""Buffer when none is given. Around the clouds s2cloudless finds in SEN12MS-CR, the blue band is brighter than on
the clear date by 0.02 to 0.06 in the first 20 m, by 0.01 to 0.03 between 40 and 60 m, and by less than 0.02
beyond: there the observation is better than a reconstruction. It is also one working pixel on large scenes."""


def make_cloud_mask(
    scene: Scene,
    method: str = "auto",
    *,
    scl: str | None = None,
    buffer_m: float | None = None,
    buffer_px: int | None = None,
    threshold: float | None = None,
    sun_zenith_deg: float | None = None,
    sun_azimuth_deg: float | None = None,
) -> CloudMask:
    """Make the cloud mask of a scene.

    Args:
        scene: The scene; detectors read it once, in pieces.
        method: `auto`, a name of `CLOUD_MASKS`, or the path of a mask raster (all but 0 is cloud).
            Auto takes the scene classification when `scl` is given, else s2cloudless where its ten L1C
            bands are there, else the rule-based score.
        scl: Path of a Sentinel-2 scene classification, any grid that overlaps.
        buffer_m: Metres by which cloud and shadow are widened (Euclidean), 0 or more; 60 when neither buffer is
            given. Detectors widen by at least one working pixel unless it is 0.
        buffer_px: The same in scene pixels.
        threshold: The detector's score from which a pixel is cloud, within 0 to 1; its own default when None.
        sun_zenith_deg: Sun's angle from straight above, for shadows; from the file's tags when None.
        sun_azimuth_deg: Sun's direction, clockwise from north; from the file's tags when None.

    Raises:
        InputError: When an argument is out of its range, or two exclude each other.
        CloudMaskError: When the method does not fit the scene.
        RasterNotFoundError: When a file is missing, or the method is neither a name nor a file.
        RasterReadError: When a file is no raster.
        GeoreferenceError: When a file cannot be laid over the scene.
    """
    _check_threshold(threshold)
    name, raster, notes = _choose(scene, method, scl)
    sun = sun_from_arguments(sun_zenith_deg, sun_azimuth_deg) or sun_from_tags(scene.optical.handle.tags())
    request = MaskRequest(
        buffer_m=_buffer_in_metres(buffer_m, buffer_px, scene.grid.pixel_size_m), threshold=threshold, raster=raster, sun=sun, notes=notes
    )
    if name is None:
        return make_file_mask(scene, request)
    mask: CloudMask = CLOUD_MASKS.load(name)(scene, request)
    return mask


def _choose(scene: Scene, method: str, scl: str | None) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Name in the table (None: a file of the caller's own), the file to read, and what was decided."""
    if method == "auto":
        return _choose_best(scene, scl)
    if method in tuple(CLOUD_MASKS):
        if method == "scl":
            return method, _found(scl, "--scl") if scl else None, ()
        return method, None, () if scl is None else (f"--scl {scl} is not used: the cloud mask asked for is {method}.",)
    names = ", ".join(("auto", *CLOUD_MASKS))
    path = _found(method, "--cloud-mask", f"it must be one of {names}, or the path of a mask raster")
    return None, path, () if scl is None else (f"--scl {scl} is not used: the cloud mask is read from {method}.",)


def _choose_best(scene: Scene, scl: str | None) -> tuple[str, str | None, tuple[str, ...]]:
    if scl is not None:
        return "scl", _found(scl, "--scl"), ("Cloud mask auto takes the scene classification it is given.",)
    reason = why_unavailable(scene.bands)
    if reason is None:
        return "s2cloudless", None, ("Cloud mask auto takes s2cloudless: its ten L1C bands are there.",)
    return "rule", None, (f"Cloud mask auto takes the rule-based score: {reason}.",)


def _found(path: str, option: str, rule: str = "it must be the path of a raster") -> str:
    """The path as workers in other folders can open it.

    Raises:
        RasterNotFoundError: When a local path does not exist.
    """
    if "://" in path or path.startswith("/vsi"):
        return path
    if not Path(path).exists():
        raise RasterNotFoundError(f"{option}: {rule}, got {path!r}, and there is no such file (working directory: {Path.cwd()})")
    return str(Path(path).absolute())


def _buffer_in_metres(metres: float | None, pixels: int | None, pixel_size_m: float) -> float:
    if metres is not None and pixels is not None:
        raise InputError(f"the mask's buffer is given in metres or in pixels, got both ({metres!r} m, {pixels!r} px); leave one out")
    for value, unit in ((metres, "m"), (pixels, "px")):
        if value is not None and not (isfinite(value) and value >= 0):
            raise InputError(f"the mask's buffer must be 0 or more, got {value!r} {unit}; 0 leaves the detector's own outline")
    if pixels is not None:
        return pixels * pixel_size_m
    return DEFAULT_BUFFER_M if metres is None else float(metres)


def _check_threshold(threshold: float | None) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"a cloud threshold lies within 0 to 1, got {threshold!r}; lower finds more cloud")
