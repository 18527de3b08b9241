import numpy as np
import pytest

from geocr.clouds.darkness import Darkness, _quantile, find_water, measure_darkness, relative_darkness, shadow_bands
from geocr.core.types import BoolArray, FloatArray

SIDE = 240
"""Pixels of 60 m: 14 km, so that one end does not see the other."""
LEFT, RIGHT = (120, 40), (120, 200)


def land(infrared: FloatArray, green: FloatArray | None = None) -> Darkness:
    return Darkness(infrared=infrared, nir=infrared, green=green)


def darkness_of(infrared: FloatArray, cloud: BoolArray | None = None) -> FloatArray:
    none = np.zeros(infrared.shape, bool)
    found = relative_darkness(land(infrared), none if cloud is None else cloud, ~none, resolution_m=60)
    assert found is not None
    return found


def test_dark_is_what_the_land_around_is_not() -> None:
    infrared = np.full((SIDE, SIDE), 0.4, np.float32)
    infrared[:, : SIDE // 2] = 0.15  # forest on the left, fields on the right
    infrared[LEFT], infrared[RIGHT] = 0.05, 0.15
    found = darkness_of(infrared)
    assert found.dtype == np.float32
    assert found[LEFT] == pytest.approx(1 - 0.05 / 0.15, abs=1e-4)
    assert found[RIGHT] == pytest.approx(1 - 0.15 / 0.4, abs=1e-4)
    assert found[5, 20] == found[5, 220] == pytest.approx(0, abs=1e-6)  # unshaded forest is not dark


def test_darkness_does_not_depend_on_units_of_light() -> None:
    infrared = np.random.default_rng(1).uniform(0.1, 0.4, (SIDE, SIDE)).astype(np.float32)
    np.testing.assert_allclose(darkness_of(infrared / 2), darkness_of(infrared), atol=1e-5)


def test_shadows_of_a_third_of_the_land_do_not_darken_the_reference() -> None:
    infrared = np.full((SIDE, SIDE), 0.3, np.float32)
    infrared[::3] = 0.09
    assert darkness_of(infrared)[120, 120] == pytest.approx(0.7, abs=1e-4)


def test_clouds_are_not_land_and_do_not_count() -> None:
    infrared = np.full((SIDE, SIDE), 0.3, np.float32)
    cloud = np.zeros((SIDE, SIDE), bool)
    cloud[60:200, 60:200] = True  # 8 km: its centre is beyond the reach of any land
    infrared[cloud] = 0.9
    found = darkness_of(infrared, cloud)
    np.testing.assert_array_equal(np.isnan(found), cloud)
    np.testing.assert_allclose(found[~cloud], 0, atol=1e-5)


def test_too_little_land_is_none() -> None:
    field, none = np.full((10, 10), 0.3, np.float32), np.zeros((10, 10), bool)
    assert relative_darkness(land(field), none, ~none, resolution_m=10) is not None
    one = none.copy()
    one[0, 0] = True
    assert relative_darkness(land(field), none, ~one, resolution_m=10) is None
    assert relative_darkness(land(field), one, ~none, resolution_m=10) is None


def look(green: float, nir: float, *, darkest: tuple[float, float]) -> bool:
    """Whether a pixel is water on a scene whose darkest pixel has `darkest` green and NIR."""
    greens, nirs = np.full((40, 40), 0.2, np.float32), np.full((40, 40), 0.3, np.float32)
    greens[0, :5], nirs[0, :5] = darkest
    greens[5, 5], nirs[5, 5] = green, nir
    return bool(find_water(Darkness(infrared=nirs, nir=nirs, green=greens), np.ones((40, 40), bool))[5, 5])


def test_a_shaded_forest_under_clear_air_is_no_water() -> None:
    top_of_atmosphere = (0.055, 0.016)
    assert not look(0.076, 0.060, darkest=top_of_atmosphere)  # shaded forest: green outshines NIR, but only by the air
    assert look(0.084, 0.021, darkest=top_of_atmosphere)
    assert look(0.055, 0.016, darkest=top_of_atmosphere)  # the darkest pixel itself
    at_the_ground = (0.01, 0.005)
    assert look(0.076, 0.060, darkest=at_the_ground)
    assert not look(0.030, 0.060, darkest=at_the_ground)
    assert look(0.030, 0.010, darkest=(0.030, 0.010))
    assert look(0.21, 0.17, darkest=(0.19, 0.15))  # nothing dark to see: no more than clear air is taken off
    assert not look(0.21, 0.18, darkest=(0.19, 0.15))


def test_water_is_not_land() -> None:
    infrared = np.full((40, 40), 0.3, np.float32)
    green = np.full((40, 40), 0.08, np.float32)
    infrared[:5], green[:5] = 0.02, 0.10
    none = np.zeros((40, 40), bool)
    found = relative_darkness(land(infrared, green), none, ~none, resolution_m=60)
    assert found is not None
    assert np.isnan(found[:5]).all()
    assert np.isfinite(found[5:]).all()
    assert not find_water(land(infrared), ~none).any()  # without green it cannot be told


def test_bands_shadows_are_told_by() -> None:
    assert shadow_bands(("B02", "B03", "B08", "B8A", "B11", "B12")) == ("B08", "B03", "B11")
    assert shadow_bands(("B8A", "B03")) == ("B8A", "B03")
    assert shadow_bands(("B04", "B03", "B02")) == ()


def test_infrared_is_the_mean_of_nir_and_swir() -> None:
    pixels = {band: np.full((2, 2), value, np.float32) for band, value in {"B03": 0.1, "B08": 0.3, "B11": 0.2}.items()}
    whole = measure_darkness(pixels, ("B08", "B03", "B11"))
    np.testing.assert_allclose(whole.infrared, 0.25)
    np.testing.assert_allclose(whole.nir, 0.3)
    assert whole.green is pixels["B03"]
    assert measure_darkness(pixels, ("B08",)).green is None
    np.testing.assert_allclose(measure_darkness(pixels, ("B08",)).infrared, 0.3)


def test_quantiles_of_rows_with_gaps() -> None:
    rng = np.random.default_rng(2)
    values = rng.random((50, 101)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[0] = np.nan
    got = _quantile(values, 0.6, least=1)
    assert np.isnan(got[0])
    np.testing.assert_array_equal(got[1:], np.nanquantile(values[1:], 0.6, axis=1, method="nearest").astype(np.float32))
    assert np.isnan(_quantile(values, 0.6, least=102)).all()
