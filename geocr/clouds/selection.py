"""Choose a cloud mask: by name, by file, several of them together, or the best that the scene allows."""

from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from geocr.clouds.mask import CloudMask, MaskRequest
from geocr.clouds.raster import make_file_mask
from geocr.clouds.s2cloudless import why_unavailable
from geocr.clouds.sun import sun_from_angles, sun_from_arguments, sun_from_tags
from geocr.clouds.union import UnionMask
from geocr.clouds.vector import make_vector_mask
from geocr.core.errors import InputError, RasterNotFoundError
from geocr.core.registry import Registry
from geocr.io.polygons import VECTOR_SUFFIXES
from geocr.io.remote import is_remote
from geocr.io.scene import Scene

CLOUD_MASKS = Registry(
    "geocr.cloud_masks",
    {
        "s2cloudless": "geocr.clouds.s2cloudless:make_s2cloudless_mask",
        "scl": "geocr.clouds.raster:make_scl_mask",
        "cldprb": "geocr.clouds.probability:make_cldprb_mask",
        "omnicloudmask": "geocr.clouds.omnicloudmask:make_omnicloudmask_mask",
        "rule": "geocr.clouds.rule:make_rule_mask",
    },
)
"""Makers of cloud masks, `(scene, request) -> CloudMask`. A new one is a file and a line here."""

