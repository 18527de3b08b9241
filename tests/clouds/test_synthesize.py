import numpy as np
import pytest

from geocr.clouds.synthesize import (
    PATH_REFLECTANCE,
    CloudField,
    CloudSpec,
    apply_clouds,
    fractal_noise,
    make_cloud_field,
    paint_clouds,
    shadow_offset_px,
)
from geocr.core.bands import L1C_BANDS, L2A_BANDS
from geocr.core.errors import BandError, InputError
from geocr.core.types import BoolArray, FloatArray

SHAPE = (160, 192)
SUN = {"sun_zenith_deg": 40.0, "sun_azimuth_deg": 150.0}
SMALL = {"size_m": 300.0, "base_m": 150.0, "depth_m": 50.0}


def clear_image(bands: tuple[str, ...] = L1C_BANDS, shape: tuple[int, int] = SHAPE, level: float = 0.15) -> FloatArray:
    rng = np.random.default_rng(3)
    image = np.stack([np.full(shape, PATH_REFLECTANCE[band] + (0 if band == "B10" else level), np.float32) for band in bands])
    return image + rng.normal(0, 0.004, image.shape).astype(np.float32) * (image > 0.01)


def paint(
    clear: FloatArray, *, seed: int = 1, bands: tuple[str, ...] = L1C_BANDS, sun: dict[str, float] = SUN, **spec: float
) -> tuple[FloatArray, BoolArray, BoolArray]:
    return paint_clouds(clear, bands, spec=CloudSpec(**SMALL | spec), rng=np.random.default_rng(seed), **sun)


def uniform_field(shape: tuple[int, int] = (4, 4), **depths: float) -> CloudField:
    zero = np.zeros(shape, np.float32)
    given = {name: np.full(shape, value, np.float32) for name, value in depths.items()}
    cloud = sum((given.get(name, zero) for name in ("thick", "cirrus", "haze")), zero) > 0
    shadow = (given.get("shadow", zero) > 0) & ~cloud
    arrays = {"thick": zero, "cirrus": zero, "haze": zero, "shadow": zero, "relief": zero + 1} | given
    return CloudField(**arrays, cloud_mask=cloud, shadow_mask=shadow)


def test_same_seed_same_bytes() -> None:
    clear = clear_image()
    first, again, other = paint(clear), paint(clear), paint(clear, seed=2)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))
    assert first[1].tobytes() != other[1].tobytes()


@pytest.mark.parametrize("cover", [0.0, 0.05, 0.3, 0.75, 1.0])
@pytest.mark.parametrize("thick_share", [0.0, 0.6, 1.0])
def test_cover_is_met_to_the_pixel(cover: float, thick_share: float) -> None:
    _, cloud, _ = paint(clear_image(("B02", "B08")), bands=("B02", "B08"), cover=cover, thick_share=thick_share)
    assert abs(int(cloud.sum()) - round(cover * cloud.size)) <= 2


def test_outside_the_masks_the_image_is_the_clear_one_bit_for_bit_and_inside_it_is_not() -> None:
    clear = clear_image()
    cloudy, cloud, shadow = paint(clear, cover=0.4)
    outside = ~(cloud | shadow)
    assert outside.any()
    assert shadow.any()
    assert not (cloud & shadow).any()
    assert cloudy[:, outside].tobytes() == clear[:, outside].tobytes()
    assert (cloudy != clear).any(axis=0)[cloud | shadow].all()
    assert cloudy.dtype == np.float32


def test_mask_polarity_clouds_are_brighter_and_shadows_darker() -> None:
    clear = clear_image()
    cloudy, cloud, shadow = paint(clear, cover=0.3, thick_share=1.0)
    blue, nir = L1C_BANDS.index("B02"), L1C_BANDS.index("B08")
    assert (cloudy - clear)[blue, cloud].mean() > 0.1
    assert (cloudy - clear)[nir, shadow].mean() < -0.05


