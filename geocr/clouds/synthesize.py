"""Paint synthetic clouds and their shadows over a clear reflectance image.

Two steps, so that a scene too large for memory can take them strip by strip: `make_cloud_field` draws
where the clouds are and how dense (optical depths on the pixel grid), `apply_clouds` works out what
Sentinel-2 would then see. `paint_clouds` does both.

Four layers, from the ground up: shadow (sunlight lost on its way down), haze, thick water cloud, cirrus.
Each cloud layer reflects by the two-stream approximation for conservative scattering, R = (1-g) tau /
(2 + (1-g) tau) (Bohren, Am. J. Phys. 55, 524, 1987), and is laid over what lies below by the adding
method, rho' = R + (1-R)^2 rho / (1 - R rho). Haze grows towards blue as lambda^-1.3 (Angstrom's law);
water and ice clouds are grey in the visible and absorb in the short-wave infrared. Only cirrus lies above
the water vapour that keeps B10 dark (Gao et al., J. Atmos. Oceanic Technol. 19, 2002). Band factors were
set on the real clouds of SEN12MS-CR. Not modelled: shadows of thin clouds, adjacency light, parallax.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy import fft, ndimage

from geocr.core.bands import S2_BANDS
from geocr.core.errors import BandError, InputError
from geocr.core.types import BoolArray, FloatArray

Level: TypeAlias = Literal["L1C", "L2A"]
"""`L1C` is reflectance at the top of the atmosphere, `L2A` at the ground."""

PATH_REFLECTANCE: dict[str, float] = dict(
    zip(S2_BANDS, (0.110, 0.078, 0.049, 0.027, 0.022, 0.019, 0.016, 0.014, 0.012, 0.005, 0.001, 0.002, 0.001), strict=True)
)
"""Reflectance that the clear air adds at the top of the atmosphere: the darkest water of SEN12MS-CR."""

_SKYLIGHT = dict(zip(S2_BANDS, (0.48, 0.42, 0.35, 0.29, 0.27, 0.25, 0.23, 0.21, 0.20, 0.16, 0.10, 0.12, 0.09), strict=True))
"""Share of the light on the ground that comes from the sky and the flanks of clouds, not straight from the sun."""
WATER_CLOUD = dict(zip(S2_BANDS, (0.93, 0.95, 0.93, 1.0, 1.01, 1.06, 1.12, 1.07, 1.16, 0.33, 0.003, 0.98, 0.78), strict=True))
_ICE_CLOUD = dict(zip(S2_BANDS, (1.0, 1.0, 0.98, 1.0, 1.0, 1.02, 1.04, 1.0, 1.04, 0.5, 0.55, 0.80, 0.68), strict=True))
_HAZE = {band: 0.35 if band == "B09" else 0.002 if band == "B10" else 1.0 for band in S2_BANDS}
"""Brightness of a layer relative to R: gas absorption above it and, for clouds, absorption inside it."""

_ASYMMETRY = {"thick": 0.85, "cirrus": 0.80, "haze": 0.65}
_ANGSTROM = 1.3
_MIN_DEPTH = 0.02
"""Optical depth at the very edge of a cloud: every masked pixel differs from the clear image."""
_SHADOW_LEVELS = 6
_MIN_LOSS = 0.06
"""Sunlight loss below which ground counts as lit, and is left exactly as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSpec:
    """What sort of clouds to draw."""

    cover: float = 0.3
    """Share of the pixels under any cloud, 0 to 1, shadows not counted; met to the pixel."""
    thick_share: float = 0.6
    """Share of the cover that thick clouds hide; the rest is thin."""
    cirrus_share: float = 0.5
    """Share of the thin part that is cirrus; the rest is haze."""
    size_m: float = 1800.0
    """Distance over which thick clouds alternate with gaps, metres."""
    base_m: float = 800.0
    """Height of the base of thick clouds above the ground, metres."""
    depth_m: float = 600.0
    """Thickness of the densest thick clouds, metres; thinner parts reach less high."""

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 1 and lengths that are not positive."""
        for name in ("cover", "thick_share", "cirrus_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"CloudSpec.{name} must lie between 0 and 1, got {getattr(self, name)!r}")
        for name in ("size_m", "base_m", "depth_m"):
            if not getattr(self, name) > 0:
                raise InputError(f"CloudSpec.{name} must be a positive length in metres, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CloudField:
    """Clouds on a pixel grid: all arrays share one shape, `(y, x)` or a flat selection of pixels."""

    thick: FloatArray
    """Optical depth of water cloud at 550 nm, float32, 0 where there is none."""
    cirrus: FloatArray
    """Optical depth of cirrus, float32."""
    haze: FloatArray
    """Optical depth of haze at 550 nm, float32."""
    relief: FloatArray
    """Brightness of cloud tops by their slope to the sun, float32 factor around 1."""
    shadow: FloatArray
    """Share of direct sunlight that thick clouds keep from the ground, float32, 0 is fully lit."""
    cloud_mask: BoolArray
    """True is cloud, thick or thin."""
    shadow_mask: BoolArray
    """True is ground in shadow that no cloud hides; never true together with `cloud_mask`."""

    def at(self, index: Any) -> "CloudField":  # noqa: ANN401 - whatever numpy takes as an index
        """The same clouds at selected pixels; `index` as numpy takes it."""
        return CloudField(**{item.name: getattr(self, item.name)[index] for item in fields(self)})


def fractal_noise(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    wavelength_px: float,
    slope: float = 2.0,
    stretch: float = 1.0,
    angle_deg: float = 0.0,
) -> FloatArray:
    """Gaussian noise of all scales, the sum of infinitely many octaves; not periodic.

    The amplitude spectrum is (f^2 + f0^2)^(-slope/2) with f0 = 1 / wavelength: flat for features larger
    than the wavelength, a power law below it (von Karman's spectrum).

    Args:
        shape: `(rows, columns)`.
        rng: Consumed in an amount that depends on `shape` only.
        wavelength_px: Size of the largest features, pixels.
        slope: Steepness; 1.5 is ragged, 3 is smooth.
        stretch: How many times longer features are along `angle_deg` than across.
        angle_deg: Direction of the stretch, clockwise from the x axis.

    Returns:
        `shape` float32 of mean 0 and standard deviation 1.
    """
    padded = tuple(fft.next_fast_len(n + min(n, max(8, round(wavelength_px))), real=True) for n in shape)
    spectrum = fft.rfft2(rng.standard_normal(padded, dtype=np.float32))
    fy = fft.fftfreq(padded[0]).astype(np.float32)[:, None]
    fx = fft.rfftfreq(padded[1]).astype(np.float32)[None, :]
    turn = np.float32(np.deg2rad(angle_deg))
    along = (np.cos(turn) * fx + np.sin(turn) * fy) * np.float32(stretch)
    across = np.cos(turn) * fy - np.sin(turn) * fx
    spectrum *= (along**2 + across**2 + np.float32(1 / wavelength_px**2)) ** np.float32(-slope / 2)
    noise = fft.irfft2(spectrum, s=padded)[: shape[0], : shape[1]]
    noise = noise - np.float32(noise.mean(dtype=np.float64))
    out: FloatArray = noise / np.float32(max(float(noise.std(dtype=np.float64)), 1e-12))
    return out


def shadow_offset_px(height_m: float, *, sun_zenith_deg: float, sun_azimuth_deg: float, pixel_size_m: float) -> tuple[float, float]:
    """How far a shadow lies from the cloud that casts it, `(rows, columns)`, on a north-up grid.

    Args:
        height_m: Height of the cloud above the ground.
        sun_zenith_deg: Angle between sun and zenith, 0 to below 90.
        sun_azimuth_deg: Direction towards the sun, clockwise from north.
        pixel_size_m: Side of a pixel.
    """
    reach = height_m * np.tan(np.deg2rad(sun_zenith_deg)) / pixel_size_m
    azimuth = np.deg2rad(sun_azimuth_deg)
    return float(reach * np.cos(azimuth)), float(-reach * np.sin(azimuth))


def make_cloud_field(
    shape: tuple[int, int],
    *,
    spec: CloudSpec,
    sun_zenith_deg: float,
    sun_azimuth_deg: float,
    rng: np.random.Generator,
    pixel_size_m: float = 10.0,
    valid: BoolArray | None = None,
) -> CloudField:
    """Draw clouds and their shadows.

    Args:
        shape: `(rows, columns)` of a north-up grid.
        spec: How much of which clouds.
        sun_zenith_deg: 0 to 80.
        sun_azimuth_deg: Direction towards the sun, clockwise from north; shadows fall the other way.
        rng: Consumed in an amount that depends on `shape` and the sun only.
        pixel_size_m: Side of a pixel, metres.
        valid: `shape` bool, True is a pixel that counts in the cover; all when None.

    Raises:
        InputError: When the sun is too low for shadows to be drawn.
    """
    if not 0 <= sun_zenith_deg <= 80:
        raise InputError(f"sun_zenith_deg must lie between 0 and 80 (lower suns cast endless shadows), got {sun_zenith_deg!r}")
    heights = np.linspace(spec.base_m, spec.base_m + spec.depth_m, _SHADOW_LEVELS)
    sun = {"sun_zenith_deg": sun_zenith_deg, "sun_azimuth_deg": sun_azimuth_deg, "pixel_size_m": pixel_size_m}
    offsets = [tuple(round(px) for px in shadow_offset_px(h, **sun)) for h in heights]
    # clouds just outside the image cast shadows into it: draw a margin as wide as the longest shadow
    margin = max(max(abs(dy), abs(dx)) for dy, dx in offsets)
    inner = (slice(margin, margin + shape[0]), slice(margin, margin + shape[1]))
    size_px = spec.size_m / pixel_size_m
    padded = (shape[0] + 2 * margin, shape[1] + 2 * margin)
    noise = thick_noise(padded, rng, size_px)
    cirrus_noise = fractal_noise(shape, rng, wavelength_px=4 * size_px, slope=2.2, stretch=4, angle_deg=float(rng.uniform(0, 180)))
    haze_noise = fractal_noise(shape, rng, wavelength_px=3 * size_px, slope=2.6)

    counted = np.ones(shape, bool) if valid is None else valid
    goal = round(spec.cover * int(counted.sum()))
    goal_thick = round(goal * spec.thick_share)
    goal_cirrus = goal_thick + round((goal - goal_thick) * spec.cirrus_share)
    cloud = np.zeros(shape, bool)
    level = level_reaching(noise[inner], counted & ~cloud, goal_thick)
    depth = thick_depth(noise - level)
    cloud |= depth[inner] > 0
    level = level_reaching(cirrus_noise, counted & ~cloud, goal_cirrus - int((cloud & counted).sum()))
    cirrus = thin_depth(cirrus_noise - level, strongest=1.6)
    cloud |= cirrus > 0
    level = level_reaching(haze_noise, counted & ~cloud, goal - int((cloud & counted).sum()))
    haze = thin_depth(haze_noise - level, strongest=1.1)
    cloud |= haze > 0

    loss = _cast_shadow(depth, offsets, margin)[inner]
    return CloudField(
        thick=depth[inner].copy(),
        cirrus=cirrus,
        haze=haze,
        relief=_top_relief(depth, sun_azimuth_deg)[inner].copy(),
        shadow=loss.copy(),
        cloud_mask=cloud,
        shadow_mask=(loss > 0) & ~cloud,
    )


def thick_noise(shape: tuple[int, int], rng: np.random.Generator, size_px: float) -> FloatArray:
    """Cumulus-like noise, float32 of about unit deviation: clusters, bodies of `size_px`, billowing edges."""
    clusters = fractal_noise(shape, rng, wavelength_px=3 * size_px, slope=3.0)
    bodies = fractal_noise(shape, rng, wavelength_px=size_px, slope=2.2)
    billows = fractal_noise(shape, rng, wavelength_px=max(4.0, size_px / 7), slope=2.0)
    return np.float32(0.55) * clusters + np.float32(0.85) * bodies - np.float32(0.22) * np.abs(billows)


def thick_depth(excess: FloatArray) -> FloatArray:
    """Optical depth of thick cloud from noise above its level: wispy flanks, 10 to 45 inside; 0 at or below."""
    inside = np.maximum(excess, 0)
    depth = 46.0 * (1 - np.exp(-1.15 * inside**1.25))
    out: FloatArray = np.where(excess > 0, np.minimum(depth + _MIN_DEPTH, 48.0), 0).astype(np.float32)
    return out


def thin_depth(excess: FloatArray, *, strongest: float) -> FloatArray:
    """Optical depth of thin cloud from noise above its level, at most `strongest`; 0 at or below."""
    inside = np.maximum(excess, 0)
    out: FloatArray = np.where(excess > 0, strongest * (1 - np.exp(-0.9 * inside)) + _MIN_DEPTH, 0).astype(np.float32)
    return out


def shadow_loss(depth: FloatArray) -> FloatArray:
    """Share of direct sunlight that a cloud of this optical depth takes; exactly 0 where it is below 6 %."""
    loss = 1 - np.exp(-0.5 * depth)
    out: FloatArray = np.where(loss > _MIN_LOSS, loss, 0).astype(np.float32)
    return out


def level_reaching(noise: FloatArray, among: BoolArray, count: int) -> float:
    """The level that `count` of the pixels in `among` exceed; infinite for none."""
    values = noise[among]
    if count <= 0 or values.size == 0:
        return np.inf
    if count >= values.size:
        return float(noise.min()) - 1e-3
    cut = values.size - count - 1
    return float(np.partition(values, cut)[cut])


def _cast_shadow(depth: FloatArray, offsets: Sequence[tuple[int, ...]], margin: int) -> FloatArray:
    """Sunlight loss on the padded grid: the cloud's slices, each moved by its height's offset, the densest wins."""
    shaded = np.zeros_like(depth)
    rows, cols = depth.shape
    top = max(float(depth.max()), 1.0)
    for step, (dy, dx) in enumerate(offsets):
        slab = np.where(depth >= 0.9 * top * step / len(offsets), depth, 0) if step else depth
        target = shaded[max(dy, 0) : rows + min(dy, 0), max(dx, 0) : cols + min(dx, 0)]
        np.maximum(target, slab[max(-dy, 0) : rows - max(dy, 0), max(-dx, 0) : cols - max(dx, 0)], out=target)
    return shadow_loss(ndimage.gaussian_filter(shaded, 0.8) if margin else shaded)


def _top_relief(depth: FloatArray, sun_azimuth_deg: float) -> FloatArray:
    """Cloud tops are brighter on the sun's side: factor 0.8 to 1.15 from the slope of the optical depth."""
    azimuth = np.deg2rad(sun_azimuth_deg)
    smooth = ndimage.gaussian_filter(depth, 1.5)
    gy, gx = np.gradient(smooth)
    # a top that falls away towards the sun faces it; rows grow to the south
    facing = -(gx * np.sin(azimuth) - gy * np.cos(azimuth))
    out: FloatArray = np.clip(1 + 0.10 * facing, 0.8, 1.15).astype(np.float32)
    return out


def apply_clouds(clear: FloatArray, bands: Sequence[str], field: CloudField, *, level: Level = "L1C") -> FloatArray:
    """What Sentinel-2 sees of a clear scene under a cloud field.

    Args:
        clear: `(band, y, x)` float32 reflectance, about 0 to 1; NaN (nodata) stays NaN.
        bands: Canonical names of its bands, any set in any order.
        field: Clouds on the same `(y, x)`.
        level: `L1C` keeps the light of the clear air in shadows, `L2A` has none.

    Returns:
        `(band, y, x)` float32 reflectance, equal to `clear` bit for bit where neither mask of the field is True.

    Raises:
        BandError: When bands are unknown or their number does not fit the image.
        InputError: When image and field differ in shape.
    """
    _check_image(clear, bands)
    if clear.shape[1:] != field.cloud_mask.shape:
        raise InputError(f"image and cloud field must share one grid: image {clear.shape[1:]}, field {field.cloud_mask.shape}")
    index = np.nonzero(field.cloud_mask | field.shadow_mask)
    some = field.at(index)
    cloudy = clear.copy()
    for number, band in enumerate(bands):
        cloudy[number][index] = cloud_band(clear[number][index], band, some, level=level)
    return cloudy


def cloud_band(clear: FloatArray, band: str, field: CloudField, *, level: Level = "L1C") -> FloatArray:
    """One band of `apply_clouds`: reflectance, float32, of the shape that `clear` and the field's arrays share."""
    air = np.float32(PATH_REFLECTANCE[band] if level == "L1C" else 0)
    below = (clear - air) * (1 - field.shadow * np.float32(1 - _SKYLIGHT[band])) + air
    haze_depth = field.haze * np.float32((S2_BANDS[band].wavelength_nm / 550) ** -_ANGSTROM)
    below = _laid_over(below, _two_stream(haze_depth, "haze"), np.float32(_HAZE[band]))
    below = _laid_over(below, _two_stream(field.thick, "thick"), np.float32(WATER_CLOUD[band]) * field.relief)
    return _laid_over(below, _two_stream(field.cirrus, "cirrus"), np.float32(_ICE_CLOUD[band]))


def _two_stream(depth: FloatArray, kind: str) -> FloatArray:
    scattered = depth * np.float32(1 - _ASYMMETRY[kind])
    out: FloatArray = scattered / (2 + scattered)
    return out


def _laid_over(below: FloatArray, reflected: FloatArray, brightness: FloatArray | np.float32) -> FloatArray:
    passed = 1 - reflected
    out: FloatArray = reflected * brightness + passed * passed * below / (1 - reflected * below)
    return out


def paint_clouds(
    clear: FloatArray,
    bands: Sequence[str],
    *,
    spec: CloudSpec,
    rng: np.random.Generator,
    sun_zenith_deg: float = 38.0,
    sun_azimuth_deg: float = 155.0,
    pixel_size_m: float = 10.0,
    level: Level = "L1C",
) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Paint clouds over a clear image.

    Args:
        clear: `(band, y, x)` float32 reflectance, about 0 to 1, north up; NaN in every band is nodata, which
            does not count in the cover and is in neither mask.
        bands: Canonical names of its bands.
        spec: How much of which clouds.
        rng: Same generator state, same clouds.
        sun_zenith_deg: 0 to 80.
        sun_azimuth_deg: Direction towards the sun, clockwise from north.
        pixel_size_m: Side of a pixel, metres.
        level: Top-of-atmosphere or ground reflectance.

    Returns:
        Cloudy reflectance `(band, y, x)` float32; cloud mask and shadow mask `(y, x)` bool, True is cloud,
        True is shadow. Outside both the image is `clear`, bit for bit.
    """
    _check_image(clear, bands)
    valid: BoolArray = np.logical_or.reduce(np.isfinite(clear), axis=0)
    sun = {"sun_zenith_deg": sun_zenith_deg, "sun_azimuth_deg": sun_azimuth_deg}
    field = make_cloud_field(valid.shape, spec=spec, rng=rng, pixel_size_m=pixel_size_m, valid=valid, **sun)
    return apply_clouds(clear, bands, field, level=level), field.cloud_mask & valid, field.shadow_mask & valid


def _check_image(clear: FloatArray, bands: Sequence[str]) -> None:
    unknown = [band for band in bands if band not in S2_BANDS]
    if unknown:
        raise BandError(f"bands must be among {', '.join(S2_BANDS)}, got {', '.join(unknown)}")
    if clear.ndim != 3 or clear.shape[0] != len(bands):
        raise BandError(f"an image must be (band, y, x) with one name per band, got shape {clear.shape} and {len(bands)} names")