READ_FROM_FILES = ("scl", "cldprb")
"""Names that may be given a file of their own, as `cldprb=FILE`."""
UNSCORED = ("scl", "omnicloudmask")
"""Names that take no threshold."""
DEFAULT_BUFFER_M = 60.0
"""Buffer when none is given. Around the clouds s2cloudless finds in SEN12MS-CR, the blue band is brighter than on
the clear date by 0.02 to 0.06 in the first 20 m, by 0.01 to 0.03 between 40 and 60 m, and by less than 0.02
beyond: there the observation is better than a reconstruction. It is also one working pixel on large scenes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """One mask that is to be made."""

    name: str | None = None
    """In the table; None is a file of the caller's own."""
    path: str | None = None
    """The file to read."""
    notes: tuple[str, ...] = ()
    """What was decided."""


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
        method: `auto`, a name of `CLOUD_MASKS`, a name and its file (`scl=FILE`, `cldprb=FILE`), the path of a mask raster (all but 0
            is cloud) or of a vector file (polygons are cloud); or several of these joined by `+`, whose union is taken.
            Auto takes the scene classification where `scl` is given or the product has one, else s2cloudless where its ten L1C
            bands are there, else the rule-based score.
        scl: Path of a Sentinel-2 scene classification, any grid that overlaps; the product's own when None.
        buffer_m: Metres by which cloud and shadow are widened (Euclidean), 0 or more; 60 when neither buffer is
            given. Detectors widen by at least one working pixel unless it is 0.
        buffer_px: The same in scene pixels.
        threshold: The detector's score from which a pixel is cloud, within 0 to 1; its own default when None.
        sun_zenith_deg: Sun's angle from straight above, for shadows; from the product or the file's tags when None.
        sun_azimuth_deg: Sun's direction, clockwise from north; likewise.

    Raises:
        InputError: When an argument is out of its range, or two exclude each other.
        CloudMaskError: When the method does not fit the scene.
        RasterNotFoundError: When a file is missing, or the method is neither a name nor a file.
        RasterReadError: When a file is no raster, or no vector file.
        GeoreferenceError: When a file cannot be laid over the scene.
    """
    _check_threshold(threshold)
    choices = _choose(scene, method, scl)
    facts = scene.optical_facts
    sun = (
        sun_from_arguments(sun_zenith_deg, sun_azimuth_deg)
        or sun_from_angles(facts.sun_zenith_deg, facts.sun_azimuth_deg)
        or sun_from_tags(scene.optical.handle.tags())
    )
    request = MaskRequest(buffer_m=_buffer_in_metres(buffer_m, buffer_px, scene.grid.pixel_size_m), threshold=threshold, sun=sun)
    if len(choices) == 1:
        return _make(scene, request, choices[0])
    scored = [choice for choice in choices if choice.name is not None and choice.name not in UNSCORED]
    if threshold is not None and not scored:
        raise InputError(f"a threshold applies to detectors with a score, and none of {method} has one, got {threshold!r}; leave it out")
    return UnionMask(
        parts=tuple(_make(scene, request if choice in scored else replace(request, threshold=None), choice) for choice in choices)
    )


def mask_files(method: str) -> tuple[str, ...]:
    """Files that a method names: those whose change changes the mask, and which no output may replace."""
    named = (part.partition("=")[2] if part.partition("=")[0] in READ_FROM_FILES else part for part in _parts(method))
    return tuple(part for part in named if part and part != "auto" and part not in tuple(CLOUD_MASKS))


def is_for_any_scene(method: str) -> bool:
    """Whether a method finds clouds in the bands or the product of any scene: no file of one date, no classification that may lie apart."""
    return all(part in tuple(CLOUD_MASKS) and part != "scl" for part in _parts(method))


def method_without_folders(method: str) -> str:
    """A method as tags tell it: its files by their names alone."""
    shown = []
    for part in _parts(method):
        name, equals, path = part.partition("=") if part.partition("=")[0] in READ_FROM_FILES else ("", "", part)
        shown.append(f"{name}{equals}{without_folders(path)}")
    return "+".join(shown)


def without_folders(place: str) -> str:
    """The last part of an absolute path or of a URL, without its query (which may hold a signature); anything else as it is."""
    if is_remote(place):
        return Path(place.partition("?")[0]).name
    return Path(place).name if Path(place).is_absolute() else place


def _make(scene: Scene, request: MaskRequest, choice: _Choice) -> CloudMask:
    request = replace(request, raster=choice.path, notes=choice.notes)
    if choice.name is not None:
        mask: CloudMask = CLOUD_MASKS.load(choice.name)(scene, request)
        return mask
    if Path((choice.path or "").partition("?")[0]).suffix.lower() in VECTOR_SUFFIXES:
        return make_vector_mask(scene, request)
    return make_file_mask(scene, request)


def _parts(method: str) -> tuple[str, ...]:
    """The masks that are joined; a file whose name holds a plus is one, and a URL, which may hold some, is the last."""
    if "+" not in method or Path(method).exists():
        return (method,)
    parts = method.split("+")
    last = next((place for place, part in enumerate(parts) if "://" in part), len(parts) - 1)
    return tuple(part.strip() for part in (*parts[:last], "+".join(parts[last:])))


def _choose(scene: Scene, method: str, scl: str | None) -> tuple[_Choice, ...]:
    parts = _parts(method)
    if "" in parts:
        raise InputError(f"masks joined by + are each a name or a file, got {method!r}; write for example s2cloudless+mask.gpkg")
    choices = tuple(dict.fromkeys(_choose_one(scene, part, scl) for part in parts))
    if scl is not None and not any(choice.name == "scl" for choice in choices):
        first = choices[0]
        what = f"the cloud mask asked for is {method}" if first.name or len(choices) > 1 else f"the cloud mask is read from {method}"
        choices = (replace(first, notes=(*first.notes, f"--scl {scl} is not used: {what}.")), *choices[1:])
    return choices


def _choose_one(scene: Scene, part: str, scl: str | None) -> _Choice:
    if part == "auto":
        return _choose_best(scene, scl)
    name, equals, path = part.partition("=")
    if equals and name in READ_FROM_FILES:
        return _Choice(name=name, path=_found(path, f"--cloud-mask {name}="))
    if part in tuple(CLOUD_MASKS):
        return _Choice(name=part, path=_found(scl, "--scl") if scl and part == "scl" else None)
    names = ", ".join(("auto", *CLOUD_MASKS))
    return _Choice(path=_found(part, "--cloud-mask", f"it must be one of {names}, or the path of a mask raster or of a vector file"))


def _choose_best(scene: Scene, scl: str | None) -> _Choice:
    if scl is not None:
        return _Choice(name="scl", path=_found(scl, "--scl"), notes=("Cloud mask auto takes the scene classification it is given.",))
    if scene.optical_facts.scl is not None:
        return _Choice(name="scl", notes=("Cloud mask auto takes the product's own scene classification.",))
    reason = why_unavailable(scene.bands)
    if reason is None:
        return _Choice(name="s2cloudless", notes=("Cloud mask auto takes s2cloudless: its ten L1C bands are there.",))
    return _Choice(name="rule", notes=(f"Cloud mask auto takes the rule-based score: {reason}.",))


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
