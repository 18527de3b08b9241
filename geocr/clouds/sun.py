"""Where the sun stood when the scene was taken, and where it throws a cloud's shadow."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, hypot, isfinite, radians, sin, tan

from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from geocr.core.errors import InputError
from geocr.io.grid import METRES_PER_DEGREE, SceneGrid

MAX_ZENITH_DEG = 85.0
"""Beyond it shadows are longer than eleven cloud heights and no projection is of use."""
_ZENITH_TAGS = ("mean_sun_zenith_angle", "sun_zenith_angle", "sun_zenith")
_ELEVATION_TAGS = ("view:sun_elevation", "sun_elevation")
_AZIMUTH_TAGS = ("mean_sun_azimuth_angle", "sun_azimuth_angle", "view:sun_azimuth", "sun_azimuth")


@dataclass(frozen=True, slots=True, kw_only=True)
class SunAngle:
    """The sun's place in the sky at the scene's centre."""

    zenith_deg: float
    """Degrees from straight above, 0 to 85."""
    azimuth_deg: float
    """Degrees clockwise from true north to the sun, -360 to 360."""

    def __post_init__(self) -> None:
        """Refuse angles no shadow can be drawn from."""
        if not 0 <= self.zenith_deg <= MAX_ZENITH_DEG:
            raise InputError(f"a sun zenith must lie within 0 to {MAX_ZENITH_DEG:g} degrees from straight above, got {self.zenith_deg!r}")
        if not (isfinite(self.azimuth_deg) and abs(self.azimuth_deg) <= 360):
            raise InputError(f"a sun azimuth is counted in degrees clockwise from north, 0 to 360, got {self.azimuth_deg!r}")

    def shadow_step(self, grid: SceneGrid) -> tuple[float, float]:
        """Pixels `(rows, columns)` by which a shadow moves for each metre its cloud is higher.

        A kilometre towards the shadow is laid out on the ground at the scene's centre and carried into the
        grid, so that any CRS, meridian convergence and rotated transform are right. The sensor is taken
        to look straight down.
        """
        reach_m = 1000.0
        lon, lat = grid.centre_lonlat()
        azimuth = radians(self.azimuth_deg)
        lons = [lon, lon - sin(azimuth) * reach_m / (METRES_PER_DEGREE * max(cos(radians(lat)), 1e-6))]
        lats = [lat, lat - cos(azimuth) * reach_m / METRES_PER_DEGREE]
        xs, ys = transform_points(CRS.from_epsg(4326), grid.crs, lons, lats)
        inverse = ~grid.transform
        (col, row), (col_end, row_end) = (inverse * (x, y) for x, y in zip(xs, ys, strict=True))
        scale = tan(radians(self.zenith_deg)) / reach_m
        step = (row_end - row) * scale, (col_end - col) * scale
        return step if isfinite(hypot(*step)) else (0.0, 0.0)


def sun_from_arguments(zenith_deg: float | None, azimuth_deg: float | None) -> SunAngle | None:
    """The sun as the caller gives it, or None when neither angle is given.

    Raises:
        InputError: When only one is given, or one is out of range.
    """
    if zenith_deg is None and azimuth_deg is None:
        return None
    if zenith_deg is None or azimuth_deg is None:
        raise InputError(
            f"the sun's place needs both its zenith and its azimuth, got zenith={zenith_deg!r}, azimuth={azimuth_deg!r}; give both or neither"
        )
    return SunAngle(zenith_deg=zenith_deg, azimuth_deg=azimuth_deg)


def sun_from_angles(zenith_deg: float | None, azimuth_deg: float | None) -> SunAngle | None:
    """The sun as a product's metadata gives it; None when an angle is absent or unusable."""
    if zenith_deg is None or azimuth_deg is None:
        return None
    try:
        return SunAngle(zenith_deg=zenith_deg, azimuth_deg=azimuth_deg)
    except InputError:
        return None


def sun_from_tags(tags: Mapping[str, str]) -> SunAngle | None:
    """The sun as a file's tags give it (`MEAN_SUN_ZENITH_ANGLE` and kin); None when absent or unusable."""
    lower = {key.lower(): value for key, value in tags.items()}
    zenith, elevation, azimuth = (_number(lower, names) for names in (_ZENITH_TAGS, _ELEVATION_TAGS, _AZIMUTH_TAGS))
    if zenith is None and elevation is not None:
        zenith = 90.0 - elevation
    return sun_from_angles(zenith, azimuth)


def _number(tags: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    for name in names:
        try:
            return float(tags[name])
        except (KeyError, ValueError):
            continue
    return None