@pytest.mark.parametrize("azimuth", [20.0, 150.0, 250.0])
def test_shadows_lie_on_the_side_away_from_the_sun(azimuth: float) -> None:
    spec = CloudSpec(cover=0.15, thick_share=1.0, **SMALL)
    field = make_cloud_field(SHAPE, spec=spec, rng=np.random.default_rng(5), sun_zenith_deg=45.0, sun_azimuth_deg=azimuth)
    reach = 17.5  # 175 m at 45 degrees and 10 m

    def overlap(sign: int) -> float:
        dy, dx = round(sign * reach * np.cos(np.deg2rad(azimuth))), round(-sign * reach * np.sin(np.deg2rad(azimuth)))
        inner = (slice(25, -25), slice(25, -25))
        moved = np.roll(field.thick > 4, (dy, dx), axis=(0, 1))
        return (moved & (field.shadow > 0))[inner].sum() / max(1, moved[inner].sum())

    assert overlap(+1) > 0.9
    assert overlap(-1) < 0.5 * overlap(+1)


def test_shadow_offset_is_geometry() -> None:
    # sun in the south at 45 degrees: the shadow lies one cloud height to the north, which is up
    assert shadow_offset_px(1000, sun_zenith_deg=45, sun_azimuth_deg=180, pixel_size_m=10) == pytest.approx((-100, 0))
    assert shadow_offset_px(1000, sun_zenith_deg=45, sun_azimuth_deg=90, pixel_size_m=20) == pytest.approx((0, -50))
    assert shadow_offset_px(1000, sun_zenith_deg=0, sun_azimuth_deg=90, pixel_size_m=20) == pytest.approx((0, 0))


def test_shadows_reach_into_the_image_from_clouds_outside() -> None:
    spec = CloudSpec(cover=0.2, thick_share=1.0, size_m=300, base_m=600, depth_m=10)
    field = make_cloud_field(SHAPE, spec=spec, rng=np.random.default_rng(2), sun_zenith_deg=45.0, sun_azimuth_deg=180.0)
    # the shadow of row r falls on row r - 60: the last 60 rows are shaded by clouds below the image
    assert field.shadow[-50:].any()


def test_cirrus_is_bright_in_b10_and_low_clouds_are_not() -> None:
    clear = clear_image(shape=(4, 4))
    at = L1C_BANDS.index("B10")
    assert clear[at].max() < 0.003
    assert apply_clouds(clear, L1C_BANDS, uniform_field(cirrus=1.0))[at].min() > 0.02
    assert apply_clouds(clear, L1C_BANDS, uniform_field(thick=30.0))[at].max() < 0.006
    assert apply_clouds(clear, L1C_BANDS, uniform_field(haze=1.0))[at].max() < 0.003


def test_thick_cloud_is_bright_white_and_hides_the_ground() -> None:
    field = uniform_field(thick=30.0)
    over_dark = apply_clouds(clear_image(shape=(4, 4), level=0.02), L1C_BANDS, field).mean(axis=(1, 2))
    over_pale = apply_clouds(clear_image(shape=(4, 4), level=0.30), L1C_BANDS, field).mean(axis=(1, 2))
    visible = over_dark[1:4]
    assert visible.min() > 0.5
    assert visible.max() / visible.min() < 1.15
    assert over_dark[L1C_BANDS.index("B12")] < over_dark[L1C_BANDS.index("B11")] < over_dark[L1C_BANDS.index("B8A")]
    assert np.abs(over_pale - over_dark)[:9].max() < 0.12


def test_haze_is_stronger_in_blue_and_thin_clouds_let_the_ground_through() -> None:
    clear = clear_image(shape=(4, 4))
    added = (apply_clouds(clear, L1C_BANDS, uniform_field(haze=0.8)) - clear).mean(axis=(1, 2))
    blue, red, swir = (added[L1C_BANDS.index(band)] for band in ("B02", "B04", "B12"))
    assert blue > 1.2 * red > 1.5 * swir
    field = uniform_field(cirrus=0.8, haze=0.8)
    gap = apply_clouds(clear_image(shape=(4, 4), level=0.30), L1C_BANDS, field) - apply_clouds(clear, L1C_BANDS, field)
    assert gap[L1C_BANDS.index("B08")].mean() > 0.10


