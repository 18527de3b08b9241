"""From a detector's score to a cloud mask: read in pieces, outline, add shadows, drop specks, widen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from geocr.clouds.averaging import averaged_parts
from geocr.clouds.darkness import Darkness, empty_darkness, measure_darkness, relative_darkness, shadow_bands
from geocr.clouds.mask import MaskRequest
from geocr.clouds.morphology import dilate_disc, drop_specks
from geocr.clouds.shadow import find_shadows
from geocr.clouds.sun import SunAngle
from geocr.clouds.working import CoarseMask, WorkingGrid, plan_working_grid
from geocr.core.types import BoolArray, FloatArray, Window
from geocr.io.scene import Scene

MIN_AREA_M2 = 3600.0
"""Smaller clouds and shadows are taken for bright roofs and noise: one 60 m pixel, the size at which the
atmospheric bands can see a cloud at all."""


class Detector(Protocol):
    """Scores single pixels, then draws the clouds' outline from the scores of the whole scene."""

    @property
    def source(self) -> str:
        """Its name in the table."""
        ...

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands it reads."""
        ...

    @property
    def threshold(self) -> float:
        """Score from which a pixel is cloud."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say aloud about it."""
        ...

    def score(self, pixels: Mapping[str, FloatArray], valid: BoolArray) -> FloatArray:
        """Score of each pixel by itself.

        Args:
            pixels: Each of `bands` to `(rows, columns)` float32 reflectance, finite: a band not observed is 0.
            valid: `(rows, columns)`, True where any of the bands is observed; elsewhere the score is not used.

        Returns:
            `(rows, columns)` float32, greater is cloudier.
        """
        ...

    def outline(self, score: FloatArray, valid: BoolArray, resolution_m: float) -> BoolArray:
        """Clouds: `(rows, columns)` bool, True is cloud, from scores, their validity, and the pixels' side in metres."""
        ...


@runtime_checkable
class WindowDetector(Detector, Protocol):
    """A detector whose scores come from a raster beside the scene."""

    def score_window(self, window: Window, factor: int) -> FloatArray:
        """Scores of the squares of `factor` scene pixels of a window, `(rows, columns)` float32, greater is cloudier; asked instead of `score`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Survey:
    """One pass over the scene, on the working grid: all arrays `(rows, columns)`."""

    score: FloatArray
    """float32; 0 where nothing was observed."""
    valid: BoolArray
    """True where any of the detector's bands was observed."""
    darkness: Darkness | None
    """None when the scene has no band that shadows show in."""


def detect(scene: Scene, request: MaskRequest, detector: Detector) -> CoarseMask:
    """Run a detector over a scene of any size, in bounded memory.

    A band without an observation at an observed pixel counts as reflectance 0: over clear land the cirrus
    band is dark enough to be stored as 0, which reads as nodata.

    Args:
        scene: The scene; only the bands needed are read, once.
        request: Buffer and sun.
        detector: What tells clouds.
    """
    working = plan_working_grid(scene.grid)
    survey = _survey(scene, detector, working)
    min_px = round(MIN_AREA_M2 / working.resolution_m**2)
    cloud = drop_specks(detector.outline(survey.score, survey.valid, working.resolution_m) & survey.valid, min_px)
    shadow, shadow_note = _shadows(cloud, survey, scene, working, request.sun)
    shadow = drop_specks(shadow & survey.valid, min_px)
    radius_px = request.buffer_m / working.resolution_m
    if request.buffer_m > 0:
        radius_px = max(1.0, radius_px)
    observed = max(1, int(survey.valid.sum()))
    return CoarseMask(
        source=detector.source,
        working=working,
        cloud=dilate_disc(cloud | shadow, radius_px) & survey.valid,
        facts={
            "threshold": detector.threshold,
            "buffer_m": radius_px * working.resolution_m,
            "min_area_m2": MIN_AREA_M2,
            "sun_zenith_deg": request.sun.zenith_deg if request.sun else None,
            "sun_azimuth_deg": request.sun.azimuth_deg if request.sun else None,
            "shadows": _shadow_method(survey, request.sun),
            "cloud_share": int(cloud.sum()) / observed,
            "shadow_share": int(shadow.sum()) / observed,
        },
        notes=(*request.notes, _sentence(detector, working, radius_px), *detector.notes, shadow_note),
    )


