"""Digital numbers and reflectance: nothing is lost on the way there and back, and nodata stays nodata."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocr.core.errors import UnitsError
from geocr.radiometry.optical import OpticalScale

SENTINEL = [(1e-4, 0.0), (1e-4, -0.1)]
NODATA = {"uint8": (0, 255, 7, None), "uint16": (0, 65535, 1000, None), "int16": (0, -32768, 32767, -9999, None), "int8": (0, -128, None)}
CASES = [(dtype, nodata) for dtype, values in NODATA.items() for nodata in values]


def every_dn(dtype: str) -> NDArray[np.generic]:
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1, dtype=np.int64).astype(dtype)


@pytest.mark.parametrize(("scale", "offset"), SENTINEL)
@pytest.mark.parametrize(("dtype", "nodata"), CASES)
def test_every_dn_comes_back(dtype: str, nodata: float | None, scale: float, offset: float) -> None:
    rule = OpticalScale(scale=scale, offset=offset, nodata=nodata, dtype=dtype)
    dn = every_dn(dtype)
    reflectance = rule.to_reflectance(dn)
    empty = dn == nodata if nodata is not None else np.zeros(dn.shape, bool)
    np.testing.assert_array_equal(np.isnan(reflectance), empty)
    np.testing.assert_array_equal(rule.observed(dn), ~empty)
    back = rule.to_dn(reflectance[~empty])
    assert back.dtype == dn.dtype
    np.testing.assert_array_equal(back, dn[~empty])


@pytest.mark.parametrize(("scale", "offset"), SENTINEL)
@pytest.mark.parametrize(("dtype", "nodata"), CASES)
@settings(max_examples=20)
@given(values=st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=30))
def test_a_reconstruction_is_never_nodata_and_never_wraps(
    dtype: str, nodata: float | None, scale: float, offset: float, values: list[float]
) -> None:
    rule = OpticalScale(scale=scale, offset=offset, nodata=nodata, dtype=dtype)
    reflectance = np.array(values, np.float32)
    dn = rule.to_dn(reflectance)
    assert rule.observed(dn).all()
    low, high = rule.valid_range()
    wanted = np.clip((reflectance.astype(np.float64) - offset) / scale, low, high)
    near = 1.5 if nodata is not None and low < nodata < high else 0.5  # beside a nodata inside the range
    assert np.abs(dn.astype(np.float64) - wanted).max() <= near + 1e-6


@pytest.mark.parametrize(
    ("dtype", "nodata", "low", "high"),
    [
        ("uint16", 0, 1, 65535),
        ("uint16", 65535, 0, 65534),
        ("uint16", None, 0, 65535),
        ("uint16", 1000, 0, 65535),
        ("int16", -32768, -32767, 32767),
        ("int16", 0, -32768, 32767),
        ("uint8", 255, 0, 254),
        ("float32", -9999, -np.inf, np.inf),
    ],
)
def test_valid_range(dtype: str, nodata: float | None, low: float, high: float) -> None:
    assert OpticalScale(scale=1, offset=0, nodata=nodata, dtype=dtype).valid_range() == (low, high)


def test_around_nodata_and_the_ends_of_the_range() -> None:
    rule = OpticalScale(scale=1e-4, offset=0.0, nodata=0, dtype="uint16")
    got = rule.to_dn(np.array([-5, -1e-9, 0, 0.4e-4, 0.6e-4, 1.49e-4, 6.5535, 6.6, 1e9], np.float32))
    np.testing.assert_array_equal(got, [1, 1, 1, 1, 1, 1, 65535, 65535, 65535])
    inside = OpticalScale(scale=1e-4, offset=-0.1, nodata=1000, dtype="uint16")
    np.testing.assert_array_equal(inside.to_dn(np.array([-1e-4, 0, 0.2e-4, 1e-4], np.float32)), [999, 1001, 1001, 1001])
    lowest = OpticalScale(scale=1e-4, offset=0.0, nodata=0, dtype="int16")
    np.testing.assert_array_equal(lowest.to_dn(np.array([-1e-4, 0, 1e-4], np.float32)), [-1, 1, 1])


def test_reflectance_below_zero_survives() -> None:
    rule = OpticalScale(scale=1e-4, offset=-0.1, nodata=0, dtype="uint16")
    np.testing.assert_allclose(rule.to_reflectance(np.array([1, 999, 1000, 0], np.uint16)), [-0.0999, -0.0001, 0, np.nan], atol=1e-7)
    signed = OpticalScale(scale=1e-4, offset=0.0, nodata=-9999, dtype="int16")
    np.testing.assert_allclose(signed.to_reflectance(np.array([-3, 0, -9999], np.int16)), [-0.0003, 0, np.nan], atol=1e-9)


@pytest.mark.parametrize("nodata", [np.nan, None])
def test_float_files_with_nan(nodata: float | None) -> None:
    rule = OpticalScale(scale=1.0, offset=0.0, nodata=nodata, dtype="float32")
    values = np.array([0.0, -0.01, 0.5, np.nan, np.inf], np.float32)
    np.testing.assert_array_equal(rule.observed(values), [True, True, True, False, False])
    reflectance = rule.to_reflectance(values)
    np.testing.assert_array_equal(reflectance[:3], values[:3])
    assert np.isnan(reflectance[3:]).all()
    np.testing.assert_array_equal(rule.to_dn(reflectance[:3]), values[:3])


@pytest.mark.parametrize("nodata", [-9999.0, 0.0, float(np.finfo(np.float32).min)])
def test_float_files_with_a_nodata_value(nodata: float) -> None:
    rule = OpticalScale(scale=1.0, offset=0.0, nodata=nodata, dtype="float32")
    values = np.array([nodata, 0.25, np.nan], np.float32)
    np.testing.assert_array_equal(rule.observed(values), [False, True, False])
    dn = rule.to_dn(np.array([nodata, 0.25], np.float32))
    assert dn.dtype == np.float32
    assert rule.observed(dn).all()
    np.testing.assert_allclose(dn, [nodata, 0.25], rtol=1e-6, atol=1e-6)


@given(st.floats(0.01, 2), st.sampled_from(["float32", "float64"]))
def test_scaled_floats_come_back(reflectance: float, dtype: str) -> None:
    rule = OpticalScale(scale=1e-4, offset=-0.1, nodata=np.nan, dtype=dtype)
    value = np.array([reflectance], np.float32)
    np.testing.assert_allclose(rule.to_reflectance(rule.to_dn(value)), value, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("scale", "offset"), [(0.0, 0.0), (np.nan, 0.0), (np.inf, 0.0), (1.0, np.nan), (1.0, -np.inf)])
def test_a_scale_that_cannot_be_inverted_is_refused(scale: float, offset: float) -> None:
    with pytest.raises(UnitsError, match=r"finite scale other than 0.*got scale=.*--s2-scale and --s2-offset"):
        OpticalScale(scale=scale, offset=offset, nodata=None, dtype="uint16")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32"])
@pytest.mark.parametrize("nodata", [None, 0.0, 255.0, -9999.0, 65535.0, 70000.0, 0.5, float("nan")])
def test_observed_is_all_but_nodata_and_what_is_not_finite(dtype: str, nodata: float | None) -> None:
    """Also for nodata that the dtype cannot hold, which no pixel has."""
    dn = np.array([0, 1, 127, 200, 255]).astype(dtype)
    dn = np.append(dn, np.array([-9999, 65535, np.nan, np.inf, 0.5], dtype)) if dtype == "float32" else dn
    expected = [bool(np.isfinite(value)) and (nodata is None or float(value) != nodata) for value in dn.tolist()]
    assert OpticalScale(scale=1e-4, offset=0.0, nodata=nodata, dtype=dtype).observed(dn).tolist() == expected