def test_ground_in_full_shadow_keeps_the_air_light_of_l1c_but_not_of_l2a() -> None:
    clear = clear_image(shape=(4, 4))
    field = uniform_field(shadow=1.0)
    top, ground = (apply_clouds(clear, L1C_BANDS, field, level=level) for level in ("L1C", "L2A"))
    assert (top[:9] > ground[:9]).all()
    assert (top[1] > PATH_REFLECTANCE["B02"]).all()
    darkening = top / clear
    assert darkening[L1C_BANDS.index("B08")].mean() < darkening[L1C_BANDS.index("B02")].mean()


@pytest.mark.parametrize("bands", [L2A_BANDS, ("B08", "B02"), ("B10",)])
def test_any_bands_get_the_same_values_as_in_the_full_set(bands: tuple[str, ...]) -> None:
    clear = clear_image()
    index = [L1C_BANDS.index(band) for band in bands]
    whole, cloud, _ = paint(clear)
    part, part_cloud, _ = paint(clear[index], bands=bands)
    assert (cloud == part_cloud).all()
    assert part.tobytes() == whole[index].tobytes()


def test_nodata_stays_nodata_and_does_not_count() -> None:
    clear = clear_image()
    clear[:, :, :60] = np.nan
    cloudy, cloud, shadow = paint(clear, cover=0.5)
    assert np.isnan(cloudy[:, :, :60]).all()
    assert not (cloud | shadow)[:, :60].any()
    assert np.isfinite(cloudy[:, :, 60:]).all()
    assert cloud[:, 60:].mean() == pytest.approx(0.5, abs=1e-3)


def test_size_controls_the_size_of_clouds() -> None:
    def borders(size_m: float) -> int:
        spec = CloudSpec(cover=0.3, thick_share=1.0, size_m=size_m, base_m=100, depth_m=50)
        cloud = make_cloud_field(SHAPE, spec=spec, rng=np.random.default_rng(1), **SUN).cloud_mask
        return (cloud[1:] != cloud[:-1]).sum()

    assert borders(150) > 1.5 * borders(900)


def test_noise_is_standard_and_smoother_with_slope() -> None:
    rough, smooth = (fractal_noise((101, 77), np.random.default_rng(0), wavelength_px=20, slope=slope) for slope in (1.5, 3.0))
    for noise in (rough, smooth):
        assert noise.shape == (101, 77)
        assert noise.dtype == np.float32
        assert noise.mean() == pytest.approx(0, abs=1e-4)
        assert noise.std() == pytest.approx(1, abs=1e-4)
    assert np.abs(np.diff(rough)).mean() > 2 * np.abs(np.diff(smooth)).mean()


def test_noise_stretches_along_its_angle() -> None:
    noise = fractal_noise((128, 128), np.random.default_rng(0), wavelength_px=16, stretch=6, angle_deg=0)
    assert np.abs(np.diff(noise, axis=0)).mean() > 2 * np.abs(np.diff(noise, axis=1)).mean()


@pytest.mark.parametrize("wrong", [{"cover": 1.01}, {"cover": -0.1}, {"thick_share": 2.0}, {"size_m": 0.0}, {"depth_m": -1.0}])
def test_impossible_clouds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        CloudSpec(**wrong)


def test_bad_arguments_are_refused() -> None:
    clear = clear_image(("B02", "B03"))
    with pytest.raises(BandError, match="B99"):
        paint(clear, bands=("B02", "B99"))
    with pytest.raises(BandError, match="one name per band"):
        paint(clear, bands=("B02",))
    with pytest.raises(InputError, match="sun_zenith_deg"):
        paint(clear, bands=("B02", "B03"), sun={"sun_zenith_deg": 85.0})
    with pytest.raises(InputError, match="share one grid"):
        apply_clouds(clear, ("B02", "B03"), uniform_field())