def _survey(scene: Scene, detector: Detector, working: WorkingGrid) -> _Survey:
    dark_bands = shadow_bands(scene.bands)
    bands = tuple(band for band in scene.bands if band in detector.bands or band in dark_bands)
    needed = np.array([band in detector.bands for band in bands])
    score, valid = np.zeros(working.shape, np.float32), np.zeros(working.shape, bool)
    darkness = empty_darkness(working.shape, dark_bands) if dark_bands else None
    for part in averaged_parts(scene, bands, working, in_windows=isinstance(detector, WindowDetector)):
        here = part.coarse.slices_in(_whole(working))
        valid[here] = part.seen[needed].any(axis=0)
        pixels = dict(zip(bands, np.where(part.seen, part.mean, np.float32(0)), strict=True))
        if isinstance(detector, WindowDetector):
            score[here] = np.where(valid[here], detector.score_window(part.window, working.factor), np.float32(0))
        else:
            score[here] = detector.score(pixels, valid[here])
        if darkness is not None:
            dark = measure_darkness(pixels, dark_bands)
            darkness.infrared[here], darkness.nir[here] = dark.infrared, dark.nir
            if darkness.green is not None and dark.green is not None:
                darkness.green[here] = dark.green
    return _Survey(score=score, valid=valid, darkness=darkness)


def _whole(working: WorkingGrid) -> Window:
    return Window(row=0, col=0, height=working.shape[0], width=working.shape[1])


def _shadows(cloud: BoolArray, survey: _Survey, scene: Scene, working: WorkingGrid, sun: SunAngle | None) -> tuple[BoolArray, str]:
    """Shadow on the working grid, and a sentence on how it was found."""
    none = np.zeros_like(cloud)
    if survey.darkness is None:
        return none, f"Cloud shadows are not looked for: that takes B08 or B8A, and the scene has {', '.join(scene.bands)}."
    darkness = relative_darkness(survey.darkness, cloud, survey.valid, resolution_m=working.resolution_m)
    if darkness is None:
        return none, "Cloud shadows are not looked for: there is too little clear land to tell what is dark."
    if sun is None:
        return find_shadows(cloud, darkness, survey.valid, resolution_m=working.resolution_m, step=None), (
            "Cloud shadows are dark land within 1 km of a cloud, on any side, as the sun's place is not known."
        )
    rows, cols = sun.shadow_step(scene.grid)
    step = rows / working.factor, cols / working.factor
    return find_shadows(cloud, darkness, survey.valid, resolution_m=working.resolution_m, step=step), (
        f"Cloud shadows are dark land where a sun {sun.zenith_deg:.0f} degrees from the zenith, at azimuth {sun.azimuth_deg:.0f}, "
        "throws the shadow of clouds up to 4 km high, and less dark land where the outline of the clouds fits."
    )


def _shadow_method(survey: _Survey, sun: SunAngle | None) -> str:
    if survey.darkness is None:
        return "none"
    return "dark land near cloud" if sun is None else "dark land by sun angle"


def _sentence(detector: Detector, working: WorkingGrid, radius_px: float) -> str:
    squares = "" if working.factor == 1 else f", squares of {working.factor} x {working.factor} pixels"
    return (
        f"Clouds are found by {detector.source} (score from {detector.threshold:g}) on a grid of {working.resolution_m:.0f} m{squares}, "
        f"and widened by {radius_px * working.resolution_m:.0f} m."
    )
